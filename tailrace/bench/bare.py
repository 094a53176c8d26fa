"""The least a shipper of this shape can do, for comparison: read, parse, encode, append, send. Run as a child.

``python -m tailrace.bench.bare json|text SERVERS TOPIC FILE…``: no identity, no registry, no ECS, no retries.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import orjson
from aiokafka import AIOKafkaProducer

_CHUNK_BYTES = 262_144
_BATCH_BYTES = 524_288
_IN_FLIGHT = 8


Parse = Callable[[bytes], dict[str, object]]


async def ship(parse: Parse, servers: str, topic: str, files: list[Path]) -> None:
    """Send every line of the files, one partition each."""
    producer = AIOKafkaProducer(
        bootstrap_servers=servers,
        acks="all",
        enable_idempotence=True,
        compression_type="zstd",
        max_batch_size=_BATCH_BYTES,
        max_request_size=2 * _BATCH_BYTES,
    )
    await producer.start()
    try:
        partitions = len(await producer.partitions_for(topic))
        await asyncio.gather(
            *(_ship_one(parse, producer, topic, number % partitions, file) for number, file in enumerate(files))
        )
    finally:
        await producer.stop()


async def _ship_one(parse: Parse, producer: AIOKafkaProducer, topic: str, partition: int, file: Path) -> None:
    key = b"%020d" % partition
    constant = {"ecs": {"version": "8.11.0"}, "host": {"name": "bench"}, "log": {"file": {"path": str(file)}}}
    batch = producer.create_batch()
    flying: set[asyncio.Future[object]] = set()
    offset = 0
    rest = b""
    stamp = int(time.time() * 1000)
    with file.open("rb", buffering=0) as opened:
        while chunk := opened.read(_CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                value = orjson.dumps(parse(line) | constant)
                headers = [("t", b"1||logs-bench-default|%b:%016d:%08x" % (key, offset, crc32(line)))]
                offset += len(line) + 1
                if batch.append(timestamp=stamp, key=key, value=value, headers=headers) is None:
                    flying.add(await producer.send_batch(batch, topic, partition=partition))
                    batch = producer.create_batch()
                    batch.append(timestamp=stamp, key=key, value=value, headers=headers)
            while len(flying) >= _IN_FLIGHT:
                _, flying = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
    if batch.record_count():
        flying.add(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*flying)


def _text(line: bytes) -> dict[str, object]:
    return {"message": line.decode()}


if __name__ == "__main__":
    kind, servers, topic, *names = sys.argv[1:]
    asyncio.run(ship(orjson.loads if kind == "json" else _text, servers, topic, [Path(name) for name in names]))
