"""Snapshots of the file system to open files, each with the source that is in it."""

import os
import resource
import time
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from functools import partial

import structlog

from shipper.disk import Disk, Opened
from shipper.file import File
from shipper.identity import Place, same
from shipper.outcome import NO_FILE
from shipper.plan import Found, Snapshot, changes
from shipper.records import Encoder
from shipper.registry import new_source
from shipper.registry_row import Row
from shipper.scan import scan, siblings
from shipper.source import Source, fresh_row
from tailrace import metrics
from tailrace.settings import Settings

_LET_THROUGH = 64
"""Descriptors kept free for the registry, the brokers and the libraries."""


class Follow:
    """All followed files by their place; opens what appears, lets go of what is gone and read.

    A file that vanishes from the patterns keeps its handle until it is read, so rotation by renaming loses nothing. A
    file that was rotated while we were away is found by its inode beside its old name, and finished.
    """

    def __init__(self, settings: Settings, disk: Disk, known: Iterable[Row], host: dict[str, str]) -> None:
        self.files: dict[Place, File] = {}
        self.ended: list[Source] = []
        self.stale = False
        """Files moved while they were opened: scan again soon."""
        self._inputs = settings.shipper.inputs
        self._settings = settings
        self._disk = disk
        self._host = host
        self._known = {row.place: row for row in known if not row.ended}
        self._said: set[str] = set()
        self.complaints: dict[str, str] = {}
        """What is wrong with a path or a pattern, as it was last said."""
        self._full = False
        self._most_record_bytes = settings.shipper.max_record_bytes
        self._lane_of: Callable[[str], int] = lambda _name: 0
        self._lanes = 0
        self._turn = 0
        self.limit = _raise_limit(settings.shipper.open_files)

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
        self._lanes, self._lane_of = lanes, lane_of

    def fit(self, most_record_bytes: int) -> None:
        """Tell how large a document may be, which the topic decides."""
        self._most_record_bytes = most_record_bytes
        for file in self.files.values():
            file.source.encoder.most_bytes = most_record_bytes

    async def rescan(self, *, first: bool) -> None:
        """Evaluate the patterns and act on what changed since the last time."""
        self.stale = False
        snapshot = await self._disk.run(partial(scan, self._inputs))
        self._report(snapshot)
        found = changes({place: file.path for place, file in self.files.items()}, snapshot)
        for renamed in found.renamed:
            self.files[renamed.place].rename(renamed.path)
        for place in self.files:
            self.files[place].gone = place not in snapshot.found
        if first:
            await self._open(await self._disk.run(partial(self._rotated_away, snapshot)), gone=True)
        refused = await self._open(found.opened, gone=False)
        metrics.UNREADABLE.set(len(snapshot.refused) + refused)
        self._let_go()
        metrics.SOURCES.set(len(self.files))

    def replace(self, file: File, size: int) -> None:
        """The file was truncated to ``size`` bytes: its source has ended, a new one begins at the first byte."""
        old = file.source
        before = file.seen[0] if file.seen else old.at
        lost = max(0, before - old.cursor)
        metrics.TRUNCATIONS.inc()
        metrics.LOST.inc(lost)
        structlog.get_logger().warning("file was truncated", path=old.path, source=old.name, unread_bytes=lost)
        old.size = max(before, old.size)
        self.ended.append(old)
        file.source = self._source(fresh_row(self._name(), old.path, old.place), file.number, b"")
        file.goal = size
        file.seen, file.more = None, True

    def close(self) -> None:
        """Close all handles."""
        for file in self.files.values():
            os.close(file.handle)
        self.files.clear()

    async def _open(self, found: list[Found], *, gone: bool) -> int:
        """Follow these files; how many of them cannot be read."""
        room = self.limit - len(self.files)
        if len(found) > room and not self._full:
            self._full = True
            structlog.get_logger().error(
                "too many files to keep open, the newest wait", limit=self.limit, files=len(found) + len(self.files)
            )
        found = found[: max(0, room)]
        opened = await self._disk.open([one.path for one in found])
        now = time.monotonic()
        for one, file in zip(found, opened, strict=True):
            if file.refused:
                self._say(one.path, "cannot read file", reason=file.refused)
                continue
            if file.place != one.place:
                # Renamed between the scan and the opening: what we hold is another file, found by the next scan.
                os.close(file.handle)
                self.stale = True
                continue
            try:
                source = await self._recognise(one, file)
            except OSError as error:
                os.close(file.handle)
                self._say(one.path, "cannot read file", reason=error.strerror or str(error))
                continue
            self.files[one.place] = File(one.path, file.handle, source, one.number, file.size, now)
            self.files[one.place].rename(one.path)
            self.files[one.place].gone = gone
        return sum(bool(file.refused) for file in opened)

    async def _recognise(self, found: Found, opened: Opened) -> Source:
        """The source we know in this place, if the file still begins as it did and is the same before our position."""
        row = self._known.get(found.place)
        if row is not None:
            before = await self._disk.bytes_before(opened.handle, row.position, row.anchor.length)
            del self._known[found.place]  # not before it could be read: else it would come back as a new source
            if opened.size >= row.position and same(opened.first, before, row.head, row.anchor):
                return self._source(row, found.number, before)
            structlog.get_logger().info("another file stands where a known one was", path=found.path, source=row.source)
            self.ended.append(self._source(row, found.number, b""))
        return self._source(fresh_row(self._name(), found.path, found.place), found.number, b"")

    def _name(self) -> str:
        """A name for a new source, chosen so that the partitions are used in turn: few files still use them all."""
        self._turn += 1
        name = new_source()
        while self._lanes and self._lane_of(name) != self._turn % self._lanes:
            name = new_source()
        return name

    def _source(self, row: Row, number: int, before: bytes) -> Source:
        shipper = self._settings.shipper
        encoder = Encoder(
            self._inputs[number], row.source, row.path, self._host, self._most_record_bytes, shipper.max_line_bytes
        )
        return Source(row, encoder, before)

    def _rotated_away(self, snapshot: Snapshot) -> list[Found]:
        """Files we know that no pattern matches now, found beside their old names, oldest first."""
        missing = {place: row for place, row in self._known.items() if place not in snapshot.found}
        beside: dict[str, dict[Place, str]] = {}
        rotated = []
        for place, row in missing.items():
            folder = os.path.dirname(row.path)  # noqa: PTH120 - a hundred times faster
            if folder not in beside:
                beside[folder] = siblings(folder)
            path = beside[folder].get(place)
            number = self._input_of(row.path)
            if path is not None and number is not None:
                rotated.append(Found(place, path, 0, row.updated, number))
        return sorted(rotated, key=lambda found: found.modified)

    def _input_of(self, path: str) -> int | None:
        for number, entry in enumerate(self._inputs):
            if any(fnmatchcase(path, pattern.replace("**/", "*")) for pattern in entry.paths):
                return number
        return None

    def _let_go(self) -> None:
        now = time.monotonic()
        for place in [place for place, file in self.files.items() if file.may_go(now)]:
            file = self.files.pop(place)
            os.close(file.handle)
            # Should it come back under a name that matches, it is still the source we know.
            self._known[place] = file.source.row(int(time.time()), clean=True)

    def _report(self, snapshot: Snapshot) -> None:
        for refused in snapshot.refused.values():
            self._say(refused.path, "not a log file, left alone", reason=refused.reason)
        for pattern in snapshot.empty:
            self._say(pattern, NO_FILE)

    def _say(self, path: str, what: str, **fields: str) -> None:
        """Each file and each reason once."""
        self.complaints[path] = fields.get("reason", what)
        key = f"{path}|{what}|{fields}"
        if key not in self._said:
            self._said.add(key)
            structlog.get_logger().warning(what, path=path, **fields)


def _raise_limit(wanted: int) -> int:
    """Let this process open as many files as it may; how many of them may be log files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else 1_048_576
    if soft < wanted + _LET_THROUGH:
        soft = min(most, wanted + _LET_THROUGH)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(wanted, soft - _LET_THROUGH))
