"""Failures of Kafka's clients to sentences for the operator."""

import contextlib
from collections.abc import AsyncIterator

from aiokafka.errors import ClusterAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError

from tailrace import kafka
from tailrace.errors import ReachKafka
from tailrace.settings import Settings


@contextlib.asynccontextmanager
async def kafka_errors(settings: Settings) -> AsyncIterator[None]:
    """Failures of Kafka's clients inside become sentences.

    Raises:
        ReachKafka: no broker answers, or it refuses us.
    """
    servers = ", ".join(settings.kafka.bootstrap_servers)
    try:
        yield
    except (TopicAuthorizationFailedError, ClusterAuthorizationFailedError) as error:
        raise ReachKafka(f"Kafka at {servers} does not allow this ({error}); give the user the permission.") from error
    except (KafkaError, OSError) as error:
        raise await kafka.silence(settings.kafka, error) from error
