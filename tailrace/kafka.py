"""Settings to Kafka clients (TLS, SASL), and nothing else."""

from typing import Any

from aiokafka.helpers import create_ssl_context

from tailrace.errors import FixSettings
from tailrace.settings import Kafka, secret


def options(kafka: Kafka) -> dict[str, Any]:
    """Keyword arguments that every aiokafka client (producer, consumer, admin) takes alike.

    Raises:
        FixSettings: a certificate or a secret cannot be read.
    """
    arguments: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap_servers,
        "client_id": kafka.client_id,
        "security_protocol": kafka.security_protocol,
        "request_timeout_ms": int(kafka.request_timeout_seconds * 1000),
    }
    if kafka.security_protocol.endswith("SSL"):
        try:
            arguments["ssl_context"] = create_ssl_context(
                cafile=kafka.ca_file or None, certfile=kafka.cert_file or None, keyfile=kafka.key_file or None
            )
        except OSError as error:
            raise FixSettings(f"Cannot use the certificates of [kafka]: {error}.") from error
    if kafka.security_protocol.startswith("SASL"):
        arguments["sasl_mechanism"] = kafka.sasl_mechanism
        arguments["sasl_plain_username"] = kafka.username
        arguments["sasl_plain_password"] = secret(kafka, "password")
    return arguments
