"""A topic's records to bulk requests in a file, and these into Elasticsearch as fast as it takes them. Run as a child.

``python -m tailrace.bench.bodies prepare SERVERS TOPIC STREAM FILE``, then ``… replay URL FILE IN_FLIGHT`` for the most
that these servers can do, or ``… helper URL FILE STREAM COUNT`` for what the client's own helper does.
"""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from elasticsearch import AsyncElasticsearch
from elasticsearch.helpers import async_bulk

from tailrace.errors import BenchFailed
from tailrace.record import HEADER

_QUERY = "?require_data_stream=true&filter_path=errors,items.*.status,items.*.error,items.*.failure_store"
_SLICE_BYTES = 4_194_304
_SLICE_ACTIONS = 5000
IN_FLIGHT = 3
"""The indexer's own defaults."""


def command(*words: str) -> list[str]:
    """This module as a child with these words."""
    return [sys.executable, "-m", __name__, *words]


async def prepare(servers: str, topic: str, stream: str, file: Path) -> None:
    """Write the bodies that store a topic's records in ``stream``; beside them a file with the length of each."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        await consumer._client.add_topic(topic)  # noqa: SLF001 - it has no public way to ask without a subscription
        parts = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        left = sum(ends.values()) - sum((await consumer.beginning_offsets(parts)).values())
        lengths: list[int] = []
        begin = b'{"create":{"_index":"' + stream.encode() + b'","_id":"'
        with file.open("wb") as opened:
            body: list[bytes] = []
            size = 0
            while left:
                polled = await consumer.getmany(timeout_ms=1000, max_records=_SLICE_ACTIONS)
                for record in (record for records in polled.values() for record in records):
                    left -= 1
                    record_id = dict(record.headers)[HEADER].rpartition(b"|")[2]
                    body.append(begin + record_id + b'"}}\n' + record.value + b"\n")
                    size += len(body[-1])
                    if size >= _SLICE_BYTES or len(body) >= _SLICE_ACTIONS or not left:
                        lengths.append(opened.write(b"".join(body)))
                        body, size = [], 0
        file.with_suffix(".lengths").write_bytes(orjson.dumps(lengths))
    finally:
        await consumer.stop()


async def replay(url: str, file: Path, in_flight: int) -> None:
    """Send the bodies, so many at a time."""
    bodies = _bodies(file)
    timeout = aiohttp.ClientTimeout(total=300)
    async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as tasks:
        for _ in range(in_flight):
            tasks.create_task(_send(session, url + "/_bulk" + _QUERY, bodies))


async def helper(url: str, file: Path, stream: str, count: int) -> None:
    """Store the first ``count`` documents in ``stream`` with the client's helper, as most programs do."""
    async with AsyncElasticsearch(url, request_timeout=300) as client:
        stored, _ = await async_bulk(client, _actions(file, stream, count), chunk_size=_SLICE_ACTIONS)
    if stored != count:
        raise BenchFailed(f"async_bulk stored {stored} of {count}")


async def _send(session: aiohttp.ClientSession, url: str, bodies: Iterator[bytes]) -> None:
    headers = {"content-type": "application/x-ndjson"}
    for body in bodies:
        while True:
            async with session.post(url, data=body, headers=headers) as answer:
                text = await answer.read()
            if answer.status == 200 and text.startswith(b'{"errors":false'):
                break
            if answer.status != 429 and b'"status":429' not in text:
                raise BenchFailed(f"HTTP {answer.status}: {text[:300]!r}")


def _bodies(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        for length in orjson.loads(file.with_suffix(".lengths").read_bytes()):
            yield opened.read(length)


def _actions(file: Path, stream: str, count: int) -> Iterator[dict[str, object]]:
    with file.open("rb") as opened:
        for _ in range(count):
            target = orjson.loads(opened.readline())["create"]
            yield {**target, "_op_type": "create", "_index": stream, "_source": orjson.loads(opened.readline())}


if __name__ == "__main__":
    what, *words = sys.argv[1:]
    if what == "prepare":
        asyncio.run(prepare(words[0], words[1], words[2], Path(words[3])))
    elif what == "replay":
        asyncio.run(replay(words[0], Path(words[1]), int(words[2])))
    else:
        asyncio.run(helper(words[0], Path(words[1]), words[2], int(words[3])))
