"""Refusals that may be a record's own fault, and what was stored meanwhile, to whether they are. No I/O."""

from collections.abc import Collection, Iterable

from indexer.load import Odd, Spot

_TIMES = 6
"""So often in a row, unless another was found to be at fault for the like."""
_SECONDS = 20.0
"""So long, where nothing of the stream was sent since."""
_SECONDS_APART = 300.0
"""So long, where only records of other streams are stored."""
_MOST_KNOWN = 1000


class _Row:
    """A record that is refused each time, and whether others were stored: of its stream, and of any.

    ``together``, ``beside``: in the answer that refused it first. ``since``, ``apart``: by a request sent later;
    ``after`` and ``beyond`` are the refusals behind these.
    """

    __slots__ = ("after", "apart", "began", "beside", "beyond", "odd", "since", "together", "tries")

    def __init__(self, odd: Odd, now: float, streams: Collection[str]) -> None:
        self.odd = odd
        self.tries = 0
        self.began = now
        self.together = odd.stream in streams
        self.beside = bool(streams)
        self.since = self.apart = False
        self.after = self.beyond = 0


class Outcasts:
    """Records that Elasticsearch refuses with 400 each time, for a reason that we do not know.

    It may be the record (an ingest pipeline cannot read a field of it) or the cluster (that pipeline is broken). It is
    the record if it was refused six times in a row, and in between a record of the same data stream was stored by a
    request that was sent later than the first of them. Where nothing of the stream is sent any more it is enough that
    others were stored in the first answer, if the refusals last; and where nothing of it was ever stored, that those of
    other streams are for minutes: one stream, or its only record, does not hold up all that share its topic. What is
    then refused in the same way is at fault as soon as others were stored in between: else each such record would hold
    up the others anew.
    """

    def __init__(self) -> None:
        self._rows: dict[object, dict[Spot, _Row]] = {}
        self._known: set[tuple[str, str]] = set()

    def __bool__(self) -> bool:
        """Whether any record is in doubt."""
        return bool(self._rows)

    def has(self, load: object) -> bool:
        """Whether a record of the load is in doubt."""
        return load in self._rows

    def answered(
        self, load: object, odd: Collection[Odd], others: Iterable[Spot], streams: Collection[str], now: float
    ) -> None:
        """An answer refused these records of a load in this way, ``others`` in another, and stored some of streams.

        All times are monotonic seconds.
        """
        rows = self._rows.get(load, {})
        for spot in others:
            rows.pop(spot, None)
        if odd:
            rows = self._rows.setdefault(load, rows)
        for one in odd:
            row = rows.setdefault(one.spot, _Row(one, now, streams))
            row.tries += 1
            row.after += row.since
            row.beyond += row.apart

    def stored(self, streams: Collection[str], began: float) -> None:
        """Records of these data streams were stored by a request that was sent at that time."""
        for rows in self._rows.values():
            for row in rows.values():
                if began > row.began and streams:
                    row.since = row.since or row.odd.stream in streams
                    row.apart = True

    def to_blame(self, load: object, now: float) -> list[Odd]:
        """Those of its records that are refused for their own fault; each is said once."""
        rows = self._rows.get(load, {})
        found = {spot: row.odd for spot, row in rows.items() if self._is_at_fault(row, now)}
        for spot in found:
            del rows[spot]
        if len(self._known) < _MOST_KNOWN:
            self._known |= {_kind(one) for one in found.values()}
        return list(found.values())

    def forget(self, load: object) -> None:
        """Nobody waits for the load any more."""
        self._rows.pop(load, None)

    def _is_at_fault(self, row: _Row, now: float) -> bool:
        known = _kind(row.odd) in self._known
        if row.after or (row.beyond and known):
            return known or row.tries >= _TIMES
        seconds = _SECONDS if row.together else _SECONDS_APART
        return (row.beside or row.beyond > 0) and row.tries >= _TIMES and now - row.began >= seconds


def _kind(odd: Odd) -> tuple[str, str]:
    return odd.stream, odd.verdict.error_type
