"""Byte ranges that are missing in Elasticsearch to the same records, sent again; the registry is only read."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from shipper import registry_file
from shipper.disk import Disk
from shipper.lanes import Sending
from shipper.mend import Standing, find, source_of, steps
from shipper.producer import Producer
from shipper.registry_row import Row
from shipper.sources import Sources
from tailrace import metrics
from tailrace.audit.chain import Range
from tailrace.audit.plan import Loss
from tailrace.daemon import Life
from tailrace.errors import MendState, RunAgain
from tailrace.settings import Settings

_LOOK_SECONDS = 0.2
_CHANGED = "the filters of now leave out lines of it that were sent: repair with the settings of then, --config"


class Repaired(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one missing range.

    ``records`` were sent from ``file``; ``left_bytes`` of the range gave none, and ``reason`` says why.
    """

    source: str
    path: str
    start: int
    end: int
    file: str = ""
    records: int = 0
    left_bytes: int = 0
    reason: str = ""


def host_of(settings: Settings) -> str:
    """The name under which this host ships."""
    return settings.host.name or socket.gethostname()


async def repair(settings: Settings, losses: Sequence[Loss], life: Life) -> list[Repaired]:
    """Send what is missing again, with the ids that it had and the mark that it may repeat.

    Works beside a running agent: no lock is taken, and no position is changed. Safe to repeat.

    Raises:
        MendState: there is no registry, or it cannot be read.
        RunSetup: a topic is missing.
        ReachKafka: no broker answers.
        RunAgain: it was stopped before the end.
    """
    folder = Path(settings.shipper.state_dir)
    stored = registry_file.read(folder)
    if stored is None:
        raise MendState(f"There is no registry in {folder}: repair on the host whose agent has it; see --config.")
    rows = {row.source: row for row in stored.rows}
    producer = Producer(settings)
    await producer.start(life.stop, once=True)
    try:
        one = _Repair(settings, producer, life)
        return [done for loss in losses for done in await one.mend(loss, rows.get(loss.source))]
    finally:
        await producer.close()


class _Sent(NamedTuple):
    """So many records were acknowledged, up to byte ``end``; the last ``skipped`` bytes before it gave none."""

    records: int
    end: int
    skipped: int


class _Repair:
    def __init__(self, settings: Settings, producer: Producer, life: Life) -> None:
        self._settings = settings
        self._producer = producer
        self._life = life
        self._disk = Disk()
        self._sources = Sources(settings, {"name": host_of(settings)})
        self._sources.most_record_bytes = producer.most_record_bytes
        self._most = settings.shipper.read_bytes

    async def mend(self, loss: Loss, row: Row | None) -> list[Repaired]:
        """Each range of a source."""
        if row is None:
            return [_not(loss, one, "the registry does not know this source (any more)") for one in loss.missing]
        found = await find(row, self._disk)
        if isinstance(found, str):
            return [_not(loss, one, found) for one in loss.missing]
        try:
            drops = await self._drops(loss, row, found)
            return [
                _not(loss, one, _CHANGED) if one in drops else await self._range(loss, one, row, found)
                for one in loss.missing
            ]
        finally:
            self._disk.close(found.device, found.handle)

    async def _drops(self, loss: Loss, row: Row, found: Standing) -> set[Range]:
        """The ranges of which the filters leave something out, if they leave out more than they did at the time.

        Else a record of them would say of bytes which were sent that they gave none.
        """
        drops, kept = set[Range](), 0
        for one in loss.missing if loss.least_record_bytes else ():
            size, is_dropped = await self._made(one, row, found)
            kept += size
            drops |= {one} if is_dropped else set()
        return drops if kept < loss.least_record_bytes else set()

    async def _made(self, missing: Range, row: Row, found: Standing) -> tuple[int, bool]:
        """How many bytes of a range give records, and whether any is dropped; all if it cannot be read to its end."""
        source = source_of(row, missing.start, missing.end, self._settings, self._sources)
        if source is None or not _is_shipped(missing, row):
            return missing.size, False
        made = steps(source, found.handle, missing.end, self._most, time.time_ns())
        size, is_dropped = 0, False
        with contextlib.suppress(OSError):
            while (step := await self._disk.run(partial(next, made, None), found.device)) is not None:
                size, is_dropped = step.mark.bytes, is_dropped or bool(step.dropped)
        return (size if source.cursor >= missing.end else missing.size), is_dropped

    async def _range(self, loss: Loss, missing: Range, row: Row, found: Standing) -> Repaired:
        if not _is_shipped(missing, row):
            return _not(loss, missing, f"only bytes before {row.position:,} have been shipped")
        while True:
            try:
                sent = await self._send(missing, row, found)
            except OSError as error:
                return _not(loss, missing, f"cannot read {found.path}: {error.strerror or error}")
            if sent is None:
                return _not(loss, missing, f"no input of the settings has {row.path} any more")
            if not self._producer.failed:
                return _done(loss, missing, found, sent)
            await self._producer.restart(self._life.stop, once=True)

    async def _send(self, missing: Range, row: Row, found: Standing) -> _Sent | None:
        """Send the records of a range, until they are acknowledged or the producer has failed."""
        source = source_of(row, missing.start, missing.end, self._settings, self._sources)
        if source is None:
            return None
        producer = self._producer
        name, topics = source.name, source.encoder.topics
        records = skipped = size = 0
        made = steps(source, found.handle, missing.end, self._most, time.time_ns())
        while (step := await self._disk.run(partial(next, made, None), found.device)) is not None:
            await self._until(lambda: producer.full_lane(name, topics) is None)
            if producer.failed:
                break
            counted = partial(
                _count, source.encoder.dataset, len(step.records), step.mark.bytes + step.mark.blank - size
            )
            producer.hand_in(name, topics, step.records, Sending(counted))
            size = step.mark.bytes + step.mark.blank
            records, skipped = records + len(step.records), step.mark.skipped
        await self._until(lambda: not producer.in_flight_bytes)
        return _Sent(records, source.cursor, skipped)

    async def _until(self, done: Callable[[], bool]) -> None:
        """Wait for acknowledgements, or the failure of the producer."""
        producer = self._producer
        while not done() and not producer.failed:
            if self._life.stop.is_set():
                raise RunAgain("Stopped before all was sent again; repeating it sends nothing twice into the indices.")
            producer.flush(everything=True)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(producer.progress.wait(), _LOOK_SECONDS)
            producer.progress.clear()


def _is_shipped(missing: Range, row: Row) -> bool:
    return 0 <= missing.start < missing.end <= max(row.position, row.reach)


def _count(dataset: str, records: int, size: int) -> None:
    metrics.LINES.labels(dataset).inc(records)
    metrics.BYTES.labels(dataset).inc(size)


def _done(loss: Loss, missing: Range, found: Standing, sent: _Sent) -> Repaired:
    """What was sent of a range, and why not all of it."""
    reason = ""
    if sent.end < missing.end:
        reason = f"{found.path} ends at byte {sent.end:,}"
    elif sent.skipped:
        reason = "blank, or left out by the filters as they are now"
    return Repaired(
        source=loss.source,
        path=loss.path,
        start=missing.start,
        end=missing.end,
        file=found.path,
        records=sent.records,
        left_bytes=missing.end - sent.end + sent.skipped,
        reason=reason,
    )


def _not(loss: Loss, missing: Range, reason: str) -> Repaired:
    return Repaired(
        source=loss.source,
        path=loss.path,
        start=missing.start,
        end=missing.end,
        left_bytes=missing.size,
        reason=reason,
    )
