"""Sources and the files that are there to those missed, those back, and those to be forgotten. No I/O."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from shipper.identity import Place
from shipper.registry_row import Row

LEAST_SECONDS = 3600.0
"""Nothing is forgotten before an agent has itself missed it for so long: a clock that was wrong must not decide."""


class Changed(NamedTuple):
    """What a look brings: newly missed sources (since when, seconds since 1970), those back, those to forget."""

    missed: dict[str, int]
    back: list[str]
    due: list[Row]


def absent(rows: Iterable[Row], held: Collection[Place], needed: Collection[str]) -> dict[str, Row]:
    """Sources by name that have ended or whose file is in no place that is ``held``; not the ``needed``."""
    return {row.source: row for row in rows if row.source not in needed and (row.ended or row.place not in held)}


class Absence:
    """Since when which sources are missed.

    ``since`` and ``now`` are seconds since 1970, ``now`` counted on evenly from the start of the agent: a step of
    the clock while it runs changes nothing.
    """

    def __init__(self, since: Mapping[str, int], seconds: float) -> None:
        self._since = dict(since)
        self._seconds = seconds
        self._first: dict[str, float] = {}

    def doubtful(self, missing: Mapping[str, Row], now: float) -> list[Row]:
        """Those whose folders must be looked at now: newly missed, or long enough."""
        return [row for name, row in missing.items() if name not in self._since or self._is_due(name, now)]

    def note(self, missing: Mapping[str, Row], gone: Collection[str], now: float) -> Changed:
        """Take note of a look; ``gone`` are those of the doubtful whose files are not there for certain."""
        back = [name for name in self._since if name not in missing]
        for name in back:
            del self._since[name]
        self._first = {name: at for name, at in self._first.items() if name in missing}
        due = [row for name, row in missing.items() if name in gone and self._is_due(name, now)]
        missed = {name: int(now) for name in missing if name in gone and self._since.get(name, now + 1) > now}
        self._since |= missed
        for name in missing:
            if name in self._since:
                self._first.setdefault(name, now)
        return Changed(missed, back, due)

    def drop(self, names: Iterable[str]) -> None:
        """These are forgotten."""
        for name in names:
            self._since.pop(name, None)
            self._first.pop(name, None)

    def _is_due(self, name: str, now: float) -> bool:
        if name not in self._first:
            return False
        own = now - self._first[name] >= min(self._seconds, LEAST_SECONDS)
        return own and now - self._since[name] >= self._seconds
