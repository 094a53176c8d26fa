"""What came of bulk requests to how large the next may be, and how many may be in flight. No I/O.

As TCP does with a network (RFC 5681): a little more after each good answer, half after trouble. All nodes of a cluster
share one pace, for they share its work.
"""

import enum
import sys
from collections.abc import Sequence
from typing import NamedTuple

from indexer.bulk import Whole
from indexer.load import Again

_LEAST_BYTES = 65_536
"""Smaller requests would not be answered sooner; only one that is refused as too large makes them smaller still."""
_STEPS = 32
"""A request grows by this part of the largest at most, and by an eighth of itself."""
_ANSWERS_FOR_ONE_MORE = 4
"""So many good answers for each request in flight allow one more."""
_PROOFS = 3
"""So often requests of a size must break the connection, with smaller ones stored before each time, to be too large."""
_CAP_ANSWERS = 1000
"""After so many good answers a size that was once too large is tried again: whoever refused it may be changed."""


class Sign(enum.Enum):
    """What an answer says of how the cluster is doing."""

    GOOD = "good"
    FULL = "full"
    """A node had no room (429)."""
    AWAY = "away"
    """No answer, or one of somebody who takes nothing."""
    TOO_LARGE = "too_large"
    """The request has more bytes than is taken (413)."""
    BROKEN = "broken"
    """The connection ended before an answer: that of somebody who is away, or who takes no request of that size."""
    SLOW = "slow"
    """It took too long, whatever the answer."""
    NONE = "none"
    """It is about the documents."""


class Begun(NamedTuple):
    """A request on its way, as it was when it began."""

    size: int
    turn: int
    """How often the pace was slower before: what began before a slowdown says nothing of the pace after it."""
    large: bool
    """Whether it made use of the size it might have."""
    crowded: bool
    """Whether it was the last that might be in flight."""


class Pace:
    """How large a bulk request may be (``bytes``), and how many may be in flight (``requests``).

    Never more than the settings say, never less than one request, which may always be of one record, however large.
    Each request is to be told of twice, ``begin`` and ``end``. The hazard: an answer counts as good for the limits it
    made use of, so that a trickle neither grows nor proves anything.
    """

    def __init__(self, most_bytes: int, most_requests: int, slow_seconds: float) -> None:
        self._most_bytes = most_bytes
        self._most_requests = most_requests
        self._slow_seconds = slow_seconds
        self.bytes = most_bytes
        self._requests = float(most_requests)
        self._turn = 0
        self._cap = most_bytes
        self._good = 0
        self._known = 0
        self._calm = True
        self._breaking = sys.maxsize
        self._passed = False
        self._proofs = 0

    @property
    def requests(self) -> int:
        """How many bulk requests may be in flight now."""
        return int(self._requests)

    def begin(self, size: int, in_flight: int) -> Begun:
        """A request of ``size`` bytes goes, and is the ``in_flight``-th on its way."""
        return Begun(size, self._turn, large=2 * size >= self.bytes, crowded=in_flight >= self.requests)

    def end(self, begun: Begun, sign: Sign, seconds: float) -> Sign | None:
        """It was answered after ``seconds``, or never will be; returns why we are slower now, or None if we are not."""
        if sign is Sign.TOO_LARGE or (sign is Sign.BROKEN and self._breaks_by_size(begun)):
            return self._cap_at(max(1, begun.size // 2))
        if sign is Sign.NONE or begun.turn != self._turn:
            return None
        slow = seconds > self._slow_seconds
        if sign is Sign.GOOD and not slow:
            self._grow(begun)
            return None
        self._remember(away=not slow and sign in (Sign.AWAY, Sign.BROKEN))
        if not self._shrink(size_first=slow):
            return None
        self._turn += 1
        return Sign.SLOW if slow else sign

    def _remember(self, *, away: bool) -> None:
        """Half the size that was good before somebody went away is soon reached again, as RFC 5681 holds ssthresh."""
        if not away:
            self._known = 0
        elif self._calm:
            self._known = self.bytes // 2
        self._calm = False

    def _breaks_by_size(self, begun: Begun) -> bool:
        """Whether it is no accident any more that requests of this size break the connection: smaller ones do not."""
        if not begun.large:
            return False
        if begun.size < self._breaking:
            self._breaking, self._proofs = begun.size, 0
        self._proofs += self._passed
        self._passed = False
        return self._proofs >= _PROOFS

    def _pass(self, size: int) -> None:
        self._passed = size < self._breaking
        if not self._passed:
            self._breaking, self._proofs = sys.maxsize, 0

    def _cap_at(self, size: int) -> Sign | None:
        self._good = 0
        if size >= self._cap:
            return None
        self._cap = size
        if self.bytes <= size:  # a request that began before the last slowdown was as large
            return None
        self.bytes = size
        return Sign.TOO_LARGE

    def _grow(self, begun: Begun) -> None:
        self._pass(begun.size)
        self._calm = True
        self._good += 1
        if self._cap < self._most_bytes and self._good >= _CAP_ANSWERS:
            self._good = 0
            self._cap = min(self._most_bytes, 2 * self._cap)
        if begun.large:
            step = max(1, min(self.bytes // 8, self._most_bytes // _STEPS), min(self.bytes, self._known - self.bytes))
            self.bytes = min(self._cap, self.bytes + step)
        if begun.crowded:
            self._requests = min(self._most_requests, self._requests + 1 / (_ANSWERS_FOR_ONE_MORE * self.requests))

    def _shrink(self, *, size_first: bool) -> bool:
        """Slower by half: fewer requests help a full cluster, smaller ones a slow one. False at the least there is."""
        least = min(_LEAST_BYTES, self._cap)
        if self.bytes > least and (size_first or self.requests == 1):
            self.bytes = max(least, self.bytes // 2)
        elif self.requests > 1:
            self._requests = max(1.0, self._requests / 2)
        else:
            return False
        return True


def sign(status: int, whole: Whole, again: Sequence[Again]) -> Sign:
    """What an answer with this HTTP status, and these records to be sent again, says of the cluster."""
    if status == 429 or any(one.full for one in again):
        return Sign.FULL
    if whole is Whole.TOO_LARGE:
        return Sign.TOO_LARGE
    if whole is Whole.MALFORMED:
        return Sign.NONE
    if whole is Whole.BROKEN:
        return Sign.BROKEN
    return Sign.AWAY if again else Sign.GOOD
