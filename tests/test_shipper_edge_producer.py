"""The producer against a real Kafka that fails, goes away, changes its limits: nothing hangs, leaks, repeats unsaid."""

import asyncio
import contextlib
import gc
import itertools
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from aiokafka import TopicPartition
from conftest import MakeTopic, configure_topic, create_topic, delete_topic
from processes import Site, append, chain, in_loop, read_topic, until

from shipper.lanes import Sending
from shipper.producer import Producer
from shipper.routed import Routed
from tailrace.filter_settings import Filter, Route
from tailrace.metrics import TOPIC_RECORDS
from tailrace.settings import Input, Kafka, Settings, Shipper
from tailrace.stack import Stack

pytestmark = pytest.mark.edge


@pytest.fixture
def settings(stack: Stack, names: str, make_topic: MakeTopic) -> Settings:
    """Topics of one's own, and time-outs short enough to see them pass."""
    make_topic(f"{names}.logs", 2)
    make_topic(f"{names}.ledger")
    return Settings(
        kafka=Kafka(
            bootstrap_servers=[stack.bootstrap_servers], ledger_topic=f"{names}.ledger", request_timeout_seconds=2
        ),
        shipper=Shipper(topic=f"{names}.logs"),
    )


@pytest.fixture
def loud(names: str, make_topic: MakeTopic) -> str:
    """A topic for what a rule sends there."""
    return make_topic(f"{names}.loud", 3)


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[tuple[Producer, asyncio.Event]]:
    """A started producer; afterwards no task of it may be left, and no exception may have gone unseen."""
    unseen: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unseen.append(context))
    before = asyncio.all_tasks()
    producer, stop = Producer(settings), asyncio.Event()
    try:
        await producer.start(stop, once=False)
        yield producer, stop
    finally:
        await producer.close()
        await asyncio.sleep(0)
        assert {task for task in asyncio.all_tasks() - before if not task.done()} == set()
    gc.collect()
    await asyncio.sleep(0)
    assert unseen == []


def hand_in(producer: Producer, names: str, numbers: range, lane: int = 0) -> asyncio.Event:
    """Hand in records of one source; the event is set once all of them are acknowledged."""
    done = asyncio.Event()
    key = next(name for name in map("{:020d}".format, itertools.count()) if producer.lane_of(name) == lane)
    records = [
        (b"1||logs-%s-default|%s:%016d:00000000" % (names.encode(), key.encode(), number), b'{"n":%d}' % number)
        for number in numbers
    ]
    producer.hand_in(key, (), records, Sending(done.set))
    producer.flush(everything=True)
    return done


@in_loop
async def test_a_failed_batch_ends_the_producer_and_the_next_one_works(settings: Settings, names: str) -> None:
    """What the failed one held is forgotten, so handing it in again is what stores it, once."""
    async with running(settings) as (producer, stop):
        await asyncio.wait_for(hand_in(producer, names, range(10)).wait(), 10)
        client = producer._client
        assert client is not None
        # A sequence number that the broker does not expect: what a lost batch looks like to every later one.
        for lane in range(2):
            client._txn_manager.increment_sequence_number(TopicPartition(settings.shipper.topic, lane), 1000)
        lost = hand_in(producer, names, range(10, 20))
        async with asyncio.timeout(10):
            while not producer.failed:
                await producer.progress.wait()
                producer.progress.clear()
        assert not lost.is_set()
        await producer.restart(stop, once=False)
        assert (producer.failed, producer.in_flight_bytes) == (False, 0)
        await asyncio.wait_for(hand_in(producer, names, range(10, 20)).wait(), 10)
        assert not lost.is_set()
    found = await read_topic(settings.kafka.bootstrap_servers[0], settings.shipper.topic)
    assert [record.value for record in found] == [b'{"n":%d}' % number for number in range(20)]


@in_loop
async def test_every_topic_that_is_written_has_its_count(settings: Settings, names: str, loud: str) -> None:
    """From the start, for a topic that gets nothing is what one looks for; the ledger and other topics have none."""
    entry = Input(paths=["/x"], dataset="x", filters=[Filter(route=Route(topic=loud))])
    theirs = msgspec.structs.replace(settings, shipper=Shipper(topic=settings.shipper.topic, inputs=[entry]))
    async with running(theirs) as (producer, _stop):
        assert counted(names) == {loud: 0, settings.shipper.topic: 0}
        done = asyncio.Event()
        records = [(b"1||logs-a-b|a:1:1", b"{}"), *[Routed.to(loud, b"1||logs-a-b|a:2:1", b"{}")] * 3]
        producer.hand_in("a", (loud,), records, Sending(done.set))
        producer.publish([("a", b"{}")])
        producer.flush(everything=True)
        await asyncio.wait_for(done.wait(), 10)
    assert counted(names) == {loud: 3, settings.shipper.topic: 1}


def counted(names: str) -> dict[str, float]:
    """The records that the metrics have by topic, of those of a test."""
    found = [one for metric in TOPIC_RECORDS.collect() for one in metric.samples if one.name.endswith("_total")]
    return {one.labels["topic"]: one.value for one in found if one.labels["topic"].startswith(names)}


@pytest.mark.parametrize("how", ["stopped", "paused"])
@in_loop
async def test_a_producer_without_its_broker_ends_at_once_and_for_good(
    breakable_stack: Stack, settings: Settings, names: str, how: str
) -> None:
    """Nothing of it is left that could deliver an abandoned batch later, after its repetition."""
    await create_topic(breakable_stack.bootstrap_servers, f"{names}.gone")
    await create_topic(breakable_stack.bootstrap_servers, f"{names}.gone.ledger")
    theirs = Settings(
        kafka=Kafka(
            bootstrap_servers=[breakable_stack.bootstrap_servers],
            ledger_topic=f"{names}.gone.ledger",
            request_timeout_seconds=2,
        ),
        shipper=Shipper(topic=f"{names}.gone"),
    )
    async with running(theirs) as (producer, _stop):
        await asyncio.wait_for(hand_in(producer, names, range(10)).wait(), 10)
        if how == "stopped":
            await asyncio.to_thread(breakable_stack.stop, "kafka")
        else:
            await asyncio.to_thread(breakable_stack.pause, "kafka")
        never = hand_in(producer, names, range(10, 20))
        producer.publish([("a", b"{}")])
        async with asyncio.timeout(20):
            while _tried(producer) < 2:  # noqa: ASYNC110 - no event of the client tells
                await asyncio.sleep(0.05)
        assert not producer.failed, "an idempotent producer waits"
        began = time.monotonic()
        await producer.close()
        assert time.monotonic() - began < 2
        assert not never.is_set()
    if how == "stopped":
        await asyncio.to_thread(breakable_stack.start, "kafka")
        found = await read_topic(breakable_stack.bootstrap_servers, theirs.shipper.topic)
        assert len(found) == 10
    else:
        await asyncio.to_thread(breakable_stack.resume, "kafka")


@in_loop
async def test_a_partition_that_does_not_acknowledge_is_named(
    breakable_stack: Stack, names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as it holds records, with how long; one that holds none is not."""
    monkeypatch.setattr("shipper.producer._STALL_SECONDS", 0.5)
    await create_topic(breakable_stack.bootstrap_servers, f"{names}.named", 2)
    await create_topic(breakable_stack.bootstrap_servers, f"{names}.named.ledger")
    theirs = Settings(
        kafka=Kafka(bootstrap_servers=[breakable_stack.bootstrap_servers], ledger_topic=f"{names}.named.ledger"),
        shipper=Shipper(topic=f"{names}.named"),
    )
    async with running(theirs) as (producer, _stop):
        await asyncio.wait_for(hand_in(producer, names, range(10), lane=1).wait(), 10)
        assert producer.waiting() == []
        await asyncio.to_thread(breakable_stack.pause, "kafka")
        late = hand_in(producer, names, range(10, 20), lane=1)
        async with asyncio.timeout(10):
            while not producer.waiting():  # noqa: ASYNC110 - time alone brings it
                await asyncio.sleep(0.05)
        (waiting,) = producer.waiting()
        assert waiting.partition == 1
        assert waiting.seconds > 0.5
        assert waiting.in_flight_bytes > 0
        await asyncio.to_thread(breakable_stack.resume, "kafka")
        await asyncio.wait_for(late.wait(), 20)
        assert producer.waiting() == []


@in_loop
async def test_a_start_ends_at_the_stop_though_the_broker_is_silent(breakable_stack: Stack, names: str) -> None:
    """A broker that takes connections and answers nothing holds up no stop."""
    settings = Settings(kafka=Kafka(bootstrap_servers=[breakable_stack.bootstrap_servers]))
    await asyncio.to_thread(breakable_stack.pause, "kafka")
    producer, stop = Producer(settings), asyncio.Event()
    start = asyncio.create_task(producer.start(stop, once=False))
    await asyncio.sleep(0.3)
    stop.set()
    began = time.monotonic()
    await start
    assert time.monotonic() - began < 1
    await producer.close()


def test_a_topic_that_is_deleted_ends_the_agent_with_a_sentence(
    stack: Stack, tmp_path: Path, names: str, make_topic: MakeTopic
) -> None:
    """It does not wait for ever for a topic that will not come back; the text names the way out."""
    site = Site(tmp_path, stack, names)
    make_topic(site.topic)
    make_topic(site.ledger)
    site.kafka["request_timeout_seconds"] = 2.0
    path = site.logs / "a.log"
    path.write_text("one\n")
    agent = site.agent()
    try:
        until(lambda: len(site.shipped()) == 1)
        asyncio.run(delete_topic(stack.bootstrap_servers, site.topic))
        with path.open("a") as file:
            file.write("two\n")
        assert agent.wait(40) == 1
        assert f"The topic {site.topic} does not exist; create it with `tailrace setup`." in agent.log.read_text()
        make_topic(site.topic)
        site.finish("ship", "--once")
        (two,) = site.shipped()
        assert (two.message, two.may_repeat) == ("two", True)
    finally:
        site.end()


def test_a_topic_made_anew_with_fewer_partitions_is_met(
    stack: Stack, tmp_path: Path, names: str, make_topic: MakeTopic
) -> None:
    """Somebody deletes the topic and makes it smaller while the agent waits: what comes then goes where it can."""
    site = Site(tmp_path, stack, names)
    make_topic(site.topic, 6)
    make_topic(site.ledger)
    for number in range(6):
        (site.logs / f"{number}.log").write_text("before\n")
    agent = site.agent()
    try:
        until(lambda: len(site.shipped()) == 6)
        assert {record.partition for record in site.shipped()} == set(range(6))
        asyncio.run(delete_topic(stack.bootstrap_servers, site.topic))
        make_topic(site.topic, 2)
        for number in range(6):
            append(site.logs / f"{number}.log", f"after {number}\n")
        until(lambda: not agent.running or len(site.shipped()) == 6, 60)
        if agent.running:
            assert agent.stop() == 0
        else:  # it met the moment without a topic
            site.finish("ship", "--once")
        assert {record.message for record in site.shipped()} == {f"after {number}" for number in range(6)}
        assert {record.partition for record in site.shipped()} == {0, 1}
    finally:
        site.end()


def test_a_limit_lowered_under_way_is_met(stack: Stack, tmp_path: Path, names: str, make_topic: MakeTopic) -> None:
    """A batch refused as too large ends the producer; the next one knows the topic's new limit, and all goes on."""
    site = Site(tmp_path, stack, names)
    make_topic(site.topic)
    make_topic(site.ledger)
    path = site.logs / "a.log"
    path.write_text("before\n")
    agent = site.agent()
    try:
        until(lambda: len(site.shipped()) == 1)
        asyncio.run(configure_topic(stack.bootstrap_servers, site.topic, max_message_bytes="20000"))
        with path.open("a") as file:
            file.write(f"{os.urandom(200_000).hex()}\nafter\n")
        until(lambda: any(record.message == "after" for record in site.shipped()))
        assert agent.stop() == 0
        long = next(record for record in site.shipped() if len(record.value) > 5000)
        assert long.document["log"]["flags"] == ["truncated"]
        assert long.document["tailrace"]["bytes"] == 400_001
        assert list(chain(site.shipped()).values()) == [path.stat().st_size]
        refusals = [line for line in site.said() if line["message"].startswith("kafka refused a batch")]
        assert 1 <= len(refusals) <= 3
    finally:
        site.end()


def _tried(producer: Producer) -> int:
    """How often the client has tried to send what is not acknowledged (white box)."""
    client = producer._client
    assert client is not None
    waiting = [batch for batches in client._message_accumulator._batches.values() for batch in batches]
    return max((batch.retry_count for batch in (*waiting, *client._message_accumulator._pending_batches)), default=0)
