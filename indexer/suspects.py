"""Connections that broke over one record, and what passed meanwhile, to whether the record is to blame. No I/O."""

from typing import NamedTuple

from indexer.load import First

_TIMES = 6
"""So often in a row, each time while a small request was answered: no network breaks for one record alone."""


class _Row(NamedTuple):
    """Tries in a row of one record that broke; ``stored`` requests of others had passed before the first of them."""

    record: First
    tries: int
    stored: int


class Suspects:
    """Records that break the connection each time they are sent alone, one of each load at most.

    A proxy that takes no request of that size may end the connection instead of answering 413, and a filter one that
    holds a certain text: such a record would be sent for ever. It is to blame when it broke six tries in a row, each
    time while the same server answered a small bulk request, and if requests with records in them get through: one
    was stored since the first of these tries, or it is larger than any that was. The hazard is a server that breaks
    whatever holds a record, and answers all else: there nobody is to blame.
    """

    def __init__(self) -> None:
        self._rows: dict[object, _Row] = {}
        self._stored = 0
        self._largest = 0

    def stored(self, size: int) -> None:
        """All or some records of a request of so many bytes were stored."""
        self._stored += 1
        self._largest = max(self._largest, size)

    def broke(self, load: object, record: First) -> None:
        """Sent alone it ended the connection without an answer, while a small request was answered."""
        row = self._rows.get(load)
        if row is None or row.record != record:
            row = _Row(record, 0, self._stored)
        self._rows[load] = row._replace(tries=row.tries + 1)

    def is_to_blame(self, load: object, record: First) -> bool:
        """Whether all that it is to be sent again for is that it breaks connections."""
        row = self._rows.get(load)
        if row is None or row.record != record or row.tries < _TIMES:
            return False
        return self._stored > row.stored or 0 < self._largest < record.size

    def forget(self, load: object) -> None:
        """The row is over: something else became of the load's last request, or nobody waits for it any more."""
        self._rows.pop(load, None)
