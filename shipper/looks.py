"""When somebody last looked at the file system, on the clock as it is now: it may have been set back since."""

import time
from collections.abc import Iterable

from shipper.steps import Reading, drift

_SECOND = 10**9


class Looks:
    """The times of looks.

    ``last`` is the time of the look before the present one, nanoseconds since 1970 (0: there was none).
    """

    def __init__(self) -> None:
        self.last = 0
        self._reading = Reading(0, 0)
        self._updated = time.time_ns() // _SECOND

    @property
    def wall(self) -> int:
        """When the present look began, nanoseconds since 1970."""
        return self._reading.wall

    @property
    def updated(self) -> int:
        """Up to when (seconds since 1970) everything that was seen has been decided on."""
        return self._updated + min(0, drift(self._reading, _now(time.time_ns()))) // _SECOND

    def begin(self, looked: int) -> int:
        """A look has begun at ``looked``; by how much the clock was set back before (both in nanoseconds, below 0)."""
        reading = _now(looked)
        back = min(0, drift(self._reading, reading))
        self._updated += back // _SECOND
        self.last, self._reading = self._reading.wall + back, reading
        return back

    def end(self, doubts: Iterable[int]) -> None:
        """It has ended; there are logs of which nothing later than these times (nanoseconds since 1970) is known.

        After a restart what is in doubt must be found again, so for that no time has passed.
        """
        self._updated = min([self.wall, *doubts]) // _SECOND


def _now(wall: int) -> Reading:
    return Reading(wall, int(time.monotonic() * _SECOND))
