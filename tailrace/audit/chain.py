"""The records of one source, in the order of their offsets, to what is missing and what is there twice. No I/O.

Each record says how many bytes it covers and how many just before it gave no record, so it must begin where the one
before it ended.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

import msgspec


class Kept(msgspec.Struct, frozen=True):
    """One record of a source that Elasticsearch or the dead letters have.

    It covers ``bytes`` bytes of the file from ``offset`` on, and ``skipped`` bytes just before gave no record.
    """

    record_id: str
    offset: int
    bytes: int
    skipped: int


class Range(msgspec.Struct, frozen=True):
    """Bytes of a file: from ``start`` to before ``end``."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """How many bytes."""
        return self.end - self.start


class Double(msgspec.Struct, frozen=True):
    """Bytes that two documents have; ``records`` are their ids, only one if both have the same."""

    start: int
    end: int
    records: tuple[str, ...]

    @property
    def size(self) -> int:
        """How many bytes."""
        return self.end - self.start


class Amount(msgspec.Struct):
    """So many records, and the bytes that they cover."""

    records: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        """One record more."""
        self.records += 1
        self.bytes += size


class Cover:
    """The bytes of one source that records cover, those included that they say were skipped just before them.

    Records may come in any order; in memory are only the stretches that are covered, and those that are covered more
    than once (``conflicts``). The nearer the order is to that of the offsets, the fewer stretches there are meanwhile.
    """

    def __init__(self) -> None:
        self.stored = Amount()
        self.conflicts: list[Range] = []
        self.largest = 0
        """The most bytes of one record."""
        self._starts: list[int] = []
        self._ends: list[int] = []

    @property
    def first(self) -> int | None:
        """The first byte that is covered; None if none is."""
        return self._starts[0] if self._starts else None

    @property
    def stretches(self) -> int:
        """How many stretches without a gap are in memory."""
        return len(self._starts)

    def take(self, records: Sequence[tuple[int, int, int]]) -> None:
        """Records that are stored: (offset, bytes, skipped)."""
        begin = end = -1
        self.stored.records += len(records)
        for offset, size, skipped in sorted(records):
            self.stored.bytes += size
            self.largest = max(self.largest, size)
            if offset - skipped != end:
                if end >= 0:
                    self._add(begin, end)
                begin = offset - skipped
            end = offset + size
        if end >= 0:
            self._add(begin, end)

    def bury(self, dead: Iterable[Kept]) -> list[Kept]:
        """Once all that is stored was taken: the dead letters whose records are not, which are covered from now on."""
        letters = {one.record_id: one for one in dead}.values()
        buried = [one for one in letters if not self._has(one.offset, one.offset + max(1, one.bytes))]
        for one in buried:
            self._add(one.offset - one.skipped, one.offset + one.bytes)
        return sorted(buried, key=lambda one: one.offset)

    def gaps(self, begin: int, end: int) -> list[Range]:
        """The bytes from ``begin`` to before ``end`` that are not covered."""
        found = []
        for start, stop in zip(self._starts, self._ends, strict=True):
            if begin < min(start, end):
                found.append(Range(begin, min(start, end)))
            begin = max(begin, stop)
        if begin < end:
            found.append(Range(begin, end))
        return found

    def _has(self, start: int, end: int) -> bool:
        number = bisect_right(self._starts, start) - 1
        return number >= 0 and end <= self._ends[number]

    def _add(self, start: int, end: int) -> None:
        first = bisect_left(self._ends, start)
        behind = bisect_right(self._starts, end)
        for number in range(first, behind):
            low, high = max(start, self._starts[number]), min(end, self._ends[number])
            if low < high:
                self._conflict(low, high)
        if first < behind:
            start, end = min(start, self._starts[first]), max(end, self._ends[behind - 1])
        self._starts[first:behind] = [start]
        self._ends[first:behind] = [end]

    def _conflict(self, start: int, end: int) -> None:
        last = self.conflicts[-1] if self.conflicts else None
        if last is not None and last.start <= start <= last.end:
            self.conflicts[-1] = Range(last.start, max(last.end, end))
        else:
            self.conflicts.append(Range(start, end))


class Walk:
    """Follows records of one source in the order of their offsets from byte ``end`` on; remembers only what is wrong.

    ``gaps`` are bytes that no record covers and none says it skipped; ``doubles`` those that two documents have;
    ``claims`` those that one record says were skipped and another covers.
    """

    def __init__(self, end: int = 0) -> None:
        self.end = end
        self.gaps: list[Range] = []
        self.doubles: list[Double] = []
        self.claims: list[Range] = []
        self._last = ""

    def take(self, records: Iterable[Kept]) -> None:
        """The next records."""
        for one in records:
            start, end = one.offset - one.skipped, one.offset + one.bytes
            if one.offset < self.end and self._last:
                pair = tuple(dict.fromkeys((self._last, one.record_id)))
                self.doubles.append(Double(one.offset, min(end, self.end), pair))
            elif start > self.end:
                self.gaps.append(Range(self.end, start))
            elif start < self.end:
                self.claims.append(Range(start, self.end))
            if end > self.end:
                self.end, self._last = end, one.record_id


def walked(records: Iterable[Kept]) -> Walk:
    """The walk over all records of a source, by their offsets."""
    walk = Walk()
    walk.take(records)
    return walk


def joined(ranges: Iterable[Range], before: int) -> list[Range]:
    """Ranges, each begun so many bytes earlier, in their order, and those that then touch as one."""
    found: list[Range] = []
    for one in sorted(ranges, key=lambda one: one.start):
        start = max(0, one.start - before)
        if found and start <= found[-1].end:
            found[-1] = Range(found[-1].start, max(found[-1].end, one.end))
        else:
            found.append(Range(start, one.end))
    return found
