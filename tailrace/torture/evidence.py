"""A topic and a data stream to the numbered lines that are in them."""

from collections.abc import Callable
from contextlib import aclosing

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from elasticsearch import AsyncElasticsearch

from tailrace import record
from tailrace.pages import pages
from tailrace.torture.count import Shipped, Stored
from tailrace.torture.ground import Ground

_FIELDS = ("labels.way", "numeric_labels.n")


class _Labels(msgspec.Struct):
    way: str = ""


class _Numbers(msgspec.Struct):
    n: float = -1


class _Document(msgspec.Struct):
    labels: _Labels = msgspec.field(default_factory=_Labels)
    numeric_labels: _Numbers = msgspec.field(default_factory=_Numbers)


async def count_topic(
    bootstrap_servers: str, topic: str, shipped: Shipped, progress: Callable[[int, int], None]
) -> int:
    """Read the topic from its beginning to its end as it is now; how many records there are."""
    decoder = msgspec.json.Decoder(_Document)
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap_servers, enable_auto_commit=False, auto_offset_reset="earliest",
        max_partition_fetch_bytes=4_194_304,
    )  # fmt: skip
    await consumer.start()
    try:
        goal = await consumer.end_offsets(consumer.assignment())
        total, done = sum(goal.values()), 0
        while [1 for partition, end in goal.items() if await consumer.position(partition) < end]:
            for some in (await consumer.getmany(timeout_ms=500)).values():
                for one in some:
                    _take(shipped, one.headers, decoder.decode(one.value))
                done += len(some)
            progress(done, total)
    finally:
        await consumer.stop()
    return done


async def count_stream(
    client: AsyncElasticsearch, stream: str, stored: Stored, progress: Callable[[int], None]
) -> None:
    """Read every document of a data stream, in all its backing indices, from one point in time."""
    await client.indices.refresh(index=stream)
    done = 0
    async with aclosing(pages(client, stream, _FIELDS)) as found:
        async for hits in found:
            for hit in hits:
                fields = hit.get("fields", {})
                (way,), (number,) = (fields.get(name, [None]) for name in _FIELDS)
                stored.take(str(way), -1 if number is None else int(number))
            done += len(hits)
            progress(done)


async def remove(ground: Ground, bootstrap_servers: str, client: AsyncElasticsearch) -> None:
    """Delete what a run left in Kafka and Elasticsearch.

    An empty data stream remains: the API that deletes one is not among the parts that the local stack has.
    """
    if await client.indices.exists(index=ground.stream):
        await client.indices.rollover(alias=ground.stream)
        found = await client.indices.resolve_index(name=ground.stream)
        for index in found["data_streams"][0]["backing_indices"][:-1]:
            await client.indices.delete(index=index)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_topics([*ground.topics])
    finally:
        await admin.close()


def _take(shipped: Shipped, headers: list[tuple[str, bytes]], document: _Document) -> None:
    header = next((record.parse_header(value) for name, value in headers if name == record.HEADER), None)
    if header is None:
        shipped.strange += 1
        return
    number = int(document.numeric_labels.n)
    shipped.take(document.labels.way, number, header.record_id, may_repeat=header.may_repeat)
