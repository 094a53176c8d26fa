"""Settings to Kafka clients (TLS, SASL), and a plain word on why no broker answers them."""

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    IllegalSaslStateError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.helpers import create_ssl_context
from aiokafka.partitioner import murmur2

from tailrace.causes import Cause, cause
from tailrace.errors import LOOK_CLOSER, FixSettings, ReachKafka
from tailrace.settings import Kafka, Settings, secret
from tailrace.topics import Topics

_ASK_SECONDS = 5.0
_CONTROLLER_SECONDS = 20.0
_LOOK_AGAIN_SECONDS = 0.05
_LOGIN = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    IllegalSaslStateError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)


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


async def cluster_of(admin: AIOKafkaAdminClient) -> dict[str, Any]:
    """``describe_cluster``, once a controller is named: within the first moments of a broker's start none is.

    The client asks the controller to make and alter topics, and breaks where it has not heard of one.

    Raises:
        KafkaError: nobody answers, or none is named for 20 s.
    """
    until = asyncio.get_running_loop().time() + _CONTROLLER_SECONDS
    while True:
        late = asyncio.get_running_loop().time() > until
        try:
            described: dict[str, Any] = await admin.describe_cluster()
            if described["controller_id"] >= 0:
                await admin._client.force_metadata_update()  # noqa: SLF001 - it hears of it in no other way
                if admin._client.cluster.controller is not None:  # noqa: SLF001
                    return described
        except NodeNotReadyError:
            if late:
                raise
        if late:
            raise KafkaTimeoutError("the brokers name no controller")
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)


def key_hash(key: bytes) -> int:
    """What every Kafka client takes, modulo the number of partitions, to choose one for a key: murmur2, unsigned."""
    return int(murmur2(key) & 0x7FFFFFFF)


def partitions_ever(key: bytes, count: int) -> list[int]:
    """Where records with a key may be in a topic that has ``count`` partitions, and may have had fewer: now first."""
    number = key_hash(key)
    return list(dict.fromkeys(number % had for had in range(count, 0, -1)))


async def stop(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer, whether or not its brokers answer.

    The hazard: a fetch that waits to be tried again ends as cancelled, and aiokafka lets that out as if its caller were
    cancelled, with the other fetches and its connections left open.
    """
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        fetches = list(consumer._fetcher._pending_tasks)  # noqa: SLF001
        for fetch in fetches:
            fetch.cancel()
        await asyncio.gather(*fetches, return_exceptions=True)
        await consumer._client.close()  # noqa: SLF001


async def record_topics(settings: Settings) -> list[str]:
    """The topics that the indexers read now; Kafka is asked only where a pattern stands for some of them.

    Raises:
        KafkaError: nobody answers.
    """
    ours = Topics(settings)
    if not ours.has_patterns:
        return list(ours.named)
    admin = AIOKafkaAdminClient(**options(settings.kafka))
    try:
        await admin.start()
        return ours.among(await admin.list_topics())
    finally:
        await admin.close()


async def silence(kafka: Kafka, error: BaseException) -> ReachKafka:
    """Why no broker answers: the client's error says only that none did, so each is asked again, for 5 s at most."""
    answers = await asyncio.gather(*(_trouble(kafka, server) for server in kafka.bootstrap_servers))
    found = [(server, why) for server, why in zip(kafka.bootstrap_servers, answers, strict=True) if why is not None]
    if not found:
        servers, why = ", ".join(kafka.bootstrap_servers), cause(error)
        return ReachKafka(
            f"Kafka at {servers} answers, but could not do this ({why.text}); look at its logs.{LOOK_CLOSER}"
        )
    said = ", ".join(f"{server} ({why.text})" for server, why in found)
    return ReachKafka(f"Kafka does not answer at {said}; {found[0][1].remedy}{LOOK_CLOSER}")


async def _trouble(kafka: Kafka, server: str) -> Cause | None:
    """What keeps us from talking to one broker; None if nothing does."""
    host, _, port = server.rpartition(":")
    arguments = options(kafka)
    del arguments["bootstrap_servers"]
    arguments["request_timeout_ms"] = int(min(_ASK_SECONDS, kafka.request_timeout_seconds) * 1000)
    try:
        connection = await create_conn(host.strip("[]"), int(port), **arguments)
    except _LOGIN as error:
        said = [text for text in error.args if isinstance(text, str) and text]
        return Cause(
            ": ".join(["it does not accept our login", *said]), "are the username and password in [kafka] right?"
        )
    except (KafkaError, OSError) as error:
        return cause(error)
    await connection.close()
    return None
