"""Planned topics to topics on the brokers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidReplicationFactorError,
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from indexer import plan_topics
from indexer.changes import Act, Change
from indexer.plan_topics import FoundTopic, Topic
from tailrace import kafka
from tailrace.errors import ReachKafka
from tailrace.settings import Settings

_SET_ON_THE_TOPIC = 1
"""DescribeConfigs' source of a value that was set on the topic itself (DYNAMIC_TOPIC_CONFIG)."""
_LOOK_AGAIN_SECONDS = 0.05


class Topics:
    """The topics of one cluster: what the settings want, what is there, and the way from one to the other.

    Every error that leaves is a ``ReachKafka``.
    """

    def __init__(self, admin: AIOKafkaAdminClient, settings: Settings) -> None:
        self._admin = admin
        self._settings = settings
        self._wanted: dict[str, Topic] = {}
        self._found: dict[str, FoundTopic] = {}

    async def plan(self) -> list[Change]:
        """Look at the cluster, change nothing."""
        async with _translated(self._settings):
            brokers = (await kafka.cluster_of(self._admin))["brokers"]
            wanted = plan_topics.topics(self._settings, len(brokers))
            self._wanted = {topic.name: topic for topic in wanted}
            # All topics, because asking for a topic by name lets the broker make it.
            listed = {topic["topic"]: topic["partitions"] for topic in await self._admin.describe_topics()}
            for name in self._wanted:
                if name in listed:
                    self._found[name] = await self._look(name, listed[name])
        return [plan_topics.plan(topic, self._found.get(topic.name)) for topic in wanted]

    async def apply(self, changes: list[Change], done: list[Change]) -> None:
        """Make and alter topics as planned."""
        async with _translated(self._settings):
            for change in changes:
                if change.act is Act.CREATE:
                    await self._create(self._wanted[change.name])
                elif change.act is Act.CHANGE:
                    await self._alter(change)
                if change.act is not Act.KEEP:
                    done.append(change)
            await self._led({change.name for change in changes if change.act is Act.CREATE})

    async def _look(self, name: str, partitions: list[dict[str, Any]]) -> FoundTopic:
        answers = await self._admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        configs: dict[str, str] = {}
        own: dict[str, str] = {}
        for answer in answers:
            for code, message, _type, _name, entries in answer.resources:
                _check(code, f"describing topic {name}: {message}")
                for key, value, _read_only, source, *_ in entries:
                    configs[key] = value
                    if source == _SET_ON_THE_TOPIC:
                        own[key] = value
        return FoundTopic(len(partitions), min(len(entry["replicas"]) for entry in partitions), configs, own)

    async def _led(self, made: set[str]) -> None:
        """Wait until new topics can be written to, so that what follows setup does not find them missing."""
        timeout = self._settings.kafka.request_timeout_seconds
        try:
            async with asyncio.timeout(timeout):
                while made:
                    for topic in await self._admin.describe_topics():
                        leaders = [partition["leader"] for partition in topic["partitions"]]
                        if leaders and min(leaders) >= 0:
                            made = made - {topic["topic"]}
                    await asyncio.sleep(_LOOK_AGAIN_SECONDS if made else 0)
        except TimeoutError as error:
            raise ReachKafka(
                f"Topics {', '.join(sorted(made))} were made but have no leader after {timeout:g} s; look at the "
                "logs of the brokers."
            ) from error

    async def _alter(self, change: Change) -> None:
        configs = plan_topics.altered(change, self._found[change.name])
        resource = ConfigResource(ConfigResourceType.TOPIC, change.name, configs)
        for answer in await self._admin.alter_configs([resource]):
            for code, message, *_ in answer.resources:
                _check(code, f"altering topic {change.name}: {message}")

    async def _create(self, topic: Topic) -> None:
        new = NewTopic(topic.name, topic.partitions, topic.replicas, topic_configs=topic.configs)
        answer = await self._admin.create_topics([new])
        for name, code, *message in answer.topic_errors:
            with contextlib.suppress(TopicAlreadyExistsError):  # somebody else's setup was quicker
                _check(code, f"creating topic {name}: {message[0] if message else ''}")


@contextlib.asynccontextmanager
async def connect(settings: Settings) -> AsyncIterator[Topics]:
    """Connect to the brokers that the settings name.

    Raises:
        ReachKafka: none answers, or it refuses us.
    """
    admin = AIOKafkaAdminClient(**kafka.options(settings.kafka))
    try:
        async with _translated(settings):
            await admin.start()
        yield Topics(admin, settings)
    finally:
        await admin.close()


def _check(code: int, doing: str) -> None:
    if code:
        raise for_code(code)(doing)


@contextlib.asynccontextmanager
async def _translated(settings: Settings) -> AsyncIterator[None]:
    """The client's errors to one sentence and a next step."""
    servers = ", ".join(settings.kafka.bootstrap_servers)
    try:
        yield
    except (TopicAuthorizationFailedError, ClusterAuthorizationFailedError) as error:
        raise ReachKafka(
            f"Kafka at {servers} forbids it ({error}); grant this login Create, Describe, DescribeConfigs and "
            "AlterConfigs on the topics of tailrace."
        ) from error
    except InvalidReplicationFactorError as error:
        raise ReachKafka(
            f"Kafka at {servers} has too few brokers for kafka.replication_factor ({error}); lower it, or 0 for as "
            "many as there are."
        ) from error
    except (KafkaError, OSError) as error:
        raise await kafka.silence(settings.kafka, error) from error
