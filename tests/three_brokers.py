"""A Kafka of three brokers, each of which may be the controller, beside the Elasticsearch of a stack."""

import asyncio
import base64
import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from processes import until

from tailrace.stack import jars, kafka, machine, process

NODES = (1, 2, 3)
_THREEFOLD = {
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    "min.insync.replicas": "2",
}


class ThreeBrokers:
    """Made new in a folder; a broker that was killed comes back with its data.

    ``elasticsearch_url`` is passed on, so that a site takes this for its stack.
    """

    def __init__(self, folder: Path, elasticsearch_url: str) -> None:
        self.elasticsearch_url = elasticsearch_url
        self._folder = folder
        self._ports = {node: machine.free_port() for node in NODES}
        self._children: dict[int, process.Child] = {}
        ports = {node: machine.free_port() for node in NODES}
        voters = ",".join(f"{node}@127.0.0.1:{port}" for node, port in ports.items())
        cluster = "A" + base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=")[1:]
        for node in NODES:
            home = folder / str(node)
            kafka.configure(home, home / "kafka.log", self._ports[node], ports[node], 3)
            said = (home / "server.properties").read_text().splitlines()
            settings = dict(line.split("=", 1) for line in said if "=" in line and not line.startswith("#"))
            settings |= {**_THREEFOLD, "node.id": str(node), "controller.quorum.voters": voters}
            (home / "server.properties").write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
            storage = ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(home / "server.properties")]
            subprocess.run([*self._command(node)[:-2], *storage], check=True, capture_output=True)

    @property
    def servers(self) -> list[str]:
        """Where they listen."""
        return [f"127.0.0.1:{port}" for port in self._ports.values()]

    @property
    def bootstrap_servers(self) -> str:
        """The same, as clients take it in one text."""
        return ",".join(self.servers)

    def start(self, *nodes: int) -> None:
        """Start some, and wait until each is one of the cluster."""
        for node in nodes:
            self._children[node] = process.spawn(
                self._command(node), self._mark(node), self._folder / str(node) / "console.log"
            )
        until(lambda: all(kafka.answers(self._ports[node]) for node in nodes), 180, 0.2)

    def kill(self, node: int) -> None:
        """End one as a power cut does."""
        process.end(self._children.pop(node), 0)

    def stop(self) -> None:
        """End those that run; nobody wants their data any more."""
        for node in list(self._children):
            self.kill(node)

    @property
    def controller(self) -> int:
        """The node that leads the quorum, as the nodes themselves have noted it."""
        noted = [
            json.loads((self._folder / str(node) / "data/__cluster_metadata-0/quorum-state").read_text())
            for node in self._children
        ]
        return int(max(noted, key=lambda one: int(one["leaderEpoch"]))["leaderId"])

    def are_in_sync(self) -> bool:
        """Whether all replicas of all partitions have all that was acknowledged."""
        try:
            return all(len(one["isr"]) == len(one["replicas"]) == len(NODES) for one in asyncio.run(self._partitions()))
        except KafkaError:
            return False

    async def _partitions(self) -> list[dict[str, Any]]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.servers)
        await admin.start()
        try:
            topics = await admin.describe_topics(await admin.list_topics())
        finally:
            await admin.close()
        return [one for topic in topics for one in topic["partitions"]]

    def _mark(self, node: int) -> str:
        return f"-Dtailrace.three={self._folder / str(node)}"

    def _command(self, node: int) -> list[str]:
        home = jars.home(lambda _text, _done, _total: None)
        command = kafka.command(machine.java(), home, self._folder / str(node), self._mark(node))
        return [part.replace(f"{kafka.HEAP_MIB}m", "256m") for part in command]


@contextlib.contextmanager
def three_brokers(folder: Path, elasticsearch_url: str) -> Iterator[ThreeBrokers]:
    """Three that run, and are gone afterwards."""
    brokers = ThreeBrokers(folder, elasticsearch_url)
    try:
        brokers.start(*NODES)
        yield brokers
    finally:
        brokers.stop()
