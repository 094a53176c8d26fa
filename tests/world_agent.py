"""The shipper without its process: the real Follow and Reader over real files, with brokers that obey."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import structlog
from world_files import Clock

from shipper import follow, looks, orphans, reader, unpack
from shipper.disk import Disk
from shipper.follow import Follow
from shipper.reader import Reader
from shipper.records import Record
from shipper.registry_row import Row
from shipper.source import Source
from shipper.steps import Reading, corrected
from tailrace.settings import Input, Settings, Shipper

HEAD, ANCHOR = 24, 16
"""Heads and anchors of this world: so short that small files have whole ones."""
DISK = Disk()


@contextmanager
def small_world(clock: Clock) -> Iterator[None]:
    """Short heads and anchors everywhere, the clock of the world, and nothing said."""
    modules = [module for name, module in sys.modules.items() if name.startswith("shipper.")]
    with ExitStack() as patches:
        for name, value in (("HEAD_BYTES", HEAD), ("ANCHOR_BYTES", ANCHOR)):
            for module in modules:
                if hasattr(module, name):
                    patches.enter_context(mock.patch.object(module, name, value))
        for timed in (follow, looks, orphans, reader, unpack):
            patches.enter_context(mock.patch.object(timed, "time", clock))
        patches.enter_context(mock.patch.object(structlog, "get_logger", mock.Mock))
        yield


class Brokers:
    """A producer whose batches arrive, or not, when the world says so."""

    def __init__(self, topic: list[Record]) -> None:
        self.topic = topic
        self.flying: list[tuple[Sequence[Record], Any]] = []
        self.slow = False
        self.progress = asyncio.Event()

    def room(self, _lane: int) -> bool:
        return not self.slow

    def full_lane(self, _source: str, _topics: Sequence[str]) -> int | None:
        return 0 if self.slow else None

    def hand_in(self, _source: str, _topics: Sequence[str], records: Sequence[Record], sending: Any) -> None:
        sending.joins()
        sending.complete()
        self.flying.append((records, sending))

    def acknowledge(self, which: int) -> None:
        """One of the batches in flight has arrived, and is known to have."""
        records, sending = self.flying.pop(which % len(self.flying))
        self.topic += records
        sending.acknowledged()

    def lose(self, arrived: int) -> None:
        """Nothing more is known of what is in flight; so many batches did arrive."""
        self.topic += [record for records, _sending in self.flying[:arrived] for record in records]
        self.flying.clear()


class Memory:
    """A registry that outlives its agent."""

    def __init__(self, clock: Clock) -> None:
        self.rows: dict[str, Row] = {}
        self._clock = clock
        self._reading: Reading | None = None

    def load(self) -> list[Row]:
        return corrected(self.rows.values(), self._reading, self._now())

    def _now(self) -> Reading:
        return Reading(self._clock.time_ns(), int(self._clock.monotonic() * 1e9))

    async def save(self, rows: Sequence[Row]) -> None:
        if self._reading is not None:
            self.rows = {row.source: row for row in corrected(self.rows.values(), self._reading, self._now())}
        self._reading = self._now()
        self.rows |= {row.source: row for row in rows}
        standing = [row.place for row in self.rows.values() if not row.ended]
        assert len(standing) == len(set(standing)), "a place has two sources that have not ended"


class WorldAgent:
    """One life of the agent; its files are closed when it ends, however it ends."""

    def __init__(self, folder: Path, paths: list[str], clock: Clock, registry: Memory, topic: list[Record]) -> None:
        self.clock = clock
        self.settings = Settings(
            shipper=Shipper(
                state_dir=str(folder),
                chunk_bytes=64,
                inputs=[Input(paths=paths, dataset="app", format="plain", timezone="UTC")],
            )
        )
        self.registry = registry
        self.brokers = Brokers(topic)
        self.follow = Follow(self.settings, DISK, registry.load(), {"name": "h"})
        self.reader = Reader(self.settings.shipper, self.follow, DISK, registry, self.brokers)  # type: ignore[arg-type]
        self.life: Any = SimpleNamespace(stop=SimpleNamespace(is_set=lambda: False))

    async def start(self) -> None:
        looked = self.clock.time_ns()
        await self.follow.act(await self.follow.survey.snapshot(), looked, first=True)
        await self.remember()

    async def scan(self) -> None:
        looked = self.clock.time_ns()
        await self.follow.act(await self.follow.survey.snapshot(), looked, first=False)
        await self.remember()

    async def look(self) -> bool:
        """One round over all files that are due; True if there is more to read."""
        return await self.reader.round(self.life, once=False)

    async def remember(self) -> None:
        """As the agent does each second."""
        done = [one for one in self.follow.ended if one.settled]
        changed = {*self.reader.changed, *self.follow.ended, *self.follow.unsaved}
        self.reader.changed.clear()
        await self.reader.save(changed, self.life)
        self.follow.ended = [one for one in self.follow.ended if one not in done]

    async def stop(self) -> None:
        """As at SIGTERM: all that is in flight arrives."""
        while self.brokers.flying:
            self.brokers.acknowledge(0)
        self.reader.abandon()
        await self.remember()
        sources: list[Source] = self.follow.sources
        await self.reader.save(sources, self.life, clean=True)
        await self._close()

    def fail(self, arrived: int) -> None:
        """A batch failed: the producer ended, what was in flight is read again."""
        self.brokers.lose(arrived)
        self.reader.rewind()

    async def kill(self, arrived: int) -> None:
        """As by power loss."""
        self.brokers.lose(arrived)
        await self._close()

    async def _close(self) -> None:
        """Close all files; the loop may end when that was done."""
        self.follow.close()
        for device in list(DISK._threads):
            await DISK.run(lambda: None, device)
