"""What Kafka knows of our topics and of our group's commits, before and beside the consumer."""

import asyncio
import random
from collections.abc import Collection
from typing import NamedTuple

import structlog
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from indexer.ownership import decode_metadata
from tailrace import kafka
from tailrace.backoff import delay
from tailrace.daemon import Life
from tailrace.errors import RunSetup
from tailrace.settings import Settings
from tailrace.topics import Topics

_ASK_SECONDS = 2.0


class Past(NamedTuple):
    """The last commit of a partition; ``reach`` is None if another program wrote it, ``offset`` if there is none."""

    offset: int | None
    reach: int | None


class Group:
    """An admin client: aiokafka's consumer drops the metadata of commits, in which the reach stands."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.topics = Topics(settings)
        self._admin: AIOKafkaAdminClient | None = None
        self._asked = self._answered = 0.0

    async def start(self, life: Life, *, once: bool) -> bool:
        """Wait until Kafka answers; False if it is time to stop before that.

        Raises:
            ReachKafka: it did not in a request's time, and ``once``.
            RunSetup: it has not all topics.
        """
        began = asyncio.get_running_loop().time()
        failures = 0
        while not life.stop.is_set():
            admin = AIOKafkaAdminClient(**kafka.options(self._settings.kafka))
            try:
                await admin.start()
                self._admin = admin
                await self._check_topics(admin)
            except KafkaError as error:
                await self.close()
                await admin.close()
                failures += 1
                waited = asyncio.get_running_loop().time() - began
                if once and waited >= self._settings.kafka.request_timeout_seconds:
                    raise await kafka.silence(self._settings.kafka, error) from error
                if failures == 1:
                    reason = str(await kafka.silence(self._settings.kafka, error))
                    structlog.get_logger().warning("waiting for Kafka", reason=reason)
                await life.pause(delay(failures, random.random(), most=5.0))  # noqa: S311 - jitter
            else:
                self._asked = self._answered = asyncio.get_running_loop().time()
                if failures:
                    structlog.get_logger().info("Kafka answers")
                return True
        return False

    async def insist(self) -> None:
        """See now and then whether Kafka still answers; to be called all the time by those who will not wait for ever.

        Raises:
            ReachKafka: it has not for a request's time.
        """
        now = asyncio.get_running_loop().time()
        if now - self._asked < _ASK_SECONDS:
            return
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                await self.partitions()
        except (KafkaError, TimeoutError) as error:
            if now - self._answered >= self._settings.kafka.request_timeout_seconds:
                raise await kafka.silence(self._settings.kafka, error) from error
        else:
            self._answered = now
        self._asked = asyncio.get_running_loop().time()

    async def close(self) -> None:
        """Close the connection."""
        admin, self._admin = self._admin, None
        if admin is not None:
            await admin.close()

    async def partitions(self) -> list[TopicPartition]:
        """All partitions of our topics, now.

        Raises:
            KafkaError: it cannot be said now.
        """
        if self._admin is None:
            raise KafkaError("closed")
        known = await self._admin.list_topics() if self.topics.has_patterns else ()
        names = self.topics.among(known)
        topics = await self._admin.describe_topics(names) if names else ()  # of no names it would tell of all
        return [TopicPartition(topic["topic"], one["partition"]) for topic in topics for one in topic["partitions"]]

    async def past(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Past]:
        """The last commits of these partitions.

        Raises:
            KafkaError: it cannot be said now; that is never "there is none".
        """
        if self._admin is None:
            raise KafkaError("closed")
        try:
            found = await self._admin.list_consumer_group_offsets(
                self._settings.indexer.group, partitions=list(partitions)
            )
        except AttributeError as error:  # aiokafka's own, in place of the error of a partition
            raise KafkaError("the group's coordinator cannot say its offsets") from error
        if not found.keys() >= set(partitions):
            raise KafkaError("the group's coordinator did not answer for all partitions")
        return {
            one: Past(None, None)
            if found[one].offset < 0
            else Past(found[one].offset, decode_metadata(found[one].metadata or ""))
            for one in partitions
        }

    async def _check_topics(self, admin: AIOKafkaAdminClient) -> None:
        wanted = [*self.topics.named, self._settings.kafka.dead_letter_topic]
        known = set(await admin.list_topics())
        missing = [name for name in wanted if name not in known]
        if missing:
            word = "topics" if len(missing) > 1 else "topic"
            raise RunSetup(f"Kafka has no {word} {', '.join(missing)}; run `tailrace setup`, or mend indexer.topics.")
