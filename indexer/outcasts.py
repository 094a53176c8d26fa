"""Refusals that may be a record's own fault, and what was stored meanwhile, to whether they are. No I/O."""

from collections.abc import Collection, Iterable

from indexer.load import Odd, Spot

_TIMES = 6
"""So often in a row, unless another was found to be at fault for the like."""
_SECONDS = 20.0
"""So long, where nothing of the stream was sent since."""
_MOST_KNOWN = 1000


class _Row:
    """A record that is refused each time, and what was stored of its stream.

    ``together``: in the answer that refused it first; ``since``: by a request that was sent after that answer.
    ``after`` are the refusals that came behind the latter.
    """

    __slots__ = ("after", "began", "odd", "since", "together", "tries")

    def __init__(self, odd: Odd, now: float, *, together: bool) -> None:
        self.odd = odd
        self.tries = 0
        self.began = now
        self.together = together
        self.since = False
        self.after = 0


class Outcasts:
    """Records that Elasticsearch refuses with 400 each time, for a reason that we do not know.

    It may be the record (an ingest pipeline cannot read a field of it) or the cluster (that pipeline is broken). It is
    the record if it was refused six times in a row, and in between a record of the same data stream was stored by a
    request that was sent later than the first of them. Where nothing of the stream is sent any more it is enough that
    others were stored in the first answer, if the refusals last. What is then refused in the same way is at fault as
    soon as others were stored in between: else each such record would hold up the others for seconds.
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
            row = rows.setdefault(one.spot, _Row(one, now, together=one.stream in streams))
            row.tries += 1
            row.after += row.since

    def stored(self, streams: Collection[str], began: float) -> None:
        """Records of these data streams were stored by a request that was sent at that time."""
        for rows in self._rows.values():
            for row in rows.values():
                row.since = row.since or (began > row.began and row.odd.stream in streams)

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
        if row.after:
            return row.tries >= _TIMES or _kind(row.odd) in self._known
        return row.together and row.tries >= _TIMES and now - row.began >= _SECONDS


def _kind(odd: Odd) -> tuple[str, str]:
    return odd.stream, odd.verdict.error_type
