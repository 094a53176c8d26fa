"""Kafka's consumer group to records that wait: assignments, polling, gaps."""

import asyncio
import random
from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RecordTooLargeError,
    TopicAuthorizationFailedError,
)

from indexer.commits import PATIENCE_SECONDS, Commits
from indexer.documents import Polled
from indexer.fetch import UnreadableBatchError, as_decoded
from indexer.group import Group, Past
from indexer.membership import Membership
from indexer.ownership import Owned
from indexer.sender import Sender
from indexer.slices import Waiting
from indexer.unreadable import Unreadable
from tailrace import kafka, metrics
from tailrace.backoff import delay
from tailrace.errors import ReachKafka
from tailrace.settings import Settings

_FETCH_BYTES = 1_048_576
_POLL_MS = 200
_MOST_AT_ONCE = 2000
_NEW_TOPICS_MS = 5000
"""How old what we know of topics and partitions may be: so soon is a new one read."""
_IDLE_MS = 86_400_000
"""We poll when there is room, and heartbeats come from the same loop: a shorter limit could only hurt."""


class Consumer:
    """Owns partitions for as long as the group gives them to us.

    A partition is read from its last commit, or from its beginning; nothing is ever skipped silently. When it is taken
    away, what is in flight is waited for, what is finished is committed, the rest is its next owner's.
    """

    def __init__(self, settings: Settings, group: Group, membership: Membership, waiting: Waiting) -> None:
        indexer = settings.indexer
        self._settings = indexer
        self._group = group
        self._membership = membership
        self._waiting = waiting
        self._sender: Sender
        self._tasks: asyncio.TaskGroup
        self._owned: dict[TopicPartition, Owned] = {}
        self._generation = 0
        self._at_once = 500
        self._failures = 0
        # It remembers what it had as an attribute of the class, so each has a class of its own.
        self._assignor: Any = type("Assignor", (StickyPartitionAssignor,), {})
        self._kafka = AIOKafkaConsumer(
            **kafka.options(settings.kafka),
            group_id=indexer.group,
            group_instance_id=membership.member or None,
            metadata_max_age_ms=_NEW_TOPICS_MS,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            partition_assignment_strategy=[self._assignor],
            session_timeout_ms=int(indexer.session_seconds * 1000),
            heartbeat_interval_ms=int(indexer.session_seconds * 1000 / 4),
            rebalance_timeout_ms=int((indexer.drain_seconds + 3 * PATIENCE_SECONDS) * 1000),
            max_poll_interval_ms=_IDLE_MS,
            max_partition_fetch_bytes=_FETCH_BYTES,
            value_deserializer=as_decoded,
            fetch_max_bytes=8 * _FETCH_BYTES,
        )
        self._unreadable = Unreadable(self._kafka)
        self.complaint = ""
        """What holds up ``reached`` for good, with the next step; empty if nothing does."""
        self.commits = Commits(
            self._kafka,
            membership,
            self._owned,
            reach_records=max(indexer.reach_records, (indexer.in_flight + 1) * indexer.slice_actions),
            seconds=indexer.commit_seconds,
            moved=self._wake_sender,
        )

    async def start(self, sender: Sender, tasks: asyncio.TaskGroup) -> None:
        """Join the group; what goes on in the background goes on in ``tasks``."""
        self._sender = sender
        self._tasks = tasks
        failures = 0
        while True:
            try:
                await self._kafka.start()
                break
            except KafkaError:  # it answered a moment ago
                failures += 1
                await asyncio.sleep(delay(failures, random.random(), most=5.0))  # noqa: S311 - jitter
        self._membership.listen(self._kafka)
        if self._group.topics.has_patterns:
            # The client's own way compiles patterns of another syntax than ours, and allows no names beside them.
            self._kafka._subscription.subscribe_pattern(self._group.topics, listener=_Listener(self))  # noqa: SLF001
            self._kafka._client.set_topics([])  # noqa: SLF001 - all topics, as the client does
        else:
            self._kafka.subscribe(self._group.topics.named, listener=_Listener(self))

    def leads(self) -> bool:
        """Whether what only one indexer of the group shall do is ours: whoever has the first partition does it."""
        return TopicPartition(min(self._kafka.subscription(), default=""), 0) in self._owned

    async def ends(self) -> dict[TopicPartition, int]:
        """The offsets after the last records of all partitions of our topics, now."""
        failures = 0
        while True:
            try:
                found: dict[TopicPartition, int] = await self._kafka.end_offsets(await self._group.partitions())
            except KafkaError:  # it answered a moment ago
                failures += 1
                await asyncio.sleep(delay(failures, random.random(), most=5.0))  # noqa: S311 - jitter
            else:
                return found

    async def left(self, ends: Mapping[TopicPartition, int]) -> int | None:
        """How many records before these offsets are not finished, by us or, once ours are, by others of the group.

        0 if all of ours are but what cannot be read, which ``complaint`` then says: others may wait for the same.
        """
        self._skip_control_records()
        ours, others, stuck = 0, [], []
        for partition, end in ends.items():
            owned = self._owned.get(partition)
            if owned is None:
                others.append(partition)
            elif owned.watermark.position < end:
                if partition not in self._unreadable or owned.watermark.position < owned.expected:
                    ours += end - owned.watermark.position
                stuck.append(partition)
        self.complaint = "" if ours else self._unreadable.complaint(stuck)
        if ours or self.complaint or not others:
            return ours
        try:
            past = await self._group.past(others)
        except KafkaError:
            return None  # nobody knows
        return sum(max(0, ends[one] - (past[one].offset or 0)) for one in others)

    async def poll(self) -> None:
        """Wait a little for records and put them where records wait.

        Raises:
            ReachKafka: it does not allow us to read.
        """
        self._skip_control_records()
        self._unreadable.look()
        try:
            polled = await self._kafka.getmany(timeout_ms=_POLL_MS, max_records=self._at_once)
        except NoOffsetForPartitionError:
            return  # only known before the partition is adopted, which says where it begins
        except OffsetOutOfRangeError as error:
            await self._out_of_range(error.args[0])
        except (GroupAuthorizationFailedError, TopicAuthorizationFailedError) as error:
            raise ReachKafka(f"Kafka does not allow us to read: {error!r}; grant it, or mend [kafka].") from error
        except (InvalidSessionTimeoutError, InvalidGroupIdError, InconsistentGroupProtocolError) as error:
            raise ReachKafka(
                f"Kafka does not take us into the group {self._settings.group} ({error!r}): mend indexer.group (only "
                "indexers may be in it) or indexer.session_seconds (6 to 1800, as brokers are by default)."
            ) from error
        except UnreadableBatchError as error:
            self._let_rest(error)
        except RecordTooLargeError as error:  # a broker gives the first batch whole, however large: its length is wrong
            _, partition, offset, *_ = error.args
            self._let_rest(UnreadableBatchError(partition, offset, "no whole batch begins there"))
        except KafkaError as error:
            await self._poll_failed(error)
        else:
            self._failures = 0
            for partition, records in polled.items():
                self._take(partition, records)

    async def leave(self) -> None:
        """Give up all partitions: let what is in flight end, and commit what is finished."""
        self._generation += 1
        owners = list(self._owned.values())
        for owned in owners:
            owned.leaving = True
            metrics.ABANDONED.inc(self._waiting.drop(owned))
        self._sender.release()
        if not await self._sender.drained(owners, self._settings.drain_seconds):
            structlog.get_logger().warning(
                "gave partitions up with requests in flight; their next owner looks up what these stored"
            )
        await self.commits.store(last=True)
        for partition in self._owned:
            metrics.LAG.remove(partition.topic, str(partition.partition))
        for owned in owners:
            owned.lost = True
        self._unreadable.forget(self._owned)
        self._owned.clear()

    async def stop(self) -> None:
        """Leave the group, after ``leave``."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await kafka.stop(self._kafka)
        except (KafkaError, TimeoutError):
            structlog.get_logger().warning("could not say farewell to Kafka")

    async def revoked(self) -> None:
        """The group is about to give our partitions to others."""
        # In a task of ours: the client would swallow an error of its listener.
        task = self._spawn(self.leave())
        if task is not None:
            await asyncio.wait([task])

    def assigned(self, partitions: Collection[TopicPartition]) -> None:
        """The group gave us partitions; they are read once we know what their last owner did."""
        self._assignor.on_generation_assignment(self._membership.generation)  # the client forgets to
        if not partitions:
            return
        self._kafka.pause(*partitions)
        self._spawn(self._adopt(partitions, self._generation))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        """Begin some work in the background; None if the service has ended, and only the client does not know yet."""
        try:
            return self._tasks.create_task(work)
        except RuntimeError:
            work.close()
            return None

    async def _adopt(self, partitions: Collection[TopicPartition], generation: int) -> None:
        failures = 0
        while True:
            try:
                past = await self._group.past(partitions)
                begins = await self._kafka.beginning_offsets(partitions)
                ends = await self._kafka.end_offsets(partitions)
                break
            except KafkaError as error:
                failures += 1
                if failures == 3:
                    structlog.get_logger().warning("cannot read the group's commits; trying on", error=repr(error))
                await asyncio.sleep(delay(failures, random.random(), most=5.0))  # noqa: S311 - jitter
            if generation != self._generation:
                return
        # The client forgets them at once when other topics match, and tells us only after another answer.
        if generation != self._generation or not self._kafka.assignment().issuperset(partitions):
            return
        for partition in partitions:
            owned = _begin(partition, past[partition], begins[partition], ends[partition])
            self._owned[partition] = owned
            self._kafka.seek(partition, owned.expected)
        self._kafka.resume(*partitions)
        structlog.get_logger().info("reading partitions", partitions=len(partitions))
        self.commits.nudge()

    def _take(self, partition: TopicPartition, records: Sequence[Polled]) -> None:
        owned = self._owned.get(partition)
        if owned is None or owned.leaving:
            return  # polled before it is adopted, or after it was given up: it will be read again from its commit
        if records[0].offset < owned.expected:
            records = [record for record in records if record.offset >= owned.expected]
            if not records:
                return
        before = self._waiting.bytes
        if records[0].offset > owned.expected:
            # A gap (of aborted transactions) is done by itself: it may be wider than the reach.
            self._waiting.add(owned, [], records[0].offset)
        self._go_on(partition, owned, records, records[-1].offset + 1)
        metrics.POLLED.inc(len(records))
        # As many at once as are a slice or less, whatever their size, so that memory is bounded by bytes.
        fitting = self._settings.slice_bytes * len(records) // max(1, self._waiting.bytes - before)
        self._at_once = max(1, min(_MOST_AT_ONCE, fitting))

    def _wake_sender(self) -> None:
        self._sender.wake()

    def _skip_control_records(self) -> None:
        """Move over offsets at a partition's end that hold no record (of transactions, or compacted away)."""
        for partition, owned in self._owned.items():
            if owned.leaving or owned.watermark.in_flight or self._waiting.holds(owned):
                continue
            if partition in self._kafka._fetcher._records:  # noqa: SLF001 - an error there has moved the position already
                continue
            position = self._position(partition)
            if position is not None and position > owned.expected:
                self._go_on(partition, owned, [], position)

    def _go_on(self, partition: TopicPartition, owned: Owned, records: Sequence[Polled], end: int) -> None:
        """Have records wait, the last of them before the offset that may be polled next; none of them are a gap."""
        owned.expected = end
        self._unreadable.forget([partition])
        self._waiting.add(owned, records, end)
        self._sender.wake()

    def _position(self, partition: TopicPartition) -> int | None:
        """The next offset that the client would hand out; its public ``position`` may wait, which is wrong here."""
        subscription = self._kafka._subscription.subscription  # noqa: SLF001
        state = subscription.assignment.state_value(partition) if subscription and subscription.assignment else None
        return state.position if state is not None and state.has_valid_position else None

    async def _out_of_range(self, offsets: Mapping[TopicPartition, int]) -> None:
        try:
            begins = await self._kafka.beginning_offsets(list(offsets))
            ends = await self._kafka.end_offsets(list(offsets))
        except KafkaError as error:
            await self._poll_failed(error)
            return
        for partition, offset in offsets.items():
            owned = self._owned.get(partition)
            if owned is None or owned.leaving or owned.expected != offset or partition not in self._kafka.assignment():
                continue
            begin, end = begins[partition], ends[partition]
            if offset < begin:
                _tell_gap(partition, offset, begin)
                self._go_on(partition, owned, [], begin)
            elif offset > end:
                self._unreadable.forget([partition])
                owned.leaving = True
                metrics.ABANDONED.inc(self._waiting.drop(owned))
                self._owned[partition] = owned = _begin(partition, Past(offset, None), begin, end)
                self.commits.nudge()
            self._kafka.seek(partition, owned.expected)

    def _let_rest(self, error: UnreadableBatchError) -> None:
        self._ask_again()
        if error.partition in self._owned:
            self._unreadable.rest(error)

    async def _poll_failed(self, error: KafkaError) -> None:
        """Poll again after a while."""
        self._failures += 1
        if self._failures == 1:
            structlog.get_logger().warning("cannot read from Kafka; trying until it works", error=repr(error))
        self._ask_again()
        await asyncio.sleep(delay(self._failures, random.random(), most=5.0))  # noqa: S311 - jitter
        self._revive()

    def _ask_again(self) -> None:
        """Have the records fetched again that the client lost with an error."""
        for partition in self._kafka.assignment() & self._owned.keys():
            expected = self._owned[partition].expected
            if self._position(partition) != expected:
                self._kafka.seek(partition, expected)

    def _revive(self) -> None:
        """Begin the client's part in the group again, if it has ended: after an answer it does not expect it stays so.

        Brokers that come back answer for a while that there are none, and aiokafka 0.14 is not prepared for that.
        """
        coordinator = self._kafka._coordinator  # noqa: SLF001
        task = getattr(coordinator, "_coordination_task", None)
        if task is not None and task.done() and not task.cancelled():
            coordinator._coordination_task = asyncio.create_task(coordinator._coordination_routine())  # noqa: SLF001


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """The client's two calls, as words of ours."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    async def on_partitions_revoked(self, _revoked: Collection[TopicPartition]) -> None:
        await self._consumer.revoked()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._consumer.assigned(assigned)


def _begin(partition: TopicPartition, past: Past, begin: int, end: int) -> Owned:
    """Where to begin with a partition, and below which offset its records may have been sent before."""
    if past.offset is None:
        return Owned(partition.topic, partition.partition, begin, 0)
    # A commit without a reach is not ours: somebody set the group back, so anything there is may be stored already.
    inherited = end if past.reach is None else past.reach
    if begin <= past.offset <= end:
        return Owned(partition.topic, partition.partition, past.offset, inherited)
    _tell_gap(partition, past.offset, begin)
    return Owned(partition.topic, partition.partition, begin, end if past.offset > end else inherited)


def _tell_gap(partition: TopicPartition, offset: int, begin: int) -> None:
    """Say loudly that records are gone before they were read, or that the topic is not the one it was."""
    log = structlog.get_logger()
    where = {"topic": partition.topic, "partition": partition.partition, "offset": offset, "begin": begin}
    if offset < begin:
        metrics.GAPS.inc(begin - offset)
        log.error("records were deleted before they were read; going on after the gap", records=begin - offset, **where)
    else:
        log.error("the topic ends before our commit: was it made anew? Reading it from its beginning", **where)
