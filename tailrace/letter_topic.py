"""The dead letter topic to its letters, each with what became of it."""

from collections.abc import AsyncGenerator, Collection
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from tailrace import kafka
from tailrace.errors import RunSetup
from tailrace.letters import Letter, Settlement, Subject, read
from tailrace.settings import Kafka

_POLL_MS = 500
_AT_ONCE = 2000


async def read_letters(settings: Kafka) -> AsyncGenerator[list[Letter], None]:
    """All letters that are in the topic now, each subject once and with its settlement; by partition in their order.

    The topic is read twice: first for the settlements, which are kept in memory, then for the letters, which are not.
    ``letter.is_open`` says which still wait. Close the generator if you leave it early (``contextlib.aclosing``).

    Raises:
        RunSetup: there is no such topic.
        KafkaError: Kafka does not answer, or not to us.
    """
    partitions = await partitions_of(settings, settings.dead_letter_topic)
    consumer = AIOKafkaConsumer(
        **kafka.options(settings), group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        consumer.assign(partitions)
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        settled: dict[Subject, Settlement] = {}
        async for partition, records in _records(consumer, ends):
            found = (read(partition, one) for one in records if one.value is None)
            settled.update(one for one in found if one is not None and not isinstance(one, Letter))
        seen: set[Subject] = set()
        async for partition, records in _records(consumer, ends):
            letters: dict[Subject, Letter] = {}
            for record in records:
                one = read(partition, record)
                if isinstance(one, Letter) and one.subject not in seen:
                    letters.setdefault(one.subject, one)
            seen |= letters.keys()
            yield [msgspec.structs.replace(one, settlement=settled.get(one.subject)) for one in letters.values()]
    finally:
        await consumer.stop()


async def partitions_of(settings: Kafka, topic: str) -> list[TopicPartition]:
    """All partitions of a topic, which is not asked for by name before it is known, for that might create it.

    Raises:
        RunSetup: there is no such topic.
        KafkaError: Kafka does not answer, or not to us.
    """
    admin = AIOKafkaAdminClient(**kafka.options(settings))
    try:
        await admin.start()
        if topic not in await admin.list_topics():
            raise RunSetup(f"Kafka has no topic {topic}; run `tailrace setup`, or mend [kafka].")
        (described,) = await admin.describe_topics([topic])
    finally:
        await admin.close()
    return [TopicPartition(topic, one["partition"]) for one in described["partitions"]]


async def _records(
    consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]
) -> AsyncGenerator[tuple[int, Collection[Any]], None]:
    """All records before these ends, from the beginning, in pieces of one partition."""
    await consumer.seek_to_beginning(*ends)
    while any([await consumer.position(partition) < end for partition, end in ends.items()]):
        polled = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_AT_ONCE)
        for partition, records in polled.items():
            wanted = [one for one in records if one.offset < ends[partition]]
            if wanted:
                yield partition.partition, wanted
