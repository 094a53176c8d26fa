"""Kafka to what the ledger says of each source, which dead letters there are, and how far the indexers have got."""

import asyncio
import difflib
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from tailrace import kafka
from tailrace.audit.chain import Kept
from tailrace.audit.entry import Entry, entry
from tailrace.audit.verdict import Buried
from tailrace.causes import NO_JSON
from tailrace.letter_topic import partitions_of, read_letters
from tailrace.letters import Letter, Settled, Subject
from tailrace.settings import Settings
from tailrace.show import in_line

_POLL_MS = 500
_AT_ONCE = 5000
_COORDINATOR_SECONDS = 10.0
_LOOK_SECONDS = 0.3
_MOST_HOSTS = 3

Ends = dict[TopicPartition, int]
"""Of each partition the offset behind its last record."""


class _Covered(msgspec.Struct):
    bytes: int
    skipped: int


class _Log(msgspec.Struct):
    offset: int


class _Value(msgspec.Struct):
    tailrace: _Covered
    log: _Log


async def ledger(settings: Settings, wanted: Callable[[Entry], bool]) -> dict[str, Entry]:
    """The newest record of the ledger for each source that is wanted.

    Raises:
        RunSetup: there is no such topic.
        KafkaError: Kafka does not answer, or not to us.
    """
    newest: dict[str, Entry] = {}
    async with aclosing(_whole(settings, settings.kafka.ledger_topic)) as pieces:
        async for records in pieces:
            for record in records:
                found = entry(record.value) if record.value is not None else None
                if found is not None:
                    newest[found.source] = found
                elif record.key is not None:
                    newest.pop(record.key.decode("utf-8", "replace"), None)
    return {name: one for name, one in newest.items() if wanted(one)}


async def hosts(settings: Settings, like: str) -> list[str]:
    """Of which hosts the ledger tells, at most three: those with a name like this one, else any.

    Raises:
        RunSetup: there is no such topic.
        KafkaError: Kafka does not answer, or not to us.
    """
    known = sorted({in_line(one.host) for one in (await ledger(settings, lambda _: True)).values()})
    return difflib.get_close_matches(like, known, n=_MOST_HOSTS, cutoff=0.4) or known[:_MOST_HOSTS]


async def replayed(settings: Settings, sources: Collection[str]) -> set[Subject]:
    """Of which records of these sources the dead letters were replayed.

    Raises:
        RunSetup: there is no such topic.
        KafkaError: Kafka does not answer, or not to us.
    """
    return {letter.subject async for _, letter in _letters(settings, sources) if _is_replayed(letter)}


async def buried(
    settings: Settings, sources: Collection[str], before: Collection[Subject], passing: Callable[[str], bool]
) -> dict[str, list[Buried]]:
    """The dead letters of these sources that nobody had replayed ``before``; in memory all at once, for few should be.

    One that was replayed since is dead still as far as the audit looks, for its record may be behind that; unless the
    source is ``passing``, some of its records on their way, of which it may be one.

    Raises:
        RunSetup: there is no such topic.
        KafkaError: Kafka does not answer, or not to us.
    """
    found: dict[str, list[Buried]] = {}
    async for source, letter in _letters(settings, sources):
        if letter.subject not in before and not (_is_replayed(letter) and passing(source)):
            found.setdefault(source, []).append(_buried(letter))
    return found


async def _letters(settings: Settings, sources: Collection[str]) -> AsyncGenerator[tuple[str, Letter], None]:
    async with aclosing(read_letters(settings.kafka)) as pieces:
        async for letters in pieces:
            for letter in letters:
                source = letter.record_id.partition(":")[0]
                if source in sources:
                    yield source, letter


def _is_replayed(letter: Letter) -> bool:
    return letter.settlement is not None and letter.settlement.how is Settled.REPLAYED


def kept_in(record_id: str, value: bytes) -> Kept | None:
    """Which bytes of a source a record covers; None if its value does not say, as one that was cut."""
    try:
        said = msgspec.json.decode(value, type=_Value)
    except NO_JSON:
        return None
    return Kept(record_id, said.log.offset, said.tailrace.bytes, said.tailrace.skipped)


async def ends(settings: Settings) -> Ends:
    """Where the record topics end now."""
    topics = await kafka.record_topics(settings)
    partitions = [one for topic in topics for one in await partitions_of(settings.kafka, topic)]
    consumer = consumer_of(settings)
    await consumer.start()
    try:
        found: Ends = await consumer.end_offsets(partitions)
    finally:
        await kafka.stop(consumer)
    return found


async def left(settings: Settings, goal: Ends) -> Ends:
    """How many records before ``goal`` the indexers have not finished, of the partitions where there are any."""
    admin = AIOKafkaAdminClient(**kafka.options(settings.kafka))
    try:
        await admin.start()
        committed = await _committed(admin, settings.indexer.group)
    finally:
        await admin.close()
    done = {partition: max(0, one.offset) for partition, one in committed.items()}
    rest = {partition: end - done.get(partition, 0) for partition, end in goal.items()}
    return {partition: count for partition, count in rest.items() if count > 0}


async def _committed(admin: AIOKafkaAdminClient, group: str) -> dict[TopicPartition, Any]:
    """What a group committed. A new Kafka makes the topic for it when it is first asked, and has none until then."""
    until = time.monotonic() + _COORDINATOR_SECONDS
    while True:
        try:
            found: dict[TopicPartition, Any] = await admin.list_consumer_group_offsets(group)
        except GroupCoordinatorNotAvailableError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(_LOOK_SECONDS)
        else:
            return found


def waits(source: str, goal: Ends, rest: Ends) -> bool:
    """Whether records of a source may be among those that the indexers have not finished.

    Also in a partition where they went before the topic got more: what is called missing may be sent again.
    """
    counts = Counter(partition.topic for partition in goal)
    ever = {one.topic: kafka.partitions_ever(source.encode(), counts[one.topic]) for one in rest}
    return any(one.partition in ever[one.topic] for one in rest)


def _buried(letter: Letter) -> Buried:
    dropped = letter.settlement is not None and letter.settlement.how is Settled.DROPPED
    reason = f"{letter.reason}, letter dropped" if dropped else letter.reason
    kept = None if letter.is_cut else kept_in(letter.record_id, letter.value)
    if kept is not None:
        return Buried(kept, reason)
    offset = letter.record_id.split(":")[1:2]
    start = int(offset[0]) if offset and offset[0].isdecimal() else 0
    return Buried(Kept(letter.record_id, start, 0, 0), reason, is_cut=True)


async def _whole(settings: Settings, topic: str) -> AsyncGenerator[list[Any], None]:
    """All records that are in a topic now, in pieces of one partition."""
    partitions = await partitions_of(settings.kafka, topic)
    consumer = consumer_of(settings)
    await consumer.start()
    try:
        consumer.assign(partitions)
        goal: Ends = await consumer.end_offsets(partitions)
        await consumer.seek_to_beginning(*partitions)
        while any([await consumer.position(partition) < end for partition, end in goal.items()]):
            polled = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_AT_ONCE)
            for partition, records in polled.items():
                yield [one for one in records if one.offset < goal[partition]]
    finally:
        await kafka.stop(consumer)


def consumer_of(settings: Settings) -> AIOKafkaConsumer:
    """A consumer of no group, which commits nothing and is assigned by hand."""
    return AIOKafkaConsumer(
        **kafka.options(settings.kafka), group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"
    )
