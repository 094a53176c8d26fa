"""Settings to open clients, whose failures are sentences for the operator."""

import contextlib
from collections.abc import AsyncIterator, Iterator

import elastic_transport
import elasticsearch
from aiokafka.errors import (
    AuthorizationError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from tailrace import elastic
from tailrace.errors import FixSettings, ReachElasticsearch, ReachKafka
from tailrace.settings import Settings


@contextlib.asynccontextmanager
async def elasticsearch_client(settings: Settings) -> AsyncIterator[elasticsearch.AsyncElasticsearch]:
    """A client that is closed at the end.

    Raises:
        FixSettings: the settings of ``[elasticsearch]`` cannot make a client.
        ReachElasticsearch: no node answers, or it refuses us.
    """
    try:
        client = elastic.client(settings.elasticsearch)
    except (ValueError, OSError) as error:
        raise FixSettings(f"[elasticsearch] cannot be used: {error}.") from error
    hosts = ", ".join(settings.elasticsearch.hosts)
    try:
        yield client
    except elasticsearch.ApiError as error:
        raise ReachElasticsearch(refusal(error, hosts)) from error
    except elastic_transport.TransportError as error:
        raise ReachElasticsearch(
            f"Elasticsearch does not answer at {hosts} ({_first_line(error)}); is it running, and is "
            "elasticsearch.hosts right?"
        ) from error
    finally:
        await client.close()


def refusal(error: elasticsearch.ApiError, hosts: str) -> str:
    """A refusal of Elasticsearch as one sentence with the next step."""
    if error.status_code == 401:
        return f"Elasticsearch at {hosts} does not know us (401); check username, password or api_key."
    if error.status_code == 403:
        return f"Elasticsearch at {hosts} does not allow this (403): {cause(error)}; give the user the privilege."
    return f"Elasticsearch at {hosts} refused ({error.status_code}): {cause(error)}."


def cause(error: elasticsearch.ApiError) -> str:
    """The innermost reason that Elasticsearch gives, its first line without a full stop."""
    body = error.body if isinstance(error.body, dict) else {}
    inner = body.get("error", {})
    inner = (inner.get("root_cause") or [inner])[0] | inner if isinstance(inner, dict) else {"reason": str(inner)}
    if shards := inner.get("failed_shards"):
        inner = shards[0].get("reason", inner)
    while isinstance(inner.get("caused_by"), dict):
        inner = inner["caused_by"]
    reason = str(inner.get("reason") or error)
    return reason.split("\n", 1)[0].rstrip(". ")


@contextlib.contextmanager
def kafka_errors(settings: Settings) -> Iterator[None]:
    """Failures of Kafka's clients inside become sentences.

    Raises:
        ReachKafka: no broker answers, or it refuses us.
    """
    servers = ", ".join(settings.kafka.bootstrap_servers)
    try:
        yield
    except (SaslAuthenticationFailed, UnsupportedSaslMechanismError) as error:
        raise ReachKafka(f"Kafka at {servers} does not accept our login ({error}); check [kafka].") from error
    except AuthorizationError as error:
        raise ReachKafka(f"Kafka at {servers} does not allow this ({error}); give the user the permission.") from error
    except (KafkaError, OSError, TimeoutError) as error:
        raise ReachKafka(
            f"Kafka does not answer at {servers} ({_first_line(error)}); is it running, and are "
            "kafka.bootstrap_servers and kafka.security_protocol right?"
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).split("\n", 1)[0].rstrip(".")
