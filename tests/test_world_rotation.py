"""The shipper's Follow and Reader against a world of real files that are rotated in all ways: none lost, none twice.

Every piece that is written has a number of its own, so what reaches the topic can be held against what is still there
to be read at the end.
"""

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from world_agent import HEAD, Memory, WorldAgent, small_world
from world_files import Clock, Logs, is_deleted, numbers_in, numbers_of

from shipper import follow
from shipper.records import Record
from shipper.registry_row import Row
from shipper.scan import place_of
from tailrace.record import parse_header

pytestmark = pytest.mark.world

BANNER = "=" * HEAD + " service starts\n"
ENDS = st.sampled_from(["\n", "\n", "\n", "", "\n\n"])
_Result = TypeVar("_Result")


class World(RuleBasedStateMachine):
    """One log and its rotated siblings, one agent, one registry, one broker."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.logs = Logs(self.clock)
        self.patch = small_world(self.clock)
        self.patch.__enter__()
        self.loop = asyncio.new_event_loop()
        self.registry = Memory(self.clock)
        self.topic: list[Record] = []
        self.agent: WorldAgent | None = None
        self.set_back = False
        """Whether the clock was set back since the agent looked."""
        self.vague: set[str] = set()
        """Sources of which little was stored at a kill: a log that begins alike may be taken for them."""
        self.excused: set[int] = set()
        """Pieces that may be lost, for nobody could know of them."""
        self.owed: set[int] = set()
        """Pieces of logs that were deleted while the agent held them open: it still has them."""
        self.doubtful: set[int] = set()
        """Pieces that may come twice, in small files that were made anew under the same name."""

    @initialize(wide=st.booleans(), banner=st.booleans())
    def begin(self, wide: bool, banner: bool) -> None:
        """The agent starts and sees the log; rotated files match its pattern, or do not; logs begin alike, or not."""
        self.wide = wide
        self.logs.banner = BANNER if banner else ""
        self.paths = [f"{self.logs.folder}/*.log*" if wide else f"{self.logs.folder}/*.log"]
        self.write(1, 30, "\n")
        self.scan()

    @rule(count=st.integers(1, 4), length=st.integers(0, 60), end=ENDS)
    def write(self, count: int, length: int, end: str) -> None:
        """A service writes lines, the last of them perhaps without its end."""
        self.append(self.logs.live, count, length, end)

    @precondition(lambda self: self.logs.plain_siblings())
    @rule(length=st.integers(0, 60))
    def write_late(self, length: int) -> None:
        """A service that has not noticed the rotation writes to the file it holds.

        If that is just being compressed, the copy gets less than it, and is known only while both can be compared.
        """
        if self.logs.packing is not None and self.logs.packing.plain == self.logs.plain_siblings()[0]:
            self.doubtful |= numbers_in(self.logs.packing.plain)
        numbers = self.append(self.logs.plain_siblings()[0], 1, length, "\n")
        if not self.wide:
            self.excused |= numbers

    @precondition(lambda self: self.logs.live.exists())
    @rule()
    def rename(self) -> None:
        """The log is rotated away; the service makes it anew when it writes again."""
        self.logs.rename()

    @precondition(lambda self: self.logs.live.exists())
    @rule(torn=st.booleans())
    def copytruncate(self, torn: bool) -> None:
        """The log is copied, and emptied."""
        self.excuse_alike()
        self.logs.copytruncate(torn=torn)

    @precondition(lambda self: self.logs.live.exists())
    @rule()
    def truncate(self) -> None:
        """Somebody empties the log."""
        self.excuse_alike()
        self.logs.truncate()

    @precondition(lambda self: self.logs.plain_siblings())
    @rule(which=st.integers(0, 9))
    def compress(self, which: int) -> None:
        """A rotated file is compressed and deleted."""
        self.logs.begin_to_compress(which, 1)
        self.logs.finish_compressing()

    @precondition(lambda self: self.logs.plain_siblings())
    @rule(which=st.integers(0, 9), part=st.sampled_from([0, 0.1, 0.5, 1]))
    def compress_slowly(self, which: int, part: float) -> None:
        """A rotated file is being compressed."""
        self.logs.begin_to_compress(which, part)

    @precondition(lambda self: self.logs.live.exists())
    @rule()
    def delete(self) -> None:
        """Somebody deletes the log; the service makes it anew when it writes again."""
        place = place_of(str(self.logs.live))
        if self.agent is not None and place in self.agent.follow.files:
            self.owed |= numbers_in(self.logs.live)
        self.logs.delete()

    @precondition(lambda self: self.logs.live.exists())
    @rule()
    def replace(self) -> None:
        """The log has another inode now. With too little in it, or known of it, it is a new file.

        So it is while the old one stands under another name that matches: it gets other lines than that.
        """
        position = max((row.position for row in self.rows_of_live()), default=0)
        little = self.logs.live.stat().st_size <= HEAD or (self.agent is None and position <= HEAD)
        if little or self.logs.is_linked:
            self.doubtful |= numbers_in(self.logs.live)
        self.logs.replace()

    @precondition(lambda self: self.is_known and not any(link.exists() for link in self.logs.links))
    @rule(which=st.integers(0, 2))
    def link(self, which: int) -> None:
        """Somebody keeps the log under a second name, when it was already seen under the first."""
        self.logs.link(which)
        if self.agent is None:
            self.excuse_linked()

    @rule()
    def scan(self) -> None:
        """The agent evaluates its patterns; if it is down it starts."""
        self.set_back = False
        if self.agent is None:
            self.agent = WorldAgent(self.logs.folder, self.paths, self.clock, self.registry, self.topic)
            self.run(self.agent.start())
        else:
            self.run(self.agent.scan())

    @precondition(lambda self: self.agent is not None)
    @rule()
    def look(self) -> None:
        """The agent looks at its files."""
        self.run(self.running.look())

    @precondition(lambda self: self.agent is not None and self.agent.brokers.flying)
    @rule(which=st.integers(0, 9))
    def acknowledge(self, which: int) -> None:
        """The brokers have one of the batches in flight."""
        self.running.brokers.acknowledge(which)

    @precondition(lambda self: self.agent is not None)
    @rule()
    def remember(self) -> None:
        """Positions are stored."""
        self.run(self.running.remember())

    @precondition(lambda self: self.agent is not None)
    @rule(slow=st.booleans())
    def slow_down(self, slow: bool) -> None:
        """The brokers take no more for now, or do again."""
        self.running.brokers.slow = slow

    @rule(seconds=st.sampled_from([0.06, 1.1, 6.0, 31.0, 61.0]))
    def pass_time(self, seconds: float) -> None:
        """Time goes by."""
        self.clock.now += seconds

    @rule(seconds=st.sampled_from([-86_400.0, -3600.0, -20.0, 20.0, 3600.0]))
    def set_clock(self, seconds: float) -> None:
        """Somebody sets the clock; not forth again what was set back since the agent last looked."""
        if seconds > 0 and self.set_back:
            return
        self.set_back |= seconds < 0
        self.clock.set += seconds

    @precondition(lambda self: self.agent is not None)
    @rule(arrived=st.integers(0, 3))
    def fail(self, arrived: int) -> None:
        """The brokers refuse a batch; some of those in flight did arrive."""
        self.excuse_vague()
        self.running.fail(arrived)

    @precondition(lambda self: self.agent is not None)
    @rule(arrived=st.integers(0, 3))
    def crash(self, arrived: int) -> None:
        """The agent is killed; it starts again later."""
        self.excuse_deleted()
        self.excuse_linked()
        self.excuse_vague()
        self.run(self.running.kill(arrived))
        self.agent = None
        self.owed.clear()

    @precondition(lambda self: self.agent is not None)
    @rule()
    def stop(self) -> None:
        """The agent is stopped in order; it starts again later."""
        self.excuse_deleted()
        self.excuse_linked()
        self.run(self.running.remember())
        self.excuse_vague()
        self.run(self.running.stop())
        self.agent = None
        self.owed.clear()

    def teardown(self) -> None:
        """In the end all that is there was shipped, once."""
        try:
            if hasattr(self, "paths"):
                self.finish()
                self.check()
        finally:
            if self.agent is not None:
                self.run(self.agent.kill(0))
            self.loop.close()
            self.patch.__exit__(None, None, None)
            self.logs.remove()

    def excuse_alike(self) -> None:
        """Truncated when no more was read of it than how all logs begin, it may not be told from what it is next."""
        place = place_of(str(self.logs.live))
        file = self.agent.follow.files.get(place) if self.agent is not None and place is not None else None
        if self.logs.banner and file is not None and file.source.at == len(BANNER):
            self.excused |= numbers_in(self.logs.live)

    def excuse_deleted(self) -> None:
        """What was sent of a deleted file may come again from a copy in its place, if too little of it is stored."""
        for file in self.running.follow.files.values():
            known = self.registry.rows.get(file.source.name)
            if isinstance(file.handle, int) and (known is None or known.position <= HEAD) and is_deleted(file.handle):
                self.doubtful |= numbers_of(os.pread(file.handle, os.fstat(file.handle).st_size, 0))

    def excuse_vague(self) -> None:
        """What was sent of a file may come again if no more of it is known to have arrived than how all logs begin."""
        for file in self.running.follow.files.values():
            known = self.registry.rows.get(file.source.name)
            if self.logs.banner and (known is None or known.position <= len(BANNER)) and isinstance(file.handle, int):
                self.vague.add(file.source.name)
                if known is not None and known.position == len(BANNER):
                    # Truncated and begun anew while nobody looks, it cannot be told from what it was.
                    self.excused |= numbers_of(os.pread(file.handle, os.fstat(file.handle).st_size, 0))
                self.doubtful |= numbers_of(os.pread(file.handle, os.fstat(file.handle).st_size, 0))

    def excuse_linked(self) -> None:
        """What a small file got while nobody looked may come twice if it stands under two names in the end."""
        for link in self.logs.links[1:]:
            if link.exists() and link.stat().st_size <= HEAD:
                self.doubtful |= numbers_in(link)

    def append(self, path: Path, count: int, length: int, end: str) -> set[int]:
        """Write so many pieces; their numbers."""
        before = self.logs.pieces
        self.logs.append(path, count, length, end)
        if self.agent is None:
            self.excuse_linked()
        return set(range(before + 1, self.logs.pieces + 1))

    def finish(self) -> None:
        """Let the agent come to rest."""
        self.logs.finish_compressing()
        for _ in range(6 + len(list(self.logs.folder.iterdir()))):  # those that begin alike wait for one another
            self.clock.now += 35
            self.scan()
            self.running.brokers.slow = False
            for _ in range(60):
                self.clock.now += 2
                more = self.run(self.running.look())
                while self.running.brokers.flying:
                    self.running.brokers.acknowledge(0)
                    more = True
                self.run(self.running.remember())
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
        shipped: dict[int, list[str]] = {}
        for name, document in records.items():
            numbers = numbers_of(document["message"].encode())
            if document["tailrace"]["source"] in self.vague:
                self.doubtful |= numbers
            for number in numbers:
                shipped.setdefault(number, []).append(name)
        lost = (self.logs.numbers() | self.owed) - self.excused - set(shipped)
        assert not lost, f"lost: {sorted(lost)}"
        chains: dict[str, list[dict[str, Any]]] = {}
        for document in records.values():
            chains.setdefault(document["tailrace"]["source"], []).append(document)
        for source, chain in chains.items():
            if source in self.vague:
                continue
            end = 0
            for document in sorted(chain, key=lambda one: int(one["log"]["offset"])):
                assert document["log"]["offset"] - document["tailrace"]["skipped"] == end, "a chain is broken"
                end = document["log"]["offset"] + document["tailrace"]["bytes"]
        twice = {number: names for number, names in shipped.items() if len(names) > 1 and number not in self.doubtful}
        assert not twice, f"twice: {twice}"

    def rows_of_live(self) -> list[Row]:
        """What is stored of the log."""
        place = place_of(str(self.logs.live))
        return [row for row in self.registry.rows.values() if row.place == place and not row.ended]

    @property
    def is_known(self) -> bool:
        """Whether the log is there, and something of it is stored."""
        return bool(self.rows_of_live())

    @property
    def running(self) -> WorldAgent:
        """The agent, which is not down."""
        assert self.agent is not None
        return self.agent

    def run(self, step: Coroutine[Any, Any, _Result]) -> _Result:
        """Take a step of the agent in the loop of this world."""
        return self.loop.run_until_complete(step)


TestWorldRotation = World.TestCase
EXAMPLES = os.environ.get("TAILRACE_WORLD_EXAMPLES")
"""How many to search, at random; without it the same few each time."""
TestWorldRotation.settings = settings(
    max_examples=int(EXAMPLES or 150), derandomize=not EXAMPLES, stateful_step_count=40, deadline=None
)


def test_what_was_rotated_after_the_last_look_is_found_at_the_next_start() -> None:
    """An agent that stops a minute after it looked has stored when it looked, not when it stopped."""
    world = World()
    try:
        world.begin(wide=False, banner=False)
        world.rename()
        world.scan()
        world.pass_time(61.0)
        world.write(2, 45, "\n")
        world.rename()
        world.compress(0)
        world.pass_time(61.0)
        world.stop()
    finally:
        world.teardown()


def test_a_log_gets_its_turn_beside_more_rotated_ones_than_may_be_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that were read are opened once after a start, and not again at each look while others wait for room."""
    monkeypatch.setattr(follow, "raise_limit", lambda _wanted: 2)
    world = World()
    try:
        world.begin(wide=False, banner=False)
        for _ in range(4):
            world.write(2, 40, "\n")
            world.scan()
            world.look()
            while world.running.brokers.flying:
                world.acknowledge(0)
                world.look()
            world.remember()
            world.rename()
            world.pass_time(31.0)
        world.stop()
        world.write(2, 40, "\n")
    finally:
        world.teardown()
