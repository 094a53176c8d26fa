"""A load to Elasticsearch and the dead letters, tried until nothing of it is left."""

import asyncio
import enum
import random
import time
from collections.abc import Callable

from indexer import bulk
from indexer.blockade import Blockade
from indexer.letterbox import Letterbox
from indexer.load import Again, Load
from indexer.lookup import Unanswered, look_up
from indexer.membership import Membership
from indexer.outcasts import Outcasts, When
from indexer.pace import Pace, Sign, sign
from indexer.suspects import Suspects
from indexer.transport import Transport
from indexer.turns import Turns
from tailrace import metrics
from tailrace.backoff import delay

_FULL_IS_BLOCKED_SECONDS = 10.0
"""Now and then a busy node refuses some items; only when it does for so long is it worth a word."""

_SUSPECT_FAILURES = 2
"""Once a record breaks connections while the cluster answers, pauses grow no longer than after so many failures."""


class _Step(enum.Enum):
    """What became of a load when nothing stood in its way."""

    DONE = 0
    IDLE = 1
    """Nothing was tried: look again what is next."""


class Writer:
    """Carries out what loads say, as fast as the pace allows; decides nothing about what a record becomes."""

    def __init__(
        self, transport: Transport, letterbox: Letterbox, blockade: Blockade, membership: Membership, pace: Pace
    ) -> None:
        self._transport = transport
        self._letterbox = letterbox
        self._blockade = blockade
        self._membership = membership
        self._pace = pace
        self._turns = Turns(pace)
        self._suspects = Suspects()
        self._outcasts = Outcasts()
        self.doubted: Callable[[], None] = lambda: None
        self._moved = asyncio.Event()
        _show(pace)

    async def write(self, load: Load) -> None:
        """Bring a load to its end, or leave what belongs to partitions that we leave (``load.abandoned``)."""
        failures = 0
        began = time.monotonic()
        try:
            while load.left or load.refusals:
                if not await self._is_ours(load):
                    break
                hindrance = await self._step(load)
                if hindrance is _Step.IDLE:
                    continue
                if hindrance is _Step.DONE:
                    failures = 0
                    began = time.monotonic()
                    self._blockade.end(load)
                    continue
                doubted = self._suspects.has(load) or self._outcasts.has(load)
                failures = min(failures, _SUSPECT_FAILURES) + 1 if doubted else failures + 1
                if not hindrance.full or time.monotonic() - began > _FULL_IS_BLOCKED_SECONDS:
                    self._blockade.begin(load, hindrance.text)
                metrics.ABANDONED.inc(load.drop_leaving())
                if load.left or load.refusals:
                    await self._blockade.pause(delay(failures, random.random(), most=10.0))  # noqa: S311 - jitter
                    metrics.ABANDONED.inc(load.drop_leaving())
        finally:
            self._blockade.leave(load)
            self._suspects.forget(load)
            self._outcasts.forget(load)

    def is_doubted(self, load: Load) -> bool:
        """Whether a load waits for evidence against a record of its own, which only other loads can bring."""
        return self._outcasts.has(load)

    def release(self) -> None:
        """Let loads that wait look whether their partitions are leaving."""
        self._blockade.wake()
        self._turns.release()
        self._membership.wake()
        self.moved()

    def moved(self) -> None:
        """Spans were finished: what may repeat may be next."""
        self._moved.set()
        self._moved = asyncio.Event()

    async def _step(self, load: Load) -> Again | _Step:
        """Do the next thing; returns what stands in the way of going on at once."""
        if load.refusals:
            text = await self._letterbox.send(load.refusals)
            if text:
                return Again("dead_letters", text, len(load.refusals), full=False)
            load.buried()
            return _Step.DONE
        if load.waits:
            await self._moved.wait()
            metrics.ABANDONED.inc(load.drop_leaving())
            return _Step.IDLE
        granted = await self._turns.take()
        try:
            metrics.ABANDONED.inc(load.drop_leaving())
            if not granted or not load.left or load.waits:
                return _Step.IDLE
            return await self._ask(load)
        finally:
            if granted:
                self._turns.give_back()

    async def _is_ours(self, load: Load) -> bool:
        """Wait while others may have our partitions, and forget what we have lost; False if nothing is left."""
        while not self._membership.sure and (load.left or load.refusals):
            await self._membership.change()
            metrics.ABANDONED.inc(load.drop_leaving())
        if any(part.owned.lost for part in load.parts):
            metrics.ABANDONED.inc(load.drop_leaving())
        return bool(load.left or load.refusals)

    async def _ask(self, load: Load) -> Again | _Step:
        """One turn: the look-up belongs to it, for what was absent long ago may be stored by now."""
        most_bytes = self._pace.bytes
        load.forget_look_ups()
        while asked := load.to_look_up(most_bytes):
            found = await look_up(self._transport, asked)
            if isinstance(found, Unanswered):
                return Again("look_up", found.text, len(asked), full=False)
            there = load.looked_up(found)
            metrics.LOOKED_UP.labels("yes").inc(there)
            metrics.LOOKED_UP.labels("no").inc(len(asked) - there)
            metrics.ABANDONED.inc(load.drop_leaving())
        if not self._membership.sure:
            return _Step.IDLE
        # Only where there is one is it asked for the first record, which would make objects of all.
        if load.left and self._suspects.has(load) and self._suspects.is_to_blame(load, load.first):
            load.blame_first()
            return _Step.DONE
        if at_fault := self._outcasts.to_blame(load):
            load.blame(at_fault)
            return _Step.DONE
        return await self._bulk(load, most_bytes) if load.left else _Step.DONE

    async def _bulk(self, load: Load, most_bytes: int) -> Again | _Step:
        body, count = load.body(most_bytes)
        begun = self._pace.begin(len(body), self._turns.taken)
        began = time.monotonic()
        answer = await self._transport.request("POST", bulk.PATH, body, ndjson=True, may_go=self._is_sure)
        seconds = time.monotonic() - began
        metrics.BULK_SECONDS.observe(seconds)
        reading = bulk.read(answer.status, answer.body, count, broken=answer.broken)
        metrics.BULKS.labels(reading.whole.value).inc()
        alone, stored = load.first if count == 1 else None, load.tally.stored
        streams = load.streams(reading, count) if self._outcasts or reading.has_odd else set()
        hindrances = load.answered(reading, count)
        when = When(began, began + seconds)
        self._outcasts.answered(load, load.odd, load.others, streams, when)
        self._outcasts.stored(streams, when)
        if load.tally.stored > stored:
            self._suspects.stored(begun.size)
        what = sign(answer.status, reading.whole, hindrances)
        if load.odd:
            self.doubted()
            what = Sign.NONE if what is Sign.AWAY and not load.others else what
        if alone is not None and what is Sign.BROKEN and await self._is_reachable():
            self._suspects.broke(load, alone)
            what = Sign.NONE
        elif alone is not None:
            self._suspects.acquit(load, alone)
        slower = self._pace.end(begun, what, seconds)
        if slower is not None:
            metrics.SLOWDOWNS.labels(slower.value).inc()
        _show(self._pace)
        for one in hindrances:
            metrics.RETRIED.labels(one.label).inc(one.records)
        return min(hindrances, key=lambda one: one.full, default=_Step.DONE)

    def _is_sure(self) -> bool:
        return self._membership.sure

    async def _is_reachable(self) -> bool:
        """Whether a bulk request gets an answer if it is small and holds no record."""
        answer = await self._transport.request("POST", bulk.PATH, bulk.EMPTY, ndjson=True)
        return bulk.is_reached(answer.status, answer.body)


def _show(pace: Pace) -> None:
    metrics.PACE_BYTES.set(pace.bytes)
    metrics.PACE_REQUESTS.set(pace.requests)
