"""One round over the files that are due: look, read, make durable what must be, hand on to Kafka."""

import random
import time
from collections.abc import Iterable
from functools import partial

import structlog

from shipper.disk import Disk, Look
from shipper.file import File
from shipper.follow import Follow
from shipper.producer import Producer, Sending
from shipper.registry import Registry
from shipper.source import Source, Step
from tailrace import metrics
from tailrace.backoff import delay
from tailrace.daemon import Life
from tailrace.errors import MendState
from tailrace.settings import Shipper
from tailrace.watermark import Span

_ROUND_BYTES = 4_194_304
"""Most bytes read in one round, shared fairly by the files that are due."""


class Reader:
    """Carries lines from open files to the producer, each file in its turn."""

    def __init__(self, shipper: Shipper, follow: Follow, disk: Disk, registry: Registry, producer: Producer) -> None:
        self._shipper = shipper
        self._follow = follow
        self._disk = disk
        self._registry = registry
        self._producer = producer
        self._turn = 0
        self._most = min(shipper.chunk_bytes, shipper.max_line_bytes)
        self.changed: set[Source] = set()
        self.refusal = ""
        """Why positions cannot be saved now; empty if they can."""

    async def round(self, life: Life, *, once: bool) -> bool:
        """Look at the files that are due; True if there is more to read at once."""
        now = time.monotonic()
        files = self._due(now)
        if not files:
            return False
        looks = await self._disk.look([file.request(self._most) for file in files])
        read = time.time_ns()
        steps: list[tuple[File, Step]] = []
        durable: set[Source] = set()
        for file, look in zip(files, looks, strict=True):
            if isinstance(look, OSError):
                file.looked(file.seen or (0, 0), now, self._shipper.rescan_seconds)
                file.seen = None  # what was not read must be, though the file may never change again
                file.goal = 0
                self._follow.complaints[file.source.path] = look.strerror or str(look)
                structlog.get_logger().warning("cannot read file", path=file.source.path, reason=look.strerror)
                continue
            step = self._take(file, look, now, read)
            if step is not None:
                steps.append((file, step))
            if file.wants_cut(now, 0 if once else self._shipper.partial_line_seconds):
                file.source.make_cut()
                file.more = True
                durable.add(file.source)
        for file, step in steps:
            if file.source.ask_reach(step.end):
                durable.add(file.source)
        await self.save(durable, life)
        for file, step in steps:
            self._send(file.source, step, now)
        return any(file.more for file in files)

    async def save(self, sources: Iterable[Source], life: Life, *, clean: bool = False) -> None:
        """Make the state of these sources durable; waits while the disk refuses, for nothing may be sent before.

        Raises:
            MendState: the disk still refuses at a stop.
        """
        ended = {source.name for source in self._follow.ended}
        sources = set(sources)
        if sources:
            # A place must never have two sources that have not ended: a crash would leave it open which of them it is.
            sources.update(self._follow.ended, self._follow.unsaved)
        sources = list(sources)
        failures = 0
        while sources:
            asked = [source.asked for source in sources]
            rows = [source.row(int(time.time()), ended=source.name in ended, clean=clean) for source in sources]
            try:
                await self._registry.save(rows)
            except MendState as error:
                failures += 1
                if failures == 1:
                    structlog.get_logger().error(
                        "cannot save positions, reading stops until it works", reason=str(error)
                    )
                self.refusal = str(error)
                if life.stop.is_set():
                    raise
                await life.pause(delay(failures, random.random()))  # noqa: S311 - jitter
                continue
            if self.refusal:
                self.refusal = ""
                structlog.get_logger().info("positions are saved again")
            for source, reach in zip(sources, asked, strict=True):
                source.reach = max(source.reach, reach)
            self._follow.unsaved.difference_update(sources)
            return

    def rewind(self) -> None:
        """The producer ended: read again what was not acknowledged."""
        self._follow.rewind()
        self.abandon()

    def abandon(self) -> None:
        """Count what sources that a truncation ended had in flight: it cannot be read again."""
        for source in self._follow.unreadable:
            lost = source.abandon()
            if lost:
                metrics.LOST.inc(lost)
                structlog.get_logger().error(
                    "a truncation took lines whose sending failed", path=source.path, source=source.name, bytes=lost
                )

    def _due(self, now: float) -> list[File]:
        """Files to look at now, beginning where the last round ended, as many as the budgets allow."""
        files = list(self._follow.files.values())
        self._turn %= max(1, len(files))
        due: list[File] = []
        for file in files[self._turn :] + files[: self._turn]:
            if (file.more or now >= file.next_look) and self._producer.room(self._producer.lane_of(file.source.name)):
                due.append(file)
                if len(due) * self._most >= _ROUND_BYTES and file.more:
                    self._turn = files.index(file) + 1
                    break
        return due

    def _take(self, file: File, look: Look, now: float, read: int) -> Step | None:
        """What a look at a file brings; a truncation makes a new source of it."""
        before = file.seen
        file.looked(look.seen, now, self._shipper.poll_seconds)
        file.goal = min(file.goal, look.seen[0])
        if look.window is None:
            return None
        if not file.head_fits(look.first) or file.source.is_truncated(look.seen[0], look.window):
            file.seen = before
            self._follow.replace(file, look.seen[0])
            return None
        source = file.source
        source.saw(*look.seen, read / 1e9)
        full = len(look.window) == self._most + len(source.anchor)
        step = source.read(look.window, read, full=full)
        file.more = full or source.at + source.open_bytes < look.seen[0]
        return step

    def _send(self, source: Source, step: Step, now: float) -> None:
        span = source.begin(step)
        for flag, count in step.flagged.items():
            metrics.FLAGGED.labels(flag).inc(count)
        whole = source.is_read_to(step.end)
        sending = Sending(partial(self._acknowledged, source, step, span, now, whole=whole))
        self._producer.hand_in(self._producer.lane_of(source.name), source.name.encode(), step.records, sending)

    def _acknowledged(self, source: Source, step: Step, span: Span, read: float, *, whole: bool) -> None:
        dataset = source.encoder.dataset
        metrics.LINES.labels(dataset).inc(len(step.records))
        metrics.BYTES.labels(dataset).inc(step.end - span.start)
        took = time.monotonic() - read
        metrics.ACK_SECONDS.observe(took)
        source.finish(span)
        now = time.time()
        source.acknowledged(now - took, now, whole=whole)
        self.changed.add(source)
