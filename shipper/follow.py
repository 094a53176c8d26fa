"""Snapshots of the file system to open files, each with the source that is in it."""

import os
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from functools import partial

import msgspec
import structlog

from shipper.beginnings import Beginnings
from shipper.complaints import Complaints
from shipper.copies import Copies, Fresh, Take, Wait
from shipper.disk import Disk, Opened, Wanted
from shipper.file import File
from shipper.handles import raise_limit
from shipper.identity import Place
from shipper.looks import Looks
from shipper.names import is_live, is_named_after, live_path
from shipper.orphans import ORPHAN_SECONDS, Orphan, overdue
from shipper.plan import Found, Snapshot, changes
from shipper.policy import is_inactive, is_too_old, to_close
from shipper.recognise import Memory
from shipper.registry_row import Row
from shipper.rotated import Moved, Unseen, is_finished, missed, moved_rows, moved_sources, newest, oldest_first
from shipper.source import Source
from shipper.sources import Sources, is_same
from shipper.survey import Survey
from shipper.unpack import Unpacked
from tailrace import metrics
from tailrace.settings import Settings


class Follow:
    """All followed files by their place; opens what appears, lets go of what is gone and read.

    A file that vanishes from the patterns keeps its handle until it is read, so rotation by renaming loses nothing. A
    file that was rotated while we were away is found beside its old name, by its inode or by what is in it, and
    finished. A source whose file was truncated is carried on from the copy that was made before, if there is one.
    ``unsaved`` are the sources that moved to another place: every transaction must hold them, for a place must never
    have two sources that have not ended.
    """

    def __init__(self, settings: Settings, disk: Disk, known: Iterable[Row], host: dict[str, str]) -> None:
        self.files: dict[Place, File] = {}
        self.ended: list[Source] = []
        self.unsettled: set[Source] = set()  # given up before all of them was acknowledged
        self.stale = False
        """Files moved while they were opened: scan again soon."""
        self._refused: set[Place] = set()
        """Files that could not be opened at this look, and not for want of room or because their disk hangs."""
        self._inputs = settings.shipper.inputs
        self._beginnings = Beginnings(self._inputs)
        self.disk = disk
        self.survey = Survey(self._inputs, disk)
        self._sources = Sources(settings, host)
        self.opened: list[File] = []
        """Files that were opened and that the reader has not yet taken up."""
        self.unsaved: set[Source] = set()
        self.past: dict[str, int] = {}
        """Sources that were read in this run and closed, and how many of their records had the flag ``r``."""
        self.memory = Memory(known)
        self.copies = Copies(self.memory, self.files)
        self.looks = Looks()
        self._pending: dict[Place, str] = {}
        self._doubts: dict[str, int] = {}
        """Logs beside which stand files that nobody can judge yet; nothing later (nanoseconds since 1970) is known."""
        self._resting: dict[Place, str] = {}
        self._truncated: dict[Place, str] = {}
        """Files that were truncated while nobody looked, and their families: what is in them now is new."""
        self._unseen = Unseen()
        self._complaints = Complaints()
        self.complaints = self._complaints.reasons
        self.limit = raise_limit(settings.shipper.open_files)

    @property
    def sources(self) -> list[Source]:
        """All sources that are read, or ended and not yet all acknowledged."""
        return [*(file.source for file in self.files.values()), *self.ended]

    @property
    def settled(self) -> bool:
        """Whether all that was sent is acknowledged."""
        return all(source.settled for source in self.sources)

    def spread(self, lanes: int, lane_of: Callable[[str], int]) -> None:
        """Tell how many partitions there are, and which is a source's."""
        self._sources.spread(lanes, lane_of)

    def fit(self, most_record_bytes: int) -> None:
        """Tell how large a document may be, which the topic decides."""
        self._sources.most_record_bytes = most_record_bytes
        for file in self.files.values():
            file.source.encoder.most_bytes = most_record_bytes

    def begin(self, begun: Collection[str]) -> None:
        """Before the first look: these inputs are no longer new, so files of theirs begin at their beginning."""
        self._beginnings.begin(begun)

    async def act(self, snapshot: Snapshot, looked: int, *, first: bool, once: bool = False) -> None:
        """Act on what changed since the last look, this one being of the time ``looked`` (nanoseconds since 1970).

        With ``once`` there is no next time: what cannot be found now is said at once.
        """
        self.stale, self._refused = False, set()
        back = self.looks.begin(looked)
        if back < -(10**9) and self.files:
            self.unsaved.add(next(iter(self.files.values())).source)  # what is stored follows the clock
        self._complaints.report(snapshot)
        self._beginnings.look(snapshot, self.memory.places)
        found = changes({place: file.path for place, file in self.files.items()}, snapshot)
        since = newest(self.memory) if first else {live: at + back for live, at in self._doubts.items()}
        moved = moved_rows(self.memory, snapshot, since) if first else self._moved(found.renamed, found.gone)
        moved += self._unseen.names(moved, snapshot, self.looks.last, time.monotonic())
        for renamed in found.renamed:
            self.files[renamed.place].rename(renamed.path)
        for place in self.files:
            self.files[place].gone = place not in snapshot.found
        self.copies.look(snapshot.found)
        if first:
            for row, number in missed(self.memory, snapshot, self._inputs):
                self._orphan(self._sources.known(row, number, b""), number, vanished=not row.ended)
        await self._open([one for one in found.opened if one.place in self.memory.places], snapshot)
        last = self.looks.last or looked
        moved += moved_sources((one.source for one in self.copies.orphans.values()), since, last)
        missing = [self._resting.pop(place) for place in list(self._resting) if place not in snapshot.found]
        moved += [Moved(path, since.get(live_path(path), last)) for path in (*missing, *self._pending.values())]
        rotated = await self.survey.beside(moved, snapshot, self.memory)
        self.copies.look({**snapshot.found, **{one.found.place: one for one in rotated}})
        await self._open([one.found for one in rotated if one.found.place in self.memory.places], snapshot)
        new = {one.found.place: one.found.path for one in rotated if one.is_new or one.found.place in self._pending}
        strangers = [*found.opened, *(one.found for one in rotated)]
        await self._open_strangers(strangers, snapshot, new)
        faults = sum(bool(one.fault) for one in self.files.values())
        metrics.UNREADABLE.set(len(snapshot.refused) + len(self._refused) + faults)
        seen = new | {one.place: one.path for one in found.opened if one.size or is_live(one.path)}
        decided = self.files.keys() | self._refused
        self._pending = {one: seen[one] for one in seen.keys() - decided if self.copies.is_pending(one)}
        self._doubts = {live: since.get(live, last) for live in map(live_path, self._pending.values())}
        self.looks.end(self._doubts.values())
        self.copies.tidy()
        waiting = {live_path(one.path) for one in strangers if self.copies.is_waiting(one.place)}
        await self._give_up(None if once else waiting)
        self._truncated.clear()
        self._let_go()
        self._unseen.note((place for place, file in self.files.items() if not file.source.at), snapshot)
        metrics.SOURCES.set(len(self.files))

    def replace(self, file: File, size: int) -> None:
        """The file was truncated to ``size`` bytes: its source has ended, a new one begins at the first byte.

        What of it was not read may stand in a copy, which is looked for before it is said to be lost.
        """
        old = file.source
        before = file.seen[0] if file.seen else old.at
        old.size, lost = max(before, old.size), max(0, before - old.cursor)
        metrics.TRUNCATIONS.inc()
        self._complaints.truncated(old, lost)
        self._orphan(old, file.number, vanished=False)
        file.source = self._sources.again(old, file.number)
        self.unsaved.add(file.source)
        file.goal, file.solid = size, 0
        file.seen, file.more = None, True
        self.stale = True

    def rewind(self) -> None:
        """The producer ended: read again what was not acknowledged."""
        for file in self.files.values():
            file.source.rewind()
            file.more = True
        for orphan in self.copies.orphans.values():
            orphan.source.rewind()

    @property
    def unreadable(self) -> list[Source]:
        """Sources that have ended and of which no copy is looked for: nothing of them can be read again."""
        return [source for source in self.ended if source.name not in self.copies.orphans]

    def forget(self, names: Iterable[str]) -> None:
        """These sources were removed from the registry: their files have been gone for long."""
        for name in names:
            if (row := self.memory.rows.get(name)) is not None:
                self._complaints.forget(row.path)
            self.memory.pop(name)
            self.past.pop(name, None)

    def close(self) -> None:
        """Close all handles."""
        for place in list(self.files):
            self._close(self.files.pop(place))

    async def _open(self, found: list[Found], snapshot: Snapshot) -> None:
        """Follow files that stand where we know a source; those that are another are left."""
        rows = {one.place: self.memory.places[one.place] for one in found}
        for one in found:
            if is_finished(row := rows[one.place], one):
                self.copies.park(one.place, one.size, one.modified, Wait(row.source, settled=True))
        found = [one for one in found if not self.copies.may_rest(one.place, one.size, one.modified)]
        async for one, opened in self._opened(oldest_first(found)):
            source = self._recognise(rows[one.place], one, opened)
            if source is None:
                self.disk.close(one.place.device, opened.handle)
            else:
                self._follow(one, opened, source, snapshot)

    async def _open_strangers(self, found: list[Found], snapshot: Snapshot, new: Collection[Place]) -> None:
        """Follow files in places that no source has, oldest first.

        Those that no pattern matches are read if they are the copy of a source, or ``new``.
        """
        found = [one for one in found if one.place not in self.files and one.place not in self.memory.places]
        old = {one.place for one in found if is_too_old(self._inputs[one.number], one.modified, time.time_ns())}
        self.copies.left = old
        found = [one for one in found if one.place not in old or self.copies.may_be_missed(one.path)]
        found = [one for one in found if not self.copies.may_rest(one.place, one.size, one.modified)]
        if found:
            self.copies.gather()
        async for one, opened in self._opened(oldest_first(found)):
            try:
                family = self._truncated.get(one.place)
                anew = family is not None and is_named_after(one.path, family)
                wanted = anew or (one.place not in old and (one.place in snapshot.found or one.place in new))
                source = await self._judge(one, opened, wanted=wanted)
            except OSError as error:
                self.disk.close(one.place.device, opened.handle)
                self._complaints.say(one.path, "cannot read file", reason=error.strerror or str(error))
                continue
            if source is None:
                self.disk.close(one.place.device, opened.handle)
            else:
                self._follow(one, opened, source, snapshot)
                if source.at:
                    self.copies.gather()
                else:
                    self.copies.add(self.files[one.place])

    async def _opened(self, found: list[Found]) -> AsyncIterator[tuple[Found, Opened]]:
        """Open these files, as many as may be open, and say what cannot be."""
        for read in to_close(self.files.values(), len(found) - (self.limit - len(self.files))):
            self._rest(read)
        room = max(0, self.limit - len(self.files))
        if len(found) > room:
            self.stale = True
            self._complaints.once("more files than may be open take turns", limit=self.limit)
        opened = await self.disk.open([self._wanted(one) for one in found[:room]])
        for one, file in zip(found, opened, strict=False):
            if file.late:
                self.complaints[one.path] = "its disk does not answer"  # the next scan finds it again
                continue
            if file.refused:
                self._refused.add(one.place)
                self._complaints.unopened(one, file.refused, self.memory.places.get(one.place))
            elif file.place != one.place:
                # Renamed between the scan and the opening: what we hold is another file, found by the next scan.
                self.disk.close(file.place.device, file.handle)
                self.stale = True
            elif file.early:
                self.disk.close(file.place.device, file.handle)
                self.copies.park(one.place, one.size, one.modified, Wait("", settled=False))
            else:
                yield one, file

    def _follow(self, found: Found, opened: Opened, source: Source, snapshot: Snapshot) -> None:
        file = File(found.path, opened.handle, source, found.number, opened.size, time.monotonic())
        file.rename(found.path)
        file.gone = found.place not in snapshot.found
        source.born, source.looked = opened.born, self.looks.wall // 10**9
        self.files[found.place] = file
        self._resting.pop(found.place, None)
        self._beginnings.opened(found.place)
        self.opened.append(file)
        if not source.asked:
            self.unsaved.add(source)  # known before anything of it is sent: should it be rotated away, it is looked for

    def _recognise(self, row: Row, found: Found, opened: Opened) -> Source | None:
        """The source we know in this place, if it is still that file and what we read of it stands in it."""
        self.memory.pop(row.source)  # not before it could be read: else it would come back as a new source
        if is_same(row, opened):
            self.copies.orphans.pop(row.source, None)
            return self._sources.known(row, found.number, opened.before)
        structlog.get_logger().info("another file stands where a known one was", path=found.path, source=row.source)
        self._orphan(self._sources.known(row, found.number, b""), found.number, vanished=False)
        if row.born == opened.born != 0:
            self._truncated[found.place] = row.family
        return None

    async def _judge(self, found: Found, opened: Opened, *, wanted: bool) -> Source | None:
        """The source that an unknown file is to be read as; None if it is left alone, for now."""
        judge = partial(self.copies.judge, found.path, opened.handle, opened.first)
        verdict = await self.disk.run(judge, found.place.device)
        if isinstance(verdict, Fresh):
            # Empty, and named like a rotated one: the copy of a log is about to be written into it.
            if wanted and (opened.size or is_live(found.path)):
                opened = await self._beginnings.passed(found, opened, self.disk)
                source = self._sources.new(found.path, opened, found.number)
                source.family = self._truncated.get(found.place, source.family)
                self.unsaved.add(source)
                return source
            verdict = Wait("", settled=True)
        if isinstance(verdict, Wait):
            self._complaints.look_for_damage(found.path, opened.handle)
            if found.size <= opened.size or isinstance(opened.handle, Unpacked):  # else it may grow without a sign
                self.copies.park(found.place, found.size, found.modified, verdict)
            return None
        before = await self.disk.before(opened.handle, verdict.at, found.place.device)
        if self.copies.at(verdict.name) != verdict.at:
            self.stale = True  # it was read on, or back, since
            return None
        return self._carry_on(verdict, found, opened, before)

    def _carry_on(self, verdict: Take, found: Found, opened: Opened, before: bytes) -> Source:
        """Read a source from another file from now on."""
        source = self._release(verdict.name)
        if source is None:
            row = self.memory.rows[verdict.name]
            known = msgspec.structs.replace(row, place=found.place, ended=False)
            source = self._sources.known(known, found.number, before[len(before) - row.anchor.length :])
            self.memory.pop(verdict.name)
        source.place = found.place
        metrics.LOST.inc(source.shorten(None if isinstance(opened.handle, Unpacked) else opened.size))
        self.unsaved.add(source)
        structlog.get_logger().info("source is carried on from a copy", path=found.path, source=source.name)
        return source

    def _release(self, name: str) -> Source | None:
        """The source of that name from among the orphans or the open files, of which it is one no more."""
        if (orphan := self.copies.orphans.pop(name, None)) is not None:
            self.ended = [source for source in self.ended if source is not orphan.source]
            self.memory.pop(name)
            return orphan.source
        place = next((place for place, file in self.files.items() if file.source.name == name), None)
        if place is None:
            return None
        file = self.files.pop(place)
        self._close(file)
        return file.source

    def _wanted(self, found: Found) -> Wanted:
        row = self.memory.places.get(found.place)
        if row is None:
            return Wanted(found.path, found.place.device, passed=self._beginnings.passed_bytes(found))
        return Wanted(found.path, found.place.device, row.position, row.anchor.length)

    def _rest(self, file: File) -> None:
        """Close a file until it changes."""
        place = file.source.place
        self._put_away(file)
        self._resting[place] = file.source.path

    def _put_away(self, file: File) -> None:
        """Close a file; should it change, or come back under a name that matches, it is still the source we know."""
        source = file.source
        del self.files[source.place]
        self._close(file)
        self.past[source.name] = self.past.get(source.name, 0) + source.repeated
        self.memory.add(source.row(self.looks.updated, clean=True))
        if file.stamp is not None and file.is_plain:
            # Else it might be opened at every look, and there be no room for others.
            self.copies.park(source.place, *file.stamp, Wait(source.name, settled=True))

    def _close(self, file: File) -> None:
        file.closed = True
        self.copies.drop(file)
        self.disk.close(file.source.place.device, file.handle)

    def _moved(self, renamed: list[Found], gone: list[Place]) -> list[Moved]:
        """Names whose file is another one since the last look."""
        places = [*(one.place for one in renamed), *(place for place in gone if not self.files[place].gone)]
        return [Moved(family, self.looks.last) for place in places for family in self.files[place].source.families]

    def _orphan(self, source: Source, number: int, *, vanished: bool) -> None:
        until = time.monotonic() + ORPHAN_SECONDS
        self.copies.orphans[source.name] = Orphan(source, number, until, vanished=vanished)
        if not vanished:
            self.ended.append(source)

    async def _give_up(self, waiting: Collection[str] | None) -> None:
        """Say what is lost of sources whose copies were looked for long enough."""
        for orphan in await overdue(self.copies.orphans, self.survey, waiting):
            source = orphan.source
            self.stale = True  # files may have waited for it
            if source not in self.ended:
                self.ended.append(source)
            orphan.report()
            if source.settled:
                self.memory.add(source.row(self.looks.updated, ended=True))
            else:
                self.unsettled.add(source)

    def _let_go(self) -> None:
        for file in list(self.files.values()):
            if is_inactive(self._inputs[file.number], file.still_seconds) and file.may_rest and not file.has_room:
                self._rest(file)
        for place in [place for place, file in self.files.items() if file.may_go]:
            file = self.files[place]
            self._complaints.look_for_damage(file.path, file.handle)
            if isinstance(file.handle, Unpacked):
                size = os.fstat(file.handle.handle).st_size
                self.copies.park(place, size, None, Wait(file.source.name, settled=True))
            self._put_away(file)
