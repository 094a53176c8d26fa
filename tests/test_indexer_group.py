"""Indexers that come, go, freeze and come back, on the real Kafka: each record is stored once."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.coordinator.protocol import ConsumerProtocol
from conftest import create_topic
from processes import Process, until
from test_indexer_edge import Load, admin, counted, exactly_once, prepared, reached, send

from indexer import consumer
from indexer.service import index
from tailrace import settings
from tailrace.daemon import Life
from tailrace.stack import Stack

pytestmark = pytest.mark.edge


@pytest.fixture
def site(tmp_path: Path, stack: Stack, names: str) -> Iterator[Load]:
    """Topics, a group, streams and a template of this test's own."""
    yield from prepared(Load(tmp_path, stack, names))


@pytest.fixture
def breakable_site(tmp_path: Path, breakable_stack: Stack, names: str) -> Iterator[Load]:
    """As ``site``, on servers that may be stopped."""
    yield from prepared(Load(tmp_path, breakable_stack, names))


def freeze(process: Process) -> None:
    """Stop its clock, as a hypervisor does, or the lid of a laptop."""
    os.kill(process.pid, signal.SIGSTOP)


def thaw(process: Process) -> None:
    """Let it go on."""
    os.kill(process.pid, signal.SIGCONT)


def test_who_wakes_up_after_others_took_over_sets_nothing_back(site: Load) -> None:
    """Frozen in the midst of work for longer than its session, while another does the rest: it stores nothing more.

    Nor is anything committed: that would be taken, for the group is empty by then, and sets it back over a rollover.
    """
    records = site.records(9000)
    site.send(records)
    site.indexer |= {"slice_actions": 10, "in_flight": 1, "linger_seconds": 0.0}
    frozen = site.run("index")
    until(lambda: finished(site) > 0, every=0.01)
    freeze(frozen)
    assert finished(site) < 8000
    site.indexer |= {"slice_actions": 1000}
    site.finish("index", "--once", log="other")
    assert finished(site) == 9000
    site.roll_over()
    thaw(frozen)
    until(lambda: sum(line["message"] == "reading partitions" for line in site.said("index")) > 1)
    assert frozen.stop() == 0
    assert finished(site) == 9000
    exactly_once(site, records)


def test_an_indexer_with_a_name_is_back_before_others_notice(site: Load) -> None:
    """Killed and started again within its session: it has the partitions it had, and nobody else gave any up."""
    site.indexer |= {"session_seconds": 30.0, "member": "a"}
    first = site.run("index", log="a")
    until(lambda: readings(site, "a") == 1)
    site.indexer["member"] = "b"
    site.run("index", log="b")
    until(lambda: readings(site, "b") == 1)
    until(lambda: readings(site, "a") == 2)
    before = owners(site)
    assert len(before) == 2
    first.kill()
    site.send(site.records(300))
    site.indexer["member"] = "a"
    site.run("index", log="a")
    until(lambda: finished(site) == 300)
    assert readings(site, "b") == 1
    assert sorted(map(sorted, owners(site).values())) == sorted(map(sorted, before.values()))
    exactly_once(site, site.records(300))


def test_of_two_with_one_name_the_later_stays(site: Load) -> None:
    """The first ends, says why, and is not to be started again; the two do not take the name from each other for ever.

    A run with --once takes no name, and no port: it may go beside the service.
    """
    site.indexer["member"] = "twin"
    site.serve_metrics()
    first = site.run("index", log="first")
    until(lambda: readings(site, "first") == 1)
    site.send(site.records(300))
    site.finish("index", "--once", log="once")
    assert first.running
    site.metrics.clear()
    second = site.run("index", log="second")
    assert first.wait() == 2
    last = site.said("first")[-1]
    assert last["error.type"] == "FixSettings"
    assert "has joined as twin" in last["message"]
    site.send(site.records(300, start=300))
    until(lambda: finished(site) == 600)
    assert second.running
    exactly_once(site, site.records(600))


def test_new_topics_that_match_are_read_from_their_beginning(site: Load) -> None:
    """Within seconds; those read before go on without a doubt about what was sent; dead letters are never records."""
    records = site.records(600)
    site.send(records[:300])
    site.indexer["topics"] = [site.topic, f"^{site.name}\\."]
    old, site_topics = site.topic, (f"{site.name}.activity.play", f"{site.name}.dead")

    async def run() -> None:
        life = Life()
        service = asyncio.create_task(index(settings.load(site.write_settings()), life, once=False))
        await reached(lambda: finished(site) == 300)
        site.topic = site_topics[1]
        await send(site, [one._replace(partition=0) for one in site.records(3, start=900)])
        site.topic = site_topics[0]
        await create_topic(site.bootstrap_servers, site.topic, 3)
        await send(site, records[300:450])
        await reached(lambda: finished(site) == 450)
        site.topic = old
        await send(site, records[450:])
        await reached(lambda: finished(site) == 600)
        life.stop.set()
        await service

    before = counted()
    asyncio.run(run())
    found = counted() - before
    assert (found["stored"], found["looked_up"], found["duplicates"]) == (600, 0, 0)
    exactly_once(site, records)


def test_who_stays_keeps_its_partitions(site: Load) -> None:
    """Of nine: who is alone has all, who comes gets a share, and who leaves only lets go of its own."""
    site.topic = f"{site.name}.wide"
    asyncio.run(create_topic(site.bootstrap_servers, site.topic, 9))
    loaded = settings.load(site.write_settings())

    async def run() -> list[dict[str, set[int]]]:
        lives: list[Life] = []
        services: list[asyncio.Task[bool]] = []
        seen: list[dict[str, set[int]]] = []
        for count in (1, 2, 3):
            lives.append(Life())
            services.append(asyncio.create_task(index(loaded, lives[-1], once=False)))
            await shared_by(count, seen)
        lives[1].stop.set()
        await shared_by(2, seen)
        for life in lives:
            life.stop.set()
        await asyncio.gather(*services)
        return seen

    async def shared_by(count: int, seen: list[dict[str, set[int]]]) -> None:
        def are_shared() -> bool:
            found = owners(site)
            return len(found) == count and sum(map(len, found.values())) == 9

        await reached(are_shared)
        seen.append(await asyncio.to_thread(owners, site))

    one, two, three, left = asyncio.run(run())
    for before, after in ((one, two), (two, three)):
        for member, partitions in before.items():
            assert after[member] <= partitions
    for member, partitions in left.items():
        assert three[member] <= partitions


def test_who_does_not_poll_for_too_long_gives_up_and_comes_back(site: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elasticsearch refuses for longer than the limit: the partitions are given up, taken again, nothing is lost."""
    monkeypatch.setattr(consumer, "_IDLE_MS", 1500)
    site.send(site.records(30))
    site.index_once()
    (backing,) = site.elastic(f"/_resolve/index/{site.stream}")["data_streams"][0]["backing_indices"]
    site.elastic(f"/{backing}/_settings", {"index.blocks.write": True}, "PUT")
    site.send(site.records(3000, start=30))
    site.indexer |= {"buffer_bytes": 100_000, "slice_actions": 100}

    async def run() -> None:
        life = Life()
        service = asyncio.create_task(index(settings.load(site.write_settings()), life, once=False))
        await reached(lambda: (counted() - before)["abandoned"] > 0)
        await asyncio.to_thread(site.elastic, f"/{backing}/_settings", {"index.blocks.write": None}, "PUT")
        await asyncio.to_thread(site.roll_over)
        await reached(lambda: finished(site) == 3030)
        life.stop.set()
        await service

    before = counted()
    asyncio.run(run())
    exactly_once(site, site.records(3030))


@pytest.mark.crash
def test_a_hanging_elasticsearch_holds_up_a_rebalance_for_a_bounded_time(breakable_site: Load) -> None:
    """What is in flight when another indexer joins is left to look-ups; its late answers change nothing."""
    site = breakable_site
    site.indexer |= {"slice_actions": 100, "drain_seconds": 1.0, "linger_seconds": 0.0}
    site.serve_metrics()
    records = site.records(6000)
    site.send(records[:3000])
    site.run("index", log="first")
    until(lambda: finished(site) > 0, every=0.01)
    site.stack.pause("elasticsearch")
    site.send(records[3000:])

    def shown(name: str) -> float:
        return site.metric(f"tailrace_indexer_{name}", "indexer_listen")

    until(lambda: shown("polled_records_total") > 3000 and shown("in_flight_requests") > 0)
    assert finished(site) <= 3000
    site.metrics.clear()
    site.run("index", log="second")
    until(lambda: readings(site, "second") == 1, 45)
    assert any(line["message"].startswith("gave partitions up with requests in flight") for line in site.said("first"))
    site.stack.resume("elasticsearch")
    site.roll_over()
    until(lambda: finished(site) == 6000)
    exactly_once(site, records)


def readings(site: Load, log: str) -> int:
    """How often an indexer has begun to read partitions that it was given."""
    return sum(line["message"] == "reading partitions" for line in site.said(log))


def owners(site: Load) -> dict[str, set[int]]:
    """Which partitions each member of the group has."""

    async def ask() -> Any:
        async with admin(site) as client:
            (answer,) = await client.describe_consumer_groups([f"{site.name}-indexer"])
            return answer.groups[0][5]

    found = {}
    for member in asyncio.run(ask()):
        if member[-1]:
            assignment = ConsumerProtocol.ASSIGNMENT.decode(member[-1])
            found[member[0]] = {one.partition for one in assignment.partitions()}
    return found


def finished(site: Load) -> int:
    """How far the group's commits are, all partitions together."""
    return sum(max(0, commit.offset) for commit in site.commits().values())
