"""What the client's own state may look like while it fetches, and what our consumer makes of it."""

import asyncio
import collections
import re
import struct
from collections.abc import Collection, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import (
    InconsistentGroupProtocolError,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
    KafkaError,
)
from aiokafka.record.util import calc_crc32c
from fakes import batch
from processes import in_loop

from indexer import fetch, service
from indexer.consumer import Consumer
from indexer.group import Past
from indexer.ownership import Owned
from indexer.slices import Waiting
from indexer.unreadable import Unreadable
from tailrace.daemon import Life
from tailrace.errors import ReachKafka, RunAgain
from tailrace.settings import Indexer

ONE, OTHER = TopicPartition("app.one", 0), TopicPartition("app.one", 1)


class Client(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka is untyped
    """The client without a wire: its own state and its own fetcher, to which a test hands a broker's answers."""

    def __init__(self, subscription: SubscriptionState) -> None:
        self._closed = True
        self._subscription = subscription
        one = self._fetcher = object.__new__(fetcher.Fetcher)
        one._client, one._loop, one._subscriptions = self, asyncio.get_running_loop(), subscription
        one._key_deserializer, one._value_deserializer, one._check_crcs = None, fetch.as_decoded, True
        one._isolation_level, one._default_reset_strategy = fetcher.READ_COMMITTED, fetcher.OffsetResetStrategy.NONE
        one._prefetch_backoff = one._retry_backoff = 0.1
        one._client_rack, one._rack_warning_logged, one._preferred_read_replica = None, False, {}
        one._max_partition_fetch_bytes, one._closed, one._wait_consume_future = 1 << 20, False, None
        one._records, one._fetch_waiters = collections.OrderedDict(), set()
        one._in_flight, one._pending_tasks = set(), set()
        subscription.register_fetch_waiters(one._fetch_waiters)

    async def send(self, _node: int, _request: object) -> object:
        """What the broker says."""
        return self._answer

    async def answer(self, partition: TopicPartition, offset: int, records: bytes) -> None:
        """The fetcher asked for a partition from an offset on, and got this."""
        said = (partition.partition, 0, 10**6, 10**6, [], records)
        self._answer = SimpleNamespace(API_VERSION=4, topics=[(partition.topic, [said])])
        asked = SimpleNamespace(topics=[(partition.topic, [(partition.partition, offset, 1 << 20)])])
        await self._fetcher._proc_fetch_request(self._subscription.subscription.assignment, 1, asked)

    async def getmany(self, *_: object, timeout_ms: int, max_records: int) -> Any:
        """As the client's, once it is started."""
        with self._subscription.fetch_context():
            return await self._fetcher.fetched_records((), timeout_ms / 1000, max_records=max_records)

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Zero, a moment later."""
        await asyncio.sleep(0.01)
        return dict.fromkeys(partitions, 0)

    end_offsets = beginning_offsets


class Reading(Consumer):
    """A consumer of a client that is there already; others have got as far as ``others``."""

    def __init__(self, client: Client, others: Mapping[TopicPartition, int] | None = None) -> None:
        self._settings, self._kafka, self._unreadable = Indexer(), client, Unreadable(client)
        self._waiting = Waiting(self._settings.slice_bytes, self._settings.slice_actions)
        self._waiting.tell(-1, lambda: None)
        nothing: Any = SimpleNamespace(wake=lambda: None, nudge=lambda: None, generation=1)
        self._sender = self.commits = self._membership = nothing
        self._assignor = SimpleNamespace(on_generation_assignment=lambda _generation: None)
        self._owned, self._generation, self._at_once, self._failures, self.complaint = {}, 0, 500, 0, ""
        self._group: Any = self
        self._others = others or {}

    async def past(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Past]:
        """What the group committed."""
        return {one: Past(self._others.get(one), None) for one in partitions}

    def own(self, partition: TopicPartition, offset: int) -> Owned:
        """Read a partition from an offset on."""
        owned = self._owned[partition] = Owned(partition.topic, partition.partition, offset, 0)
        owned.reach = 10**9
        self._kafka.seek(partition, offset)
        return owned

    def store(self) -> None:
        """All that waits is stored."""
        for part in self._waiting.take():
            part.owned.watermark.finish(part.span)


def subscribed(*partitions: TopicPartition) -> Client:
    """A client that has these."""
    subscription = SubscriptionState()
    subscription.subscribe({"app.one"})
    subscription.assign_from_subscribed(partitions)
    return Client(subscription)


def some(count: int, base: int) -> bytes:
    """A batch of records."""
    return bytes(batch([(0, b"k", b'{"x":1}', ()) for _ in range(count)], base=base))


def marker(offset: int) -> bytes:
    """The end of a transaction, which is no record."""
    found = batch([(0, b"\0\0\0\1", b"\0\0\0\0\0\0", ())], base=offset)
    struct.pack_into(">h", found, 21, struct.unpack_from(">h", found, 21)[0] | 0x30)
    struct.pack_into(">q", found, 43, 7)
    struct.pack_into(">I", found, 17, calc_crc32c(bytes(found[21:])))
    return bytes(found)


@in_loop
async def test_an_error_that_waits_to_be_told_is_no_record_that_was_read() -> None:
    """The client moves on by one before it tells it: what cannot be read is not passed over, however often tried."""
    client = subscribed(ONE, OTHER)
    reading = Reading(client)
    one, other = reading.own(ONE, 100), reading.own(OTHER, 0)
    broken = bytearray(some(50, 100))
    struct.pack_into(">i", broken, 8, len(broken) + 500)
    await client.answer(ONE, 100, bytes(broken))
    await reading.poll()
    assert ONE in reading._unreadable
    for _ in range(3):
        reading._unreadable._until[ONE] = 0.0
        reading._unreadable.look()
        await client.answer(OTHER, other.expected, some(600, other.expected))
        await client.answer(ONE, 100, bytes(broken))
        for _ in range(4):
            await reading.poll()
        reading.store()
        assert (one.expected, one.watermark.position) == (100, 100)
    assert other.watermark.position == 1800


@in_loop
async def test_what_ends_with_a_marker_is_read_to_its_end() -> None:
    """The commit of a partition whose last offsets are no records is behind them: others wait for that."""
    client = subscribed(ONE)
    reading = Reading(client)
    owned = reading.own(ONE, 0)
    await client.answer(ONE, 0, some(5, 0) + marker(5))
    for _ in range(4):
        await reading.poll()
        reading.store()
    assert owned.watermark.position == 6
    committed = owned.next_commit(30_000)
    assert committed.offset == 6
    beside = Reading(subscribed(OTHER), {ONE: committed.offset})
    assert await beside.left({ONE: 6}) == 0


@in_loop
async def test_partitions_that_the_client_has_forgotten_are_not_adopted() -> None:
    """A topic that matches comes while we ask where to begin: the client drops all, and says so only later."""
    subscription = SubscriptionState()
    subscription.subscribe_pattern(re.compile(r"app\..*"))
    subscription.subscribe_from_pattern({"app.one"})
    subscription.assign_from_subscribed([ONE])
    reading = Reading(Client(subscription))
    async with asyncio.TaskGroup() as tasks:
        reading._tasks = tasks
        reading.assigned([ONE])
        await asyncio.sleep(0.015)
        subscription.subscribe_from_pattern({"app.one", "app.two"})
    assert not reading._owned


@pytest.mark.parametrize("refusal", [InvalidSessionTimeoutError, InvalidGroupIdError, InconsistentGroupProtocolError])
def test_a_group_that_never_takes_us_in_ends_the_indexer(refusal: type[KafkaError]) -> None:
    """It would try for ever, with one warning in its log."""

    async def poll() -> None:
        client = subscribed(ONE)

        async def refused(**_: object) -> None:
            raise refusal

        client.getmany = refused
        await Reading(client).poll()

    with pytest.raises(ReachKafka, match=r"indexer\.group .* indexer\.session_seconds"):
        asyncio.run(poll())


@in_loop
async def test_a_run_to_the_end_does_not_wait_for_ever_for_others() -> None:
    """What other indexers have is told, and as long as some of it is finished it is waited for."""
    counts: list[int | None] = [5, 5, 4, None, 3, 2, 2, 0]
    told: list[int] = []

    async def ends() -> dict[TopicPartition, int]:
        return {ONE: 5}

    async def left(_ends: dict[TopicPartition, int]) -> int | None:
        return counts.pop(0) if len(counts) > 1 else counts[0]

    async def insist() -> None:
        pass

    consumer: Any = SimpleNamespace(ends=ends, left=left)
    group: Any = SimpleNamespace(insist=insist)
    assert await service._until_reached(consumer, group, Life(), 0.3, told.append)
    assert told == [5, 5, 4, 3, 2, 2]
    for stuck in ([2], [None]):
        counts[:] = [2, *stuck]
        with pytest.raises(RunAgain, match="none of 2 records was finished, here or by others"):
            await service._until_reached(consumer, group, Life(), 0.3, told.append)
