"""Records to Kafka; finishes each step when the brokers have all of it."""

import asyncio
import contextlib
import math
import random
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from functools import partial

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError, UnknownTopicOrPartitionError

from shipper.client import Client
from shipper.lanes import Filling, Lane, Sending
from shipper.road import Road, Waiting
from shipper.routed import by_topic
from shipper.rows import Record
from tailrace import kafka, metrics
from tailrace.backoff import delay
from tailrace.errors import LOOK_CLOSER, ReachKafka, RunSetup
from tailrace.settings import Settings
from tailrace.topics import written

_LEAST_LIMIT = 8192
_RECORD_OVERHEAD = 512
"""A record's own bytes in a batch beside its value: header, key, lengths."""
_STALL_SECONDS = 10.0
"""Nothing acknowledged for so long is worth a word, and a look whether the topic is still there."""
_FLUSH_SECONDS = 1.0
_USUAL_LIMIT = 1_048_576


class Producer:
    """An idempotent producer, acks=all, whole batches.

    The hazard: one failed batch spends its sequence number, and every later batch of the partition is then refused. So
    the first failure ends this producer (``failed`` is set, nothing more is sent); ``restart`` starts another, and what
    was not acknowledged must be handed in again.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._shipper = settings.shipper
        self._topics = written(settings)
        self._client: Client | None = None
        self._road = Road({})
        self._tasks: list[asyncio.Task[None]] = []
        self._bytes = 0
        self._most_batch_bytes = settings.shipper.batch_bytes
        self._generation = 0
        self._failures = 0
        self._halvings = 0
        self._progressed = 0.0
        self._stalled = 0.0
        self._patience = math.inf
        self._said: set[int] = set()
        self._news: dict[str, bytes] = {}
        self._untold = 0
        self._tell = asyncio.Event()
        self.failed = False
        self.progress = asyncio.Event()
        self.most_record_bytes = settings.shipper.max_record_bytes

    async def start(self, stop: asyncio.Event, *, once: bool) -> None:
        """Connect; waits as long as no broker answers, unless ``once``.

        Raises:
            RunSetup: a topic is missing.
            ReachKafka: with ``once``, no broker answered in ``request_timeout_seconds``; so does ``flush`` then.
        """
        failures = 0
        log = structlog.get_logger()
        began = time.monotonic()
        section = self._settings.kafka
        timeout = section.request_timeout_seconds
        self._patience = timeout if once else math.inf
        while not stop.is_set():
            try:
                await _unless(stop, self._connect(), timeout * (len(section.bootstrap_servers) + 1))
            except KafkaError as error:
                failures += 1
                if once and time.monotonic() - began > timeout:
                    raise await kafka.silence(section, error) from error
                if failures == 1:
                    log.warning("waiting for Kafka", reason=str(await kafka.silence(section, error)))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), delay(failures, random.random(), most=5.0))  # noqa: S311
            else:
                if failures and self._client is not None:
                    log.info("kafka answers")
                return

    async def restart(self, stop: asyncio.Event, *, once: bool) -> None:
        """End a failed producer and start another; all that was in flight is forgotten.

        Waits the longer the more often in a row nothing was acknowledged in between.
        """
        metrics.PRODUCER_RESTARTS.inc()
        await self.close()
        self._failures += 1
        if self._failures > 1:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), delay(self._failures - 1, random.random(), most=5.0))  # noqa: S311
        await self.start(stop, once=once)

    async def close(self) -> None:
        """End the producer; what is not acknowledged is hardly waited for."""
        if self._client is not None and not self.failed:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._client.flush(), _FLUSH_SECONDS)
        self._generation += 1
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks, self._road, self._bytes, self._untold = [], Road({}), 0, 0
        self._news.clear()
        client, self._client = self._client, None
        if client is not None:
            await client.abandon()

    def lane_of(self, source: str) -> int:
        """The partition of a source in the shipper's own topic."""
        return self._road.lane_of(source, self._shipper.topic)

    def lanes_of(self, source: str, topics: Sequence[str]) -> tuple[int, ...]:
        """The lanes that a source's records may go to: that of its own topic, and those of topics that rules name."""
        return self._road.lanes_of(source, self._shipper.topic, topics)

    @property
    def lanes(self) -> int:
        """How many partitions the shipper's own topic has; 0 before the first connection."""
        return self._road.count(self._shipper.topic)

    def room(self, lane: int) -> bool:
        """Whether a partition may take more: neither it nor all together have used up the budget of bytes in flight."""
        budget, lanes = self._shipper.budget_bytes, self._road.lanes
        return bool(lanes) and self._bytes < budget and lanes[lane].bytes < budget // 4

    def full_lane(self, source: str, topics: Sequence[str]) -> int | None:
        """The first of a source's lanes that may not take more; None if all may."""
        return next((lane for lane in self.lanes_of(source, topics) if not self.room(lane)), None)

    @property
    def in_flight_bytes(self) -> int:
        """Bytes of records handed in and not yet acknowledged."""
        return self._bytes

    def hand_in(self, source: str, topics: Sequence[str], records: Sequence[Record], sending: Sending) -> None:
        """Put the records of one step into batches of its source's partitions; ``topics`` may be among their goals.

        The step is done when the partitions of all topics have acknowledged what they got of it.
        """
        if not self._bytes:
            self._progressed = time.monotonic()
        if not topics:
            self._add(source, self._shipper.topic, records, sending)
            return
        for topic, some in by_topic(records, self._shipper.topic).items():
            sending.joins()
            self._add(source, topic, some, Sending(sending.acknowledged))
        sending.complete()

    def _add(self, source: str, topic: str, records: Sequence[Record], sending: Sending) -> None:
        lane = self._road.lanes[self._road.lane_of(source, topic)]
        self._bytes += lane.add(source.encode(), records, sending, self._most_batch_bytes)

    def flush(self, *, everything: bool) -> float | None:
        """Send the batches that have lingered long enough, or all; seconds until the next is due, if any is open."""
        now = time.monotonic()
        due: float | None = None
        for lane in self._road.lanes:
            batch = lane.open
            if batch is None:
                continue
            left = batch.opened + self._shipper.linger_seconds - now
            if everything or left <= 0 or not (lane.waiting or lane.bytes - batch.bytes):
                lane.close()
            else:
                due = left if due is None else min(due, left)
        metrics.IN_FLIGHT.set(self._bytes)
        if self._bytes and now - self._progressed > _STALL_SECONDS:
            self._stall(now)
        waiting = {one.lane: one for one in self.waiting()}
        self._say_who_waits(waiting)
        if waiting:
            self._require(waiting.values())
        return due

    def waiting(self) -> list[Waiting]:
        """The partitions that hold records and have acknowledged none for ten seconds, with how long."""
        return self._road.waiting(time.monotonic(), _STALL_SECONDS)

    def publish(self, entries: Iterable[tuple[str, bytes]]) -> None:
        """Let the ledger topic have records, (key, value), as soon as it takes them; only a key's last is kept.

        Nobody waits for it; a failure ends the producer like any other.
        """
        self._news.update(entries)
        self._tell.set()

    @property
    def told(self) -> bool:
        """Whether the ledger topic has all that was published."""
        return not self._news and not self._untold

    async def _carry_news(self) -> None:
        topic = self._settings.kafka.ledger_topic
        while True:
            await self._tell.wait()
            self._tell.clear()
            while self._news and not self.failed and self._client is not None:
                key = next(iter(self._news))
                value = self._news.pop(key)
                self._untold += 1
                try:
                    answer = await self._client.send(topic, value, key=key.encode())
                except KafkaTimeoutError:
                    # No room, or no leader: that means wait. What was published meanwhile is newer.
                    self._untold -= 1
                    self._news.setdefault(key, value)
                    continue
                answer.add_done_callback(partial(self._published, self._generation))

    def _published(self, generation: int, answer: "asyncio.Future[object]") -> None:
        error = None if answer.cancelled() else answer.exception()
        if generation != self._generation:
            return
        self._untold -= 1
        if error is not None:
            self._fail(error)
        if self.told:
            self.progress.set()

    async def _connect(self) -> None:
        limits = await self._limits()
        for topic, limit in limits.items():
            if limit < _LEAST_LIMIT:
                raise RunSetup(
                    f"The topic {topic} takes no more than {limit} bytes (max.message.bytes), too few for a document; "
                    "raise it with `tailrace setup`."
                )
        limit = min(limits.values())
        limit = max(limit >> self._halvings, _LEAST_LIMIT)
        self._most_batch_bytes = min(self._shipper.batch_bytes, limit)
        self.most_record_bytes = min(self._shipper.max_record_bytes, limit - _RECORD_OVERHEAD)
        client = Client(
            **kafka.options(self._settings.kafka),
            max_request_size=max(1_048_576, limit + _RECORD_OVERHEAD),
            metadata_max_age_ms=60_000,
        )
        try:
            await client.start()
            road = Road({topic: len(await client.partitions_for(topic)) for topic in self._topics})
            await client.partitions_for(self._settings.kafka.ledger_topic)  # or publish() would wait for it
        except BaseException:
            await client.abandon()
            raise
        for topic in self._topics:  # one to which a rule has sent nothing yet has 0
            metrics.TOPIC_RECORDS.labels(topic)
            metrics.TOPIC_BYTES.labels(topic)
        self._client, self._road, self.failed = client, road, False
        ways = zip(road.places, road.lanes, strict=True)
        self._tasks = [asyncio.create_task(self._carry(*place, lane)) for place, lane in ways]
        self._tasks.append(asyncio.create_task(self._carry_news()))
        for task in self._tasks:
            task.add_done_callback(partial(self._ended, self._generation))

    async def _limits(self) -> dict[str, int]:
        """Each topic's limit on the bytes of a batch; also says early if a topic is missing."""
        admin = AIOKafkaAdminClient(**kafka.options(self._settings.kafka))
        limits = dict.fromkeys(self._topics, _USUAL_LIMIT)
        try:
            await admin.start()
            there = set(await admin.list_topics())
            for name in (*self._topics, self._settings.kafka.ledger_topic):
                if name not in there:
                    raise RunSetup(f"The topic {name} does not exist; create it with `tailrace setup`.")
            asked = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in self._topics]
            for answer in await admin.describe_configs(asked):
                for _code, _error, _kind, topic, configs in answer.resources:
                    told = (int(value) for name, value, *_ in configs if name == "max.message.bytes")
                    limits[topic] = next(told, _USUAL_LIMIT)
        finally:
            await admin.close()
        return limits

    async def _carry(self, topic: str, number: int, lane: Lane) -> None:
        """Hand the batches of one partition to the client, in order, as its slot comes free."""
        while True:
            await lane.wake.wait()
            lane.wake.clear()
            while lane.waiting and not self.failed and self._client is not None:
                batch = lane.waiting[0]
                try:
                    answer = await self._client.send_batch(batch.builder, topic, partition=number)
                except KafkaTimeoutError:
                    # The slot was busy all the time: that means wait, the batch in it will tell if it failed.
                    continue
                except KafkaError as error:
                    self._fail(error)
                    break
                lane.waiting.popleft()
                answer.add_done_callback(partial(self._answered, self._generation, topic, lane, batch))

    def _answered(
        self, generation: int, topic: str, lane: Lane, batch: Filling, answer: "asyncio.Future[object]"
    ) -> None:
        error = None if answer.cancelled() else answer.exception()
        if generation != self._generation:
            return
        if answer.cancelled() or error is not None:
            self._fail(error)
            return
        self._progressed = time.monotonic()
        self._failures = 0
        if self._stalled:
            self._stalled = 0.0
            structlog.get_logger().info("kafka acknowledges again")
        metrics.TOPIC_RECORDS.labels(topic).inc(batch.builder.record_count())
        metrics.TOPIC_BYTES.labels(topic).inc(batch.bytes)
        self._bytes -= batch.bytes
        lane.acknowledged(batch)
        self.progress.set()

    def _stall(self, now: float) -> None:
        """Nothing was acknowledged for long: brokers away is a matter of waiting, a topic that is gone is not."""
        self._progressed = now
        if self._stalled and now - self._stalled > self._patience:
            raise ReachKafka(
                f"Kafka acknowledges nothing for {now - self._stalled:.0f} s; the next run goes on.{LOOK_CLOSER}"
            )
        if not self._stalled:
            self._stalled = now - _STALL_SECONDS
            structlog.get_logger().warning("kafka does not acknowledge, waiting", in_flight_bytes=self._bytes)
        if self._client is not None and not self.failed:
            for topic in self._topics:
                task = asyncio.create_task(self._client.partitions_for(topic))
                task.add_done_callback(partial(self._ended, self._generation))
                self._tasks.append(task)

    def _require(self, waiting: Iterable[Waiting]) -> None:
        """Start over if a topic has not these partitions any more: it was made anew with fewer."""
        for one in waiting:
            there = self._client.partitions_now(one.topic) if self._client is not None else set()
            if there and one.partition not in there:
                self._fail(UnknownTopicOrPartitionError())

    def _say_who_waits(self, waiting: Mapping[int, Waiting]) -> None:
        """Name a partition that began to wait while others go on, once, and again when it is served."""
        metrics.WAITING.set(len(waiting))
        log = structlog.get_logger()
        for one in (waiting[lane] for lane in waiting.keys() - self._said):
            log.warning(
                "partition does not acknowledge, its files wait",
                topic=one.topic,
                partition=one.partition,
                in_flight_bytes=one.in_flight_bytes,
            )
        for lane in self._said - waiting.keys():
            if lane < len(self._road.places):
                topic, partition = self._road.places[lane]
                log.info("partition acknowledges again", topic=topic, partition=partition)
        self._said = set(waiting)

    def _ended(self, generation: int, task: "asyncio.Task[object]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and generation == self._generation:
            self._fail(error)

    def _fail(self, error: BaseException | None) -> None:
        if not self.failed:
            self.failed = True
            self._halvings += isinstance(error, MessageSizeTooLargeError)
            structlog.get_logger().warning("kafka refused a batch, starting over", reason=repr(error))
        self.progress.set()


async def _unless(stop: asyncio.Event, work: Coroutine[object, object, None], seconds: float) -> None:
    """Do some work, but no longer than until the stop; raises KafkaTimeoutError if it takes too long."""
    task, asked = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((task, asked), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        elif not stop.is_set():
            raise KafkaTimeoutError("no answer in time")
    finally:
        task.cancel()
        asked.cancel()
        await asyncio.gather(task, asked, return_exceptions=True)
