"""Partitions whose next batch is no records (a broken disk, a codec that nobody knows): the others go on meanwhile."""

import asyncio
from collections.abc import Collection
from typing import Any

import structlog
from aiokafka import TopicPartition

from indexer.fetch import UnreadableBatchError
from tailrace import metrics

_AGAIN_SECONDS = 10.0
"""How long a partition rests: each try fetches and checks a megabyte."""


class Unreadable:
    """Lets them rest, says each offset once, tries again now and then: a replica that becomes leader may be whole.

    Nothing is skipped: what the records were is unknown, so they can be neither stored nor dead letters.
    """

    def __init__(self, kafka: Any) -> None:  # noqa: ANN401 - aiokafka is untyped
        self._kafka = kafka
        self._errors: dict[TopicPartition, UnreadableBatchError] = {}
        self._until: dict[TopicPartition, float] = {}

    def __bool__(self) -> bool:
        return bool(self._errors)

    def __contains__(self, partition: TopicPartition) -> bool:
        return partition in self._errors

    def rest(self, error: UnreadableBatchError) -> None:
        """Do not read its partition for a while."""
        partition, known = error.partition, self._errors.get(error.partition)
        if known is None or known.offset != error.offset:
            structlog.get_logger().error(
                "cannot read a batch; the partition waits at it, the others go on",
                topic=partition.topic,
                partition=partition.partition,
                offset=error.offset,
                error=error.reason,
            )
        self._errors[partition] = error
        self._until[partition] = asyncio.get_running_loop().time() + _AGAIN_SECONDS
        self._kafka.pause(partition)
        metrics.UNREADABLE_PARTITIONS.set(len(self._errors))

    def look(self) -> None:
        """Have those read again that have rested."""
        now = asyncio.get_running_loop().time()
        for partition in [one for one, until in self._until.items() if until <= now]:
            del self._until[partition]
            if partition in self._kafka.assignment():  # else the client has forgotten it, and is about to say so
                self._kafka.resume(partition)

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """Their batches were read after all, are gone, or are no longer ours to read."""
        for partition in self._errors.keys() & partitions:
            del self._errors[partition]
            self._until.pop(partition, None)
            metrics.UNREADABLE_PARTITIONS.set(len(self._errors))

    def complaint(self, partitions: Collection[TopicPartition]) -> str:
        """What an operator must know of those of these partitions that wait; empty if none does."""
        errors = [self._errors[one] for one in partitions if one in self._errors]
        if not errors:
            return ""
        return (
            f"Kafka holds what cannot be read: {'; '.join(one.args[0] for one in errors)}. All before it is stored. "
            "Have a whole replica lead the partition, or set the group's offset behind the broken batch with "
            "`kafka-consumer-groups.sh --reset-offsets`: its records are lost then."
        )
