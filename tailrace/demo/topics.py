"""Kafka to where a topic ends, how far a group has got, and what was added to a topic since."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

Ends = dict[TopicPartition, int]
"""The offset of the next record of each partition."""


async def ends(bootstrap_servers: str, topic: str) -> Ends:
    """Where the topic ends now."""
    async with _consumer(bootstrap_servers) as consumer:
        return await _ends(consumer, topic)


async def behind(bootstrap_servers: str, group: str, goal: Ends) -> int:
    """How many records before ``goal`` the group has not committed."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        committed = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()
    done = {partition: found.offset for partition, found in committed.items()}
    return sum(max(0, end - max(0, done.get(partition, 0))) for partition, end in goal.items())


async def added(bootstrap_servers: str, topic: str, since: Ends) -> list[ConsumerRecord[bytes, bytes]]:
    """The records from ``since`` to the end as it is now."""
    records: list[ConsumerRecord[bytes, bytes]] = []
    async with _consumer(bootstrap_servers) as consumer:
        goal = await _ends(consumer, topic)
        left = {partition for partition, end in goal.items() if end > since.get(partition, 0)}
        consumer.assign(sorted(left))
        for partition in left:
            consumer.seek(partition, since.get(partition, 0))
        while left:
            polled: dict[TopicPartition, list[Any]] = await consumer.getmany(timeout_ms=500)
            for partition, some in polled.items():
                records += [one for one in some if one.offset < goal[partition]]
            left = {partition for partition in left if await consumer.position(partition) < goal[partition]}
    return records


async def _ends(consumer: AIOKafkaConsumer, topic: str) -> Ends:
    await consumer.topics()  # else the numbers of partitions may be those of a moment ago
    numbers = consumer.partitions_for_topic(topic) or set()
    found: Ends = await consumer.end_offsets([TopicPartition(topic, number) for number in numbers])
    return found


@contextlib.asynccontextmanager
async def _consumer(bootstrap_servers: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, enable_auto_commit=False, client_id="tailrace-demo"
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()
