"""A ``tailrace`` of a test's own: settings file, real processes, and what they sent, read back by a stranger."""

import asyncio
import contextlib
import functools
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from aiokafka import AIOKafkaConsumer

from tailrace.record import HEADER, parse_header
from tailrace.stack import Stack

_QUICK = {"rescan_seconds": 0.5, "partial_line_seconds": 0.3, "ledger_seconds": 1.0}


class Shipped(NamedTuple):
    """One record as a stranger reads it from the topic."""

    partition: int
    offset: int
    key: bytes
    may_repeat: bool
    stream: str
    record_id: str
    value: bytes
    sent: float
    """Seconds since 1970."""

    @property
    def document(self) -> dict[str, Any]:
        """The value, which must be one JSON object on one line."""
        assert b"\n" not in self.value
        assert b"\r" not in self.value
        document: dict[str, Any] = orjson.loads(self.value)
        assert self.key.decode() == document["tailrace"]["source"]
        assert self.record_id.startswith(f"{document['tailrace']['source']}:{document['log']['offset']:016d}:")
        return document

    @property
    def message(self) -> str:
        """What the line said."""
        return str(self.document["message"])


class Process:
    """One running ``tailrace`` command; its log is a file, so that no pipe can fill."""

    def __init__(self, arguments: Iterable[str], log: Path, prefix: Iterable[str] = (), **how: Any) -> None:
        self.log = log
        with log.open("ab") as stderr:
            command = [*prefix, sys.executable, "-m", "tailrace", *arguments]
            self._popen = subprocess.Popen(command, stdout=stderr, stderr=stderr, **how)
        self._began = log.stat().st_size

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._popen.poll() is None

    @property
    def resident_mb(self) -> float:
        """Its resident memory now, in megabytes; 0 once it ended."""
        return self._memory("VmRSS")

    @property
    def peak_mb(self) -> float:
        """The most memory it ever had resident."""
        return self._memory("VmHWM")

    def has_open(self, file: Path | os.stat_result) -> bool:
        """Whether it holds this file open, given by its name or, for it may be deleted, by what ``stat`` said of it."""
        wanted = file.stat() if isinstance(file, Path) else file
        for entry in Path(f"/proc/{self.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                status = entry.stat()
                if (status.st_dev, status.st_ino) == (wanted.st_dev, wanted.st_ino):
                    return True
        return False

    def wait(self, seconds: float = 60) -> int:
        """Its exit code, once it has ended by itself."""
        return self._popen.wait(seconds)

    def stop(self, seconds: float = 30) -> int:
        """Ask it to end as systemd does; its exit code."""
        self._popen.send_signal(signal.SIGTERM)
        return self._popen.wait(seconds)

    def kill(self) -> None:
        """End it as a power cut does."""
        self._popen.kill()
        self._popen.wait()

    def _memory(self, key: str) -> float:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self.pid}/status").read_text("ascii").splitlines():
                if line.startswith(key):
                    return int(line.split()[1]) / 1024
        return 0.0


class Site:
    """A host with log files and a state folder of its own, and topics and a data stream that nobody else has.

    ``shipper``, ``indexer`` and ``kafka`` are keys of those sections of the settings file that it writes.
    """

    def __init__(self, folder: Path, stack: Stack, name: str) -> None:
        self.folder = folder
        self.stack = stack
        self.name = name
        self.topic, self.ledger, self.dead = f"{name}.logs", f"{name}.ledger", f"{name}.dead"
        self.stream = f"logs-{name}-default"
        self.logs = folder / "logs"
        self.logs.mkdir(exist_ok=True)
        self.state = folder / "state"
        self.shipper: dict[str, Any] = dict(_QUICK)
        self.indexer: dict[str, Any] = {}
        self.kafka: dict[str, Any] = {}
        self.inputs: list[dict[str, Any]] = [{"paths": [f"{self.logs}/*.log"], "dataset": name}]
        self.metrics: dict[str, Any] = {}
        self.elasticsearch: dict[str, Any] = {}
        self._processes: list[Process] = []

    @property
    def bootstrap_servers(self) -> str:
        """Where the brokers are, asked for once for they may be away later."""
        return self.stack.bootstrap_servers

    def write_settings(self, name: str = "tailrace.toml", bootstrap_servers: str = "") -> Path:
        """The settings file as it is now."""
        tables = {
            "host": {"name": f"{self.name}-host"},
            "kafka": {
                "bootstrap_servers": [bootstrap_servers or self.bootstrap_servers],
                "ledger_topic": self.ledger,
                "dead_letter_topic": self.dead,
                **self.kafka,
            },
            "elasticsearch": {"hosts": [self.stack.elasticsearch_url], **self.elasticsearch},
            "shipper": {"state_dir": str(self.state), "topic": self.topic, **self.shipper, "inputs": self.inputs},
            "indexer": {"topics": [self.topic], "group": f"{self.name}-indexer", **self.indexer},
            "metrics": self.metrics,
            "log": {"format": "json"},
        }
        path = self.folder / name
        path.write_bytes(_toml(tables))
        return path

    def run(self, *arguments: str, log: str = "", settings: Path | None = None, **how: Any) -> Process:
        """Start a command with the settings file as it is now."""
        path = settings or self.write_settings()
        process = Process([*arguments, "--config", str(path)], self.folder / f"{log or arguments[0]}.txt", **how)
        self._processes.append(process)
        return process

    def finish(self, *arguments: str, seconds: float = 60, expect: int = 0, **how: Any) -> str:
        """Run a command to its end, which must have the exit code ``expect``; what it said."""
        process = self.run(*arguments, **how)
        began = process._began
        code = process.wait(seconds)
        said = process.log.read_bytes()[began:].decode()
        assert code == expect, f"exit code {code}: {said[-3000:]}"
        return said

    def said(self, log: str = "ship") -> list[dict[str, Any]]:
        """The log lines of all runs of a command; lines that are no JSON under ``text``."""
        lines = (self.folder / f"{log}.txt").read_text("utf-8").splitlines()
        return [json.loads(line) if line.startswith("{") else {"text": line, "message": ""} for line in lines]

    def shipped(self, most_seconds: float = 30) -> list[Shipped]:
        """All that is in the topic."""
        return asyncio.run(read_topic(self.bootstrap_servers, self.topic, most_seconds))

    def messages(self) -> list[str]:
        """The message of every record, sorted."""
        return sorted(record.message for record in self.shipped())

    def agent(self, *, log: str = "ship", seconds: float = 30, **how: Any) -> Process:
        """Start the agent, and return once it says, as to systemd, that it follows what is there."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            name = f"tailrace-{self.name}-{time.monotonic_ns()}"
            channel.bind(f"\0{name}")
            channel.settimeout(seconds)
            process = self.run("ship", log=log, env={**os.environ, "NOTIFY_SOCKET": f"@{name}"}, **how)
            while b"READY=1" not in channel.recv(4096):
                pass
        return process

    def registered(self, column: str) -> int:
        """What the registry on disk says of all sources together: ``position``, ``reach`` and so on."""
        with contextlib.closing(sqlite3.connect(f"file:{self.state}/registry.sqlite?mode=ro", uri=True)) as database:
            return int(database.execute(f"select sum({column}) from sources").fetchone()[0] or 0)  # noqa: S608 - ours

    def serve_metrics(self) -> None:
        """Let the agent and the indexer show their metrics, each at a free port."""
        for key in ("shipper_listen", "indexer_listen"):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.metrics[key] = f"127.0.0.1:{free.getsockname()[1]}"

    def metric(self, name: str, key: str = "shipper_listen") -> float:
        """What the running agent says of a metric, summed over its labels."""
        with urllib.request.urlopen(f"http://{self.metrics[key]}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def elastic(self, path: str, body: Any = None, method: str = "GET") -> Any:
        """Ask Elasticsearch."""
        request = urllib.request.Request(  # noqa: S310 - our own server
            self.stack.elasticsearch_url + path,
            None if body is None else json.dumps(body).encode(),
            {"content-type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.loads(answer.read())

    def index_into_letters(self) -> None:
        """Index all that is there as an indexer that may write to no stream of ours: each record is a dead letter."""
        self.indexer = {"allowed_streams": ["logs-nothing-default"]}
        self.finish("index", "--once")
        self.indexer = {}

    def stored(self) -> int:
        """How many documents Elasticsearch has of ours."""
        self.elastic(f"/{self.stream}/_refresh", method="POST")
        return int(self.elastic(f"/{self.stream}/_count")["count"])

    def end(self) -> None:
        """Kill what still runs."""
        for process in self._processes:
            if process.running:
                process.kill()


def append(path: Path, text: str) -> None:
    """Append as a service does, in one write."""
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def until(condition: Callable[[], object], seconds: float = 30, every: float = 0.05) -> None:
    """Wait for a condition; fails when it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(every)


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a coroutine as a test."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        asyncio.run(test(*arguments, **named))

    return run


async def read_topic(bootstrap_servers: str, topic: str, most_seconds: float = 30) -> list[Shipped]:
    """All records of a topic that are there now, by partition and offset; each must be one of ours."""
    return [_shipped(record) for record in await read_records(bootstrap_servers, topic, most_seconds)]


async def read_records(bootstrap_servers: str, topic: str, most_seconds: float = 30) -> list[Any]:
    """All records of a topic that are there now, by partition and offset, as aiokafka has them."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest",
        max_partition_fetch_bytes=8_388_608, fetch_max_wait_ms=50,
    )  # fmt: skip
    await consumer.start()
    found: list[Any] = []
    try:
        partitions = consumer.assignment()
        ends = await consumer.end_offsets(partitions)
        deadline = time.monotonic() + most_seconds
        while any([await consumer.position(one) < ends[one] for one in partitions]):
            assert time.monotonic() < deadline
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
    finally:
        await consumer.stop()
    return sorted(found, key=lambda record: (record.partition, record.offset))


def chain(records: Iterable[Shipped]) -> dict[str, int]:
    """Check that the records of each source cover its bytes once and without a hole; the end of each.

    Copies of a record count once; a later copy must say that it may repeat.
    """
    sources: dict[str, dict[int, Shipped]] = defaultdict(dict)
    for record in records:
        document = record.document
        offset, source = document["log"]["offset"], document["tailrace"]["source"]
        first = sources[source].setdefault(offset, record)
        if first is not record:
            assert record.may_repeat, f"a repetition without its flag: {record}"
            assert first.record_id == record.record_id, f"two ids for the same bytes: {first} {record}"
    ends = {}
    for source, by_offset in sources.items():
        end = 0
        for offset in sorted(by_offset):
            ours = by_offset[offset].document["tailrace"]
            assert offset - ours["skipped"] == end, f"{source}: a hole or an overlap at {end}: {by_offset[offset]}"
            end = offset + ours["bytes"]
        ends[source] = end
    return ends


def _shipped(record: Any) -> Shipped:
    (found,) = [value for key, value in record.headers if key == HEADER]
    header = parse_header(found)
    assert header is not None, found
    return Shipped(record.partition, record.offset, record.key, *header, record.value, record.timestamp / 1000)


def _toml(tables: dict[str, dict[str, Any]]) -> bytes:
    lines: list[str] = []
    for name, table in tables.items():
        lines += [f"[{name}]", *_pairs(table)]
        for entry in table.get("inputs", []):
            lines += [f"[[{name}.inputs]]", *_pairs(entry)]
    return "\n".join(lines).encode()


def _pairs(table: dict[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        if key == "inputs":
            continue
        yield f"{key} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_value(inner)}" for key, inner in value.items()) + "}"
    return "[" + ", ".join(map(_value, value)) + "]" if isinstance(value, list) else json.dumps(value)
