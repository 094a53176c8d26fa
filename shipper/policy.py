"""The settings of an input and what is known of a file to what is done with it. No I/O."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from tailrace.settings import Input

_IDLE_SECONDS = 1.0
_MOST_IDLE_SECONDS = 10.0
_IDLE_LOOKS = 500
"""Files that do not grow are looked at so many times a second, all together, if there are many of them."""


def idle_seconds(files: int) -> float:
    """How long a file that does not grow waits for its next look, when so many are followed."""
    return min(_MOST_IDLE_SECONDS, max(_IDLE_SECONDS, files / _IDLE_LOOKS))


def input_name(entry: Input) -> str:
    """What an input is known by from one start to the next: its patterns."""
    return "\n".join(sorted(entry.paths))


def is_too_old(entry: Input, modified: int, now: int) -> bool:
    """Whether a file that was never read is left alone for its age; both times in nanoseconds since 1970."""
    return 0 < entry.ignore_older_seconds < (now - modified) / 1e9


def is_inactive(entry: Input, still_seconds: float) -> bool:
    """Whether an open file has been still for so long that it is closed."""
    return 0 < entry.close_inactive_seconds <= still_seconds


def end_of(tail: bytes, size: int) -> int:
    """Where what is written from now on begins: behind the last line end of a file of ``size`` bytes.

    ``tail`` are its last bytes. Where no line ends in them, that is the end of the file.
    """
    found = tail.rfind(b"\n")
    return size if found < 0 else size - len(tail) + found + 1


class _Open(Protocol):
    """An open file; ``seen`` is its size and its time of change."""

    seen: tuple[int, int] | None

    @property
    def may_rest(self) -> bool: ...

    @property
    def has_room(self) -> bool: ...


_File = TypeVar("_File", bound=_Open)


def to_close(files: Iterable[_File], room: int) -> list[_File]:
    """Which files are closed so that ``room`` others can be read: the least recently written, all of them acknowledged.

    Those come last that may grow without a sign of it, which nobody sees once they are closed. Fewer where not so many
    may be closed; the others get their turn when these have been read.
    """
    resting = [file for file in files if file.may_rest]
    return sorted(resting, key=lambda file: (file.has_room, file.seen[1] if file.seen else 0))[: max(0, room)]
