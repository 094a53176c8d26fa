"""What every test may ask for: one real Kafka and Elasticsearch for the whole run, topics, names nobody else has."""

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import fakes
import hypothesis
import pytest
from processes import Site

from shipper import native
from tailrace.stack import Stack

hypothesis.settings.register_profile("unshrunk", phases=[hypothesis.Phase.generate], database=None)
"""Says what it finds as it was found, and so at once: for ``make mistakes``."""

TABLES = pytest.StashKey[list[tuple[str, list[tuple[object, ...]]]]]()
"""In the configuration's stash: tables that a test wants printed at the end of the run, each with its title."""

LONG = pytest.mark.skipif(not os.environ.get("TAILRACE_LONG"), reason="takes many minutes: `make matrix`")
"""For tests that a change need not wait for."""

MakeTopic = Callable[..., str]
"""``make_topic(name, partitions=1, **topic_config)``: creates a topic, waits for its leaders, returns the name."""


def pytest_configure(config: pytest.Config) -> None:
    """Begin without tables."""
    config.stash[TABLES] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the tables, numbers to the right."""
    for title, rows in config.stash[TABLES]:
        terminalreporter.section(title)
        widths = [max(len(str(cell)) for cell in column) for column in zip(*rows, strict=True)]
        for first, *rest in rows:
            cells = [str(cell).rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
            terminalreporter.write_line("  ".join([str(first).ljust(widths[0]), *cells]))


@pytest.fixture(scope="module", params=["compiled", "python"])
def both_ways(request: pytest.FixtureRequest) -> Iterator[None]:
    """A module's tests with the compiled calls of the hot loop, and again without them: all must ask for this."""
    if request.param == "compiled" and native.compiled is None:
        pytest.skip("tailrace was installed without a C compiler")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "python":
            patch.setattr(native, "compiled", None)
        yield


@pytest.fixture(scope="module", params=["objects", "rows"])
def both_forms(request: pytest.FixtureRequest) -> Iterator[None]:
    """A module's tests with ``fakes.polled`` records as objects, and again as rows: all must ask for this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fakes, "polled", fakes.as_rows if request.param == "rows" else fakes.as_objects)
        yield


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack: ``stack.bootstrap_servers``, ``stack.elasticsearch_url``.

    Started once a run, and always stopped; ``$TAILRACE_TEST_STACK`` names the folder of one that runs already and is
    left running. Do not stop or kill its servers: that is what ``breakable_stack`` is for.
    """
    yours = os.environ.get("TAILRACE_TEST_STACK")
    if yours:
        running = Stack(yours)
        assert all(one.state == "running" for one in running.status()), f"start it: tailrace stack up --dir {yours}"
        yield running
        return
    yield from _own(tmp_path_factory.mktemp("stack"))


@pytest.fixture(scope="session")
def _breakable(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    if os.environ.get("TAILRACE_TEST_STACK"):  # others use that one too
        yield from _own(tmp_path_factory.mktemp("breakable"))
    else:
        yield request.getfixturevalue("stack")


@pytest.fixture
def breakable_stack(_breakable: Stack) -> Iterator[Stack]:
    """A stack whose servers the test may stop, kill and pause; they are mended after it."""
    _breakable.up()
    yield _breakable
    for one in _breakable.status():
        if one.state == "paused":
            _breakable.resume(one.name)
    _breakable.up()


@pytest.fixture
def names() -> str:
    """A short lower-case word that no other test has, to begin the names of topics, groups, streams and hosts with."""
    return f"t{secrets.token_hex(4)}"


@pytest.fixture
def make_topic(stack: Stack) -> MakeTopic:
    """``make_topic(name, partitions=1, **topic_config)``, from synchronous code; see ``create_topic``."""

    def make(name: str, partitions: int = 1, **config: str) -> str:
        asyncio.run(create_topic(stack.bootstrap_servers, name, partitions, **config))
        return name

    return make


@contextlib.asynccontextmanager
async def admin_of(bootstrap_servers: str) -> AsyncIterator[Any]:
    """An admin client of these brokers."""
    from aiokafka.admin import AIOKafkaAdminClient

    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def create_topic(bootstrap_servers: str, name: str, partitions: int = 1, **config: str) -> None:
    """Create a topic (``max_message_bytes="1000"`` sets ``max.message.bytes``), and wait until it can be written to."""
    from aiokafka.admin import NewTopic

    from tailrace import kafka

    async with admin_of(bootstrap_servers) as admin:
        await kafka.cluster_of(admin)
        answer = await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=_dotted(config))])
        assert all(error[1] == 0 for error in answer.topic_errors), answer.topic_errors
        await _until_led(admin, name, partitions)


async def configure_topic(bootstrap_servers: str, name: str, **config: str) -> None:
    """Set configs of a topic, named as for ``create_topic``; what is not named goes back to its default."""
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    async with admin_of(bootstrap_servers) as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, _dotted(config))])


async def grow_topic(bootstrap_servers: str, name: str, partitions: int) -> None:
    """Give a topic more partitions, and wait until they can be written to."""
    from aiokafka.admin import NewPartitions

    async with admin_of(bootstrap_servers) as admin:
        await admin.create_partitions({name: NewPartitions(partitions)})
        await _until_led(admin, name, partitions)


async def delete_topic(bootstrap_servers: str, name: str) -> None:
    """Delete a topic."""
    async with admin_of(bootstrap_servers) as admin:
        await admin.delete_topics([name])


def _dotted(config: Mapping[str, str]) -> dict[str, str]:
    return {key.replace("_", "."): value for key, value in config.items()}


async def _until_led(admin: Any, name: str, partitions: int) -> None:
    until = time.monotonic() + 20
    while True:
        (topic,) = await admin.describe_topics([name])
        if len(topic["partitions"]) == partitions and all(one["leader"] >= 0 for one in topic["partitions"]):
            return
        assert time.monotonic() < until, topic
        await asyncio.sleep(0.02)


@pytest.fixture
def site(stack: Stack, tmp_path: Path, names: str, make_topic: MakeTopic) -> Iterator[Site]:
    """A host of one's own, whose topics are there."""
    one = Site(tmp_path, stack, names)
    make_topic(one.topic, 3)
    make_topic(one.ledger)
    make_topic(one.dead)
    yield one
    one.end()


@pytest.fixture(scope="session")
def templates(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The index templates, as `tailrace setup` makes them; without them nothing becomes a data stream."""
    one = Site(tmp_path_factory.mktemp("templates"), stack, f"t{secrets.token_hex(4)}")
    one.finish("setup")
    one.end()


def _own(folder: Path) -> Iterator[Stack]:
    own = Stack(folder)
    try:
        own.up()
        yield own
    finally:
        own.down(wipe=True)
