"""A partition whose broker is dead, while the others have theirs."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from conftest import create_topic, delete_topic
from processes import Site, append, chain, until
from second_broker import NODE, second_broker

from tailrace.stack import Stack

pytestmark = [pytest.mark.edge, pytest.mark.crash]


@pytest.mark.timeout(240)
def test_a_partition_without_a_leader_stops_only_its_own_files(
    breakable_stack: Stack, tmp_path: Path, names: str
) -> None:
    """`tailrace status` names it; once its broker is back the rest arrives, each line once."""
    site = Site(tmp_path, breakable_stack, names)
    asyncio.run(create_topic(breakable_stack.bootstrap_servers, site.ledger))
    with second_broker(breakable_stack, tmp_path / "second") as broker:
        asyncio.run(make_spread_topic(breakable_stack.bootstrap_servers, site.topic))
        files = [site.logs / f"{number}.log" for number in range(6)]
        for path in files:
            path.write_text("before\n")
        agent = site.agent()
        try:
            until(lambda: len(site.shipped()) == 6)
            partition_of = {str(one.document["log"]["file"]["path"]): one.partition for one in site.shipped()}
            assert set(partition_of.values()) == {0, 1}
            broker.kill()
            for path in files:
                append(path, "meanwhile\n")
            held = {str(path) for path in files if partition_of[str(path)] == 1}
            until(
                lambda: {one["path"] for one in status(site)["files"] if one["state"] == "waits for Kafka"} == held, 60
            )
            told = status(site)
            assert any(text.startswith(f"partition 1 of {site.topic} has not answered") for text in told["problems"])
            assert {one["detail"] for one in told["files"] if one["state"] == "waits for Kafka"} == {"partition 1"}
            assert all(one["behind_bytes"] == 0 for one in told["files"] if one["path"] not in held)
            assert [line["partition"] for line in site.said() if line["message"].startswith("partition does not")] == [
                1
            ]
            broker.start()
            until(lambda: len({one.record_id for one in site.shipped()}) == 12, 60)
            assert agent.stop() == 0
            assert sorted(chain(site.shipped()).values()) == [path.stat().st_size for path in files]
        finally:
            site.end()
            asyncio.run(delete_topic(breakable_stack.bootstrap_servers, site.topic))


def status(site: Site) -> dict[str, Any]:
    """What `tailrace status --json` says; it exits 1 as long as something is wrong."""
    process = site.run("status", "--json", log=f"status{time.monotonic_ns()}")
    process.wait()
    said: dict[str, Any] = json.loads(process.log.read_text().splitlines()[0])
    return said


async def make_spread_topic(bootstrap_servers: str, topic: str) -> None:
    """Partition 0 lives at the first broker, partition 1 at the second."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, -1, -1, replica_assignments={0: [1], 1: [NODE]})])
        while sorted(one["leader"] for one in await partitions(admin, topic)) != [1, NODE]:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.05)
    finally:
        await admin.close()


async def partitions(admin: AIOKafkaAdminClient, topic: str) -> list[dict[str, int]]:
    """What the cluster knows of a topic's partitions."""
    (described,) = await admin.describe_topics([topic])
    found: list[dict[str, int]] = described["partitions"]
    return found
