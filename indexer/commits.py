"""Finished spans to commits of the group: offset and reach of each partition that is ours."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError

from indexer.membership import Membership
from indexer.ownership import Commit, Owned, encode_metadata
from tailrace import metrics

PATIENCE_SECONDS = 10.0
"""How long one commit may take: the client would try for ever, and then commit for a later assignment."""


class Commits:
    """Commits in the background, soon when what may be sent is nearly used up, else every ``seconds``.

    Only explicit offsets, and only of partitions that the group gave us when it last gave us any: those we own.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        membership: Membership,
        owned: Mapping[TopicPartition, Owned],
        *,
        reach_records: int,
        seconds: float,
        moved: Callable[[], None],
    ) -> None:
        self._consumer = consumer
        self._membership = membership
        self._owned = owned
        self._reach_records = reach_records
        self._seconds = seconds
        self._moved = moved
        self._urgent = asyncio.Event()
        self._one = asyncio.Lock()
        self._failing = False

    def nudge(self) -> None:
        """Spans were finished, or partitions came: commit now if that lets more be sent."""
        if any(owned.is_short(self._reach_records) for owned in self._owned.values()):
            self._urgent.set()

    async def run(self) -> None:
        """Commit until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._urgent.wait(), self._seconds)
            self._urgent.clear()
            await self.store()

    async def store(self, *, last: bool = False) -> bool:
        """Commit what has moved; ``last`` before the partitions are given up. False if Kafka did not take it."""
        async with self._one:
            commits: dict[TopicPartition, Commit] = {}
            for partition, owned in self._owned.items():
                commit = owned.last_commit(self._reach_records) if last else owned.next_commit(self._reach_records)
                if commit is not None:
                    commits[partition] = commit
            owners = dict(self._owned)
            if not commits or not await self._commit(commits):
                return not commits
            for partition, commit in commits.items():
                owners[partition].stored(commit)
        self.show_lag()
        self._moved()
        return True

    def show_lag(self) -> None:
        """Set the lag of each of our partitions: what is in the topic and not committed."""
        assigned = self._consumer.assignment()
        for partition, owned in self._owned.items():
            end = self._consumer.highwater(partition) if partition in assigned else None
            if end is not None and owned.committed is not None:
                lag = max(0, end - owned.committed.offset)
                metrics.LAG.labels(partition.topic, str(partition.partition)).set(lag)

    async def _commit(self, commits: Mapping[TopicPartition, Commit]) -> bool:
        offsets = {partition: (commit.offset, encode_metadata(commit)) for partition, commit in commits.items()}
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._membership.commit(offsets)
        except CommitFailedError:
            return False  # a rebalance is under way: its listener commits, or the next owner looks up
        except (KafkaError, TimeoutError) as error:
            if not self._failing:
                structlog.get_logger().warning("cannot commit; trying until it works", error=str(error) or "time-out")
            self._failing = True
            return False
        self._failing = False
        return True
