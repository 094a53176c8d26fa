"""Loads that want to send to those that may, first come first served, as many at a time as the pace allows."""

import asyncio
from collections import deque

from indexer.pace import Pace
from tailrace import metrics


class Turns:
    """Who may send now. A turn that was taken must be given back, whatever came of it."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self.taken = 0
        """How many are sending."""

    async def take(self) -> bool:
        """Wait for a turn; False if there is none, but a reason to look whether it is still wanted."""
        if not self._waiting and self.taken < self._pace.requests:
            self._count(1)
            return True
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif not turn.cancelled() and turn.result():
                self.give_back()
            raise

    def give_back(self) -> None:
        """The turn is over: others have theirs."""
        self._count(-1)
        while self._waiting and self.taken < self._pace.requests:
            turn = self._waiting.popleft()
            if not turn.done():  # else it is being cancelled
                self._count(1)
                turn.set_result(True)

    def release(self) -> None:
        """Let all who wait look whether they still want to send."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(False)

    def _count(self, change: int) -> None:
        self.taken += change
        metrics.REQUESTS_IN_FLIGHT.set(self.taken)
