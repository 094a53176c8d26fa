"""One followed file: its open handle, the source in it, and when to look at it again. No I/O."""

from collections.abc import Iterable
from typing import NamedTuple

from shipper.disk import Look, Request
from shipper.extent import LEAST_ROOM
from shipper.identity import begins_with, head_of
from shipper.names import shown
from shipper.source import Source
from shipper.unpack import Handle, Unpacked

ACTIVE_SECONDS = 10.0
"""A file that grew within so many seconds is looked at every ``poll_seconds``, others less often."""
IDLE_SECONDS = 1.0
GAP_SECONDS = 1.0
"""NULs with text behind them, in room, that are there for so long were not written: the text behind is read."""
GONE_SECONDS = 30.0
"""A file without a name that matches is let go when it has been read and still for so long."""


class Gap(NamedTuple):
    """NULs with text behind them: where they begin (-1: there are none), since when that is seen, and where text ends.

    All as at the first look that saw them.
    """

    offset: int = -1
    since: float = 0.0
    end: int = 0


class File:
    """A file being followed.

    ``path`` is its name as the system has it, which need not be text. ``seen`` is where its text ended and its time of
    change as last looked at (None: look whatever they are), ``stamp`` the same with the room behind its text; ``gap``
    is what is waited for in room, and NULs before ``solid`` are not waited for any more. ``goal`` is the size up to
    which ``--once`` reads it; ``gone`` says that no name of it matches an input any more; ``closed`` that its handle
    must not be used; ``fault`` is why it could not be read the last time. Times are monotonic seconds.
    """

    __slots__ = (
        "active_until",
        "closed",
        "fault",
        "gap",
        "goal",
        "gone",
        "grew",
        "handle",
        "looked_at",
        "more",
        "next_look",
        "number",
        "path",
        "seen",
        "solid",
        "source",
        "stamp",
    )

    def __init__(self, path: str, handle: Handle, source: Source, number: int, goal: int, now: float) -> None:
        self.path = path
        self.handle = handle
        self.source = source
        self.number = number
        self.goal = goal
        self.seen: tuple[int, int] | None = None
        self.stamp: tuple[int, int] | None = None
        self.gap = Gap()
        self.solid = 0
        self.more = True
        self.gone = False
        self.closed = False
        self.fault = ""
        self.grew = self.looked_at = now
        self.active_until = now + ACTIVE_SECONDS
        self.next_look = now

    def rename(self, path: str) -> None:
        """It has this name now; documents and the registry have it with what is no UTF-8 replaced."""
        self.path = path
        name = shown(path)
        if name != self.source.path:
            self.source.path = name
            self.source.encoder.rename(name)

    def request(self, most: int, now: float, patience: float) -> Request:
        """What to read of it now; NULs that were seen for so long and have text behind them are read, too.

        And with them all others before the end of the text as it was then.
        """
        source = self.source
        back = len(source.anchor)
        waits = self.gap.offset >= 0
        if waits and now - self.gap.since >= patience:
            self.solid = self.gap.end
        stamp = None if self.more or self.seen is None or waits else self.stamp
        end = self.seen[0] if self.seen is not None else 0
        room = waits or (self.stamp is not None and self.stamp[0] > end + LEAST_ROOM)
        head = source.head.length
        return Request(self.handle, source.at - back, most + back, stamp, source.at, end, self.solid, head, room)

    def saw(self, look: Look, now: float, poll_seconds: float, idle_seconds: float) -> None:
        """Take in what a look says of it."""
        self.stamp = look.stamp
        if look.gap != self.gap.offset:
            self.gap = Gap(look.gap, now, look.seen[0])
        self.looked(look.seen, now, poll_seconds, idle_seconds)

    def looked(
        self, seen: tuple[int, int] | None, now: float, poll_seconds: float, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        """It was looked at, and is as ``seen``; a file that has been still for long is next due in ``idle_seconds``."""
        if self.seen is None or seen != self.seen:
            self.grew = now
            self.active_until = now + ACTIVE_SECONDS
        self.seen = seen
        self.looked_at = now
        self.more = False
        self.next_look = now + (poll_seconds if now < self.active_until else idle_seconds)

    def head_fits(self, first: bytes) -> bool:
        """Whether the file still begins as it did; a head that is not yet full grows with it."""
        if not begins_with(first, self.source.head):
            return False
        if len(first) > self.source.head.length:
            self.source.head = head_of(first)
        return True

    def wants_cut(self, now: float, patience: float) -> bool:
        """Whether its unterminated last line, or its record that may go on, has waited long enough.

        ``patience`` is for the line; a record has its own, unless there is none at all.
        """
        source = self.source
        if patience and not source.waits_for_delimiter:
            patience = source.encoder.flush_seconds
        waits = source.open_bytes > 0 and self.gap.offset < 0 and not self.more and self.is_whole
        return waits and now - self.grew >= patience

    @property
    def is_plain(self) -> bool:
        """Whether it is not compressed: of a compressed file, how large it will be is only guessed."""
        return not isinstance(self.handle, Unpacked)

    @property
    def is_whole(self) -> bool:
        """Whether its bytes as seen are all there are: not of a compressed file that is still being written."""
        return not isinstance(self.handle, Unpacked) or self.handle.ended

    @property
    def reached_goal(self) -> bool:
        """Whether what was there when it was opened has been read."""
        return self.is_read() if isinstance(self.handle, Unpacked) else self.source.cursor >= self.goal

    def is_read(self) -> bool:
        """Whether nothing is left of it to read, as far as was seen."""
        return (
            not self.more
            and self.is_whole
            and not self.source.open_bytes
            and self.seen is not None
            and self.source.at >= self.seen[0]
        )

    @property
    def may_rest(self) -> bool:
        """Whether it can be closed until it changes: read, acknowledged, and with a name by which it is found again."""
        plain = not isinstance(self.handle, Unpacked) and not self.fault
        return plain and not self.gone and self.is_read() and self.source.settled

    @property
    def has_room(self) -> bool:
        """Whether lines may come without a sign of it: into room, when the file is mapped into memory."""
        return self.stamp is not None and self.seen is not None and self.stamp[0] > self.seen[0]

    @property
    def still_seconds(self) -> float:
        """How long it was seen to be still; what was not looked at, because Kafka took no more, may have grown."""
        return self.looked_at - self.grew

    @property
    def may_go(self) -> bool:
        """Whether it can be let go: read and acknowledged, and compressed, or without a name and still for a while."""
        if isinstance(self.handle, Unpacked):
            return self.is_read() and self.source.settled
        return self.gone and self.is_read() and self.source.settled and self.still_seconds > GONE_SECONDS


def behind(files: Iterable[File]) -> int:
    """Bytes written to these files, as far as was seen, and not yet acknowledged."""
    known = ((file.seen[0], file.source.watermark.position) for file in files if file.seen)
    return sum(max(0, end - position) for end, position in known)
