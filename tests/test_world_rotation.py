"""The shipper's Follow and Reader against a world of real files that are rotated in all ways: no line is lost.

Every piece that is written has a number of its own, so what reaches the topic can be held against what is still there
to be read at the end. Not asserted here: that no copy is shipped under a second id. With several copies of one small
file at a time (hard links to it beside a compressed one), about one run in sixty still does.
"""

import asyncio
import gzip
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from world_agent import Clock, Memory, WorldAgent, small_world

from shipper.records import Record
from tailrace.record import parse_header

pytestmark = pytest.mark.world

TOKEN = re.compile(rb"<(\d+)>")
FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - files in memory are quick
ENDS = st.sampled_from(["\n", "\n", "\n", "", "\n\n"])


class World(RuleBasedStateMachine):
    """One log and its rotated siblings, one agent, one registry, one broker."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=FOLDER))
        self.live = self.folder / "app.log"
        self.clock = Clock()
        self.patch = small_world(self.clock)
        self.patch.__enter__()
        self.loop = asyncio.new_event_loop()
        self.registry = Memory()
        self.topic: list[Record] = []
        self.pieces = 0
        self.late: set[int] = set()
        """Pieces written behind the back of an agent that has let go of a file no pattern matches."""

    @initialize(wide=st.booleans())
    def begin(self, wide: bool) -> None:
        """The agent starts and sees the log; rotated files match its pattern, or do not."""
        self.wide = wide
        self.paths = [f"{self.folder}/*.log*" if wide else f"{self.folder}/*.log"]
        self.write(1, 30, "\n")
        self.start()

    @rule(count=st.integers(1, 4), length=st.integers(0, 60), end=ENDS)
    def write(self, count: int, length: int, end: str) -> None:
        """A service writes lines, the last of them perhaps without its end."""
        self.append(self.live, count, length, end)

    @precondition(lambda self: self.plain_siblings())
    @rule(length=st.integers(0, 60))
    def write_late(self, length: int) -> None:
        """A service that has not noticed the rotation writes to the file it holds."""
        before = self.pieces
        self.append(self.plain_siblings()[0], 1, length, "\n")
        if not self.wide:
            self.late.update(range(before + 1, self.pieces + 1))

    @precondition(lambda self: self.live.exists())
    @rule()
    def rename(self) -> None:
        """app.log becomes app.log.1, that app.log.2, and so on."""
        self.shift()
        self.live.rename(self.sibling(1))

    @precondition(lambda self: self.live.exists())
    @rule(torn=st.booleans())
    def copytruncate(self, torn: bool) -> None:
        """The log is copied, and emptied; what comes in between is in no copy."""
        self.shift()
        shutil.copyfile(self.live, self.sibling(1))
        if torn:
            self.append(self.live, 1, 5, "\n")
        os.truncate(self.live, 0)

    @precondition(lambda self: self.live.exists())
    @rule()
    def truncate(self) -> None:
        """Somebody empties the log."""
        os.truncate(self.live, 0)

    @precondition(lambda self: self.plain_siblings())
    @rule(which=st.integers(0, 9))
    def compress(self, which: int) -> None:
        """A rotated file is compressed and deleted, as gzip does it: the time of its last change is kept."""
        plain = self.plain_siblings()
        path = plain[which % len(plain)]
        status = path.stat()
        packed = path.with_name(path.name + ".gz")
        packed.write_bytes(gzip.compress(path.read_bytes(), 1))
        os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
        path.unlink()

    @precondition(lambda self: self.live.exists())
    @rule()
    def delete(self) -> None:
        """Somebody deletes the log; the service makes it anew when it writes again."""
        self.live.unlink()

    @precondition(lambda self: self.live.exists())
    @rule()
    def replace(self) -> None:
        """The log has another inode now, and is otherwise as it was."""
        fresh = self.folder / "fresh"
        shutil.copyfile(self.live, fresh)
        fresh.rename(self.live)

    @precondition(lambda self: self.live.exists() and not (self.folder / "other.log").exists())
    @rule()
    def link(self) -> None:
        """The log gets a second name."""
        (self.folder / "other.log").hardlink_to(self.live)

    @rule()
    def scan(self) -> None:
        """The agent evaluates its patterns."""
        self.run(self.agent.scan())

    @rule()
    def look(self) -> None:
        """The agent looks at its files."""
        self.run(self.agent.look())

    @rule(which=st.integers(0, 9))
    def acknowledge(self, which: int) -> None:
        """The brokers have one of the batches in flight."""
        if self.agent.brokers.flying:
            self.agent.brokers.acknowledge(which)

    @rule()
    def remember(self) -> None:
        """Positions are stored."""
        self.run(self.agent.remember())

    @rule(slow=st.booleans())
    def slow_down(self, slow: bool) -> None:
        """The brokers take no more for now, or do again."""
        self.agent.brokers.slow = slow

    @rule(seconds=st.sampled_from([0.06, 1.1, 6.0, 31.0, 61.0]))
    def pass_time(self, seconds: float) -> None:
        """Time goes by."""
        self.clock.now += seconds

    @rule(arrived=st.integers(0, 3))
    def fail(self, arrived: int) -> None:
        """The brokers refuse a batch; some of those in flight did arrive."""
        self.agent.fail(arrived)

    @rule(arrived=st.integers(0, 3))
    def crash(self, arrived: int) -> None:
        """The agent is killed; it starts again later."""
        self.agent.kill(arrived)
        self.down = True

    @rule()
    def stop(self) -> None:
        """The agent is stopped in order."""
        self.run(self.agent.stop())
        self.down = True

    def teardown(self) -> None:
        """In the end all that is there was shipped; no id twice without the flag."""
        try:
            if hasattr(self, "running"):
                self.finish()
                self.check()
        finally:
            if hasattr(self, "running"):
                self.running.follow.close()
            self.loop.close()
            self.patch.__exit__(None, None, None)
            shutil.rmtree(self.folder)

    def finish(self) -> None:
        """Let the agent come to rest."""
        self.agent.brokers.slow = False
        for _ in range(6):
            self.clock.now += 35
            self.run(self.agent.scan())
            for _ in range(60):
                self.clock.now += 2
                more = self.run(self.agent.look())
                while self.agent.brokers.flying:
                    self.agent.brokers.acknowledge(0)
                    more = True
                self.run(self.agent.remember())
                if not more:
                    break

    def check(self) -> None:
        """Hold the topic against the files."""
        records: dict[str, dict[str, Any]] = {}
        for header, value in self.topic:
            parsed = parse_header(header)
            assert parsed is not None
            document = orjson.loads(value)
            if parsed.record_id in records:
                assert records[parsed.record_id]["message"] == document["message"]
                assert parsed.may_repeat, "a record came twice without saying that it may"
            records[parsed.record_id] = document
        shipped = {int(number) for one in records.values() for number in TOKEN.findall(one["message"].encode())}
        there = {number for path in self.folder.iterdir() for number in tokens(path)}
        assert there - self.late <= shipped, f"lost: {sorted(there - self.late - shipped)}"
        chains: dict[str, list[dict[str, Any]]] = {}
        for document in records.values():
            chains.setdefault(document["tailrace"]["source"], []).append(document)
        for chain in chains.values():
            end = 0
            for document in sorted(chain, key=lambda one: int(one["log"]["offset"])):
                assert document["log"]["offset"] - document["tailrace"]["skipped"] == end, "a chain is broken"
                end = document["log"]["offset"] + document["tailrace"]["bytes"]

    def append(self, path: Path, count: int, length: int, end: str) -> None:
        text = ""
        for number in range(count):
            self.pieces += 1
            text += f"<{self.pieces}>" + "x" * length + ("\n" if number < count - 1 else end)
        with path.open("a") as file:
            file.write(text)

    def sibling(self, number: int, packed: str = "") -> Path:
        return self.folder / f"app.log.{number}{packed}"

    def plain_siblings(self) -> list[Path]:
        return [path for number in range(1, 30) if (path := self.sibling(number)).exists()]

    def shift(self) -> None:
        for number in range(40, 0, -1):
            for packed in ("", ".gz"):
                if self.sibling(number, packed).exists():
                    self.sibling(number, packed).rename(self.sibling(number + 1, packed))

    def start(self) -> None:
        self.running = WorldAgent(self.folder, self.paths, self.registry, self.topic)
        self.down = False
        self.run(self.running.start())

    @property
    def agent(self) -> WorldAgent:
        """The agent, which is started now if it is down."""
        if self.down:
            self.start()
        return self.running

    def run(self, step: Any) -> Any:
        return self.loop.run_until_complete(step)


def tokens(path: Path) -> set[int]:
    """The numbers of the pieces that a file holds, compressed or not."""
    held = path.read_bytes()
    return {int(number) for number in TOKEN.findall(gzip.decompress(held) if path.suffix == ".gz" else held)}


TestWorldRotation = World.TestCase
TestWorldRotation.settings = settings(
    max_examples=int(os.environ.get("TAILRACE_WORLD_EXAMPLES", "60")), stateful_step_count=40, deadline=None
)
