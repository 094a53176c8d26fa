"""Decoded batches to sequences of records, each of which becomes an object only when somebody asks for it. No I/O.

Nearly all records are our shipper's, and stored at once: of those nobody ever asks. Compiled code reads them where they
stand in the batch, and writes the bulk request from there.
"""

import bisect
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast, overload

from indexer import batches, native

if TYPE_CHECKING:
    from indexer.documents import Polled

ACTION_BYTES = 24
"""What an action line has beyond the header of one of our records, and what stands around that, roughly."""


class Stretch(NamedTuple):
    """Successive records of a batch: those from place ``first`` to before ``end`` in its table."""

    batch: bytes
    """Uncompressed."""
    starts: bytes
    """Where each record begins, and at last where all end: 8 bytes each, in the machine's order."""
    first: int
    end: int
    base: int
    """The offset of the record at place 0; the others follow one after the other."""
    first_stamp: int
    stamp: int
    """The time of all, or -1: then each has its own, counted from ``first_stamp``."""

    @property
    def start(self) -> int:
        """The offset of the first record."""
        return self.base + self.first

    @property
    def length(self) -> int:
        """How many records."""
        return self.end - self.first

    def size(self, count: int) -> int:
        """The bytes of a request of the first ``count``, roughly: seldom more, if they are our shipper's."""
        starts = memoryview(self.starts).cast("q")
        return starts[self.first + count] - starts[self.first] + ACTION_BYTES * count


class Rows(Sequence["Polled"]):
    """Records in the order of their offsets. Slices of them are views of the same batches.

    The hazard: as long as one record is held so, its batch is.
    """

    __slots__ = ("_length", "stretches")

    def __init__(self, stretches: Sequence[Stretch]) -> None:
        self.stretches = stretches
        self._length = sum(one.length for one in stretches)

    def __len__(self) -> int:
        """How many records."""
        return self._length

    def __iter__(self) -> Iterator["Polled"]:
        """All as objects."""
        return itertools.chain.from_iterable(native.records(one) for one in self.stretches)

    @overload
    def __getitem__(self, place: int) -> "Polled": ...

    @overload
    def __getitem__(self, place: slice) -> "Rows": ...

    def __getitem__(self, place: int | slice) -> "Polled | Rows":
        """One as an object, or some that follow one another."""
        if isinstance(place, slice):
            start, end, step = place.indices(len(self))
            if step != 1:
                raise ValueError("rows are sliced without a step")
            return Rows(list(self._between(start, max(start, end))))
        start = range(len(self))[place]
        return native.records(next(self._between(start, start + 1)))[0]

    @property
    def size(self) -> int:
        """The bytes of a request of these, as ``Stretch.size`` has it."""
        return sum(one.size(one.length) for one in self.stretches)

    @property
    def start(self) -> int:
        """The offset of the first; there must be one."""
        return self.stretches[0].start

    def runs(self) -> Iterator["Rows"]:
        """The same in runs of successive offsets: a batch has no gaps, so they can only be between two."""
        begun = 0
        for number, (before, after) in enumerate(itertools.pairwise(self.stretches), 1):
            if after.start > before.start + before.length:
                yield Rows(self.stretches[begun:number])
                begun = number
        yield Rows(self.stretches[begun:]) if begun else self

    def fitting(self, size: int) -> int:
        """How many of the first make a request of at most so many bytes, by the same rough measure."""
        count = 0
        for one in self.stretches:
            whole = one.size(one.length)
            if whole > size:
                return count + bisect.bisect_right(range(1, one.length), size, key=one.size)
            size -= whole
            count += one.length
        return count

    def _between(self, start: int, end: int) -> Iterator[Stretch]:
        for one in self.stretches:
            if start <= 0 and end >= one.length:
                yield one
            elif start < one.length and end > 0:
                yield one._replace(first=one.first + max(0, start), end=one.first + min(one.length, end))
            start -= one.length
            end -= one.length
            if end <= 0:
                return


def joined(pieces: Sequence[Sequence["Polled"]]) -> Sequence["Polled"]:
    """Some records and those behind them as one sequence: of rows, if all are."""
    if len(pieces) <= 1:
        return pieces[0] if pieces else []
    rows = [piece for piece in pieces if isinstance(piece, Rows)]
    if len(rows) == len(pieces):
        return Rows([stretch for piece in rows for stretch in piece.stretches])
    return list(itertools.chain.from_iterable(pieces))


def decode(
    batch: bytes, start: int, count: int, base: int, first_stamp: int, stamp: int, *, numbered: bool
) -> tuple[Sequence["Polled"], int]:
    """Some records of a batch, and where they end, as ``batches.decode`` has it.

    Raises:
        ValueError: these are not the bytes of so many records.
    """
    if native.compiled is None:
        found, end = batches.decode(batch, start, count, base, first_stamp, stamp, numbered=numbered)
        return cast("Sequence[Polled]", found), end
    starts, end = native.compiled.scan(batch, start, count)
    stretch = Stretch(batch, starts, 0, count, base, first_stamp, stamp)
    return Rows([stretch]) if numbered else native.records(stretch, numbered=False), end
