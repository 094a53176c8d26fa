"""The records of a chunk as compiled code makes them: in one piece of memory, without an object for each. No I/O."""

from collections.abc import Sequence
from typing import overload

Record = tuple[bytes, bytes]
"""One record: its header and its value, both as they go over the wire. (A bare tuple: it is made for every line.)"""
_ROW_BYTES = 16


class Rows(Sequence[Record]):
    """Records one behind the other in ``blob``; ``ends`` has, as 64-bit numbers, where each header ends and each value.

    Those of the rows in ``missing`` have no value there. ``others`` has a place for each row: what is put there is the
    value of that row.
    """

    def __init__(self, blob: bytearray, ends: bytes, missing: list[int]) -> None:
        self.missing = missing
        self.others: list[bytes | None] = [None] * (len(ends) // _ROW_BYTES)
        self._blob = blob
        self._ends = ends
        self._places = memoryview(ends).cast("q")

    @property
    def parts(self) -> tuple[bytearray, bytes, list[bytes | None]]:
        """As compiled code takes them; by then none may be without its value."""
        return self._blob, self._ends, self.others

    def __len__(self) -> int:
        """How many records."""
        return len(self.others)

    @overload
    def __getitem__(self, row: int) -> Record: ...

    @overload
    def __getitem__(self, row: slice) -> list[Record]: ...

    def __getitem__(self, row: int | slice) -> Record | list[Record]:
        """A record, with an empty value where there is none yet; or a list of them."""
        if isinstance(row, slice):
            return [self[number] for number in range(*row.indices(len(self)))]
        row = range(len(self))[row]
        start = self._places[2 * row - 1] if row else 0
        header, end = self._places[2 * row], self._places[2 * row + 1]
        other = self.others[row]
        return bytes(self._blob[start:header]), bytes(self._blob[header:end]) if other is None else other
