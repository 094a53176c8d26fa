"""What was followed, and what could not be, to the account of a run with ``--once``. No I/O."""

from collections.abc import Iterable
from typing import Protocol

import msgspec

from shipper.source import Source
from tailrace.settings import Input


class Shipped(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended; ``complete`` if everything that was there at its start is acknowledged.

    ``unread`` has what the settings name and could not be shipped, by path or pattern, with the reason.
    """

    complete: bool
    files: int
    repeated: int
    """Records sent that an earlier run, or an earlier try, may have sent already: they carry the flag ``r``."""
    unread: dict[str, str]


class _Followed(Protocol):
    """The files of a run, those closed meanwhile (``past``), and what was said of each path and pattern."""

    complaints: dict[str, str]
    past: dict[str, int]

    @property
    def sources(self) -> list[Source]: ...


def shipped(followed: _Followed, inputs: Iterable[Input], *, complete: bool) -> Shipped:
    """The account of a run.

    What a wildcard happens to match beside log files (a folder, a FIFO, a socket) is left alone and no fault. A pattern
    that matches nothing is one only if no pattern of its input does: inputs name alternatives.
    """
    inputs, sources, complaints = list(inputs), followed.sources, followed.complaints
    patterns = {pattern for entry in inputs for pattern in entry.paths}
    hopeless = {
        pattern
        for entry in inputs
        if all(complaints.get(pattern) == NO_FILE for pattern in entry.paths)
        for pattern in entry.paths
    }
    unread = {
        path: why
        for path, why in complaints.items()
        if (path in hopeless if why == NO_FILE else path in patterns or not why.startswith("it is "))
    }
    return Shipped(
        complete=complete,
        files=len({*followed.past, *(source.name for source in sources)}),
        repeated=sum(followed.past.values()) + sum(source.repeated for source in sources),
        unread=unread,
    )


NO_FILE = "no file matches yet"
"""What is said of a pattern that matches nothing."""
