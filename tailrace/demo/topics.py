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
    async with _consumer(bootstrap_servers, topic) as consumer:
        return await _ends(consumer)


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
    async with _consumer(bootstrap_servers, topic) as consumer:
        goal = await _ends(consumer)
        for partition in goal:
            consumer.seek(partition, since.get(partition, 0))
        while [1 for partition, end in goal.items() if await consumer.position(partition) < end]:
            polled: dict[TopicPartition, list[Any]] = await consumer.getmany(timeout_ms=500)
            for partition, some in polled.items():
                records += [one for one in some if one.offset < goal[partition]]
    return records


async def _ends(consumer: AIOKafkaConsumer) -> Ends:
    found: Ends = await consumer.end_offsets(consumer.assignment())
    return found


@contextlib.asynccontextmanager
async def _consumer(bootstrap_servers: str, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer without a group: it is assigned all partitions of the topic when it starts."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap_servers,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        client_id="tailrace-demo",
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()
