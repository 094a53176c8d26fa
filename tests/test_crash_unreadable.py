"""A batch that a broker's disk has broken: its partition waits and says where, all else goes on."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from processes import Process, until
from test_indexer_edge import PARTITIONS, Load, Sent, admin, exactly_once, prepared

from tailrace.stack import Stack

pytestmark = [pytest.mark.crash, pytest.mark.edge]

RECORDS = 3_000
BROKEN = 1500
"""The number of a record in the middle of the first partition; the next one is in the second."""


@pytest.fixture
def site(tmp_path: Path, breakable_stack: Stack, names: str) -> Iterator[Load]:
    """Topics, a group, a stream and a template of this test's own, on servers that may be stopped."""
    yield from prepared(Load(tmp_path, breakable_stack, names))


def test_a_batch_that_a_disk_broke_holds_up_its_partition_only(site: Load) -> None:
    """What is before it and in other partitions is stored; once the disk is mended, all is, without a restart."""
    records = site.records(RECORDS)
    _send(site, records)
    others = [one for one in records if one.partition]
    with _turned_over(site, BROKEN):
        once = site.run("index", "--once", log="once")
        assert once.wait() == 1
        (said,) = [line for line in once.log.read_text().splitlines() if "cannot be read" in line]
        assert f"{site.topic}/0 at offset 500: " in said
        assert "--reset-offsets" in said
        more = [one for one in site.records(600, start=RECORDS) if one.partition]
        site.send(more)
        indexer = site.run("index")
        until(lambda: site.stored() == 500 + len(others) + len(more), 60)
        until(lambda: _told(indexer), 30)
    until(lambda: site.stored() == RECORDS + len(more), 60)
    assert indexer.stop() == 0
    assert _told(indexer) == 1
    exactly_once(site, [*records, *more])


def test_each_run_that_waits_for_such_a_batch_ends(site: Load) -> None:
    """Two of one group, each with one of its own: neither waits for what the other cannot read."""
    records = site.records(RECORDS)
    _send(site, records)
    with _turned_over(site, BROKEN, BROKEN + 1):
        runs = [site.run("index", "--once", log=f"once{number}") for number in range(2)]
        assert [one.wait() for one in runs] == [1, 1]
        assert site.stored() == 2 * 500 + RECORDS // PARTITIONS
    site.finish("index", "--once")
    exactly_once(site, records)


def test_once_retention_has_taken_the_broken_batch_the_partition_goes_on(site: Load) -> None:
    """What it took is a gap, told as any other; nothing is said to be unreadable any more, though no record follows."""
    site.serve_metrics()
    _send(site, site.records(RECORDS))

    def shown(name: str) -> float:
        return site.metric(f"tailrace_indexer_{name}", "indexer_listen")

    with _turned_over(site, BROKEN):
        indexer = site.run("index")
        until(lambda: _told(indexer), 60)
        assert shown("unreadable_partitions") == 1

        async def delete() -> None:
            async with admin(site) as client:
                await client.delete_records({TopicPartition(site.topic, 0): RecordsToDelete(before_offset=1000)})

        asyncio.run(delete())
        until(lambda: shown("gap_records_total") == 500, 60)
        assert shown("unreadable_partitions") == 0
        assert indexer.stop() == 0
        site.finish("index", "--once", log="once")
        assert site.stored() == RECORDS - 500


def _send(site: Load, records: list[Sent]) -> None:
    """In many batches."""
    for begin in range(0, len(records), 100):
        site.send(records[begin : begin + 100])


@contextlib.contextmanager
def _turned_over(site: Load, *numbers: int) -> Iterator[None]:
    """While it lasts, a byte in the text of each of these records is another one on the broker's disk."""
    _turn_over(site, numbers)
    yield
    _turn_over(site, numbers)


def _turn_over(site: Load, numbers: Sequence[int]) -> None:
    site.stack.stop("kafka")
    for number in numbers:
        (log,) = (site.stack.folder / "kafka").rglob(f"{site.topic}-{number % PARTITIONS}/*.log")
        content = bytearray(log.read_bytes())
        content[content.index(b"ine %d" % number) - 1] ^= 1
        log.write_bytes(content)
    site.stack.start("kafka")


def _told(indexer: Process) -> int:
    return indexer.log.read_text().count("cannot read a batch")
