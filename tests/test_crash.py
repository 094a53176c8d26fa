"""kill -9 at random moments, and servers that go away under load: afterwards each line is stored exactly once."""

import asyncio
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import create_topic
from processes import Site, chain, until

from tailrace.stack import Stack

pytestmark = [pytest.mark.crash, pytest.mark.edge]

LINES = 100_000


@pytest.fixture
def site(site: Site) -> Site:
    """The same, set up for the indexer."""
    site.indexer |= {"session_seconds": 6.0}
    site.finish("setup")
    return site


def json_line(number: int) -> str:
    """A line as a service writes it."""
    return (
        f'{{"timestamp":"2026-11-23T18:00:00.{number % 1000:03d}Z","level":"info","message":"request served",'
        f'"logger":"playback.http","n":{number},"user_id":"u-{number * 7919 % 9973}","duration_ms":{number % 997}}}\n'
    )


def test_ten_kills_of_the_shipper_and_three_of_the_indexer_leave_every_line_once(site: Site) -> None:
    """While 100,000 JSON lines are written to three files: all are shipped, repetitions say so, each is stored once.

    A second run of both adds nothing.
    """
    chance = random.Random()
    rounds = 10
    each = LINES // rounds
    for turn in range(rounds):
        for file in range(3):
            with (site.logs / f"{file}.log").open("a") as log:
                log.writelines(json_line(number) for number in range(turn * each + file, turn * each + each, 3))
        agent = site.agent()
        time.sleep(chance.uniform(0, 0.3))  # a random moment of its work: nothing to wait for
        agent.kill()
    site.finish("ship", "--once")
    records = site.shipped(120)
    assert len({record.record_id for record in records}) == LINES
    assert {record.document["numeric_labels"]["n"] for record in records} == set(range(LINES))
    whole = sum(path.stat().st_size for path in site.logs.iterdir())
    assert sum(chain(records).values()) == whole

    for turn in range(3):
        indexer = site.run("index")
        until(lambda turn=turn: _said(site, "reading partitions") > turn, 60)  # type: ignore[misc]
        time.sleep(chance.uniform(0, 1.5))
        indexer.kill()
    site.finish("index", "--once", seconds=120)
    assert site.stored() == LINES

    site.finish("ship", "--once")
    site.finish("index", "--once")
    assert len(site.shipped(120)) == len(records)
    assert site.stored() == LINES


class Load:
    """A writer, an agent and an indexer at work; ``written`` lines so far, and the most memory each process had."""

    def __init__(self, site: Site, lines_per_second: int) -> None:
        self.site = site
        self.written = 0
        self._pause = 50 / lines_per_second
        self._end = threading.Event()
        self._writer = threading.Thread(target=self._write)
        self.agent = site.agent()
        self.indexer = site.run("index")
        self._writer.start()

    def has_stored(self, lines: int) -> bool:
        """Whether Elasticsearch has so many documents; False while it does not answer."""
        try:
            found = self.site.elastic(f"/{self.site.stream}/_count")["count"]  # asks for no refresh: that costs it much
            return bool(found >= lines)
        except OSError:
            return False

    def memory(self) -> tuple[float, float]:
        """What the agent and the indexer have resident now, in megabytes."""
        return self.agent.resident_mb, self.indexer.resident_mb

    def finish(self) -> None:
        """Stop writing."""
        self._end.set()
        self._writer.join()

    def _write(self) -> None:
        with (self.site.logs / "load.log").open("a") as log:
            while not self._end.wait(self._pause):
                log.writelines(json_line(number) for number in range(self.written, self.written + 50))
                log.flush()
                self.written += 50


def _go_on(load: Load, seconds: float) -> tuple[float, float]:
    """Let it run for a while; the most memory that the agent and the indexer had meanwhile."""
    until_then = time.monotonic() + seconds
    most = load.memory()
    while time.monotonic() < until_then:
        assert load.agent.running
        assert load.indexer.running
        most = max(most[0], load.memory()[0]), max(most[1], load.memory()[1])
        time.sleep(0.2)  # the outage is a length of time: nothing to wait for
    return most


def test_kafka_stopped_under_load_loses_and_repeats_nothing(breakable_stack: Stack, tmp_path: Path, names: str) -> None:
    """Ten seconds and a restart without brokers: memory stays where it was, afterwards each line is stored once."""
    outage(Site(tmp_path, breakable_stack, names), "kafka", breakable_stack.stop, breakable_stack.start, 10)


def test_elasticsearch_hanging_under_load_loses_and_repeats_nothing(
    breakable_stack: Stack, tmp_path: Path, names: str
) -> None:
    """Ten seconds in which it takes requests and answers none: as above, though nobody knows what it did of them."""
    site = Site(tmp_path, breakable_stack, names)
    site.elasticsearch["request_timeout_seconds"] = 5.0
    outage(site, "elasticsearch", breakable_stack.pause, breakable_stack.resume, 10)


def outage(
    site: Site,
    server: str,
    stop: Callable[[str], object],
    start: Callable[[str], object],
    seconds: float,
    lines_per_second: int = 600,
) -> str:
    """Write, take a server away, bring it back; what was seen, in one line."""
    for topic, partitions in ((site.topic, 3), (site.ledger, 1), (site.dead, 1)):
        asyncio.run(create_topic(site.bootstrap_servers, topic, partitions))
    site.finish("setup")
    load = Load(site, lines_per_second)
    try:
        until(lambda: load.has_stored(500), 60, 0.5)
        before = load.memory()
        stop(server)
        during = _go_on(load, seconds)
        start(server)
        back = time.monotonic()
        written = load.written
        until(lambda: load.has_stored(written), 120, 0.5)
        caught_up = time.monotonic() - back
        load.finish()
        until(lambda: load.has_stored(load.written), 120, 0.5)
        after = load.memory()
        assert load.agent.stop() == 0
        assert load.indexer.stop() == 0
        assert site.stored() == load.written
        records = site.shipped(120)
        chain(records)
        ids = {record.record_id for record in records}
        assert len(ids) == load.written
        assert max(during[0] - before[0], after[0] - before[0]) < 40, (before, during, after)
        assert max(during[1] - before[1], after[1] - before[1]) < 100, (before, during, after)
        return (
            f"{server} away {seconds} s: {load.written} lines written, {site.stored()} stored, "
            f"{len(records) - len(ids)} sent again, caught up {caught_up:.1f} s after it answered; "
            f"MB before/most during/after: agent {before[0]:.0f}/{during[0]:.0f}/{after[0]:.0f}, "
            f"indexer {before[1]:.0f}/{during[1]:.0f}/{after[1]:.0f}"
        )
    finally:
        load.finish()
        site.end()


def _said(site: Site, message: str) -> int:
    return sum(line["message"] == message for line in site.said("index"))
