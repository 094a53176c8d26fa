"""Records as they pass through Kafka to how long it takes from writing a line to its being stored.

Measured is the time from the timestamp that the service wrote into its line until Elasticsearch answers a realtime get
of that line's document id. Some lines of each stream are picked as they pass through the topic, and asked for every 25
ms until they are there: a measured time is too long by up to that, never too short. Lines that do not tell their time
to the millisecond are not picked.
"""

import asyncio
import contextlib
import datetime
import time
from collections import deque
from typing import NamedTuple, Self

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch

from tailrace import record
from tailrace.demo.cast import NAMESPACE

_POLL_SECONDS = 0.025
_PICK_SECONDS = 0.1
_MOST_ASKED = 24
_RECENT_SECONDS = 15.0


class Percentiles(NamedTuple):
    """How many lines were timed, and their median and 99th percentile in seconds."""

    lines: int
    p50: float
    p99: float


class _Asked(NamedTuple):
    stream: str
    written: float


class _Timed(msgspec.Struct):
    timestamp: str = msgspec.field(name="@timestamp")


class Sampler:
    """Times lines between ``async with`` and its end."""

    def __init__(self, bootstrap_servers: str, topic: str, client: AsyncElasticsearch, run: str) -> None:
        self._client = client
        self._mark = f'"{run}"'.encode()
        self._consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=bootstrap_servers,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            client_id="tailrace-demo",
        )
        self._decoder = msgspec.json.Decoder(_Timed)
        self._streams: set[str] = set()
        self._asked: dict[str, _Asked] = {}
        self._indices: dict[str, list[str]] = {}
        self._times: deque[tuple[float, str, float]] = deque()
        self._picked: dict[str, float] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def follow(self, streams: set[str]) -> None:
        """Time lines of these data streams."""
        self._streams = streams

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        await self._consumer.seek_to_end()
        self._tasks = [asyncio.create_task(self._pick()), asyncio.create_task(self._ask())]
        return self

    async def __aexit__(self, *_exception: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._consumer.stop()

    def percentiles(self, stream: str = "", *, recent: bool = True) -> Percentiles:
        """Of one stream or of all; of the last seconds only, or since the beginning."""
        since = time.time() - _RECENT_SECONDS if recent else 0.0
        times = sorted(seconds for at, name, seconds in self._times if at >= since and (not stream or name == stream))
        if not times:
            return Percentiles(0, 0.0, 0.0)
        return Percentiles(len(times), times[len(times) // 2], times[min(len(times) - 1, len(times) * 99 // 100)])

    async def _pick(self) -> None:
        """Follow the topic and pick a line of each stream now and then."""
        while True:
            polled = await self._consumer.getmany(timeout_ms=200)
            now = time.monotonic()
            for records in polled.values():
                for one in records:
                    self._consider(one, now)

    def _consider(self, passed: ConsumerRecord[bytes, bytes], now: float) -> None:
        header = next((record.parse_header(value) for name, value in passed.headers if name == record.HEADER), None)
        if header is None or header.stream not in self._streams or len(self._asked) >= _MOST_ASKED:
            return
        if now - self._picked.get(header.stream, 0.0) < _PICK_SECONDS or self._mark not in (passed.value or b""):
            return
        with contextlib.suppress(msgspec.DecodeError, ValueError):
            stamp = datetime.datetime.fromisoformat(self._decoder.decode(passed.value or b"").timestamp)
            self._asked[header.record_id] = _Asked(header.stream, stamp.timestamp())
            self._picked[header.stream] = now

    async def _ask(self) -> None:
        """Ask for all that were picked until they are there."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            if not self._asked:
                continue
            with contextlib.suppress(ApiError, TransportError):
                await self._look()

    async def _look(self) -> None:
        if {asked.stream for asked in self._asked.values()} - self._indices.keys():
            answer = await self._client.indices.resolve_index(name=f"logs-*-{NAMESPACE}", allow_no_indices=True)
            for one in answer["data_streams"]:
                found = one["backing_indices"]
                self._indices[one["name"]] = [found] if isinstance(found, str) else found
        wanted = [
            {"_index": index, "_id": name, "_source": False}
            for name, asked in self._asked.items()
            for index in self._indices.get(asked.stream, [])
        ]
        if not wanted:
            return
        answer = await self._client.mget(docs=wanted)
        now = time.time()
        for one in answer["docs"]:
            if one.get("found") and one["_id"] in self._asked:
                asked = self._asked.pop(one["_id"])
                self._times.append((now, asked.stream, max(0.0, now - asked.written)))
