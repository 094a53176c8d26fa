"""Failures of Kafka's clients to sentences for the operator."""

import contextlib
from collections.abc import Iterator

from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)

from tailrace.errors import ReachKafka
from tailrace.settings import Settings

_LOGIN = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)


@contextlib.contextmanager
def kafka_errors(settings: Settings) -> Iterator[None]:
    """Failures of Kafka's clients inside become sentences.

    Raises:
        ReachKafka: no broker answers, or it refuses us.
    """
    servers = ", ".join(settings.kafka.bootstrap_servers)
    try:
        yield
    except _LOGIN as error:
        raise ReachKafka(f"Kafka at {servers} does not accept our login ({error}); check [kafka].") from error
    except (TopicAuthorizationFailedError, ClusterAuthorizationFailedError) as error:
        raise ReachKafka(f"Kafka at {servers} does not allow this ({error}); give the user the permission.") from error
    except (KafkaError, OSError, TimeoutError) as error:
        reason = "no connection" if isinstance(error, KafkaConnectionError) else str(error) or type(error).__name__
        raise ReachKafka(
            f"Kafka does not answer at {servers} ({reason}); is it running, and are "
            "kafka.bootstrap_servers and kafka.security_protocol right?"
        ) from error
