"""One service of the demo as a process: its lines to its own log file, which it rotates and keeps.

``python -m tailrace.demo.fleet SERVICE FILE COUNTS PER_SECOND ROTATE_SECONDS`` writes until SIGTERM or SIGINT.
"""

import math
import os
import random
import signal
import struct
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NamedTuple, Self

from tailrace.demo.services import SERVICES

_COUNTS = struct.Struct("<QQQ")
_TICK_SECONDS = 0.02
_RAMP_SECONDS = 5.0
_MOST_TICKS = 10
"""After a standstill no more than so many ticks are made up for at once."""


class Counts(NamedTuple):
    """What a writer says it has written so far; each is a sum."""

    lines: int = 0
    """Those that are not blank: a stack trace may hold empty ones, of which nobody makes a record."""
    bytes: int = 0
    rotations: int = 0


def read_counts(file: Path) -> Counts:
    """The counts a writer keeps in its file; zeros before it has begun."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return Counts()
    return Counts(*_COUNTS.unpack(content)) if len(content) == _COUNTS.size else Counts()


class RotatedFile:
    """A log file that its writer renames: ``app.log`` becomes ``app.log.1``, that ``app.log.2``, and so on.

    Nothing is deleted, so that the files on disk are all that was ever written.
    """

    def __init__(self, path: Path, counts: Path) -> None:
        self._path = path
        self._file = path.open("ab", buffering=0)
        self._counter = os.open(counts, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.counts = Counts()

    def write(self, lines: bytes) -> None:
        """Append whole lines."""
        rest = memoryview(lines)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._count(Counts(sum(not line.isspace() for line in lines.splitlines(keepends=True)), len(lines), 0))

    def rotate(self) -> None:
        """Rename this generation and all before it, oldest first, and begin a new one."""
        for number in range(self.counts.rotations, 0, -1):
            os.rename(f"{self._path}.{number}", f"{self._path}.{number + 1}")  # noqa: PTH104 - names, not paths
        os.rename(self._path, f"{self._path}.1")  # noqa: PTH104 - as above
        self._file.close()
        self._file = self._path.open("ab", buffering=0)
        self._count(Counts(0, 0, 1))

    def close(self) -> None:
        """Close the file; all is written."""
        self._file.close()
        os.close(self._counter)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def _count(self, more: Counts) -> None:
        self.counts = Counts(*(old + new for old, new in zip(self.counts, more, strict=True)))
        os.pwrite(self._counter, _COUNTS.pack(*self.counts), 0)


class Stop:
    """Whether SIGTERM or SIGINT has come. Without a lock: a handler of Python runs in the midst of whatever it meets.

    Hazard: a ``threading.Event`` waits for ever when it is set while its own waiter holds its lock.
    """

    def __init__(self) -> None:
        self.is_set = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._set)

    def _set(self, _number: int, _frame: FrameType | None) -> None:
        self.is_set = True


def write(name: str, file: RotatedFile, per_second: float, rotate_seconds: float, stop: Stop) -> None:
    """Let a service live until the stop: about so many things a second, in gentle waves, a rotation now and then.

    It begins slowly, as services do.
    """
    happen = SERVICES[name](random.Random())  # noqa: S311 - made-up traffic
    begun = last = time.monotonic()
    rotate_at = begun + rotate_seconds
    due = 0.0
    while not stop.is_set:
        time.sleep(_TICK_SECONDS)
        now = time.monotonic()
        wave = (1 + 0.3 * math.sin((now - begun) / 3)) * min(1.0, 0.2 + (now - begun) / _RAMP_SECONDS)
        due += min(now - last, _TICK_SECONDS * _MOST_TICKS) * per_second * wave
        last = now
        if due >= 1:
            file.write(happen(int(due)))
            due -= int(due)
        if now >= rotate_at:
            file.rotate()
            rotate_at += rotate_seconds


def main(name: str, path: str, counts: str, per_second: str, rotate_seconds: str) -> None:
    """Run one service until a signal."""
    stop = Stop()
    with RotatedFile(Path(path), Path(counts)) as file:
        write(name, file, float(per_second), float(rotate_seconds), stop)


if __name__ == "__main__":
    main(*sys.argv[1:])
