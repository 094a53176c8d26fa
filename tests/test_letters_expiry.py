"""Open dead letters that retention is about to delete are said, before it does."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from conftest import create_topic, delete_topic
from fakes import FakePolled
from processes import read_records, until
from test_indexer_edge import admin
from test_letters_replay import Letters

from indexer.dead_letters import letter
from indexer.documents import Refusal
from indexer.expiry import expiring
from indexer.ownership import Origin
from indexer.reasons import Reason
from tailrace import settings
from tailrace.stack import Stack

pytestmark = pytest.mark.edge

DAY = 86_400


@pytest.fixture
def site(tmp_path: Path, stack: Stack, names: str) -> Iterator[Letters]:
    """Letters are kept for ten days, but for those of the tests, which Kafka would delete at once, for ever."""
    one = Letters(tmp_path, stack, names)
    one.prepare()
    asyncio.run(delete_topic(one.bootstrap_servers, one.dead))
    until(lambda: one.dead not in asyncio.run(_topics(one)))
    asyncio.run(create_topic(one.bootstrap_servers, one.dead, 2, retention_ms="-1"))
    one.kafka["dead_letter_retention_hours"] = 240
    yield one
    one.end()


async def _topics(site: Letters) -> list[str]:
    async with admin(site) as client:
        found: list[str] = await client.list_topics()
        return found


async def _write(site: Letters, ages: Sequence[float], partition: int = 0) -> None:
    """Letters of so many days ago."""
    producer = AIOKafkaProducer(bootstrap_servers=site.bootstrap_servers)
    await producer.start()
    try:
        for offset, age in enumerate(ages):
            moment = int((time.time() - age * DAY) * 1000)
            refusal = Refusal(FakePolled(b"{}", offset=offset), Origin(site.topic, partition), Reason.MAPPING, "why")
            one = letter(refusal, moment)
            await producer.send_and_wait(
                site.dead, one.value, headers=one.headers, timestamp_ms=moment, partition=partition
            )
    finally:
        await producer.stop()


def test_letters_in_the_last_fifth_of_their_time_are_counted(site: Letters) -> None:
    """Of ten days those older than eight; not those that somebody settled."""
    kafka = settings.load(site.write_settings()).kafka
    assert asyncio.run(expiring(kafka, time.time())) == (0, 0)
    asyncio.run(_write(site, [7.9, 1]))
    assert asyncio.run(expiring(kafka, time.time())) == (0, 0)
    asyncio.run(_write(site, [9.5, 8.2, 8.1, 5], 1))
    found = asyncio.run(expiring(kafka, time.time()))
    assert found.letters == 3
    assert time.time() * 1000 - found.oldest == pytest.approx(9.5 * DAY * 1000, abs=60_000)
    assert site.told("stats")["oldest_open_expires_in_seconds"] == pytest.approx(0.5 * DAY, abs=60)
    site.told("drop", "--where", "offset=1", "--where", "partition=1", "--note", "seen", "--yes")
    assert asyncio.run(expiring(kafka, time.time())).letters == 2
    (settlement,) = [one for one in asyncio.run(read_records(site.bootstrap_servers, site.dead)) if one.value is None]
    assert (settlement.partition, settlement.offset) == (1, 4), "behind its letter, or retention could part them"


def test_one_indexer_of_the_group_warns(site: Letters) -> None:
    """Soon after its start, in the log and in a metric; the others have nothing to say of it."""
    asyncio.run(_write(site, [9.5, 1]))
    site.serve_metrics()
    site.run("index")
    until(lambda: any("retention" in line["message"] for line in site.said("index")))
    assert site.metric("tailrace_indexer_expiring_letters", "indexer_listen") == 1
    (warning,) = [line for line in site.said("index") if "retention" in line["message"]]
    assert (warning["letters"], warning["hours_left"], warning["log.level"]) == (1, 12, "warning")
