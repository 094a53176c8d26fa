"""A running stack to places for measurements: topics, streams, groups and settings files that nobody else uses."""

import http.client
import json
import secrets
import select
import sys
import time
import urllib.parse
from collections.abc import Sequence
from pathlib import Path

from tailrace.bench import child
from tailrace.bench.lines import lines
from tailrace.errors import BenchFailed
from tailrace.stack import Stack

FILES = 3
PARTITIONS = 3
_QUIET_SECONDS = 60.0


class Place:
    """One run's own settings: ``topic``, ``stream``, consumer group and state folder."""

    def __init__(
        self, ground: "Ground", name: str, paths: Sequence[Path], entry_format: str, more: str, partitions: int
    ) -> None:
        self.name = name
        self.topic = f"{ground.word}.{name}"
        self.dataset = f"{ground.word}_{name}"
        self.stream = f"logs-{self.dataset}-default"
        self.folder = ground.folder / name
        self.registry = self.folder / "registry.sqlite"
        self.folder.mkdir()
        self.settings = self.folder / "tailrace.toml"
        self.settings.write_text(
            f"""
[host]
name = "bench"
[kafka]
bootstrap_servers = [{json.dumps(ground.bootstrap_servers)}]
partitions = {partitions}
ledger_topic = {json.dumps(ground.word + ".ledger")}
dead_letter_topic = {json.dumps(ground.word + ".dead")}
[elasticsearch]
hosts = [{json.dumps(ground.elasticsearch_url)}]
[shipper]
state_dir = {json.dumps(str(self.folder))}
topic = {json.dumps(self.topic)}
[[shipper.inputs]]
paths = {json.dumps([str(path) for path in paths])}
dataset = {json.dumps(self.dataset)}
format = {json.dumps(entry_format)}
{more}
[indexer]
topics = [{json.dumps(self.topic)}]
group = {json.dumps(self.topic)}
""",
            "utf-8",
        )

    def command(self, *words: str) -> list[str]:
        """A command of ours with these settings."""
        return [*tailrace(*words), "--config", str(self.settings)]

    def log(self, name: str) -> Path:
        """Where a process that works for this place writes what it says."""
        return self.folder / f"{name}.log"


class Ground:
    """The servers and the folder that all runs share; ``word`` begins every name we make."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.folder = folder
        self.word = f"bench{secrets.token_hex(3)}"
        self.bootstrap_servers = stack.bootstrap_servers
        self.elasticsearch_url = stack.elasticsearch_url
        self.pids = {server.name: server.pid for server in stack.status()}
        address = urllib.parse.urlsplit(stack.elasticsearch_url)
        self._http = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)

    def place(
        self,
        name: str,
        paths: Sequence[Path],
        entry_format: str = "auto",
        more: str = "",
        *,
        partitions: int = PARTITIONS,
    ) -> Place:
        """A new place with its topics and templates made; ``more`` is what its input says besides."""
        place = Place(self, name, paths, entry_format, more, partitions)
        child.run(place.command("setup"), place.log("setup"))
        return place

    def write_files(self, count: int) -> list[Path]:
        """Files of ``count`` lines together."""
        start = int(time.time()) - count // 1000
        files = []
        for number in range(FILES):
            share = count * (number + 1) // FILES - count * number // FILES
            files.append(self.folder / f"lines-{number}.log")
            with files[-1].open("wb", buffering=1 << 20) as opened:
                opened.writelines(lines(share, seed=number, start=start))
        return files

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """One request to Elasticsearch: its status and its answer."""
        if self._http.sock is not None and select.select([self._http.sock], [], [], 0)[0]:
            self._http.close()  # the node ended in the meantime
        self._http.request(method, path, body, {"content-type": "application/json"} if body else {})
        answer = self._http.getresponse()
        return answer.status, answer.read()

    def stored(self, stream: str) -> int:
        """How many documents were indexed into a stream so far, whether or not a search sees them."""
        return self._sum(f"/{stream}/_stats/indexing?filter_path=indices.*.primaries.indexing.index_total")

    def settle(self) -> None:
        """Wait until Elasticsearch has merged what earlier runs wrote, or a minute has passed."""
        self.ask("POST", f"/logs-{self.word}_*/_flush")
        until = time.monotonic() + _QUIET_SECONDS
        while time.monotonic() < until:
            if not self._sum("/_stats/merge?filter_path=indices.*.primaries.merges.current"):
                return
            time.sleep(0.2)

    def _sum(self, path: str) -> int:
        """The one number that the path asks of every index, summed; 0 while there is none."""
        status, answer = self.ask("GET", path)
        found = json.loads(answer).get("indices", {}) if status == 200 else {}
        return sum(
            number for index in found.values() for kind in index["primaries"].values() for number in kind.values()
        )


class Pace:
    """The rate at which documents arrive in a stream, as Elasticsearch itself counts them.

    Seconds begin with the first documents seen, so that starting up is in no one's rate.
    """

    def __init__(self, ground: Ground, stream: str, wanted: int) -> None:
        self._ground = ground
        self._stream = stream
        self._wanted = wanted
        self._first = self._last = (0.0, 0)

    def look(self) -> None:
        """Count once more."""
        if self._last[1] >= self._wanted:
            return
        count = self._ground.stored(self._stream)
        now = time.monotonic()
        if count and not self._first[1]:
            self._first = (now, count)
        if count != self._last[1]:
            self._last = (now, count)

    @property
    def per_second(self) -> float:
        """Documents a second.

        Raises:
            BenchFailed: not all of them arrived.
        """
        self.look()
        if self._last[1] != self._wanted:
            raise BenchFailed(f"{self._last[1]} of {self._wanted} documents arrived in {self._stream}")
        seconds = self._last[0] - self._first[0]
        return (self._last[1] - self._first[1]) / seconds if seconds > 0 else 0.0


def tailrace(*words: str) -> list[str]:
    """A command of ours as a child process runs it."""
    return [sys.executable, "-m", "tailrace", *words]
