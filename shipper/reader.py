"""One round over the files that are due: look, read, make durable what must be, hand on to Kafka."""

import asyncio
import random
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import NamedTuple

import structlog

from shipper.disk import LATER, Disk, Look, Nothing
from shipper.file import GAP_SECONDS, File
from shipper.follow import Follow
from shipper.foreign import tell_faults
from shipper.formats.foreign import FLAG
from shipper.lanes import Sending
from shipper.policy import idle_seconds
from shipper.producer import Producer
from shipper.registry import Registry
from shipper.source import Dropped, Source, Step
from shipper.turns import Turns
from tailrace import metrics
from tailrace.backoff import delay
from tailrace.daemon import Life
from tailrace.errors import MendState
from tailrace.settings import Shipper
from tailrace.watermark import Span

_SLOW_SECONDS = 0.25
"""A disk that takes longer is not waited for: its answer is taken up when it comes."""
_FIRST = 0.0
"""Due before all others (monotonic seconds)."""


class _Looking(NamedTuple):
    """A look at files of one device that has not been taken up yet."""

    answer: "asyncio.Future[list[Look | Nothing | OSError]]"
    files: list[File]
    generation: int
    began: float


class _Sent(NamedTuple):
    """What is counted of a step when it is acknowledged; the records themselves are let go when they are in batches."""

    records: int
    dropped: Dropped
    redacted: dict[tuple[str, str], int]


class Reader:
    """Carries lines from open files to the producer, each file in its turn.

    A turn is one chunk, and the files whose turn it is since longest come first, so a busy file never keeps others
    waiting. Files of a partition that has no room wait apart, and so do those of a disk that has not answered.
    """

    def __init__(self, shipper: Shipper, follow: Follow, disk: Disk, registry: Registry, producer: Producer) -> None:
        self._shipper = shipper
        self._follow = follow
        self._disk = disk
        self._registry = registry
        self._producer = producer
        self._most = shipper.read_bytes
        self._turns: Turns[File] = Turns()
        self._no_room: dict[int, list[File]] = {}
        self._no_answer: dict[int, list[File]] = {}
        self._looking: dict[int, _Looking] = {}
        self._generation = 0
        self.changed: set[Source] = set()
        self.unpublished: set[Source] = set()
        """Sources whose position moved since the ledger was last told."""
        self.refusal = ""
        """Why positions cannot be saved now; empty if they can."""

    async def round(self, life: Life, *, once: bool) -> bool:
        """Look at the files that are due; True if there is more to read at once."""
        self._ask(time.monotonic(), 0 if once else GAP_SECONDS)
        quick = [one.answer for one in self._looking.values() if time.monotonic() - one.began < _SLOW_SECONDS]
        if quick:
            await asyncio.wait(quick, timeout=_SLOW_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        else:
            self._disk.report()
        now, read = time.monotonic(), time.time_ns()
        answers = [answer for device in list(self._looking) for answer in self._answers(device, now)]
        looks = {file: look for file, look in answers if isinstance(look, Look) and self._see(file, look, now, read)}
        # Before records are made of what was read, so that those of one chunk at a time are in memory.
        await self.save([file.source for file, look in looks.items() if file.source.needs_reach(look.window)], life)
        patience = 0 if once else self._shipper.partial_line_seconds
        await self.save(self._take_all(answers, looks, now, patience, read), life)
        due = self._turns.next_due()
        return due is not None and due <= now

    def next_look(self) -> float | None:
        """When the next file is due (monotonic seconds); None if none is, or only such as wait for something else."""
        return self._turns.next_due()

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
            rows = [
                source.row(self._follow.looks.updated, ended=source.name in ended, clean=clean) for source in sources
            ]
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
            moved = zip(sources, rows, strict=True)
            self._follow.unsaved.difference_update(source for source, row in moved if source.place == row.place)
            return

    def rewind(self) -> None:
        """The producer ended: read again what was not acknowledged."""
        now = time.monotonic()
        self._generation += 1
        self._no_room.clear()
        self._follow.rewind()
        for file in self._follow.files.values():
            self._turns.put(file, now)
        self._forget_those_asked()
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

    def _ask(self, now: float, gap_patience: float) -> None:
        """Begin to look at the files that are due, one job for each device."""
        for file in self._follow.opened:
            self._turns.put(file, now)
        self._follow.opened.clear()
        for lane in [lane for lane in self._no_room if self._producer.room(lane)]:
            for file in self._no_room.pop(lane):
                self._turns.put(file, _FIRST)
        asked: dict[int, list[File]] = {}
        for file in self._turns.take(now):
            if file.closed:
                continue
            source, device = file.source, file.source.place.device
            full = self._producer.full_lane(source.name, source.encoder.topics)
            if device in self._looking:
                self._no_answer.setdefault(device, []).append(file)
            elif full is None:
                asked.setdefault(device, []).append(file)
            else:
                self._no_room.setdefault(full, []).append(file)
        for device, files in asked.items():
            answer = self._disk.look(device, [file.request(self._most, now, gap_patience) for file in files])
            answer.add_done_callback(lambda _answer: self._producer.progress.set())
            self._looking[device] = _Looking(answer, files, self._generation, now)

    def _answers(self, device: int, now: float) -> list[tuple[File, Look | Nothing | OSError]]:
        """What was asked of a device, if it has answered; its other files are due again."""
        looking = self._looking[device]
        if not looking.answer.done():
            return []
        del self._looking[device]
        for file in self._no_answer.pop(device, []):
            self._turns.put(file, now)
        if looking.generation != self._generation:
            # The sources have gone back since: what was read is of no use any more.
            for file in looking.files:
                self._turns.put(file, now)
            return []
        found = zip(looking.files, looking.answer.result(), strict=True)
        return [(file, look) for file, look in found if not file.closed]

    def _forget_those_asked(self) -> None:
        """Whoever is being looked at has its turn when the answer comes."""
        for looking in self._looking.values():
            for file in looking.files:
                self._turns.drop(file)

    def _see(self, file: File, look: Look, now: float, read: int) -> bool:
        """Take in what a look says of a file; False if a truncation has made a new source of it."""
        before = file.seen
        file.saw(look, now, self._shipper.poll_seconds, idle_seconds(len(self._follow.files)))
        file.goal = min(file.goal, look.seen[0])
        size = look.seen[0] if file.is_plain else max(look.seen[0], file.source.size)
        if file.is_plain and look.stamp[0] >= file.source.size and size >= file.source.at:
            size = max(size, file.source.size)  # only text is gone from its end, or what was room was taken for it
        fits = file.head_fits(look.first)
        if not fits or file.source.is_truncated(size, look.window):
            file.seen = before
            self._follow.replace(file, look.seen[0])
            return False
        file.source.saw(*look.seen, read / 1e9)
        file.source.looked = read // 10**9
        return True

    def _take_all(
        self,
        answers: list[tuple[File, Look | Nothing | OSError]],
        looks: Mapping[File, Look],
        now: float,
        patience: float,
        read: int,
    ) -> set[Source]:
        """Send the steps that ``looks`` bring, each before the next is made; returns the sources that were cut."""
        cut: set[Source] = set()
        idle = idle_seconds(len(self._follow.files))
        for file, look in answers:
            if isinstance(look, OSError):
                self._fault(file, look, now)
                continue
            if look is LATER:
                self._turns.put(file, _FIRST)
                continue
            if file in looks:
                self._take(file, looks[file], now, read)
            elif not isinstance(look, Look):
                file.looked(file.seen, now, self._shipper.poll_seconds, idle)
                file.source.looked = read // 10**9
            if file.fault:
                file.fault = ""
                self._follow.complaints.pop(file.source.path, None)
                structlog.get_logger().info("file can be read again", path=file.source.path)
            if file.wants_cut(now, patience):
                file.source.make_cut()
                file.more = True
                cut.add(file.source)
            self._turns.put(file, now if file.more else file.next_look)
        return cut

    def _fault(self, file: File, error: OSError, now: float) -> None:
        """It could not be read: said once for each reason, tried again with the next rescan."""
        reason = error.strerror or str(error)
        file.looked((0, 0), now, self._shipper.rescan_seconds, self._shipper.rescan_seconds)
        file.seen = None  # what was not read must be, though the file may never change again
        file.goal = 0
        self._follow.complaints[file.source.path] = reason
        if file.fault != reason:
            file.fault = reason
            structlog.get_logger().warning("cannot read file", path=file.source.path, reason=reason)
        self._turns.put(file, file.next_look)

    def _take(self, file: File, look: Look, now: float, read: int) -> None:
        """Send what a look at a file brings."""
        source = file.source
        full = len(look.window) == self._most + len(source.anchor)
        step = source.read(look.window, read, full=full)
        file.more = full or (look.gap < 0 and source.at + source.open_bytes < look.seen[0])
        if step is not None:
            self._send(source, step, now)

    def _send(self, source: Source, step: Step, now: float) -> None:
        span = source.begin(step)
        for flag, count in step.flagged.items():
            metrics.FLAGGED.labels(flag).inc(count)
        if FLAG in step.flagged:
            tell_faults()
        whole = source.is_read_to(step.end)
        sent = _Sent(len(step.records), step.dropped, step.redacted)
        sending = Sending(partial(self._acknowledged, source, span, sent, now, whole=whole))
        self._producer.hand_in(source.name, source.encoder.topics, step.records, sending)

    def _acknowledged(self, source: Source, span: Span, sent: _Sent, read: float, *, whole: bool) -> None:
        dataset = source.encoder.dataset
        metrics.LINES.labels(dataset).inc(sent.records)
        metrics.BYTES.labels(dataset).inc(span.end - span.start)
        for rule, (records, _bytes) in sent.dropped.items():
            metrics.DROPPED.labels(dataset, rule).inc(records)
        for (rule, kind), count in sent.redacted.items():
            metrics.REDACTED.labels(dataset, rule, kind).inc(count)
        took = time.monotonic() - read
        metrics.ACK_SECONDS.observe(took)
        source.finish(span)
        now = time.time()
        source.acknowledged(now - took, now, whole=whole)
        self.changed.add(source)
        self.unpublished.add(source)
