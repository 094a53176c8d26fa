"""Refusals that may be a record's own fault, and what was stored meanwhile, to whether they are. No I/O."""

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from indexer.load import Odd, Spot

_TIMES = 6
"""So often in a row, unless another was found to be at fault for the like."""
_SECONDS = 20.0
"""So long, where nothing of the stream was sent since."""
_SECONDS_APART = 300.0
"""So long, where only records of other streams are stored."""
_MOST_KNOWN = 1000


class When(NamedTuple):
    """When a request was sent, and when it was answered: monotonic seconds."""

    began: float
    ended: float


class _Row:
    """A record that is refused each time, and whether others were stored: of its stream, and of any.

    ``together``, ``beside``: in the answer that refused it first. ``since``, ``apart``: when a request was answered
    that was sent later and stored some; ``after`` and ``beyond`` are the refusals by requests that were sent behind it.
    """

    __slots__ = ("after", "apart", "began", "beside", "beyond", "last", "odd", "since", "together", "tries")

    def __init__(self, odd: Odd, when: When, streams: Collection[str]) -> None:
        self.odd = odd
        self.tries = 0
        self.began = self.last = when.ended
        self.together = odd.stream in streams
        self.beside = bool(streams)
        self.since: float | None = None
        self.apart: float | None = None
        self.after = self.beyond = 0

    def refused(self, odd: Odd, when: When) -> None:
        self.odd = odd
        self.tries += 1
        self.last = when.ended
        self.after += self.since is not None and when.began > self.since
        self.beyond += self.apart is not None and when.began > self.apart


class Outcasts:
    """Records that Elasticsearch refuses with 400 each time, for a reason that we do not know.

    It may be the record (an ingest pipeline cannot read a field of it) or the cluster (that pipeline is broken). It is
    the record if it was refused six times in a row, and again behind a record of the same data stream that was stored
    by a request which was sent later than the first of them. Where nothing of the stream is sent any more it is enough
    that others were stored in the first answer, if the refusals last; and where nothing of it is stored, that those of
    other streams are for minutes: one stream, or its only record, does not hold up all that share its topic. What is
    then refused in the same way is at fault as soon as others were stored in between, in the same way: else each such
    record would hold up the others anew.
    """

    def __init__(self) -> None:
        self._rows: dict[object, dict[Spot, _Row]] = {}
        self._left: dict[Spot, _Row] = {}
        self._lacking: dict[str, dict[_Row, None]] = {}
        self._alone: dict[_Row, None] = {}
        self._known: dict[tuple[str, str], None] = {}
        self._broken: dict[tuple[str, str], None] = {}

    def __bool__(self) -> bool:
        """Whether any record is in doubt."""
        return bool(self._rows)

    def has(self, load: object) -> bool:
        """Whether a record of the load is in doubt."""
        return bool(self._rows.get(load))

    def answered(
        self, load: object, odd: Collection[Odd], others: Iterable[Spot], streams: Collection[str], when: When
    ) -> None:
        """An answer refused these records of a load in this way, ``others`` in another, and stored some of streams."""
        rows = self._rows.get(load, {})
        for spot in others:
            if spot in rows:
                self._drop(rows.pop(spot))
        if odd:
            rows = self._rows.setdefault(load, rows)
        for one in odd:
            if one.spot not in rows:
                known = self._left.pop(one.spot, None)
                rows[one.spot] = self._take(known or _Row(one, when, streams))
            rows[one.spot].refused(one, when)

    def stored(self, streams: Collection[str], when: When) -> None:
        """A request stored records of these data streams."""
        for kind in [kind for kind in self._broken if kind[0] in streams]:
            del self._broken[kind]
        for stream in streams:
            for row in [row for row in self._lacking.get(stream, ()) if when.began > row.began]:
                row.since = when.ended
                del self._lacking[stream][row]
        if streams:
            for row in [row for row in self._alone if when.began > row.began]:
                row.apart = when.ended
                del self._alone[row]

    def to_blame(self, load: object) -> list[Odd]:
        """Those of its records that are refused for their own fault; each is said once."""
        rows = self._rows.get(load, {})
        if not rows:
            return []
        newest: dict[str, float] = {}
        for row in (row for some in self._rows.values() for row in some.values() if not row.together):
            newest[row.odd.stream] = max(row.began, newest.get(row.odd.stream, 0.0))
        found = []
        for row in list(rows.values()):
            kinds = self._reason(row, newest.get(row.odd.stream, 0.0))
            if kinds is None:
                continue
            found.append(row.odd)
            self._drop(rows.pop(row.odd.spot))
            kinds[_kind(row.odd)] = None
            _keep_newest(kinds)
        return found

    def forget(self, load: object) -> None:
        """Nobody waits for the load any more; should its partitions come again, what is known of it still counts."""
        rows = self._rows.pop(load, {})
        for row in rows.values():
            self._drop(row)
            row.odd = row.odd._replace(verdict=row.odd.verdict._replace(text=""))  # it may be long
        self._left |= rows
        _keep_newest(self._left)

    def _take(self, row: _Row) -> _Row:
        if row.since is None:
            self._lacking.setdefault(row.odd.stream, {})[row] = None
        if row.apart is None:
            self._alone[row] = None
        return row

    def _drop(self, row: _Row) -> None:
        self._alone.pop(row, None)
        if (lacking := self._lacking.get(row.odd.stream)) is not None:
            lacking.pop(row, None)
            if not lacking:
                del self._lacking[row.odd.stream]

    def _reason(self, row: _Row, newest: float) -> dict[tuple[str, str], None] | None:
        """To which kinds it belongs if it is at fault; ``newest`` is when another of its stream was first refused."""
        kind, lasted = _kind(row.odd), row.last - row.began
        if row.after and (row.tries >= _TIMES or kind in self._known):
            return self._known
        if row.beyond and kind in self._broken:
            return self._broken
        if row.tries < _TIMES:
            return None
        if row.together and newest <= row.began and lasted >= _SECONDS:
            return self._known
        return self._broken if (row.beside or row.beyond) and lasted >= _SECONDS_APART else None


def _kind(odd: Odd) -> tuple[str, str]:
    return odd.stream, odd.verdict.error_type


def _keep_newest(some: dict[Any, Any]) -> None:
    while len(some) > _MOST_KNOWN:
        del some[next(iter(some))]
