"""Partitions that rest at a batch that cannot be read: said once, tried again, and forgotten once it is over."""

import asyncio

import pytest
import structlog
from aiokafka import TopicPartition
from processes import in_loop

from indexer import unreadable
from indexer.fetch import UnreadableBatchError
from indexer.unreadable import Unreadable
from tailrace import metrics

ONE, OTHER = TopicPartition("t", 1), TopicPartition("t", 2)


class Kafka:
    """Which partitions are paused."""

    def __init__(self) -> None:
        self.paused: set[TopicPartition] = set()
        self.assigned = {ONE, OTHER}

    def assignment(self) -> set[TopicPartition]:
        """As the client's."""
        return self.assigned

    def pause(self, partition: TopicPartition) -> None:
        """As the client's."""
        self.paused.add(partition)

    def resume(self, partition: TopicPartition) -> None:
        """As the client's."""
        self.paused.remove(partition)


def shown() -> float:
    """What the metric says."""
    (family,) = metrics.UNREADABLE_PARTITIONS.collect()
    return family.samples[0].value


@in_loop
async def test_each_offset_is_said_once_however_often_it_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one of the same partition is another matter; nothing is done to a partition that is no longer ours."""
    monkeypatch.setattr(unreadable, "_AGAIN_SECONDS", 0.0)
    kafka = Kafka()
    resting = Unreadable(kafka)
    with structlog.testing.capture_logs() as said:
        for offset in (5, 5, 5, 9):
            resting.rest(UnreadableBatchError(ONE, offset, "why"))
            assert kafka.paused == {ONE}
            await asyncio.sleep(0.001)
            resting.look()
            assert not kafka.paused
        resting.rest(UnreadableBatchError(ONE, 9, "why"))
        resting.forget([ONE])
        kafka.paused.clear()  # another has it
        await asyncio.sleep(0.001)
        resting.look()
        resting.rest(UnreadableBatchError(ONE, 9, "why"))
        kafka.paused.clear()  # the client has forgotten it, and we do not know yet
        kafka.assigned.clear()
        await asyncio.sleep(0.001)
        resting.look()
    assert [(one["topic"], one["partition"], one["offset"], one["error"]) for one in said] == [
        ("t", 1, 5, "why"),
        ("t", 1, 9, "why"),
        ("t", 1, 9, "why"),
    ]


@in_loop
async def test_it_rests_until_its_time_has_come_and_is_forgotten_when_it_is_over() -> None:
    """Then nothing is said of it or shown any more."""
    kafka = Kafka()
    resting = Unreadable(kafka)
    assert not resting
    for partition in (ONE, OTHER):
        resting.rest(UnreadableBatchError(partition, 5, "why"))
    resting.look()
    assert kafka.paused == {ONE, OTHER}
    assert shown() == 2
    assert "t/1 at offset 5: why; t/2 at offset 5: why." in resting.complaint([ONE, OTHER])
    assert "t/1" not in resting.complaint([OTHER])
    resting.forget([ONE])
    assert (ONE in resting, OTHER in resting, bool(resting), shown()) == (False, True, True, 1)
    assert resting.complaint([ONE]) == ""
    resting.forget([ONE, OTHER])
    assert (bool(resting), shown()) == (False, 0)
