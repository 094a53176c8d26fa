"""Names whose file is another one than it was to the files beside them that rotation may have made."""

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from shipper.identity import Place
from shipper.plan import Found, Snapshot
from shipper.recognise import Memory, is_dated, is_packed, is_rotation, live_path
from shipper.registry_row import Row
from shipper.scan import siblings
from tailrace.settings import Input

_SLACK = 2 * 10**9
"""Nanoseconds by which the clock that stamps files may be behind ours."""
_ABSENT_SECONDS = 600.0
"""How long files are looked for beside a name at which none stands any more."""


class Moved(NamedTuple):
    """The name of a file that was rotated, and since when (nanoseconds since 1970) nobody has looked."""

    path: str
    since: int


class Rotated(NamedTuple):
    """A file beside a rotated one that no pattern matches; ``is_new``: it was written since somebody looked."""

    found: Found
    is_new: bool


class Unseen:
    """Names beside which rotation may have put a file that no look has seen.

    Those at which no file stands any more: one may come there and be rotated away between two looks. And those of files
    of which nothing has been read: nothing tells that they were copied and truncated, but that they were changed.
    """

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._unread: dict[Place, int] = {}

    def names(self, moved: Iterable[Moved], snapshot: Snapshot, looked: int, now: float) -> list[Moved]:
        """Those noted before, last looked at at ``looked``; the ones that moved since are noted, for a while."""
        found = [(snapshot.found.get(place), modified) for place, modified in self._unread.items()]
        names = [one.path for one, modified in found if one is not None and one.modified != modified]
        names += self._until
        until = {one.path: now + _ABSENT_SECONDS for one in moved} | self._until
        if until:
            there = {found.path for found in snapshot.found.values()}
            self._until = {path: end for path, end in until.items() if path not in there and now < end}
        return [Moved(path, looked) for path in names]

    def note(self, unread: Iterable[Place], snapshot: Snapshot) -> None:
        """These are the files of which nothing has been read."""
        self._unread = {place: snapshot.found[place].modified for place in unread if place in snapshot.found}


def newest(memory: Memory) -> dict[str, int]:
    """When each log was last known to be read, by its name without what rotation adds (nanoseconds since 1970)."""
    times: dict[str, int] = {}
    for row in memory.rows.values():
        live = live_path(row.path)
        times[live] = max(times.get(live, 0), row.updated * 10**9)
    return times


def moved_rows(memory: Memory, snapshot: Snapshot, since: Mapping[str, int]) -> list[Moved]:
    """The names at which another file stands, or none, than when the agent was stopped, or one that was never read."""
    moved = []
    for row in memory.rows.values():
        found = snapshot.found.get(row.place)
        if not row.ended and (found is None or found.path != row.path or not row.position):
            moved.append(Moved(row.path, since[live_path(row.path)]))
    return moved


def beside(moved: Iterable[Moved], inputs: Sequence[Input], snapshot: Snapshot, memory: Memory) -> list[Rotated]:
    """Files beside the rotated ones that are known by their place, or have a name that rotation would give."""
    folders: dict[str, dict[str, int]] = {}
    for one in moved:
        live = live_path(one.path)
        since = folders.setdefault(posixpath.dirname(live), {})
        since[live] = max(one.since, since.get(live, 0))
    rotated: dict[Place, Rotated] = {}
    for folder, since in folders.items():
        for found in siblings(folder, 0):
            made = None if found.place in snapshot.found else _rotated(found, since, inputs, memory)
            if made is not None and (made.is_new or found.place not in rotated):
                rotated[found.place] = made
    return list(rotated.values())


def input_of(path: str, inputs: Iterable[Input]) -> int | None:
    """The first input of which a pattern matches a path."""
    for number, entry in enumerate(inputs):
        if any(fnmatchcase(path, pattern.replace("**/", "*")) for pattern in entry.paths):
            return number
    return None


def age(found: Found) -> tuple[int, bool]:
    """By what files are sorted oldest first; a compressed one has the time of the plain one, and comes behind it."""
    return found.modified, is_packed(found.path)


def is_finished(row: Row, found: Found) -> bool:
    """Whether a compressed file has been read to its end and not been written since."""
    return is_packed(found.path) and 0 < row.size == row.position and row.modified == found.modified


def _rotated(found: Found, since: Mapping[str, int], inputs: Sequence[Input], memory: Memory) -> Rotated | None:
    for live, looked in since.items():
        number = input_of(live, inputs)
        if number is not None and _comes_from(found.path, live, inputs[number]):
            return Rotated(found._replace(number=number), found.modified >= looked - _SLACK and found.size > 0)
    row = memory.places.get(found.place)
    number = None if row is None else input_of(row.path, inputs)
    return None if number is None else Rotated(found._replace(number=number), is_new=False)


def _comes_from(path: str, family: str, entry: Input) -> bool:
    name, live = posixpath.basename(path), posixpath.basename(family)
    if any(fnmatchcase(path, excluded) for excluded in entry.exclude):
        return False
    return is_rotation(name, live) or is_dated(name, live)
