"""A state folder to the command that runs Kafka in it, and a port to whether a broker answers there."""

import base64
import os
import socket
import struct
import subprocess
from pathlib import Path

from tailrace.errors import StackFailed
from tailrace.files import shared

HEAP_MIB = 512
RESIDENT_MIB = 750
"""What it takes in RAM, heap included, when it has worked for a while."""

_METADATA_REQUEST = struct.pack(">hhih8si", 3, 1, 1, 8, b"tailrace", 0)
"""Metadata (key 3), version 1, correlation id 1, a client id, and no topics: the brokers alone."""


def configure(folder: Path, log: Path, port: int, controller_port: int, partitions: int) -> None:
    """Write its settings; the same folder with other ports keeps its topics."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "@port@": str(port),
        "@controller_port@": str(controller_port),
        "@data@": str(folder / "data"),
        "@partitions@": str(partitions),
        "@log@": str(log),
    }
    for name in ("server.properties", "log4j2.properties"):
        text = (shared("deploy/stack/kafka") / name).read_text()
        for key, value in values.items():
            text = text.replace(key, value)
        (folder / name).write_text(text)


def format_once(java: str, home: Path, folder: Path) -> None:
    """Give the data folder its cluster id, if it has none yet; Kafka refuses to start in a bare one."""
    if (folder / "data" / "meta.properties").exists():
        return
    cluster = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=")
    if cluster.startswith("-"):  # the tool would take it for an option
        cluster = "A" + cluster[1:]
    command = _java(java, home, folder, "-Xmx256m", "-XX:TieredStopAtLevel=1")
    command += ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(folder / "server.properties")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise StackFailed(f"Kafka could not prepare {folder / 'data'}; is there room on the disk?\n{said}")


def command(java: str, home: Path, folder: Path, mark: str) -> list[str]:
    """The command line of the broker (and controller, in one process)."""
    return [
        *_java(java, home, folder, f"-Xms{HEAP_MIB}m", f"-Xmx{HEAP_MIB}m", mark),
        "kafka.Kafka",
        str(folder / "server.properties"),
    ]


def answers(port: int, timeout_seconds: float = 2.0) -> bool:
    """Whether a broker on this port of the loopback address knows of itself and of a controller.

    One Metadata request by hand (https://kafka.apache.org/protocol): a client library would bring its event loop.
    """
    try:
        with socket.create_connection(("127.0.0.1", port), timeout_seconds) as connection:
            connection.settimeout(timeout_seconds)
            connection.sendall(struct.pack(">i", len(_METADATA_REQUEST)) + _METADATA_REQUEST)
            with connection.makefile("rb") as answer:
                (size,) = struct.unpack(">i", answer.read(4))
                body = answer.read(size)
        return _has_controller(body)
    except (OSError, struct.error):
        return False


def _has_controller(body: bytes) -> bool:
    (brokers,) = struct.unpack_from(">i", body, 4)  # behind the correlation id
    at = 8
    for _ in range(brokers):
        at += 4  # node id
        for fixed in (4, 0):  # host, then port; rack
            (length,) = struct.unpack_from(">h", body, at)
            at += 2 + max(length, 0) + fixed
    (controller,) = struct.unpack_from(">i", body, at)
    return bool(brokers > 0 and controller >= 0)


def _java(java: str, home: Path, folder: Path, *options: str) -> list[str]:
    return [
        java,
        *options,
        "-XX:+UseSerialGC",
        "-XX:+ExitOnOutOfMemoryError",
        f"-XX:ErrorFile={folder}/java-crash-%p.log",
        "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={folder}/log4j2.properties",
        "-cp",
        f"{home}/kafka/*",
    ]
