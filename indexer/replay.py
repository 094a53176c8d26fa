"""Dead letters back into the topics they came from, each settled once Kafka has acknowledged it.

A letter is sent first and settled after: ended between the two, the next run sends it again, with the same id, to the
same partition, with the flag that it may be stored already. The indexer looks such a record up when all before it in
its partition is finished, so it is stored once however often it is sent.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import MessageSizeTooLargeError

from indexer.revive import Revived
from tailrace import kafka
from tailrace.errors import RunSetup
from tailrace.letter_topic import partitions_of
from tailrace.letters import PREFIX, Letter, Settled, Settlement, Settling, Subject, settling_headers
from tailrace.settings import Kafka

_MOST_BYTES = 100_000_000
_LOOK_MS = 5000


class Sent(NamedTuple):
    """A letter, and why it could not be sent; empty if it was sent and settled."""

    letter: Letter
    trouble: str


class Replay:
    """A producer for letters sent again and for settlements, open while used as a context.

    ``by`` is who does it. Not idempotent on purpose: one failed batch would spoil such a producer, and a record sent
    twice is stored once anyway.
    """

    def __init__(self, settings: Kafka, by: str) -> None:
        self._settings = settings
        self._by = by
        self._partitions: dict[str, set[int]] = {}
        self.ends: dict[TopicPartition, int] = {}
        """The offset after the last record sent to each partition."""
        self.places: set[tuple[str, int, int]] = set()
        """Topic, partition and offset of each record sent."""
        self._producer = AIOKafkaProducer(
            **kafka.options(settings),
            acks="all",
            compression_type="zstd",
            max_request_size=_MOST_BYTES,
            max_batch_size=262_144,
        )

    async def __aenter__(self) -> Self:
        try:
            await self._producer.start()
        except BaseException:
            await self._producer.stop()
            raise
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._producer.stop()

    async def send(self, records: Sequence[tuple[Letter, Revived]], note: str) -> list[Sent]:
        """Send records in place of letters, and settle those letters that Kafka has acknowledged.

        Raises:
            KafkaError: nobody knows what was sent; what was not settled is still open.
        """
        waiting = [await self._begin(letter, revived) for letter, revived in records]
        answers = await asyncio.gather(*(one for one in waiting if not isinstance(one, str)), return_exceptions=True)
        left = iter(answers)
        found: list[Sent] = []
        for (letter, _), one in zip(records, waiting, strict=True):
            answer = one if isinstance(one, str) else next(left)
            if isinstance(answer, MessageSizeTooLargeError):
                answer = f"the topic {letter.subject.topic} takes no record as large"
            elif isinstance(answer, BaseException):
                raise answer
            elif not isinstance(answer, str):
                place = TopicPartition(answer.topic, answer.partition)
                self.ends[place] = max(self.ends.get(place, 0), answer.offset + 1)
                self.places.add((answer.topic, answer.partition, answer.offset))
            found.append(Sent(letter, answer if isinstance(answer, str) else ""))
        await self.settle([one.letter for one in found if not one.trouble], Settled.REPLAYED, note)
        return found

    async def settle(self, letters: Sequence[Letter], how: Settled, note: str) -> None:
        """Say in the dead letter topic, behind each letter, what became of it.

        Raises:
            KafkaError: it is not known of which letters it was said.
        """
        settlement = Settlement(how, int(time.time() * 1000), self._by, note)
        waiting = [
            await self._producer.send(
                self._settings.dead_letter_topic,
                None,
                str(letter.subject).encode(),  # the client sends nothing that has neither value nor key
                partition=letter.partition,
                headers=settling_headers(Settling(letter.subject, settlement)),
            )
            for letter in letters
        ]
        for sent in waiting:
            await sent

    async def _begin(self, letter: Letter, revived: Revived) -> "asyncio.Future[Any] | str":
        """Hand a record to the producer; the text says why it cannot be."""
        topic, partition, _, _ = letter.subject
        if topic not in self._partitions:
            try:
                self._partitions[topic] = {one.partition for one in await partitions_of(self._settings, topic)}
            except RunSetup:
                self._partitions[topic] = set()
        known = self._partitions[topic]
        if not known:
            return f"Kafka has no topic {topic} any more"
        try:
            sent: asyncio.Future[Any] = await self._producer.send(
                topic,
                revived.value,
                revived.key,
                partition=partition if partition in known else None,
                headers=revived.headers,
            )
        except MessageSizeTooLargeError:
            return f"a record of {len(revived.value):,} bytes is too large"
        return sent


async def fetch_whole(settings: Kafka, letters: Sequence[Letter]) -> dict[Subject, Letter]:
    """Letters that were cut with all of their records, from the topics they came from, as far as these have them.

    Raises:
        KafkaError: Kafka does not answer.
    """
    consumer = AIOKafkaConsumer(
        **kafka.options(settings), group_id=None, enable_auto_commit=False, auto_offset_reset="none"
    )
    found: dict[Subject, Letter] = {}
    await consumer.start()
    try:
        for letter in letters:
            whole = await _whole(consumer, letter) if await _is_there(settings, letter.subject) else None
            if whole is not None:
                found[letter.subject] = whole
    finally:
        await kafka.stop(consumer)
    return found


async def _whole(consumer: AIOKafkaConsumer, letter: Letter) -> Letter | None:
    topic, number, offset, timestamp = letter.subject
    partition = TopicPartition(topic, number)
    consumer.assign([partition])
    begins, ends = await consumer.beginning_offsets([partition]), await consumer.end_offsets([partition])
    if not begins[partition] <= offset < ends[partition]:
        return None
    consumer.seek(partition, offset)
    polled = await consumer.getmany(partition, timeout_ms=_LOOK_MS, max_records=1)
    for record in polled.get(partition, ()):
        value: bytes = record.value or b""
        same = record.offset == offset and record.timestamp == timestamp and value.startswith(letter.value)
        if not same or (len(value) or 1) != letter.length:  # of one that had no value its letter cannot say so
            return None
        headers = tuple((name, said) for name, said in record.headers if not name.startswith(PREFIX))
        return msgspec.structs.replace(letter, key=record.key, value=value, headers=headers)
    return None


async def _is_there(settings: Kafka, subject: Subject) -> bool:
    try:
        return subject.partition in {one.partition for one in await partitions_of(settings, subject.topic)}
    except RunSetup:
        return False
