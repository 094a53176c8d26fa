"""A stack that answers to the count of every line: write, rotate, kill, ship the rest, index, compare."""

import asyncio
import random
import time
from collections.abc import Sequence

import msgspec
from elasticsearch import AsyncElasticsearch

from tailrace.demo.children import ReadItsLog
from tailrace.demo.show import Say, Show
from tailrace.stack import Running, machine
from tailrace.torture.count import Count, Shipped, Stored, ranges
from tailrace.torture.evidence import count_stream, count_topic
from tailrace.torture.ground import Ground, Way
from tailrace.torture.victim import Victim, run_to_end
from tailrace.torture.writer import TICK_SECONDS, Writer
from tailrace.words import several

_LIFE_SECONDS = (0.2, 4.0)
"""How long an agent works, once it is ready, before it is ended; or how long after its start, ready or not."""
_AWAY_SECONDS = (0.0, 1.0)
_STOP_EVERY = 5
"""Every fifth agent is asked to end (SIGTERM), the others are killed."""
_EARLY_EVERY = 6
"""Every sixth is killed before it is ready."""
_ROTATE_SECONDS = 4.0
"""Each file is rotated about so often."""


class Deeds(msgspec.Struct):
    """What was done to the agent and its files."""

    kills: int = 0
    stops: int = 0
    slowest_stop_seconds: float = 0.0
    written_seconds: float = 0.0


class Result(msgspec.Struct, frozen=True):
    """What came of it; ``strange`` are records and documents that no line accounts for."""

    deeds: Deeds
    counts: list[Count]
    records: int
    strange: int
    remarks: list[str]


class Run:
    """One run; nothing of it runs any more after ``perform``."""

    def __init__(self, ground: Ground, ways: Sequence[Way], running: Running, show: Show) -> None:
        self._ground = ground
        self._ways = list(ways)
        self._kafka = running.bootstrap_servers
        self._show = show
        self._deeds = Deeds()
        self._rotations = dict.fromkeys(self._ways, 0)
        self._dice = random.Random()  # noqa: S311 - when to kill
        self._writers: list[Writer] = []
        ground.make(self._ways, running.bootstrap_servers, running.elasticsearch_url)

    async def perform(self, client: AsyncElasticsearch, seconds: float, lines_per_second: float) -> Result:
        """Torture for so long, then count.

        Raises:
            ReadItsLog: a part of it ended that should not have.
        """
        with self._show.step("Setting up topics and templates") as say:
            await self._command("setup")
            say("Topics and templates are there")
        with self._show.step("Starting to write") as say:
            await self._torture(seconds, lines_per_second, say)
        with self._show.step("Shipping what is left") as say:
            await self._command("ship", "--once")
            say("What was left is shipped (tailrace ship --once)")
        shipped = Shipped(self._written)
        with self._show.step("Counting the lines in the topic") as say:
            records = await count_topic(
                self._kafka, self._ground.topic, shipped, lambda done, of: say(f"Counting: {done:,} of {of:,} records")
            )
            say(f"Held {several(records, 'record')} in the topic against the lines that were written")
        with self._show.step(f"Indexing {several(records, 'record')}") as say:
            began = time.monotonic()
            await self._command("index", "--once")
            say(f"They are in Elasticsearch (tailrace index --once, {time.monotonic() - began:.0f} s)")
        stored = Stored(self._written)
        with self._show.step("Counting the documents in Elasticsearch") as say:
            await count_stream(client, self._ground.stream, stored, lambda done: say(f"Counting: {done:,} documents"))
            say("Every document in Elasticsearch was held against the lines that were written")
        return self._result(shipped, stored, records)

    @property
    def _written(self) -> dict[str, int]:
        return {str(writer.way): writer.lines for writer in self._writers}

    async def _torture(self, seconds: float, lines_per_second: float, say: Say) -> None:
        self._writers = [Writer(self._ground, way, lines_per_second / len(self._ways)) for way in self._ways]
        began, end = time.monotonic(), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(self._write())
            rotating = tasks.create_task(self._rotate(end))
            killing = tasks.create_task(self._kill(end))
            while time.monotonic() - began < seconds:
                await asyncio.sleep(min(0.5, max(0.01, began + seconds - time.monotonic())))
                say(f"{time.monotonic() - began:4.0f} s: {self._so_far()}")
            end.set()
            await rotating  # a rotation under way waits for the writers
            await killing
            writing.cancel()
        for writer in self._writers:
            writer.close()
        self._deeds.written_seconds = time.monotonic() - began
        say(f"In {self._deeds.written_seconds:.0f} s: {self._so_far()}")

    def _so_far(self) -> str:
        deeds = self._deeds
        return (
            f"{sum(self._written.values()):,} lines written to {several(len(self._ways), 'file')}, rotated "
            f"{several(sum(self._rotations.values()), 'time')}; agents killed: {deeds.kills}, stopped: {deeds.stops}"
        )

    async def _write(self) -> None:
        while True:
            for writer in self._writers:
                writer.tick()
            await asyncio.sleep(TICK_SECONDS)

    async def _rotate(self, end: asyncio.Event) -> None:
        """One file after the other, so that each is rotated about every ``_ROTATE_SECONDS``."""
        pause = _ROTATE_SECONDS / len(self._ways)
        while True:
            for way in self._ways:
                if await _is_set(end, self._dice.uniform(0.5, 1.5) * pause):
                    return
                await self._rotate_one(way)

    async def _rotate_one(self, way: Way) -> None:
        said = self._ground.said("logrotate")
        with said.open("ab") as output:
            child = await asyncio.create_subprocess_exec(*self._ground.rotation(way), stdout=output, stderr=output)
        if await child.wait() != 0:
            raise ReadItsLog(f"logrotate failed; it said:\n{machine.tail(said, 4)}")
        self._rotations[way] += 1

    async def _kill(self, end: asyncio.Event) -> None:
        victim = Victim(self._ground.settings, self._ground.said("ship"))
        turn = 0
        try:
            while not end.is_set():
                turn += 1
                await victim.start()
                early = turn % _EARLY_EVERY == 0
                if not early:
                    await victim.ready()
                await _is_set(end, self._dice.uniform(*_LIFE_SECONDS))
                if early or turn % _STOP_EVERY:
                    await victim.kill()
                    self._deeds.kills += 1
                else:
                    self._deeds.slowest_stop_seconds = max(self._deeds.slowest_stop_seconds, await victim.stop())
                    self._deeds.stops += 1
                await _is_set(end, self._dice.uniform(*_AWAY_SECONDS))
        finally:
            await victim.close()

    def _result(self, shipped: Shipped, stored: Stored, records: int) -> Result:
        counts = [
            Count(
                way=way,
                rotations=self._rotations[Way(way)],
                written=written,
                shipped=shipped.lines(way),
                repeated=shipped.repeated[way],
                silent=shipped.silent[way],
                renamed=shipped.renamed[way],
                stored=stored.lines(way),
                doubled=stored.doubled[way],
            )
            for way, written in self._written.items()
        ]
        remarks = [
            f"{count.way}: not in the topic are the lines {ranges(shipped.missing(count.way))}"
            for count in counts
            if count.shipped < count.written
        ]
        return Result(self._deeds, counts, records, shipped.strange + stored.strange, remarks)

    async def _command(self, name: str, *options: str) -> None:
        """Run a command of tailrace with this run's settings."""
        await run_to_end(self._ground.said(name), name, *options, "--config", str(self._ground.settings))


async def _is_set(end: asyncio.Event, seconds: float) -> bool:
    """Whether the end comes within so many seconds."""
    try:
        await asyncio.wait_for(end.wait(), seconds)
    except TimeoutError:
        return False
    return True
