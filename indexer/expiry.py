"""Open dead letters that retention is about to delete to a metric and a warning."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from tailrace import kafka, metrics
from tailrace.errors import TailraceError
from tailrace.letter_topic import partitions_of, read_letters
from tailrace.settings import Kafka

LAST_PART = 0.2
"""A letter in this last part of its time is worth a warning: of 30 days the last 6."""
_LOOK_SECONDS = 3600.0
_ASK_SECONDS = 2.0


class Expiring(NamedTuple):
    """How many open letters are in the last part of their time, and when the oldest was written (ms; 0 if none)."""

    letters: int
    oldest: int


async def watch(settings: Kafka, leads: Callable[[], bool]) -> None:
    """Look once an hour until cancelled, while ``leads`` says that we are the one of the group who does."""
    looked: float | None = None
    while True:
        if not leads():
            looked = None
            metrics.EXPIRING.set(0)
        elif looked is None or time.monotonic() - looked >= _LOOK_SECONDS:
            looked = time.monotonic()
            # Kafka away, or no topic yet: those whose work it hinders say so, and here an hour more is soon enough.
            with contextlib.suppress(KafkaError, OSError, TailraceError):
                _tell(await expiring(settings, time.time()), settings)
        await asyncio.sleep(_ASK_SECONDS)


async def expiring(settings: Kafka, now: float) -> Expiring:
    """The open letters that retention may delete soon; nothing is read while none is old enough.

    Raises:
        RunSetup: there is no dead letter topic.
        KafkaError: Kafka does not answer, or not to us.
    """
    before = int((now - settings.dead_letter_retention_hours * 3600 * (1 - LAST_PART)) * 1000)
    if not await _holds_older(settings, before):
        return Expiring(0, 0)
    found: list[int] = []
    async with contextlib.aclosing(read_letters(settings)) as pieces:
        async for letters in pieces:
            found += [one.time for one in letters if one.is_open and one.time < before]
    return Expiring(len(found), min(found, default=0))


async def _holds_older(settings: Kafka, before: int) -> bool:
    """Whether the topic has records from before that time, in milliseconds."""
    partitions = await partitions_of(settings, settings.dead_letter_topic)
    consumer = AIOKafkaConsumer(**kafka.options(settings), group_id=None, enable_auto_commit=False)
    await consumer.start()
    try:
        begins = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        younger = await consumer.offsets_for_times(dict.fromkeys(partitions, max(0, before)))
    finally:
        await kafka.stop(consumer)
    firsts = {one: found.offset if found is not None else ends[one] for one, found in younger.items()}
    return any(firsts[one] > begins[one] for one in partitions)


def _tell(found: Expiring, settings: Kafka) -> None:
    metrics.EXPIRING.set(found.letters)
    if found.letters:
        until = found.oldest / 1000 + settings.dead_letter_retention_hours * 3600
        structlog.get_logger().warning(
            "dead letters wait that retention will soon delete: see `tailrace dead-letters stats`, replay or drop them",
            letters=found.letters,
            hours_left=max(0, round((until - time.time()) / 3600)),
        )
