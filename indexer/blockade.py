"""What keeps Elasticsearch from taking records, said once: in the log, in a metric, and to those who wait."""

import asyncio
import contextlib
import time

import structlog

from tailrace import metrics
from tailrace.errors import ReachElasticsearch

_REMIND_SECONDS = 60.0


class Blockade:
    """Which loads cannot go on, and since when.

    One line in the log when the first cannot, a reminder each minute, one when all can again. ``patience`` in seconds,
    if given, is how long a blockade may last before it is an error.
    """

    def __init__(self, patience: float | None = None) -> None:
        self._patience = patience
        self._blocked: set[object] = set()
        self._since = 0.0
        self._said = 0.0
        self._woken = asyncio.Event()

    def begin(self, load: object, reason: str) -> None:
        """A load cannot go on, or still cannot.

        Raises:
            ReachElasticsearch: it lasts longer than our patience.
        """
        now = time.monotonic()
        log = structlog.get_logger()
        if not self._blocked:
            self._since = self._said = now
            metrics.BLOCKED.set(1)
            log.warning("Elasticsearch does not take records; trying again until it does", reason=reason)
        elif now - self._said >= _REMIND_SECONDS:
            self._said = now
            log.warning("Elasticsearch still does not take records", reason=reason, seconds=round(now - self._since))
        self._blocked.add(load)
        if self._patience is not None and now - self._since > self._patience:
            raise ReachElasticsearch(
                f"Elasticsearch has taken no record for {now - self._since:.0f} s: {reason}. Check [elasticsearch] "
                "with `tailrace check --connect`; nothing is lost, the next run goes on from here."
            )

    def end(self, load: object) -> None:
        """A load goes on; those that wait try at once."""
        if self._discard(load):
            seconds = round(time.monotonic() - self._since, 1)
            structlog.get_logger().info("Elasticsearch takes records again", seconds=seconds)

    def leave(self, load: object) -> None:
        """Nobody waits for a load any more, whatever became of it."""
        if self._discard(load):
            structlog.get_logger().warning("gave up waiting; the next owner of the partitions goes on from here")

    def _discard(self, load: object) -> bool:
        """True if it was the last that was blocked."""
        if load not in self._blocked:
            return False
        self._blocked.discard(load)
        self.wake()
        if self._blocked:
            return False
        metrics.BLOCKED.set(0)
        return True

    def wake(self) -> None:
        """Let all who wait look again."""
        self._woken.set()
        self._woken = asyncio.Event()

    async def pause(self, seconds: float) -> None:
        """Wait, but not when something has changed."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), seconds)
