"""What was acknowledged to the registry and to the ledger, each in its own time."""

import itertools
import math
import time

from shipper.follow import Follow
from shipper.forget import Forget
from shipper.ledger import Ledger
from shipper.policy import input_name
from shipper.producer import Producer
from shipper.reader import Reader
from shipper.registry import Registry
from shipper.times import from_nanoseconds
from tailrace.daemon import Life
from tailrace.settings import Shipper

_SAVE_SECONDS = 1.0
_MOST_PUBLISHED = 1000
"""Most sources that the ledger is told of at a time; the others are told of next."""


class Books:
    """Keeps the registry and the ledger: the cost follows what moved, not what is known."""

    def __init__(self, host: str, follow: Follow, reader: Reader, producer: Producer, shipper: Shipper) -> None:
        self._follow = follow
        self._reader = reader
        self._producer = producer
        self._ledger_seconds = shipper.ledger_seconds
        self._inputs = [input_name(entry) for entry in shipper.inputs]
        self._forget_seconds = shipper.forget_seconds
        self._forget: Forget | None = None
        self._ledger = Ledger(host)
        self._save_at = self._publish_at = 0.0

    async def begin(self, registry: Registry, life: Life) -> None:
        """After the first look: no input is new any more, and files that are read from their end are known.

        In this order, for what is read twice is no loss.
        """
        await registry.begin(self._inputs)
        await self.remember(life)
        self._forget = Forget(registry, self._follow, self._forget_seconds)

    async def turn(self, life: Life) -> float:
        """Do what is due; in how many seconds something will be at the latest, endless if nothing moved."""
        now = time.monotonic()
        if now >= self._save_at:
            await self.remember(life)
            self._save_at = now + _SAVE_SECONDS
        if now >= self._publish_at:
            self._publish(_MOST_PUBLISHED)
            self._publish_at = now + self._ledger_seconds
        if self._forget is not None:
            self._ledger.drop(await self._forget.turn())
        save_in = (
            self._save_at - now if self._reader.changed or self._follow.ended or self._follow.unsaved else math.inf
        )
        return min(save_in, self._publish_at - now if self._reader.unpublished else math.inf)

    async def remember(self, life: Life) -> None:
        """Store the positions that moved; an ended source is stored until all of it is acknowledged."""
        done = [source for source in self._follow.ended if source.settled]
        changed = {*self._reader.changed, *self._follow.ended, *self._follow.unsaved}
        self._reader.changed.clear()
        await self._reader.save(changed, life)
        self._follow.ended = [source for source in self._follow.ended if source not in done]
        for source in self._follow.unsettled.intersection(done):  # a copy that comes late is no new file
            self._follow.memory.add(source.row(self._follow.looks.updated, ended=True))
        self._follow.unsettled.difference_update(done)
        self._ledger.farewell(done)

    async def close(self, life: Life) -> None:
        """Store everything as clean, and publish what was not."""
        if self._forget is not None:
            self._forget.stop()
        self._reader.abandon()
        await self.remember(life)
        self._publish(len(self._reader.unpublished))
        unclean = [one for one in self._follow.sources if not one.is_clean]
        await self._reader.save(unclean, life, clean=True)

    def forget(self) -> None:
        """The ledger may not have what it was told last: tell it all again."""
        self._ledger.forget()
        self._reader.unpublished.update(self._follow.sources)

    def _publish(self, most: int) -> None:
        some = set(itertools.islice(self._reader.unpublished, most))
        self._reader.unpublished -= some
        self._producer.publish(self._ledger.news(some, from_nanoseconds(time.time_ns())))
