"""The wiring of the shipper: scan, read, send, remember."""

import asyncio
import contextlib
import socket
import time
from pathlib import Path

import structlog

from shipper.answers import answering
from shipper.disk import Disk
from shipper.follow import Follow
from shipper.ledger import Ledger
from shipper.outcome import Shipped, shipped
from shipper.producer import Producer
from shipper.reader import Reader
from shipper.registry import Registry, open_registry
from shipper.times import from_nanoseconds
from shipper.view import View
from shipper.watch import Watch
from tailrace import metrics
from tailrace.daemon import Life
from tailrace.settings import Settings

_SAVE_SECONDS = 1.0
_HINT_SECONDS = 0.2
"""A folder in which files come and go all the time is not looked at more often than this."""


class Agent:
    """The shipper of one host."""

    def __init__(self, settings: Settings, registry: Registry, life: Life) -> None:
        self._shipper = settings.shipper
        self._life = life
        self._registry = registry
        self._host = settings.host.name or socket.gethostname()
        self._disk = Disk()
        self._producer = Producer(settings)
        self._follow = Follow(settings, self._disk, registry.load(), {"name": self._host})
        self._reader = Reader(settings.shipper, self._follow, self._disk, registry, self._producer)
        self._ledger = Ledger(self._host)
        self.view = View(self._follow, self._reader, self._producer)

    async def run(self, *, once: bool) -> Shipped:
        """Ship until the stop; with ``once`` until everything that is there now is acknowledged."""
        await self._producer.start(self._life.stop, once=once)
        self._follow.spread(self._producer.lanes, self._producer.lane_of)
        self._follow.fit(self._producer.most_record_bytes)
        watch = Watch(self._shipper.inputs)
        try:
            await self._follow.rescan(first=True, once=once)
            self._life.ready(f"following {len(self._follow.files)} files")
            await self._live(watch, once=once)
            await self._drain()
            return shipped(self._follow, self._shipper.inputs, complete=self._is_done())
        finally:
            watch.stop()
            await self._producer.close()
            self._follow.close()

    async def _live(self, watch: Watch, *, once: bool) -> None:
        rescan_at = time.monotonic() + self._shipper.rescan_seconds
        hint_at = save_at = ledger_at = 0.0
        while not self._life.stop.is_set():
            if self._producer.failed:
                await self._producer.restart(self._life.stop, once=once)
                self._follow.fit(self._producer.most_record_bytes)
                self._follow.spread(self._producer.lanes, self._producer.lane_of)
                self._reader.rewind()
                self._ledger.forget()
            now = time.monotonic()
            hinted = self._follow.stale or (watch.hint.is_set() and not once)
            if (now >= rescan_at and not once) or (now >= hint_at and hinted):
                watch.hint.clear()
                await self._follow.rescan(first=False, once=once)
                rescan_at, hint_at = now + self._shipper.rescan_seconds, now + _HINT_SECONDS
            more = await self._reader.round(self._life, once=once)
            due = self._producer.flush(everything=not more)
            if now >= save_at:
                await self._remember()
                save_at = now + _SAVE_SECONDS
            if now >= ledger_at:
                await self._publish()
                ledger_at = now + self._shipper.ledger_seconds
            if once and self._is_done():
                return
            await self._wait(self._shipper.poll_seconds if due is None else min(due, self._shipper.poll_seconds), more)

    async def _wait(self, seconds: float, more: bool) -> None:
        """At once if there is more to read and room for it, else until an acknowledgement or the next poll."""
        if more:
            await asyncio.sleep(0)
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._producer.progress.wait(), seconds)
        self._producer.progress.clear()

    async def _remember(self) -> None:
        """Store the positions that moved; an ended source is stored until all of it is acknowledged."""
        done = [source for source in self._follow.ended if source.settled]
        changed = {*self._reader.changed, *self._follow.ended, *self._follow.unsaved}
        self._reader.changed.clear()
        await self._reader.save(changed, self._life)
        self._follow.ended = [source for source in self._follow.ended if source not in done]
        self._ledger.farewell(done)
        metrics.BEHIND.set(self.view.behind_bytes)

    async def _publish(self) -> None:
        """Tell the ledger what each source has shipped since it was last told."""
        await self._producer.publish(self._ledger.news(self._follow.sources, from_nanoseconds(time.time_ns())))

    def _is_done(self) -> bool:
        done = self._follow.settled and not self._follow.stale
        return done and all(file.reached_goal for file in self._follow.files.values())

    async def _drain(self) -> None:
        """Wait for what is in flight, then store everything as clean."""
        self._life.notify("STATUS=draining")
        deadline = time.monotonic() + self._shipper.drain_seconds
        self._producer.flush(everything=True)
        while not self._follow.settled and not self._producer.failed and time.monotonic() < deadline:
            await self._wait(0.05, more=False)
        self._reader.abandon()
        await self._remember()
        await self._publish()
        sources = self._follow.sources
        unclean = [one for one in sources if one in self._reader.changed or not one.is_clean]
        await self._reader.save(unclean, self._life, clean=True)
        in_flight = sum(not source.settled for source in sources)
        structlog.get_logger().info("stopped", files=len(sources), unacknowledged=in_flight)


async def ship(settings: Settings, life: Life, *, once: bool) -> Shipped:
    """Run the shipper; returns what became of it.

    Raises:
        MendState: the state folder cannot be used.
        RunSetup: a topic is missing.
        ReachKafka: with ``once``, no broker answers.
    """
    metrics.serve(settings.metrics.shipper_listen)
    registry = await open_registry(Path(settings.shipper.state_dir), life.stop)
    try:
        agent = Agent(settings, registry, life)
        async with answering(registry.folder, agent.view.pieces):
            return await agent.run(once=once)
    finally:
        registry.close()
