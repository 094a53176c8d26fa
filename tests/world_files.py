"""A log and what rotation makes of it, as real files whose times are those of a world."""

import gzip
import os
import random
import re
import shutil
import string
import tempfile
from pathlib import Path
from typing import NamedTuple

_TOKEN = re.compile(rb"<(\d+)>")
_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - files in memory are quick
_MOST_SIBLINGS = 40


class Clock:
    """Time that passes when the world says so, and by a millisecond whenever a file is changed."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.set = 0.0
        """By how much somebody set the wall clock."""

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_700_000_000 + self.now + self.set

    def time_ns(self) -> int:
        return int(self.time() * 1000) * 10**6


class Packing(NamedTuple):
    """A file that is being compressed, and what it becomes."""

    plain: Path
    packed: Path
    whole: bytes


class Logs:
    """``app.log`` and its siblings in a folder of their own. Every piece that is written has a number of its own."""

    def __init__(self, clock: Clock) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=_MEMORY))
        self.live = self.folder / "app.log"
        self.links = [self.folder / "kept", self.folder / "kept.log", self.folder / "0.log"]
        """Second names of a log: one that no pattern matches, one behind its first name in order, one before it."""
        self.banner = ""
        """What a service writes first into each log that it begins."""
        self.pieces = 0
        self._clock = clock
        self.packing: Packing | None = None

    def append(self, path: Path, count: int, length: int, end: str) -> None:
        """So many pieces, each with its number and as many letters, in one write."""
        text = "" if path.exists() and path.stat().st_size else self.banner
        for number in range(count):
            self.pieces += 1
            text += f"<{self.pieces}>" + letters(self.pieces, length) + ("\n" if number < count - 1 else end)
        with path.open("a") as file:
            file.write(text)
        self._stamp(path)

    def rename(self) -> None:
        """app.log becomes app.log.1, that app.log.2, and so on."""
        self._shift()
        self.live.rename(self.sibling(1))

    def copytruncate(self, *, torn: bool) -> None:
        """The log is copied, and emptied; what comes in between (``torn``) is in no copy."""
        self._shift()
        shutil.copyfile(self.live, self.sibling(1))
        self._stamp(self.sibling(1))
        if torn:
            self.append(self.live, 1, 5, "\n")
        self.truncate()

    def truncate(self) -> None:
        """Somebody empties the log."""
        os.truncate(self.live, 0)
        self._stamp(self.live)

    def begin_to_compress(self, which: int, part: float) -> None:
        """A compressed file grows beside a rotated one; the time of that one's last change is set in the end."""
        self.finish_compressing()
        siblings = [path for path in self.plain_siblings() if not path.with_name(path.name + ".gz").exists()]
        if not siblings:
            return  # gzip writes over nothing
        plain = siblings[which % len(siblings)]
        packed = plain.with_name(plain.name + ".gz")
        whole = gzip.compress(plain.read_bytes(), 1, mtime=0)
        packed.write_bytes(whole[: int(part * len(whole))])
        self._stamp(packed)
        self.packing = Packing(plain, packed, whole)

    def finish_compressing(self) -> None:
        """The compressed file is whole, and the other one deleted; in between it was renamed or deleted, perhaps."""
        if self.packing is None:
            return
        plain, packed, whole = self.packing
        self.packing = None
        status = plain.stat()
        packed.write_bytes(whole)
        os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
        plain.unlink()

    def delete(self) -> None:
        """Somebody deletes the log; the service makes it anew when it writes again."""
        self.live.unlink()

    def replace(self) -> None:
        """The log has another inode now, and is otherwise as it was."""
        fresh = self.folder / "fresh"
        shutil.copyfile(self.live, fresh)
        self._stamp(fresh)
        fresh.rename(self.live)

    def link(self, which: int) -> None:
        """The log gets a second name."""
        self.links[which].hardlink_to(self.live)

    @property
    def is_linked(self) -> bool:
        """Whether a log stands, or stood, under a second name that matches a pattern."""
        return any(link.exists() for link in self.links[1:])

    def sibling(self, number: int, packed: str = "") -> Path:
        """The rotated file of that number."""
        return self.folder / f"app.log.{number}{packed}"

    def plain_siblings(self) -> list[Path]:
        """Rotated files that are not compressed, the newest first."""
        return [path for number in range(1, _MOST_SIBLINGS) if (path := self.sibling(number)).exists()]

    def numbers(self) -> set[int]:
        """The numbers of all pieces that are there to be read."""
        self.finish_compressing()
        return {number for path in self.folder.iterdir() if path != self.links[0] for number in numbers_in(path)}

    def remove(self) -> None:
        """Take everything away."""
        shutil.rmtree(self.folder)

    def _shift(self) -> None:
        self.finish_compressing()  # as logrotate does: one step ends before the next begins
        for number in range(_MOST_SIBLINGS, 0, -1):
            for packed in ("", ".gz"):
                if self.sibling(number, packed).exists():
                    self.sibling(number, packed).rename(self.sibling(number + 1, packed))

    def _stamp(self, path: Path) -> None:
        self._clock.now += 0.001
        os.utime(path, ns=(self._clock.time_ns(),) * 2)


def letters(number: int, length: int) -> str:
    """Letters that no other piece has: nobody could tell two pieces of the same bytes apart."""
    return "".join(random.Random(number).choices(string.ascii_lowercase, k=length))


def is_deleted(handle: int) -> bool:
    """Whether an open file has no name any more."""
    return os.fstat(handle).st_nlink == 0


def numbers_in(path: Path) -> set[int]:
    """The numbers of the pieces that a file holds, compressed or not."""
    held = path.read_bytes()
    return numbers_of(gzip.decompress(held) if path.suffix == ".gz" else held)


def numbers_of(text: bytes) -> set[int]:
    """The numbers of the pieces in a text."""
    return {int(number) for number in _TOKEN.findall(text)}
