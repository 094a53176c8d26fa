"""The wiring of the shipper: scan, read, send, remember."""

import asyncio
import math
import socket
import time
from pathlib import Path

import structlog

from shipper.answers import answering
from shipper.books import Books
from shipper.disk import Disk
from shipper.follow import Follow
from shipper.lookout import Lookout
from shipper.outcome import Shipped, shipped
from shipper.producer import Producer
from shipper.reader import Reader
from shipper.registry import Registry, open_registry
from shipper.view import View
from tailrace import metrics
from tailrace.daemon import Life
from tailrace.settings import Settings
from tailrace.words import several

_START_SECONDS = 2.0
"""Kafka is usually there so soon; then the first files can be spread over its partitions."""
_MOST_SECONDS = 5.0


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
        self._wake = self._producer.progress.set
        self._books = Books(self._host, self._follow, self._reader, self._producer, self._shipper)
        self.view = View(self._follow, self._reader, self._producer, self._disk)
        metrics.BEHIND.set_function(lambda: self.view.behind_bytes)

    async def run(self, *, once: bool) -> Shipped:
        """Ship until the stop; with ``once`` until everything that is there now is acknowledged.

        While Kafka is away at the start, files are already found and opened: what is rotated away and deleted in the
        meantime can be read later, for the handle lives.
        """
        starting = asyncio.create_task(self._producer.start(self._life.stop, once=once))
        stopping = asyncio.create_task(self._wake_at_stop())
        starting.add_done_callback(lambda _task: self._wake())
        lookout = Lookout(self._follow, self._shipper.rescan_seconds, self._wake, once=once)
        try:
            await asyncio.wait((starting,), timeout=_START_SECONDS)
            self._meet_kafka()
            self._follow.begin(self._registry.begun())
            await lookout.first()
            await self._books.begin(self._registry, self._life)
            self._life.ready(f"following {several(len(self._follow.files), 'file')}")
            while not starting.done():
                await self._wait(await lookout.turn())
            await starting
            self._meet_kafka()
            await self._live(lookout, once=once)
            await self._drain()
            if not once:  # else what it came to is told in other words
                known = [one.settled for one in self._follow.sources]
                structlog.get_logger().info("stopped", files=len(known), unacknowledged=known.count(False))
            return shipped(self._follow, self._shipper.inputs, complete=self._is_done())
        finally:
            for task in (starting, stopping):
                task.cancel()
            await asyncio.gather(starting, stopping, return_exceptions=True)
            await lookout.stop()
            await self._producer.close()
            self._follow.close()

    async def _live(self, lookout: Lookout, *, once: bool) -> None:
        self._books.forget()
        while not self._life.stop.is_set():
            if self._producer.failed:
                await self._producer.restart(self._life.stop, once=once)
                self._meet_kafka()
                self._reader.rewind()
                self._books.forget()
            scan_in = await lookout.turn()
            more = await self._reader.round(self._life, once=once)
            flush_in = self._producer.flush(everything=not more)
            books_in = await self._books.turn(self._life)
            if once and self._is_done():
                return
            if more:
                await asyncio.sleep(0)
                continue
            look_in = max((self._reader.next_look() or math.inf) - time.monotonic(), self._shipper.poll_seconds)
            await self._wait(min(scan_in, look_in, books_in, math.inf if flush_in is None else flush_in))

    def _meet_kafka(self) -> None:
        """What the topic decides: how many partitions there are, and how large a document may be."""
        self._follow.spread(self._producer.lanes, self._producer.lane_of)
        self._follow.fit(self._producer.most_record_bytes)

    async def _wake_at_stop(self) -> None:
        await self._life.stop.wait()
        self._wake()

    async def _wait(self, seconds: float) -> None:
        """Until an acknowledgement, an answer of a disk, a hint or the stop, but no longer than so many seconds."""
        timer = asyncio.get_running_loop().call_later(min(seconds, _MOST_SECONDS), self._wake)
        await self._producer.progress.wait()
        self._producer.progress.clear()
        timer.cancel()

    def _is_done(self) -> bool:
        done = self._follow.settled and not self._follow.stale
        return done and all(file.reached_goal for file in self._follow.files.values())

    async def _drain(self) -> None:
        """Wait for what is in flight, then store everything as clean."""
        self._life.notify("STATUS=draining")
        deadline = time.monotonic() + self._shipper.drain_seconds
        self._producer.flush(everything=True)
        while not self._follow.settled and not self._producer.failed and time.monotonic() < deadline:
            await self._wait(0.05)
        await self._books.close(self._life)
        while not self._producer.told and not self._producer.failed and time.monotonic() < deadline:
            await self._wait(0.05)


async def ship(settings: Settings, life: Life, *, once: bool) -> Shipped:
    """Run the shipper; returns what became of it.

    Raises:
        MendState: the state folder cannot be used.
        RunSetup: a topic is missing.
        ReachKafka: with ``once``, no broker answers.
    """
    metrics.serve(settings.metrics.shipper_listen, "shipper")
    registry = await open_registry(Path(settings.shipper.state_dir), life.stop)
    try:
        agent = Agent(settings, registry, life)
        async with answering(registry.folder, agent.view.pieces):
            return await agent.run(once=once)
    finally:
        registry.close()
