"""Connections that broke over one record, and what passed meanwhile, to whether the record is to blame. No I/O."""

from typing import NamedTuple

from indexer.load import First

_TIMES = 6
"""So often in a row, each time while a small request was answered."""
_LARGE_BYTES = 32_768
"""Log lines are shorter; to take such a record for what breaks a proxy needs no more than that it is the largest."""


class _Row(NamedTuple):
    """Tries in a row of one record that broke, and how many requests had been stored by the first and by the last."""

    tries: int
    first: int
    last: int


class Suspects:
    """Records that break the connection each time they are sent alone.

    A proxy that takes no request of that size may end the connection instead of answering 413, and a filter one that
    holds a certain text: such a record would be sent for ever. It is to blame when it broke six tries in a row, each
    time while a small bulk request was answered, and if between the first of them and the last some request was
    stored: so it is not that whatever holds a record breaks now. A large one may also be larger than any that was
    stored: then perhaps nothing else is left to be sent. The hazard is a network that breaks at random more often
    than not.
    """

    def __init__(self) -> None:
        self._rows: dict[object, dict[First, _Row]] = {}
        self._stored = 0
        self._largest = 0

    def stored(self, size: int) -> None:
        """All or some records of a request of so many bytes were stored."""
        self._stored += 1
        self._largest = max(self._largest, size)

    def broke(self, load: object, record: First) -> None:
        """Sent alone it ended the connection without an answer, while a small request was answered."""
        rows = self._rows.setdefault(load, {})
        row = rows.get(record, _Row(0, self._stored, 0))
        rows[record] = _Row(row.tries + 1, row.first, self._stored)

    def is_to_blame(self, load: object, record: First) -> bool:
        """Whether all that it is to be sent again for is that it breaks connections."""
        row = self._rows.get(load, {}).get(record)
        if row is None or row.tries < _TIMES:
            return False
        return row.last > row.first or (record.size >= _LARGE_BYTES and 0 < self._largest < record.size)

    def has(self, load: object) -> bool:
        """Whether a record of the load has broken a connection alone, and nothing else became of it since."""
        return bool(self._rows.get(load))

    def acquit(self, load: object, record: First) -> None:
        """Something else became of it when it was sent alone."""
        self._rows.get(load, {}).pop(record, None)

    def forget(self, load: object) -> None:
        """Nobody waits for the load any more."""
        self._rows.pop(load, None)
