"""Timers and the file system's hints to searches in the background, and what these found to the files followed."""

import asyncio
import time
from collections.abc import Callable

from shipper.follow import Follow
from shipper.plan import Snapshot
from shipper.watch import Watch

_HINT_SECONDS = 0.2
"""A folder in which files come and go all the time is not looked at more often than this."""
_REST = 10
"""After a search, at least so many times what it took passes before a hint brings the next."""


class Lookout:
    """Searches when it is time or when something happened; one at a time, and beside the reading.

    With ``once`` only what Follow itself asks for brings another search.
    """

    def __init__(self, follow: Follow, rescan_seconds: float, wake: Callable[[], None], *, once: bool) -> None:
        self._follow = follow
        self._survey = follow.survey
        self._rescan_seconds = rescan_seconds
        self._wake = wake
        self._once = once
        self._watch = self._survey.watch = Watch(wake)
        self._search: asyncio.Task[Snapshot] | None = None
        self._looked = 0
        self._rescan_at = self._hint_at = 0.0

    async def first(self) -> None:
        """The first look, in which what we know is found again."""
        looked = time.time_ns()
        await self._follow.act(await self._survey.snapshot(), looked, first=True, once=self._once)
        self._rest()

    async def turn(self) -> float:
        """Act on what a search found, or begin one if it is due; in how many seconds the next is, at the latest."""
        now = time.monotonic()
        if self._search is not None and self._search.done():
            search, self._search = self._search, None
            await self._follow.act(search.result(), self._looked, first=False, once=self._once)
            self._rest()
            return 0.0
        hinted = self._follow.stale or ((self._watch.hint or self._survey.stale) and not self._once)
        rescan_at = float("inf") if self._once else self._rescan_at
        if self._search is None and (now >= rescan_at or (hinted and now >= self._hint_at)):
            self._watch.hint = False
            self._looked = time.time_ns()
            self._search = asyncio.create_task(self._survey.snapshot())
            self._search.add_done_callback(lambda _search: self._wake())
        if self._search is not None:
            return self._rescan_seconds
        return max(0.0, (self._hint_at if hinted else rescan_at) - now)

    async def stop(self) -> None:
        """End what runs; a search that hangs is left behind."""
        self._watch.stop()
        if self._search is not None:
            self._search.cancel()
            await asyncio.gather(self._search, return_exceptions=True)

    def _rest(self) -> None:
        now = time.monotonic()
        self._rescan_at = now + self._rescan_seconds
        self._hint_at = now + max(_HINT_SECONDS, _REST * self._survey.seconds)
