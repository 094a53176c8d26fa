"""Refusals to the dead letter topic, each acknowledged by all replicas in sync before it counts as there."""

import asyncio
import contextlib
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from indexer.dead_letters import Letter, bare, cut, letter, place
from indexer.documents import Refusal
from tailrace import kafka
from tailrace.settings import Kafka

_MOST_BYTES = 100_000_000


class Letterbox:
    """A producer that is made when the first letter comes, and made anew after any failure.

    A letter may be there twice after a failure; it is never missing. Not idempotent on purpose: one failed batch would
    spoil such a producer.
    """

    def __init__(self, settings: Kafka) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()

    async def send(self, refusals: Sequence[Refusal]) -> str:
        """Send letters and wait for their acknowledgement; returns what went wrong, nothing if all are there."""
        now_ms = int(time.time() * 1000)
        try:
            async with self._lock:
                await self._send_all([letter(refusal, now_ms) for refusal in refusals])
        except (KafkaError, OSError) as error:
            await self.close()
            return f"cannot write to {self._settings.dead_letter_topic}: {type(error).__name__} {error}"[:300]
        return ""

    async def close(self) -> None:
        """Close the producer, if there is one."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def _send_all(self, letters: Sequence[Letter]) -> None:
        if self._producer is None:
            producer = AIOKafkaProducer(
                **kafka.options(self._settings),
                acks="all",
                compression_type="zstd",
                max_request_size=_MOST_BYTES,
                max_batch_size=262_144,
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        producer = self._producer
        waiting = [await self._begin(producer, one) for one in letters]
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        for one, answer in zip(letters, answers, strict=True):
            if isinstance(answer, MessageSizeTooLargeError):
                await self._send_cut(producer, one)
            elif isinstance(answer, BaseException):
                raise answer

    async def _send_cut(self, producer: AIOKafkaProducer, whole: Letter) -> None:
        """Send as much of a letter as the topic takes; where the whole of it is, its headers say."""
        length = len(whole.value or b"")
        while length:
            length //= 2
            with contextlib.suppress(MessageSizeTooLargeError):
                await (await self._begin(producer, cut(whole, length)))
                return
        await (await self._begin(producer, bare(whole)))

    async def _begin(self, producer: AIOKafkaProducer, one: Letter) -> "asyncio.Future[object]":
        topic = self._settings.dead_letter_topic
        number = None
        if one.key is None:  # another copy of it goes where the first went: there stands what became of it
            number = kafka.key_hash(place(one)) % len(await producer.partitions_for(topic))
        sent: asyncio.Future[object]
        try:
            sent = await producer.send(topic, one.value, one.key, number, headers=one.headers)
        except MessageSizeTooLargeError as error:  # by the client, which takes none as large as a value may unpack to
            sent = asyncio.get_running_loop().create_future()
            sent.set_exception(error)
        return sent
