"""A second Kafka broker beside that of a stack, which a test may kill without taking the controller with it."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from processes import until

from tailrace.stack import Stack, jars, kafka, machine, process

NODE = 2


class SecondBroker:
    """Joins the cluster of a running stack; its own folder keeps its data over a kill."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._folder = folder
        self.port = machine.free_port()
        self._child: process.Child | None = None
        first = Path(stack.folder) / "kafka"
        settings = dict(
            line.split("=", 1) for line in (first / "server.properties").read_text().splitlines() if "=" in line
        )
        settings |= {
            "process.roles": "broker",
            "node.id": str(NODE),
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "log.dirs": str(folder / "data"),
        }
        folder.mkdir()
        (folder / "server.properties").write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        log = (first / "log4j2.properties").read_text().replace(str(stack.log("kafka")), str(folder / "kafka.log"))
        (folder / "log4j2.properties").write_text(log)
        told = (first / "data" / "meta.properties").read_text().splitlines()
        (cluster,) = [line.partition("=")[2] for line in told if line.startswith("cluster.id=")]
        home = jars.home(lambda _text, _done, _total: None)
        self._command = kafka.command(machine.java(), home, folder, f"-Dtailrace.second={folder}")
        settings_file = str(folder / "server.properties")
        storage = ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", settings_file]
        subprocess.run([*self._command[:-2], *storage], check=True, capture_output=True)

    def start(self) -> None:
        """Start it, and wait until it is one of the cluster."""
        self._child = process.spawn(self._command, f"-Dtailrace.second={self._folder}", self._folder / "console.log")
        until(lambda: kafka.answers(self.port), seconds=60)

    def kill(self) -> None:
        """End it as a power cut does."""
        self.stop(0)

    def stop(self, seconds: float = 30) -> None:
        """Let it take leave of the cluster, which would else give it new partitions for some seconds more."""
        if self._child is not None:
            process.end(self._child, seconds)
            self._child = None


@contextlib.contextmanager
def second_broker(stack: Stack, folder: Path) -> Iterator[SecondBroker]:
    """One that runs, and is gone afterwards."""
    broker = SecondBroker(stack, folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
