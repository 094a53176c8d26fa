"""Polled records to slices of at most so many bytes and actions. No I/O."""

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from indexer.documents import Polled
from indexer.ownership import Owned
from indexer.rows import Rows, joined
from tailrace.watermark import Span

_ACTION_BYTES = 160
"""What an action line adds to a document, roughly."""
_OBJECT_BYTES = 700
_STRETCH_BYTES = 250
"""What Python holds beside the values for a record that is an object, or for some that are rows of one batch."""


class Part(NamedTuple):
    """The records of one partition in a slice, and the span that they finish."""

    owned: Owned
    span: Span
    records: Sequence[Polled]


class _Run(NamedTuple):
    """Records as they were polled; ``end`` is the offset after them, and maybe after a gap."""

    records: Sequence[Polled]
    end: int
    size: int
    """The bytes of a request of these, roughly."""
    held: int
    """The bytes of memory beside that, roughly."""


class Waiting:
    """Polled records that wait to be sent, per partition and in order.

    ``actions`` and ``bytes`` (memory, roughly) are of all of them. The hazard: records taken are begun, so each slice
    must be finished or its partitions given up.
    """

    def __init__(self, slice_bytes: int, slice_actions: int) -> None:
        self.slice_bytes = slice_bytes
        """Of the next slices; what is taken keeps its size."""
        self._slice_actions = slice_actions
        self._runs: dict[Owned, deque[_Run]] = {}
        self.actions = 0
        self.bytes = 0
        self._size = 0
        self._low = -1
        self._drained: Callable[[], None]

    def add(self, owned: Owned, records: Sequence[Polled], end: int) -> None:
        """Add what was polled of one partition next; no records and a higher ``end`` is a gap."""
        runs = self._runs.setdefault(owned, deque())
        for stretch, stretch_end in _stretches(records, end):
            run = _Run(stretch, stretch_end, _size(stretch), _held(stretch))
            runs.append(run)
            self._size += run.size
            self.bytes += run.size + run.held
        self.actions += len(records)

    def drop(self, owned: Owned) -> int:
        """Forget the records of a partition that is no longer ours; returns how many."""
        dropped = 0
        for run in self._runs.pop(owned, ()):
            dropped += len(run.records)
            self._subtract(len(run.records), run.size, run.held)
        return dropped

    def tell(self, low: int, drained: Callable[[], None]) -> None:
        """From now on call ``drained`` whenever some were taken or dropped and no more bytes than ``low`` are left."""
        self._low, self._drained = low, drained

    @property
    def full(self) -> bool:
        """Whether there is enough for a whole slice."""
        return self.actions >= self._slice_actions or self._size >= self.slice_bytes

    def __bool__(self) -> bool:
        return bool(self._runs)

    def holds(self, owned: Owned) -> bool:
        """Whether records of this partition wait."""
        return owned in self._runs

    def take(self) -> list[Part]:
        """Take and begin the next slice, full if there is enough that its owners' ``reach`` lets go; may be empty.

        Partitions take turns in being the first.
        """
        parts: list[Part] = []
        actions, size = self._slice_actions, self.slice_bytes
        for owned in list(self._runs):
            runs = self._runs[owned]
            taken: list[Sequence[Polled]] = []
            end = owned.watermark.begun
            while runs and actions > 0 and size > 0:
                cut, cut_size = self._cut(runs[0], actions, size, owned.reach, first=actions == self._slice_actions)
                run = runs[0]
                rest = run.records[cut:]
                left = _held(rest)
                if not rest:
                    runs.popleft()
                    end = run.end
                elif cut:
                    runs[0] = _Run(rest, run.end, run.size - cut_size, left)
                    end = run.records[cut - 1].offset + 1
                else:
                    break
                if cut:  # else it is a gap
                    taken.append(run.records[:cut])
                actions -= cut
                size -= cut_size
                self._subtract(cut, cut_size, run.held - left)
            if end > owned.watermark.begun or taken:
                parts.append(Part(owned, owned.watermark.begin(end), joined(taken)))
            if not runs:
                del self._runs[owned]
            elif taken:
                self._runs[owned] = self._runs.pop(owned)
        return parts

    def _cut(self, run: _Run, actions: int, size: int, reach: int, *, first: bool) -> tuple[int, int]:
        """How many of a run's records fit, and their size; a record larger than a slice is a slice of its own."""
        records = run.records
        if len(records) <= actions and run.size <= size and (not records or records[-1].offset < reach):
            return len(records), run.size
        if isinstance(records, Rows):
            most = max(0, min(len(records), actions, reach - records.start))
            count = min(most, max(records.fitting(size), int(first)))
            return count, records[:count].size
        count = total = 0
        for record in records:
            more = len(record.value or b"") + _ACTION_BYTES
            if count >= actions or record.offset >= reach or (total + more > size and not (first and count == 0)):
                break
            count += 1
            total += more
        return count, total

    def _subtract(self, count: int, size: int, held: int) -> None:
        self.actions -= count
        self._size -= size
        self.bytes -= size + held
        if self.bytes <= self._low:
            self._drained()


def _size(records: Sequence[Polled]) -> int:
    if isinstance(records, Rows):
        return records.size
    return sum([len(record.value or b"") for record in records]) + _ACTION_BYTES * len(records)


def _held(records: Sequence[Polled]) -> int:
    return _STRETCH_BYTES * len(records.stretches) if isinstance(records, Rows) else _OBJECT_BYTES * len(records)


def _stretches(records: Sequence[Polled], end: int) -> Iterator[tuple[Sequence[Polled], int]]:
    """Records in stretches of successive offsets, each with the offset after it and after the gap that follows.

    A gap (of an aborted transaction, or compacted away) may be wider than the reach: it is done with what precedes it,
    or what follows it would wait for a reach that never comes.
    """
    runs = list(records.runs() if isinstance(records, Rows) else _runs(records))
    for run, after in itertools.pairwise(runs):
        yield run, after[0].offset
    yield runs[-1], end


def _runs(records: Sequence[Polled]) -> Iterator[Sequence[Polled]]:
    start = 0
    if records and records[-1].offset - records[0].offset >= len(records):
        for number in range(1, len(records)):
            if records[number].offset > records[number - 1].offset + 1:
                yield records[start:number]
                start = number
    yield records[start:] if start else records
