"""Names whose file is another one than it was to the files beside them that rotation may have made."""

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple, Protocol

from shipper.identity import Place
from shipper.names import is_named_after, is_packed, live_path, plain_name, shown
from shipper.plan import Found, Snapshot
from shipper.recognise import Memory
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
        for family in row.families:
            times[family] = max(times.get(family, 0), row.updated * 10**9)
    return times


def moved_rows(memory: Memory, snapshot: Snapshot, since: Mapping[str, int]) -> list[Moved]:
    """The names at which another file stands, or none, than when the agent was stopped, or one that was never read."""
    rows = memory.rows.values()
    standing = {family for row in rows if not row.ended for family in row.families}
    moved: set[str] = set()
    for row in rows:
        found = snapshot.found.get(row.place)
        if row.ended:
            moved.update(family for family in row.families if family not in standing)
        elif found is None or shown(found.path) != row.path or not row.position or len(row.families) > 1:
            moved.update(row.families)
    return [Moved(family, since[family]) for family in moved]


class _Seen(Protocol):
    """A source, and when (seconds since 1970) its file was last looked at."""

    looked: int

    @property
    def families(self) -> tuple[str, ...]: ...


def moved_sources(sources: Iterable[_Seen], since: Mapping[str, int], last: int) -> list[Moved]:
    """The logs of sources whose copy is looked for; whenever the last look was, their own was not later than theirs."""
    return [
        Moved(family, min(since.get(family, last), source.looked * 10**9))
        for source in sources
        for family in source.families
    ]


def beside(moved: Iterable[Moved], inputs: Sequence[Input], snapshot: Snapshot, memory: Memory) -> list[Rotated]:
    """Files beside the rotated ones that are known by their place, or have a name that rotation would give."""
    folders: dict[str, dict[str, int]] = {}
    for one in moved:
        live = live_path(one.path)
        since = folders.setdefault(posixpath.dirname(live), {})
        since[live] = min(one.since, since.get(live, one.since))
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


def row_input(row: Row, inputs: Sequence[Input]) -> int | None:
    """The first input that a source belongs to, by the name it has or by one of its logs."""
    numbers = (input_of(path, inputs) for path in (row.path, *row.families))
    return next((number for number in numbers if number is not None), None)


def missed(memory: Memory, snapshot: Snapshot, inputs: Sequence[Input]) -> list[tuple[Row, int]]:
    """Known sources that have more than was read and are nowhere, with the number of their input."""
    rows = [row for row in memory.rows.values() if row.size > row.position]
    numbered = [(row, row_input(row, inputs)) for row in rows if row.ended or row.place not in snapshot.found]
    return [(row, number) for row, number in numbered if number is not None]


def oldest_first(found: Iterable[Found]) -> list[Found]:
    """Files by their time; a compressed one comes behind the plain one, whose time it has or had."""
    found = list(found)
    plain = {one.path: one.modified for one in found}
    return sorted(found, key=lambda one: (max(one.modified, plain.get(plain_name(one.path), 0)), is_packed(one.path)))


def is_finished(row: Row, found: Found) -> bool:
    """Whether a compressed file has been read to its end and not been written since."""
    return is_packed(found.path) and 0 < row.size == row.position and row.modified == found.modified


def _rotated(found: Found, since: Mapping[str, int], inputs: Sequence[Input], memory: Memory) -> Rotated | None:
    for live, looked in since.items():
        number = input_of(live, inputs)
        if number is not None and _comes_from(found.path, live, inputs[number]):
            return Rotated(found._replace(number=number), found.modified >= looked - _SLACK and found.size > 0)
    row = memory.places.get(found.place)
    number = None if row is None else row_input(row, inputs)
    return None if number is None else Rotated(found._replace(number=number), is_new=False)


def _comes_from(path: str, family: str, entry: Input) -> bool:
    excluded = any(fnmatchcase(path, pattern) for pattern in entry.exclude)
    return not excluded and shown(path) != family and is_named_after(path, family)
