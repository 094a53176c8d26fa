"""A rate to numbered lines in a file that logrotate takes away: in pieces that end anywhere, each line written once."""

import os
import random
import time
from pathlib import Path

from tailrace.torture.ground import Ground, Way

TICK_SECONDS = 0.02
_MOST_SECONDS = 1.0
"""After a standstill no more than so much is made up for at once."""


class Writer:
    """Writes as a service does that looks, before each write, whether its file is still the one of that name.

    A piece ends anywhere in a line; its rest comes with the next, or, when the file goes, before that. ``lines`` were
    begun, and all of them are whole after ``close``.
    """

    def __init__(self, ground: Ground, way: Way, lines_per_second: float) -> None:
        self.way = way
        self.lines = 0
        self._rate = lines_per_second
        self._path = ground.log(way)
        self._hold, self._held = ground.hold(way), ground.held(way)
        self._handle = _open(self._path)
        self._rest = b""
        self._due = 0.0
        self._last = time.monotonic()
        self._dice = random.Random()  # noqa: S311 - where a piece ends

    def tick(self) -> None:
        """Write what is due by now, unless we are told to wait."""
        now = time.monotonic()
        self._due = min(self._due + (now - self._last) * self._rate, _MOST_SECONDS * self._rate)
        self._last = now
        if self._hold.exists():
            if not self._held.exists():
                self._end_line()
                self._held.touch()
            return
        if not _is_at(self._handle, self._path):
            self._end_line()
            os.close(self._handle)
            self._handle = _open(self._path)
        count = int(self._due)
        if not count:
            return
        self._due -= count
        text = self._rest + b"".join(_line(self.way, number) for number in range(self.lines, self.lines + count))
        self.lines += count
        end = self._dice.randrange(len(text) // 2, len(text) + 1)
        _write(self._handle, text[:end])
        self._rest = text[end:]

    def close(self) -> None:
        """End what was begun."""
        self._end_line()
        os.close(self._handle)

    def _end_line(self) -> None:
        _write(self._handle, self._rest)
        self._rest = b""


def _line(way: Way, number: int) -> bytes:
    return (
        f'{{"timestamp":"2026-11-23T18:{number // 60_000 % 60:02d}:{number // 1000 % 60:02d}.{number % 1000:03d}Z",'
        f'"level":"info","message":"request served","way":"{way}","n":{number},"user":"u-{number * 7919 % 9973}"}}\n'
    ).encode()


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _is_at(handle: int, path: Path) -> bool:
    """Whether the open file is the one of that name; also while no file has the name, for one is about to."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return True


def _write(handle: int, text: bytes) -> None:
    rest = memoryview(text)
    while rest:
        rest = rest[os.write(handle, rest) :]
