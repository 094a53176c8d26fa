"""A failure to reach a server is told in plain words: against real sockets that fail in each way."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tailrace import elastic, kafka
from tailrace.causes import cause
from tailrace.cli.reach_elastic import elasticsearch_client
from tailrace.errors import ReachElasticsearch
from tailrace.settings import Elasticsearch, Kafka, Settings

_LIBRARY_WORDS = ("Errno", "ssl:", "AddressFamily", "Connect call", "Error(", "_ssl.c", "('")


async def _closes(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _speaks_plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()


async def _says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


_SERVERS = {"closes": _closes, "plain": _speaks_plainly, "silent": _says_nothing}


@contextlib.asynccontextmanager
async def listening(kind: str, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server of this kind; ``refused`` is a port at which nobody listens."""
    if kind == "refused":
        with socket.socket() as reserved:  # bound and never listening, so that it stays refused
            reserved.bind(("127.0.0.1", 0))
            yield reserved.getsockname()[1]
        return
    served: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.ensure_future(_SERVERS[kind](reader, writer)))
        with contextlib.suppress(OSError):
            await served[-1]
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*served, return_exceptions=True)
        await asyncio.sleep(0)


async def http_cause(url: str) -> str:
    """What a client of aiohttp makes of it, in plain words."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.5)) as session:
        with pytest.raises((aiohttp.ClientError, TimeoutError)) as caught:
            await session.get(url)
    return cause(caught.value).text


def certificate(tmp_path: Path) -> ssl.SSLContext:
    """A server's context with a certificate that nobody trusts."""
    key, made = tmp_path / "key.pem", tmp_path / "cert.pem"
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*new, "-keyout", key, "-out", made], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    return context


@pytest.mark.parametrize(
    ("kind", "scheme", "text"),
    [
        ("refused", "http", "connection refused"),
        ("refused", "https", "connection refused"),
        ("closes", "http", "it closed the connection"),
        ("plain", "https", "it does not speak TLS there"),
        ("silent", "http", "no answer in time"),
        ("silent", "https", "no answer in time"),
    ],
)
def test_http_causes_are_plain(kind: str, scheme: str, text: str) -> None:
    """As aiohttp raises them."""

    async def run() -> str:
        async with listening(kind) as port:
            return await http_cause(f"{scheme}://127.0.0.1:{port}")

    assert asyncio.run(run()) == text


def test_a_name_that_nobody_knows_and_a_certificate_that_nobody_trusts(tmp_path: Path) -> None:
    """Each in its own words; localhost, which has two addresses, is refused like one."""

    async def run() -> list[str]:
        async with listening("silent", certificate(tmp_path)) as port, listening("refused") as closed:
            return [
                await http_cause("http://there-is-no-such-host.invalid:9200"),
                await http_cause(f"https://127.0.0.1:{port}"),
                await http_cause(f"http://localhost:{closed}"),
            ]

    name, certified, refused = asyncio.run(run())
    assert (name, refused) == ("its name is not known", "connection refused")
    assert certified.startswith("its certificate is not trusted: self")


@pytest.mark.parametrize(
    ("kind", "protocol", "text"),
    [
        ("refused", "PLAINTEXT", "connection refused"),
        ("closes", "PLAINTEXT", "it closed the connection"),
        ("plain", "SSL", "it does not speak TLS there"),
        ("silent", "PLAINTEXT", "no answer in time"),
    ],
)
def test_a_silent_kafka_says_why_per_broker(kind: str, protocol: str, text: str) -> None:
    """With host and port, what to look at, and the command that looks closer; no word of the library."""

    async def run() -> tuple[str, int]:
        async with listening(kind) as port:
            section = Kafka(
                bootstrap_servers=[f"127.0.0.1:{port}", "there-is-no-such-host.invalid:9092"],
                security_protocol=protocol,  # type: ignore[arg-type]  # parametrized
                request_timeout_seconds=0.5,
            )
            return str(await kafka.silence(section, OSError("whatever the client said"))), port

    said, port = asyncio.run(run())
    assert said.startswith(
        f"Kafka does not answer at 127.0.0.1:{port} ({text}), "
        "there-is-no-such-host.invalid:9092 (its name is not known); "
    )
    assert said.endswith("See `tailrace check --connect`.")
    assert not [word for word in _LIBRARY_WORDS if word in said]


def test_a_silent_elasticsearch_says_why() -> None:
    """Through its own client, as every command meets it."""

    async def run() -> str:
        async with listening("refused") as port:
            settings = Settings(elasticsearch=Elasticsearch(hosts=[f"http://127.0.0.1:{port}"]))
            with pytest.raises(ReachElasticsearch) as caught:
                async with elasticsearch_client(settings) as client:
                    await client.info()
            assert f"http://127.0.0.1:{port} (connection refused); " in str(caught.value)
            return str(caught.value)

    said = asyncio.run(run())
    assert said.endswith("See `tailrace check --connect`.")
    assert not [word for word in _LIBRARY_WORDS if word in said]


def test_what_nobody_foresaw_is_told_in_its_own_words() -> None:
    """One line of it, with the innermost error that is known, or else the outermost."""
    assert cause(RuntimeError("first.\nsecond")).text == "first"
    assert cause(RuntimeError()).text == "RuntimeError"
    outer = RuntimeError("outer")
    outer.__cause__ = ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 9)")
    assert cause(outer).text == "connection refused"
    assert "(outer)" in str(elastic.silence(Elasticsearch(), RuntimeError("outer")))
