"""The indexer on the real Kafka and the real Elasticsearch: every record once, whatever it is and whoever dies."""

import asyncio
import contextlib
import random
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from conftest import admin_of, create_topic
from fakes import FakeElasticsearch
from processes import Process, Site, in_loop, until

from indexer import bulk
from indexer.lookup import Unanswered, look_up
from indexer.ownership import decode_metadata
from indexer.service import index
from indexer.transport import Transport
from tailrace import metrics, settings
from tailrace.daemon import Life
from tailrace.errors import ReachElasticsearch, ReachKafka, RunSetup
from tailrace.record import header_prefix, record_id
from tailrace.settings import Elasticsearch
from tailrace.stack import Stack

pytestmark = pytest.mark.edge

PARTITIONS = 3
TIME = "2026-11-23T18:00:00.000Z"


class Sent(NamedTuple):
    """One record to send."""

    value: bytes | None
    headers: list[tuple[str, bytes]]
    partition: int = 0
    key: bytes | None = None


class Load(Site):
    """A site whose records are made by the test, with a template that makes its data streams."""

    def prepare(self, **topic: str) -> None:
        """Make the template and the topics, that of the records with this configuration."""
        template = {
            "index_patterns": [f"logs-{self.name}*"],
            "priority": 900,
            "data_stream": {},
            "template": {
                "settings": {"number_of_replicas": 0},
                "mappings": {"properties": {"@timestamp": {"type": "date"}, "n": {"type": "long"}}},
            },
        }
        self.elastic(f"/_index_template/{self.name}", template, "PUT")
        asyncio.run(create_topic(self.bootstrap_servers, self.topic, PARTITIONS, **topic))
        asyncio.run(create_topic(self.bootstrap_servers, self.dead))
        self.indexer |= {"session_seconds": 6.0, "drain_seconds": 5.0, "commit_seconds": 0.2}

    def records(self, count: int, start: int = 0, *, may_repeat: bool = False, stream: str = "") -> list[Sent]:
        """Records as the shipper sends them."""
        prefix = header_prefix(stream or self.stream, may_repeat=may_repeat)
        return [self._record(prefix, number) for number in range(start, start + count)]

    def _record(self, prefix: str, number: int) -> Sent:
        value = b'{"@timestamp":"%s","message":"line %d","n":%d}' % (TIME.encode(), number, number)
        header = prefix + record_id(f"s{number % PARTITIONS}", number, zlib.crc32(value))
        return Sent(value, [("t", header.encode())], number % PARTITIONS, b"s%d" % (number % PARTITIONS))

    def send(self, records: list[Sent]) -> None:
        """Put records into the topic."""
        asyncio.run(send(self, records))

    def roll_over(self) -> None:
        """Give the stream a new index to write to."""
        self.elastic(f"/{self.stream}/_rollover", method="POST")

    def index_once(self, **changes: Any) -> Counter[str]:
        """Run ``tailrace index --once`` in this process; what it counted."""
        before = counted()
        self.indexer |= changes
        asyncio.run(index(settings.load(self.write_settings()), Life(), once=True))
        found = counted()
        found.subtract(before)
        assert found["polled"] == sum(found[word] for word in ENDINGS)
        return found

    def ids(self) -> list[str]:
        """The ids of all documents of the stream, each as often as it is stored."""
        self.elastic(f"/{self.stream}/_refresh", method="POST")
        query = {"size": 10_000, "_source": False, "sort": ["_doc"], "track_total_hits": True}
        found = self.elastic(f"/{self.stream}/_search", query)["hits"]
        if found["total"]["value"] <= 10_000:
            return [hit["_id"] for hit in found["hits"]]
        ids: list[str] = []
        after: list[Any] = []
        while True:
            page = {"size": 10_000, "_source": False, "sort": [{"n": "asc"}]} | (
                {"search_after": after} if after else {}
            )
            hits = self.elastic(f"/{self.stream}/_search", page)["hits"]["hits"]
            if not hits:
                return ids
            ids += [hit["_id"] for hit in hits]
            after = hits[-1]["sort"]

    def letters(self) -> list[Any]:
        """The dead letters."""
        return asyncio.run(read(self.bootstrap_servers, self.dead))

    def commits(self) -> dict[TopicPartition, OffsetAndMetadata]:
        """The group's commits; none while its coordinator is not there yet."""
        try:
            return asyncio.run(self._commits())
        except KafkaError:
            return {}

    async def _commits(self) -> dict[TopicPartition, OffsetAndMetadata]:
        async with admin(self) as client:
            found: dict[TopicPartition, OffsetAndMetadata] = await client.list_consumer_group_offsets(
                f"{self.name}-indexer"
            )
            return found


AnyLoad = TypeVar("AnyLoad", bound=Load)
ENDINGS = ("stored", "already", "duplicates", "tombstones", "dead", "abandoned")


def admin(site: Site) -> contextlib.AbstractAsyncContextManager[Any]:
    """An admin client."""
    return admin_of(site.bootstrap_servers)


def counted() -> Counter[str]:
    """What this process has counted so far, in short words."""
    names = {
        "polled": metrics.POLLED,
        "stored": metrics.STORED,
        "already": metrics.ALREADY,
        "duplicates": metrics.DUPLICATES,
        "tombstones": metrics.TOMBSTONES,
        "abandoned": metrics.ABANDONED,
        "dead": metrics.DEAD,
        "gaps": metrics.GAPS,
        "looked_up": metrics.LOOKED_UP,
    }
    return Counter(
        {
            word: int(
                sum(one.value for family in metric.collect() for one in family.samples if one.name[-6:] == "_total")
            )
            for word, metric in names.items()
        }
    )


async def send(site: Site, records: list[Sent]) -> None:
    """Put records into the site's topic."""
    producer = AIOKafkaProducer(
        bootstrap_servers=site.bootstrap_servers, acks="all", max_batch_size=262_144, max_request_size=10_000_000
    )
    await producer.start()
    try:
        for one in records:
            last = await producer.send(site.topic, one.value, one.key, headers=one.headers, partition=one.partition)
        await producer.flush()
        await last
    finally:
        await producer.stop()


async def read(bootstrap_servers: str, topic: str) -> list[Any]:
    """All records of a topic."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    found: list[Any] = []
    try:
        partitions = consumer.assignment()
        ends = await consumer.end_offsets(partitions)
        deadline = time.monotonic() + 20
        while any([await consumer.position(one) < ends[one] for one in partitions]):
            assert time.monotonic() < deadline
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
    finally:
        await consumer.stop()
    return found


@pytest.fixture
def site(tmp_path: Path, stack: Stack, names: str) -> Iterator[Load]:
    """Topics, a group, streams and a template of this test's own."""
    yield from prepared(Load(tmp_path, stack, names))


@pytest.fixture
def breakable_site(tmp_path: Path, breakable_stack: Stack, names: str) -> Iterator[Load]:
    """As ``site``, on servers that may be stopped."""
    yield from prepared(Load(tmp_path, breakable_stack, names))


def prepared(site: AnyLoad) -> Iterator[AnyLoad]:
    """With its topics, and without its processes afterwards."""
    site.prepare()
    yield site
    site.end()


def exactly_once(site: Load, records: list[Sent]) -> None:
    """Every one of these records is stored, once."""
    wanted = {one.headers[0][1].rpartition(b"|")[2].decode() for one in records}
    found = site.ids()
    assert len(found) == len(set(found)), "stored twice"
    assert set(found) == wanted


def test_all_is_stored_once_and_committed(site: Load) -> None:
    """Three partitions; a second run finds nothing to do, because the farewell's commit says all and doubts nothing."""
    records = site.records(9000)
    site.send(records)
    assert site.index_once(slice_actions=700)["stored"] == 9000
    exactly_once(site, records)
    for commit in site.commits().values():
        assert commit.offset == 3000
        assert decode_metadata(commit.metadata) == 3000
    assert site.index_once()["polled"] == 0


def test_what_cannot_be_stored_is_a_dead_letter_with_its_reason(site: Load) -> None:
    """Poison of every kind goes to the dead letters, unchanged and explained; its neighbours are stored."""
    good = site.records(30)
    conflict, text = site.records(2, start=100)
    conflict = conflict._replace(value=b'{"@timestamp":"' + TIME.encode() + b'","n":"many"}')
    injection = b'{"a":1}\n{"delete":{"_index":"%s","_id":"x"}}\n{"b":2}' % site.stream.encode()
    poison = [
        conflict,
        text._replace(value=b"no json"),
        text._replace(value=injection),
        text._replace(value=b'{"@timestamp":"' + TIME.encode() + b'","a":' + b"[" * 20_000 + b"]" * 20_000 + b"}"),
        text._replace(value=b'{"@timestamp":"' + TIME.encode() + b'"}{"a":1}'),
        text._replace(headers=[("t", b"9|future")]),
        text._replace(headers=[("t", b"1||logs-elsewhere|x")]),
        *site.records(1, start=101, stream="metrics-not-allowed"),
    ]
    foreign = [Sent(b"\xff some text", []), Sent(b'{"@timestamp":"%s"}' % TIME.encode(), []), Sent(None, [], key=b"k")]
    site.send([*good, *poison, *foreign])
    found = site.index_once(allowed_streams=["logs-*-*"])
    assert (found["stored"], found["dead"], found["tombstones"]) == (31, 9, 1)
    exactly_once(site, good)
    letters = site.letters()
    reasons = Counter(dict(letter.headers)["tailrace.reason"].decode() for letter in letters)
    assert reasons == {"mapping": 3, "json": 3, "header": 2, "stream": 1}
    first = next(letter for letter in letters if letter.value == conflict.value)
    said = dict(first.headers)
    assert first.key == conflict.key
    assert said["t"] == conflict.headers[0][1]
    assert said["tailrace.error_type"] == b"document_parsing_exception"
    assert said["tailrace.field"] == b"n"
    assert said["tailrace.stream"] == site.stream.encode()
    assert said["tailrace.id"] == conflict.headers[0][1].rpartition(b"|")[2]
    assert said["tailrace.topic"] == site.topic.encode()
    assert (said["tailrace.partition"], said["tailrace.offset"]) == (b"1", b"10")
    assert b"many" in said["tailrace.error"]


def test_a_repetition_is_one_document_and_counted(site: Load) -> None:
    """In the write index the id tells; after a rollover the look-up does, for records that say they may repeat."""
    records = site.records(300)
    site.send(records + records[:50])
    found = site.index_once()
    assert (found["stored"], found["duplicates"]) == (300, 50)
    site.roll_over()
    site.send(site.records(310, may_repeat=True))
    found = site.index_once()
    assert (found["stored"], found["already"], found["looked_up"]) == (10, 300, 310)
    exactly_once(site, site.records(310))


def test_a_group_that_was_set_back_stores_nothing_twice(site: Load) -> None:
    """An operator's tool knows nothing of our metadata; all there is then may repeat, across a rollover, too."""
    records = site.records(300)
    site.send(records)
    site.index_once()
    site.roll_over()

    async def set_back() -> None:
        partitions = [TopicPartition(site.topic, number) for number in range(PARTITIONS)]
        consumer = AIOKafkaConsumer(
            bootstrap_servers=site.bootstrap_servers, group_id=f"{site.name}-indexer", enable_auto_commit=False
        )
        await consumer.start()
        consumer.assign(partitions)
        await consumer.commit(dict.fromkeys(partitions, 20))
        await consumer.stop()

    asyncio.run(set_back())
    found = site.index_once()
    assert (found["polled"], found["already"]) == (240, 240)
    exactly_once(site, records)


def test_records_that_retention_took_are_a_loud_gap(site: Load, capsys: pytest.CaptureFixture[str]) -> None:
    """The gap is counted and said, and what comes after it is stored."""
    site.send(site.records(300))
    site.index_once()
    site.send(site.records(300, start=300))

    async def delete() -> None:
        async with admin(site) as client:
            await client.delete_records({TopicPartition(site.topic, 1): RecordsToDelete(before_offset=150)})

    asyncio.run(delete())
    found = site.index_once()
    assert (found["gaps"], found["stored"]) == (50, 250)
    assert "deleted before they were read" in "".join(capsys.readouterr())


@pytest.mark.parametrize("first", [0, 30])
def test_a_gap_wider_than_the_reach_does_not_hold_up_what_follows(site: Load, first: int) -> None:
    """Another service's aborted transaction takes offsets that nobody is ever shown; the records behind it are stored.

    At the beginning of what is polled, and in the middle of it.
    """
    before, after = site.records(first), site.records(30, start=first)
    if before:
        site.send(before)

    async def abort() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=site.bootstrap_servers, transactional_id=site.name)
        await producer.start()
        try:
            await producer.begin_transaction()
            for number in range(3000):
                last = await producer.send(site.topic, b"{}", partition=number % PARTITIONS)
            await last
            await producer.abort_transaction()
        finally:
            await producer.stop()

    asyncio.run(abort())
    site.send(after)

    async def run() -> None:
        async with asyncio.timeout(30):
            await index(settings.load(site.write_settings()), Life(), once=True)

    site.indexer |= {"slice_actions": 50, "in_flight": 1, "reach_records": 100}
    asyncio.run(run())
    exactly_once(site, before + after)


def test_a_missing_topic_names_setup(site: Load) -> None:
    """It is an error of one sentence, not a topic made by accident."""
    site.topic = f"{site.name}.nowhere"
    with pytest.raises(RunSetup, match=r"nowhere.*tailrace setup"):
        site.index_once()


def test_once_does_not_wait_for_ever(site: Load, unused_port: int) -> None:
    """Where nobody answers, ``--once`` says so after a request's time; a service waits."""
    site.send(site.records(3))
    site.kafka = {"request_timeout_seconds": 0.5, "bootstrap_servers": [f"127.0.0.1:{unused_port}"]}
    with pytest.raises(ReachKafka, match="does not answer"):
        site.index_once()
    site.kafka = {}
    changed = settings.load(site.write_settings())
    away = Elasticsearch(hosts=[f"http://127.0.0.1:{unused_port}"], request_timeout_seconds=0.5)
    from msgspec.structs import replace

    with pytest.raises(BaseExceptionGroup) as caught:
        asyncio.run(index(replace(changed, elasticsearch=away), Life(), once=True))
    assert caught.group_contains(ReachElasticsearch, match="has taken no record")
    assert site.index_once()["stored"] == 3


def test_once_does_not_wait_for_ever_for_a_kafka_that_goes_away(breakable_site: Load) -> None:
    """Nor after it has begun: while Elasticsearch is waited for, a Kafka that stops answering ends the run."""
    site = breakable_site
    site.send(site.records(3))
    site.kafka = {"request_timeout_seconds": 2.0}
    site.stack.pause("elasticsearch")
    process = site.run("index", "--once")
    until(lambda: any(line["message"] == "reading partitions" for line in site.said("index")))
    site.stack.pause("kafka")
    assert process.wait(60) == 1
    assert site.said("index")[-1]["error.type"] == "ReachKafka"
    assert "(no answer in time)" in site.said("index")[-1]["message"]


@pytest.fixture
def unused_port() -> int:
    """A port where nobody listens."""
    from tailrace.stack.machine import free_port

    return free_port()


@pytest.mark.parametrize("server", ["fake", "real"])
def test_the_fake_elasticsearch_is_honest(site: Load, server: str) -> None:
    """What the model of the world tests answers, the real one answers: ids are checked in the write index only."""
    records = site.records(4)
    lines = [b'{"create":{"_index":"%s","_id":"%d"}}\n' % (site.stream.encode(), number) for number in range(4)]
    documents = [one.value or b"" for one in records]
    bad = b'{"@timestamp":"%s","bad":true,"n":"x"}' % TIME.encode()
    fake = FakeElasticsearch()

    async def talk() -> list[Any]:
        transport = Transport(Elasticsearch(hosts=[site.stack.elasticsearch_url]), 1)
        said: list[Any] = []

        async def create(numbers: list[int], values: list[bytes]) -> None:
            body = bulk.body([lines[number] for number in numbers], values)
            if server == "fake":
                status, answer = fake.bulk(body)
            else:
                status, answer, _ = await transport.request("POST", bulk.PATH, body, ndjson=True)
            reading = bulk.read(status, answer, len(numbers))
            said.append((reading.whole, [verdict.outcome for verdict in reading.verdicts]))

        async def ask() -> None:
            addresses = [(site.stream, str(number)) for number in range(4)]
            found = fake.look_up(addresses) if server == "fake" else await look_up(transport, addresses)
            assert not isinstance(found, Unanswered)
            said.append(found)

        await ask()
        await create([0, 1], documents[:2])
        await create([1, 2, 3], [documents[1], documents[2], bad])
        await ask()
        if server == "fake":
            fake.rollover(site.stream)
        else:
            await transport.request("POST", f"/{site.stream}/_rollover")
        await ask()
        await create([0, 3], [documents[0], documents[3]])
        await ask()
        await transport.close()
        return said

    assert asyncio.run(talk()) == [
        [False] * 4,
        (bulk.Whole.ALL_STORED, []),
        (bulk.Whole.MIXED, [bulk.Outcome.EXISTS, bulk.Outcome.STORED, bulk.Outcome.REJECTED]),
        [True, True, True, False],
        [True, True, True, False],
        (bulk.Whole.ALL_STORED, []),
        [True] * 4,
    ]


def test_the_clusters_refusals_are_waited_out(site: Load) -> None:
    """A write block, and a stream without a template, are nobody's dead letters: records wait, and then are stored."""
    site.send(site.records(30))
    site.index_once()
    (backing,) = site.elastic(f"/_resolve/index/{site.stream}")["data_streams"][0]["backing_indices"]
    site.elastic(f"/{backing}/_settings", {"index.blocks.write": True}, "PUT")
    site.send(site.records(30, start=30))

    async def watch() -> None:
        life = Life()
        service = asyncio.create_task(index(settings.load(site.write_settings()), life, once=False))
        await reached(lambda: _blocked() == 1)
        site.elastic(f"/{backing}/_settings", {"index.blocks.write": None}, "PUT")
        await reached(lambda: _blocked() == 0)
        await reached(lambda: len(site.ids()) == 60)
        life.stop.set()
        await service

    before = counted()
    asyncio.run(watch())
    assert (counted() - before)["dead"] == 0
    exactly_once(site, site.records(60))


def _blocked() -> float:
    (family,) = metrics.BLOCKED.collect()
    return float(family.samples[0].value)


async def reached(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait for a condition beside a running service."""
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def test_indexers_join_and_leave_under_load(site: Load) -> None:
    """Partitions wander between two indexers and back while records come; each is stored once."""
    records = site.records(12_000)

    async def run() -> None:
        lives = [Life(), Life(), Life()]
        loaded = settings.load(site.write_settings())
        writing = asyncio.create_task(trickle())
        first = asyncio.create_task(index(loaded, lives[0], once=False))
        await reached(lambda: len(site.commits()) == PARTITIONS)
        second = asyncio.create_task(index(loaded, lives[1], once=False))
        await writing
        lives[0].stop.set()
        await first
        third = asyncio.create_task(index(loaded, lives[2], once=False))
        await reached(lambda: len(site.ids()) >= 12_000)
        lives[1].stop.set()
        lives[2].stop.set()
        await asyncio.gather(second, third)

    async def trickle() -> None:
        for start in range(0, 12_000, 500):
            await send(site, records[start : start + 500])

    site.indexer |= {"slice_actions": 200}
    before = counted()
    asyncio.run(run())
    after = counted() - before
    exactly_once(site, records)
    assert after["polled"] == sum(after[word] for word in ENDINGS)


@pytest.mark.crash
def test_killed_at_random_moments_it_stores_each_record_once(site: Load) -> None:
    """A power cut again and again, rollovers in between, and no record is lost or stored twice."""
    records = site.records(60_000)
    site.send(records[:30_000])
    dice = random.Random(7)
    site.indexer |= {"slice_actions": 500, "reach_records": 3000}
    for turn in range(3):
        before = _finished(site)
        process = site.run("index", log="index")
        until(lambda: _finished(site) > before or not process.running, 40)  # noqa: B023 - called at once
        _linger(process, dice.random() * 0.5)
        process.kill()
        if turn == 1:
            site.roll_over()
            site.send(records[30_000:])
    site.finish("index", "--once", seconds=90)
    exactly_once(site, records)


def _finished(site: Load) -> int:
    return sum(max(0, commit.offset) for commit in site.commits().values())


def _linger(process: Process, seconds: float) -> None:
    with contextlib.suppress(Exception):
        process.wait(seconds)


@pytest.mark.crash
def test_an_outage_of_elasticsearch_loses_and_repeats_nothing(breakable_site: Load) -> None:
    """Frozen, then stopped under load, then back: memory stays flat, it is said once, and all is there once."""
    site = breakable_site
    site.indexer |= {"slice_actions": 500}
    records = site.records(30_000)
    site.send(records[:10_000])
    settings_file = site.write_settings()
    settings_file.write_bytes(
        settings_file.read_bytes().replace(b"[elasticsearch]", b"[elasticsearch]\nrequest_timeout_seconds = 3.0")
    )
    process = site.run("index", settings=settings_file)
    until(lambda: _finished(site) > 5000)
    site.stack.pause("elasticsearch")
    site.send(records[10_000:20_000])
    until(lambda: b"does not take records" in process.log.read_bytes(), 20)
    site.stack.resume("elasticsearch")
    until(lambda: _finished(site) > 10_000, 40)
    site.stack.stop("elasticsearch")
    site.send(records[20_000:])
    until(lambda: process.log.read_bytes().count(b"does not take records") >= 2, 20)
    site.stack.up()
    until(lambda: _finished(site) == 30_000, 60)
    assert process.peak_mb < 200
    assert process.stop() == 0
    exactly_once(site, records)
    assert site.letters() == []


def test_the_clients_part_in_the_group_is_begun_again(site: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brokers that come back may answer what aiokafka does not expect; it then takes no part in the group any more."""
    site.send(site.records(30))
    known = GroupCoordinator.ensure_coordinator_known
    failures = iter(["Did we not perform bootstrap?"] * 2)

    async def ensure_coordinator_known(coordinator: GroupCoordinator) -> None:
        for failure in failures:
            raise AssertionError(failure)
        await known(coordinator)

    monkeypatch.setattr(GroupCoordinator, "ensure_coordinator_known", ensure_coordinator_known)
    assert site.index_once()["stored"] == 30
    assert next(failures, None) is None


@in_loop
async def test_what_is_no_longer_ours_when_it_is_about_to_go_is_not_sent(stack: Stack) -> None:
    """A process that was frozen between looking and sending: the request is not made, for others may have made it."""
    transport = Transport(Elasticsearch(hosts=[stack.elasticsearch_url]), 1)
    try:
        sure = iter([False, True])
        assert (await transport.request("POST", "/_bulk", b"\n", ndjson=True, may_go=lambda: next(sure))).status == 0
        assert (await transport.request("POST", "/_bulk", b"\n", ndjson=True, may_go=lambda: next(sure))).status == 400
    finally:
        await transport.close()
