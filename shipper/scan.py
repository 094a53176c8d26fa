"""Globs to a snapshot of the files that match them."""

import fnmatch
import glob
import os
import stat
from collections.abc import Iterable

from shipper.identity import Place
from shipper.plan import Found, Refused, Snapshot, merged
from tailrace.settings import Input

_KINDS = {
    stat.S_IFDIR: "it is a directory",
    stat.S_IFIFO: "it is a FIFO",
    stat.S_IFSOCK: "it is a socket",
    stat.S_IFCHR: "it is a device",
    stat.S_IFBLK: "it is a device",
}


def scan(inputs: Iterable[Input]) -> Snapshot:
    """Look at everything that matches; of several names of one file the first in order counts, once."""
    return merged(
        search(number, pattern, entry.exclude) for number, entry in enumerate(inputs) for pattern in entry.paths
    )


def search(number: int, pattern: str, exclude: Iterable[str]) -> Snapshot:
    """Look at everything that one pattern of the input of that number matches."""
    snapshot = Snapshot({}, {}, [])
    paths = sorted(glob.glob(pattern, recursive=True, include_hidden=True))  # noqa: PTH207 - a hundred times faster
    if not paths:
        snapshot.empty.append(pattern)
    for path in paths:
        if not any(fnmatch.fnmatchcase(path, excluded) for excluded in exclude):
            _look(path, number, snapshot.found, snapshot.refused)
    return snapshot


def place_of(path: str) -> Place | None:
    """Where the file of that name lives; None if there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - called for every file
    except OSError:
        return None
    return Place(status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


def siblings(folder: str, number: int) -> list[Found]:
    """The regular files of a folder under all their names, as found by that input; empty if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            files = [entry for entry in entries if entry.is_file(follow_symlinks=False)]
            return [_found(file.path, file.stat(), number) for file in files]
    except OSError:
        return []


def _found(path: str, status: os.stat_result, number: int) -> Found:
    return Found(Place(status.st_dev, status.st_ino), path, status.st_size, status.st_mtime_ns, number)


def _look(path: str, number: int, found: dict[Place, Found], refused: dict[str, Refused]) -> None:
    try:
        status = os.stat(path)  # noqa: PTH116 - called for every file
    except FileNotFoundError:
        if os.path.islink(path):  # noqa: PTH114 - as the others here; else it has gone since the folder was read
            refused[path] = Refused(path, "its link points nowhere")
        return
    except OSError as error:
        refused[path] = Refused(path, error.strerror or str(error))
        return
    if not stat.S_ISREG(status.st_mode):
        refused[path] = Refused(path, _KINDS.get(stat.S_IFMT(status.st_mode), "it is no regular file"))
        return
    one = _found(path, status, number)
    found.setdefault(one.place, one)
