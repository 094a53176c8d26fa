"""A file in a place that no source has, held against the sources we know: new, a copy, or one of them carried on."""

import contextlib
import os
import posixpath
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from shipper.extent import text_at, text_end, written
from shipper.file import File
from shipper.identity import ANCHOR_BYTES, HEAD_BYTES, Place, anchor_of, begins_with
from shipper.lines import HOLE
from shipper.names import live_path, origins, shown
from shipper.orphans import Orphan
from shipper.recognise import Index, Known, Memory
from shipper.source import Source
from shipper.unpack import Handle, Unpacked, read_at

_GLANCE = 65_536
"""What a copy has behind the text of its original is text, too, unless all of it is NULs: then it is room."""


class Fresh(NamedTuple):
    """It is none of the sources we know."""


class Wait(NamedTuple):
    """It holds nothing now that the source of that name has not got; ``settled``: nor will it before it changes."""

    name: str
    settled: bool


class Take(NamedTuple):
    """It is the source of that name, which is read here from ``at`` on."""

    name: str
    at: int


Verdict = Fresh | Wait | Take


class Parked(NamedTuple):
    """A file that is not read, and what it looked like when that was decided (whatever ``modified``, if it is None).

    ``state`` is what the source of that name was like then; None if that does not matter.
    """

    size: int
    modified: int | None
    name: str
    state: object

    @property
    def is_unsure(self) -> bool:
        """Whether it could still turn out to be a copy of any source."""
        return not self.name and self.state is not None


class Copies:
    """Remembers which files are copies of others, so that nothing is read twice to find out.

    ``memory`` are the sources whose files are not open, ``orphans`` by their names those that look for a copy to be
    carried on from. While a source's own file is open, or stands where it was, its copies wait.
    """

    def __init__(self, memory: Memory, files: Mapping[Place, File]) -> None:
        self.memory = memory
        self.orphans: dict[str, Orphan] = {}
        self._files = files
        self._parked: dict[Place, Parked] = {}
        self.held: set[Place] = set()
        self._index = Index(())
        self._open: dict[str, File] = {}
        self._kin: dict[str, list[File]] | None = None
        self._missed: set[str] | None = None
        self.left: set[Place] = set()
        """Files that are left alone for their age unless they carry on a source that is missed."""

    def look(self, places: Iterable[Place]) -> None:
        """A new look at the file system has found files in these places."""
        self.held = set(places)
        self._missed = None
        if self._parked:
            self._open = {file.source.name: file for file in self._files.values()}

    @property
    def is_unsure(self) -> bool:
        """Whether there is a file of which nobody could say yet what it is."""
        return any(
            place not in self._files
            and place not in self.memory.places
            and (self._parked[place].is_unsure if place in self._parked else place not in self.left)
            for place in self.held
        )

    def needed(self) -> set[str]:
        """Sources without which a file that is there, or looked for, would be taken for a new one."""
        named = {parked.name for place, parked in self._parked.items() if place in self.held}
        return {*named, *self.orphans}

    def tidy(self) -> None:
        """Forget what was decided of files that are gone."""
        self._parked = {place: parked for place, parked in self._parked.items() if place in self.held}

    def is_waiting(self, place: Place) -> bool:
        """Whether a file was judged, and may be judged otherwise once the source that it waits for was read."""
        parked = self._parked.get(place)
        return parked is not None and parked.state is not None

    def is_pending(self, place: Place) -> bool:
        """Whether nobody could say yet what a file is that is not open: too early, or there was no room for it."""
        parked = self._parked.get(place)
        if parked is None or not parked.name:
            return place not in self.left
        return parked.state is not None

    def may_be_missed(self, path: str) -> bool:
        """Whether a file has a name that rotation would give to a source whose own file is not there."""
        if self._missed is None:
            rows = [row for row in self.memory.rows.values() if row.ended or row.place not in self.held]
            missed = [row.families for row in rows]
            missed += [orphan.source.families for orphan in self.orphans.values()]
            self._missed = {posixpath.basename(family) for families in missed for family in families}
        return not self._missed.isdisjoint(origins(path))

    def gather(self) -> None:
        """Take note of what is known now; to be called before ``judge``, and after sources came or moved.

        What stands in an open file is known as far as it was seen, for a copy can be compared with it there.
        """
        self._open = {file.source.name: file for file in self._files.values()}
        self._kin = None
        known = [*map(_in_file, self._files.values())]
        known += [_read(orphan.source) for orphan in self.orphans.values()]
        self._index = Index([*known, *(one for one in self.memory.known() if one.name not in self.orphans)])

    def add(self, file: File) -> None:
        """Take note of a file that was just opened and of which nothing was read, without gathering all again."""
        self._open[file.source.name] = file
        self._index.add(_in_file(file))

    def drop(self, file: File) -> None:
        """A file is closed: its handle may soon be another file's, and is compared with none any more."""
        if self._open.get(file.source.name) is file:
            del self._open[file.source.name]
            self._kin = None

    def may_rest(self, place: Place, size: int, modified: int) -> bool:
        """Whether a file was judged, and neither it nor the source it waits for has changed since."""
        parked = self._parked.get(place)
        return (
            parked is not None
            and parked.size == size
            and parked.modified in (None, modified)
            and (parked.state is None or parked.state == self._state(parked.name))
        )

    def park(self, place: Place, size: int, modified: int | None, wait: Wait) -> None:
        """Leave a file alone until something changes."""
        state = None if wait.settled else self._state(wait.name)
        self._parked[place] = Parked(size, modified, wait.name, state)

    def judge(self, path: str, handle: Handle, first: bytes) -> Verdict:
        """What a file is; reads it, so for the disk's thread only."""
        path = shown(path)
        if len(first) < HEAD_BYTES:
            first = _first(handle)  # it may have grown since it was opened
        for known in self._index.matches(path, first):
            verdict = self._compare(path, handle, known)
            if isinstance(verdict, Take):
                return self._in_doubt(path, first) or verdict
            if verdict is not None:
                return verdict
        if isinstance(handle, Unpacked) and not handle.ended and not handle.pread(1, len(first)) and not handle.ended:
            return Wait("", settled=False)  # still being written, and too early to tell
        return self._in_doubt(path, first) or Fresh()

    def _in_doubt(self, path: str, first: bytes) -> Wait | None:
        """A log that changed and was not looked at since may hold what a file with such a name does."""
        live = live_path(path)
        if self._kin is None:
            self._kin = {}
            for file in self._open.values():
                for family in file.source.families:
                    self._kin.setdefault(family, []).append(file)
        for file in self._kin.get(live, ()):
            with contextlib.suppress(OSError):
                if isinstance(file.handle, Unpacked):
                    continue
                if not _stands(file.handle, file.source) or _is_unseen(file, first):
                    return Wait(file.source.name, settled=False)
        return None

    def _compare(self, path: str, handle: Handle, known: Known) -> Verdict | None:
        """Hold a file against a source that begins as it does; None if it is another after all."""
        file = self._open.get(known.name)
        if file is not None:
            return _beside(handle, file)
        before = text_at(handle, known.anchor.length, known.at - known.anchor.length)
        if len(before) < known.anchor.length:
            return self._shorter(path, handle, known)
        if anchor_of(before) != known.anchor or _says_nothing(before):
            return None
        row = self.memory.rows.get(known.name)
        stands = row is not None and known.name not in self.orphans and not row.ended and row.place in self.held
        return Wait(known.name, settled=False) if stands else Take(known.name, known.at)

    def _shorter(self, path: str, handle: Handle, known: Known) -> Verdict | None:
        """The file ends before the source's position: one still being made, or damaged, or an earlier copy."""
        if isinstance(handle, Unpacked):
            if not handle.ended:
                return Wait(known.name, settled=False)
            return Wait(known.name, settled=True) if handle.damage else None
        hopeful = known.name in self.orphans and path != known.path
        return Wait(known.name, settled=False) if hopeful else None

    def at(self, name: str) -> int | None:
        """How far a source has been read; None if it is not there any more, or has more to be read where it is."""
        file = next((file for file in self._files.values() if file.source.name == name), None)
        if file is not None:
            return file.source.at if file.gone and not file.more else None
        if name in self.orphans:
            return self.orphans[name].source.at
        return self.memory.rows[name].position if name in self.memory.rows else None

    def _state(self, name: str) -> object:
        file = self._open.get(name)
        if file is not None:
            return file.source.at, file.source.watermark.position, file.gone, file.more
        row = self.memory.rows.get(name)
        return name in self.orphans, row and (row.position, row.ended, row.place in self.held)


def _in_file(file: File) -> Known:
    source = file.source
    end = max(source.at, source.size)
    return Known(source.name, source.path, source.families, source.head, end, source.known_anchor, source.reach)


def _read(source: Source) -> Known:
    return Known(source.name, source.path, source.families, source.head, source.at, source.known_anchor, source.reach)


def _beside(handle: Handle, file: File) -> Verdict | None:
    """A file that begins as one that is open: they are compared where the shorter of them ends."""
    own, source = file.handle, file.source
    if isinstance(own, Unpacked):
        length = len(source.anchor)
        same = text_at(handle, length, source.at - length) == source.anchor and not _says_nothing(source.anchor)
        return Wait(source.name, settled=False) if same or file.more else None
    whole = os.fstat(own).st_size
    size = written(own, whole)
    is_packed = isinstance(handle, Unpacked)
    longer = bool(read_at(handle, _GLANCE, size).strip(HOLE)) if is_packed else text_end(handle) > size
    if not longer and isinstance(handle, Unpacked) and not handle.ended:
        return Wait(source.name, settled=False)  # still being written
    end = size if longer else min(size, text_end(handle))
    length = min(ANCHOR_BYTES, end)
    if read_at(handle, length, end - length) != read_at(own, length, end - length):
        return None if _stands(own, source) else Wait(source.name, settled=False)
    if not longer:
        return Wait(source.name, settled=source.watermark.position >= end)
    if file.gone:
        read = not file.more and file.seen is not None and file.seen[0] == size
        return Take(source.name, source.at) if read else Wait(source.name, settled=False)
    # If it does not stand, it grows, or was just truncated: the next look at it will tell.
    return None if _stands(own, source) and os.fstat(own).st_size == whole else Wait(source.name, settled=False)


def _says_nothing(before: bytes) -> bool:
    """Whether they are the room of a log that was compressed with it: two logs that begin alike have the same."""
    return bool(before) and not before.strip(HOLE)


def _first(handle: Handle) -> bytes:
    return read_at(handle, HEAD_BYTES if isinstance(handle, Unpacked) else min(HEAD_BYTES, text_end(handle)), 0)


def _is_unseen(file: File, first: bytes) -> bool:
    """Whether an open file begins as one with these first bytes, and nobody has looked at it since it does."""
    known = file.source.head.length
    if isinstance(file.handle, Unpacked) or known >= HEAD_BYTES:
        return False
    now = _first(file.handle)
    common = min(len(now), len(first))
    return len(now) > known and common > known and now[:common] == first[:common]


def _stands(handle: int, source: Source) -> bool:
    """Whether an open file still holds what was read and seen of it, as far as can be told."""
    before = os.pread(handle, len(source.anchor), source.at - len(source.anchor))
    if source.is_truncated(written(handle, os.fstat(handle).st_size, source.at), before):
        return False
    return begins_with(os.pread(handle, source.head.length, 0), source.head)
