"""A load to Elasticsearch and the dead letters, tried until nothing of it is left."""

import asyncio
import random
import time

from indexer import bulk
from indexer.blockade import Blockade
from indexer.letterbox import Letterbox
from indexer.load import Again, Load
from indexer.lookup import Unanswered, look_up
from indexer.membership import Membership
from indexer.transport import Transport
from tailrace import metrics
from tailrace.backoff import delay

_FULL_IS_BLOCKED_SECONDS = 10.0
"""Now and then a busy node refuses some items; only when it does for so long is it worth a word."""


class Writer:
    """Carries out what loads say; decides nothing about what a record becomes."""

    def __init__(self, transport: Transport, letterbox: Letterbox, blockade: Blockade, membership: Membership) -> None:
        self._transport = transport
        self._letterbox = letterbox
        self._blockade = blockade
        self._membership = membership
        self._moved = asyncio.Event()

    async def write(self, load: Load) -> None:
        """Bring a load to its end, or leave what belongs to partitions that we leave (``load.abandoned``)."""
        failures = 0
        began = time.monotonic()
        try:
            while load.left or load.refusals:
                hindrance = await self._step(load) if await self._is_ours(load) else None
                if hindrance is None:
                    failures = 0
                    began = time.monotonic()
                    self._blockade.end(load)
                    continue
                failures += 1
                if not hindrance.full or time.monotonic() - began > _FULL_IS_BLOCKED_SECONDS:
                    self._blockade.begin(load, hindrance.text)
                metrics.ABANDONED.inc(load.drop_leaving())
                if load.left or load.refusals:
                    await self._blockade.pause(delay(failures, random.random(), most=10.0))  # noqa: S311 - jitter
                    metrics.ABANDONED.inc(load.drop_leaving())
        finally:
            self._blockade.leave(load)

    def release(self) -> None:
        """Let loads that wait look whether their partitions are leaving."""
        self._blockade.wake()
        self._membership.wake()
        self.moved()

    def moved(self) -> None:
        """Spans were finished: what may repeat may be next."""
        self._moved.set()
        self._moved = asyncio.Event()

    async def _step(self, load: Load) -> Again | None:
        """Do the next thing; returns what stands in the way of going on at once."""
        if load.refusals:
            text = await self._letterbox.send(load.refusals)
            if text:
                return Again("dead_letters", text, len(load.refusals), full=False)
            load.buried()
            return None
        if load.waits:
            await self._moved.wait()
            metrics.ABANDONED.inc(load.drop_leaving())
            return None
        asked = load.to_look_up()
        if not asked:
            return await self._bulk(load)
        found = await look_up(self._transport, asked)
        if isinstance(found, Unanswered):
            return Again("look_up", found.text, len(asked), full=False)
        there = load.looked_up(found)
        metrics.LOOKED_UP.labels("yes").inc(there)
        metrics.LOOKED_UP.labels("no").inc(len(asked) - there)
        return None

    async def _is_ours(self, load: Load) -> bool:
        """Wait while others may have our partitions, and forget what we have lost; False if nothing is left."""
        while not self._membership.sure and (load.left or load.refusals):
            await self._membership.change()
            metrics.ABANDONED.inc(load.drop_leaving())
        if any(part.owned.lost for part in load.parts):
            metrics.ABANDONED.inc(load.drop_leaving())
        return bool(load.left or load.refusals)

    async def _bulk(self, load: Load) -> Again | None:
        body, count = load.body()
        began = time.monotonic()
        answer = await self._transport.request("POST", bulk.PATH, body, ndjson=True)
        metrics.BULK_SECONDS.observe(time.monotonic() - began)
        reading = bulk.read(answer.status, answer.body, count)
        metrics.BULKS.labels(reading.whole.value).inc()
        hindrances = load.answered(reading, count)
        for one in hindrances:
            metrics.RETRIED.labels(one.label).inc(one.records)
        return min(hindrances, key=lambda one: one.full, default=None)
