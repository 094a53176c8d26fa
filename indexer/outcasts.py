"""Refusals that may be a record's own fault, and what was stored meanwhile, to whether they are. No I/O."""

from collections.abc import Iterable

from indexer.load import Odd

_TIMES = 6
"""So often in a row, unless another was found to be at fault for the like."""
_MOST_KNOWN = 1000


class _Row:
    """A record that is refused each time; ``beside``: others of its stream were stored since it first was."""

    __slots__ = ("beside", "odd", "tries")

    def __init__(self, odd: Odd) -> None:
        self.odd = odd
        self.tries = 0
        self.beside = False


class Outcasts:
    """Records that Elasticsearch refuses with 400 each time, for a reason that we do not know.

    It may be the record (an ingest pipeline cannot read a field of it) or the cluster (a policy that is missing). It is
    the record if it was refused six times in a row, and since the first of them, in the same answer or in another, a
    record of the same data stream was stored. What is then refused in the same way, while others of its answer are
    stored, is at once known to be at fault: else each such record would hold up the others for seconds.
    """

    def __init__(self) -> None:
        self._rows: dict[object, dict[tuple[object, int], _Row]] = {}
        self._known: set[tuple[str, str]] = set()

    def __bool__(self) -> bool:
        """Whether any record is in doubt."""
        return bool(self._rows)

    def has(self, load: object) -> bool:
        """Whether a record of the load is in doubt."""
        return load in self._rows

    def refused(self, load: object, odd: Iterable[Odd]) -> None:
        """What of an answer was refused in this way; then tell ``stored`` what else it says."""
        rows = self._rows.setdefault(load, {})
        for one in odd:
            rows.setdefault((one.origin, one.offset), _Row(one)).tries += 1

    def stored(self, streams: Iterable[str]) -> None:
        """Records of these data streams were stored."""
        streams = set(streams)
        for rows in self._rows.values():
            for row in rows.values():
                row.beside = row.beside or row.odd.stream in streams

    def to_blame(self, load: object) -> list[Odd]:
        """Those of its records that are refused for their own fault; each is said once."""
        rows = self._rows.get(load, {})
        found = {place: row.odd for place, row in rows.items() if row.beside and self._is_enough(row)}
        for place in found:
            del rows[place]
        if len(self._known) < _MOST_KNOWN:
            self._known |= {_kind(one) for one in found.values()}
        return list(found.values())

    def forget(self, load: object) -> None:
        """Nobody waits for the load any more."""
        self._rows.pop(load, None)

    def _is_enough(self, row: _Row) -> bool:
        return row.tries >= _TIMES or _kind(row.odd) in self._known


def _kind(odd: Odd) -> tuple[str, str]:
    return odd.stream, odd.verdict.error_type
