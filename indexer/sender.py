"""Waiting records to slices in flight: how many at a time, and when one that is not full may go."""

import asyncio
import time
from collections.abc import Callable, Collection

from indexer.documents import Translator
from indexer.load import Load
from indexer.ownership import Owned
from indexer.pace import Pace
from indexer.slices import Waiting
from indexer.writer import Writer
from tailrace import metrics
from tailrace.settings import Indexer

_MOST_DOUBTED_BYTES = 16_777_216
"""So much may be in memory besides, of slices that wait for what others show."""


class Sender:
    """Keeps ``in_flight`` slices on their way while there is enough to send, each as large as the pace allows.

    A slice that is not full goes ``linger_seconds`` after the one before it: so a lone line is stored without delay,
    a trickle costs few requests, and under load all slices are full. ``moved`` is called when a slice has ended.
    """

    def __init__(
        self, settings: Indexer, waiting: Waiting, writer: Writer, pace: Pace, moved: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._waiting = waiting
        self._writer = writer
        self._pace = pace
        self._moved = moved
        self._translator = Translator(
            settings.allowed_streams, settings.streams, own_ids=settings.ids == "deterministic"
        )
        writer.doubted = self.wake
        self._flying: dict[asyncio.Task[None], Load] = {}
        self._woken = asyncio.Event()
        self._sent = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """Something has changed: records came, a slice ended, a commit lets more be sent."""
        self._woken.set()

    async def run(self) -> None:
        """Send until cancelled; slices in flight end with it."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._woken.wait()
                self._woken.clear()
                self._waiting.slice_bytes = self._pace.bytes
                while self._may_fly() and self._is_due():
                    parts = self._waiting.take()
                    if not parts:
                        break  # what waits lies past the reach: the next commit wakes us
                    self._sent = time.monotonic()
                    load = Load(parts, self._translator)
                    self._flying[tasks.create_task(self._write(load))] = load
                    del parts, load  # whatever waits for an answer lets go of what it does not need

    async def drained(self, owners: Collection[Owned], seconds: float) -> bool:
        """Wait until nothing of these partitions is in flight; False if it takes too long."""
        tasks = [task for task, load in self._flying.items() if any(part.owned in owners for part in load.parts)]
        if not tasks:
            return True
        _, pending = await asyncio.wait(tasks, timeout=seconds)
        return not pending

    def release(self) -> None:
        """Partitions are leaving: what waits for another try looks whether it is still wanted."""
        self._writer.release()

    def _may_fly(self) -> bool:
        """Whether another slice may be in flight; those that only others can help do not keep them from being sent."""
        doubted, size = 0, 0
        for load in self._flying.values():
            if self._writer.is_doubted(load) and (size := size + load.left_bytes) <= _MOST_DOUBTED_BYTES:
                doubted += 1
        return len(self._flying) - doubted < self._settings.in_flight

    def _is_due(self) -> bool:
        if not self._waiting:
            return False
        early = self._sent + self._settings.linger_seconds - time.monotonic()
        if self._waiting.full or early <= 0:
            return True
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(early, self._linger_over)
        return False

    def _linger_over(self) -> None:
        self._timer = None
        self.wake()

    async def _write(self, load: Load) -> None:
        try:
            await self._writer.write(load)
            for part in load.parts:
                if part.owned not in load.abandoned:
                    part.owned.watermark.finish(part.span)
        finally:
            _count(load)
            del self._flying[asyncio.current_task()]  # type: ignore[arg-type]  # a task runs this
            self._writer.moved()
            self._moved()
            self.wake()


def _count(load: Load) -> None:
    tally = load.tally
    metrics.STORED.inc(tally.stored)
    metrics.ALREADY.inc(tally.already)
    metrics.DUPLICATES.inc(tally.duplicates)
    metrics.TOMBSTONES.inc(tally.tombstones)
    for reason, count in tally.dead.items():
        metrics.DEAD.labels(reason.value).inc(count)
    if tally.finished and load.oldest > 0:
        metrics.DELAY_SECONDS.observe(max(0.0, time.time() - load.oldest / 1000))
