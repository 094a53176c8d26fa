"""The patterns of all inputs to one snapshot, though the disk under some of them may hang."""

import asyncio
import contextlib
import glob
import os
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple

from shipper.disk import HUNG_SECONDS, Disk
from shipper.identity import Place
from shipper.mounts import Mount, mount_of, mounts
from shipper.plan import Snapshot, merged
from shipper.recognise import Memory
from shipper.rotated import Moved, Rotated, beside
from shipper.scan import search
from shipper.watch import Watch
from tailrace.settings import Input


class Pattern(NamedTuple):
    """One pattern of an input; ``number`` is the input's place in the settings."""

    number: int
    text: str
    exclude: tuple[str, ...]


_Answer = dict[Pattern, Snapshot]


class Survey:
    """Asks for what each pattern matches, and remembers the last answer of each.

    Patterns that reach into several file systems are each searched on a thread of their own; the others share one
    for each file system. A search that does not answer is not waited for: its last answer stands until it does.
    """

    def __init__(self, inputs: Sequence[Input], disk: Disk) -> None:
        self.watch: Watch | None = None
        self.seconds = 0.0
        """How long the last look around took."""
        self.stale = False
        """A search that was not waited for has answered since."""
        self._patterns = [
            Pattern(number, text, tuple(entry.exclude)) for number, entry in enumerate(inputs) for text in entry.paths
        ]
        self._inputs = inputs
        self._disk = disk
        self._answers: _Answer = {}
        self._running: dict[str, asyncio.Future[_Answer]] = {}

    async def snapshot(self) -> Snapshot:
        """Everything that matches now, as far as the disks answer."""
        began = time.monotonic()
        table = mounts()
        searches: dict[str, list[Pattern]] = {}
        for pattern in self._patterns:
            searches.setdefault(_search_of(pattern.text, table), []).append(pattern)
        jobs = [self._begin(name, patterns) for name, patterns in searches.items() if name not in self._running]
        if jobs:
            await asyncio.wait(jobs, timeout=HUNG_SECONDS)
        self._disk.report()
        self.seconds, self.stale = time.monotonic() - began, False
        for name in [name for name, job in self._running.items() if job.done()]:
            self._answers |= self._running.pop(name).result()
        return merged([self._answers[pattern] for pattern in self._patterns if pattern in self._answers])

    async def beside(self, moved: Iterable[Moved], snapshot: Snapshot, memory: Memory) -> list[Rotated]:
        """The files beside those that moved; none from a disk that does not answer."""
        table = mounts()
        by_mount: dict[str, list[Moved]] = {}
        for one in moved:
            by_mount.setdefault(f"{_search_of(one.path, table)}, for rotated files", []).append(one)
        found: dict[Place, Rotated] = {}
        for name, some in by_mount.items():
            with contextlib.suppress(TimeoutError):
                search_beside = partial(beside, some, self._inputs, snapshot, memory)
                found |= {one.found.place: one for one in await self._disk.run(search_beside, name)}
        return list(found.values())

    async def is_folder(self, path: str) -> bool:
        """Whether a folder is there; no if its disk does not answer."""
        try:
            return await self._disk.run(partial(os.path.isdir, path), f"{_search_of(path, mounts())}, for folders")
        except TimeoutError:
            return False

    def has_answered(self, number: int) -> bool:
        """Whether all patterns of an input were ever searched."""
        return all(pattern in self._answers for pattern in self._patterns if pattern.number == number)

    def _begin(self, name: str, patterns: list[Pattern]) -> "asyncio.Future[_Answer]":
        job = self._disk.submit(name, partial(_search, name, patterns, self.watch))
        self._running[name] = job
        job.add_done_callback(self._answered)
        return job

    def _answered(self, _job: "asyncio.Future[_Answer]") -> None:
        self.stale = True


def _search(name: str, patterns: list[Pattern], watch: Watch | None) -> _Answer:
    if watch is not None:
        # Before the search, so that what appears after it is told.
        watch.follow(name, sorted({folder for pattern in patterns for folder in folders_of(pattern.text)}))
    return {pattern: search(pattern.number, pattern.text, pattern.exclude) for pattern in patterns}


def folders_of(pattern: str) -> set[str]:
    """The folders in which something may appear that changes what the pattern matches.

    Those that its own folders match, and the nearest that is there of the part before the first wildcard.
    """
    folder = os.path.dirname(pattern)  # noqa: PTH120 - a pattern, not a path
    found: set[str] = set()
    while glob.has_magic(folder):
        matching = glob.glob(folder + "/", recursive=True, include_hidden=True)  # noqa: PTH207 - much faster
        found.update(path.rstrip("/") for path in matching)
        folder = os.path.dirname(folder)  # noqa: PTH120
    while folder != "/" and not os.path.isdir(folder):  # noqa: PTH112
        folder = os.path.dirname(folder)  # noqa: PTH120
    found.add(folder)
    return found


def _search_of(pattern: str, table: list[Mount]) -> str:
    """Which patterns share a thread: those of one file system, unless another is mounted where they look."""
    base = pattern
    while glob.has_magic(base):
        base = os.path.dirname(base)  # noqa: PTH120
    below = base.rstrip("/") + "/"
    own = mount_of(base, table)
    if own is None or any(mount.folder.startswith(below) for mount in table):
        return f"search for {pattern}"
    return f"search below {own.folder}"
