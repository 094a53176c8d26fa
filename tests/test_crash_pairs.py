"""Each two of what may go wrong, at the same time and under load: lines written = distinct ids = documents.

Real processes, a real Kafka, a real Elasticsearch; one site for all pairs, whose agent and indexers go on from one to
the next, whatever was done to them. The table of all pairs is printed at the end.
"""

import asyncio
import itertools
import random
import secrets
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from conftest import LONG, TABLES
from processes import Process, Shipped, Site, chain, until

from tailrace.letter_topic import read_letters
from tailrace.letters import Letter
from tailrace.settings import Kafka
from tailrace.stack import Stack

pytestmark = [pytest.mark.crash, pytest.mark.edge, pytest.mark.timeout(600), LONG]

LINES = 2000
POISON = 20
"""How many of them are refused at first, and stored once their dead letters are mended and replayed."""
_SLOW = 120
"""Seconds that anything may take on a busy machine before it counts as lost."""


class Pairs(Site):
    """A site with an agent and an indexer, and the things that may happen to them."""

    def begin(self) -> None:
        """Make its topics and templates, and start both."""
        # Small pieces, so that there is work in flight at any moment.
        self.shipper |= {"chunk_bytes": 16_384, "linger_seconds": 0.0}
        self.indexer |= {"slice_actions": 25, "linger_seconds": 0.0, "session_seconds": 6.0, "drain_seconds": 5.0}
        self.finish("setup", seconds=_SLOW)
        strict = {"type": "long", "ignore_malformed": False}
        template = {
            "index_patterns": [f"logs-{self.name}-*"],
            "priority": 900,
            "data_stream": {},
            "composed_of": ["tailrace@mappings", "tailrace@settings"],
            "template": {
                "settings": {"number_of_replicas": 0},
                "mappings": {
                    "properties": {"labels": {"type": "object", "subobjects": False, "properties": {"retries": strict}}}
                },
            },
        }
        self.elastic(f"/_index_template/{self.name}", template, "PUT")
        self.ship = self.agent(seconds=_SLOW)
        self.index = self.run("index")
        self.path = self.logs / "nothing.log"
        self.seconds: dict[Path, float] = {}
        self.write(POISON, POISON + 1)
        until(self.documents, _SLOW)
        self._second: Process | None = None
        self._replay: Process | None = None
        self._must_roll = False

    def write(self, first: int, last: int) -> None:
        """Append lines of these numbers to the pair's file, as a service does."""
        with self.path.open("a", encoding="utf-8") as log:
            for number in range(first, last):
                retries = "many" if number < POISON else "1"
                log.write(f'{{"message":"request {number} of {self.path.stem}","n":{number},"retries":"{retries}"}}\n')

    def documents(self) -> list[str]:
        """The ids of all documents of the pair, over all backing indices, each as often as it is stored."""
        try:
            self.elastic(f"/{self.stream}/_refresh", method="POST")
            query = {"size": 10_000, "_source": False, "query": {"term": {"log.file.path": str(self.path)}}}
            return [hit["_id"] for hit in self.elastic(f"/{self.stream}/_search", query)["hits"]["hits"]]
        except OSError:  # it is not there, or not yet whole
            return []

    def begin_crash_shipper(self) -> None:
        """A power cut."""
        time.sleep(random.uniform(0, 0.2))  # a random moment of its work: nothing to wait for
        self.ship.kill()

    def end_crash_shipper(self) -> None:
        """It starts again; Kafka may still be away."""
        self.ship = self.run("ship")

    def begin_crash_indexer(self) -> None:
        """A power cut."""
        time.sleep(random.uniform(0, 0.2))  # as above
        self.index.kill()

    def end_crash_indexer(self) -> None:
        """It starts again, and waits until the group has given up its predecessor."""
        self.index = self.run("index")

    def begin_rebalance(self) -> None:
        """Another indexer joins."""
        (self.folder / "second.txt").unlink(missing_ok=True)  # what the one of another pair said
        self._second = self.run("index", log="second")
        self._until_said("second", "reading partitions")

    def end_rebalance(self) -> None:
        """It leaves."""
        assert self._second is not None
        assert self._second.stop(_SLOW) == 0

    def begin_replay(self) -> None:
        """Mended dead letters begin to come back, slowly."""
        until(lambda: self.open_letters() == POISON, _SLOW, 0.5)
        self._replay = self.run(*self._replaying(), "--rate", "20")

    def end_replay(self) -> None:
        """It goes on, or has given up; what it left is done at the end."""
        assert self._replay is not None
        self._replay.wait(_SLOW)

    def begin_kafka(self) -> None:
        """Stopped."""
        self.stack.stop("kafka")

    def end_kafka(self) -> None:
        """Started."""
        self.stack.start("kafka")

    def begin_elasticsearch(self) -> None:
        """Stopped."""
        self.stack.stop("elasticsearch")

    def end_elasticsearch(self) -> None:
        """Started; what it takes first may be what it had taken already."""
        self.stack.start("elasticsearch")

    def begin_rollover(self) -> None:
        """Between what went wrong and its end; at once after it where Elasticsearch itself is away."""
        self._must_roll = any(one.state != "running" for one in self.stack.status() if one.name == "elasticsearch")
        if not self._must_roll:
            self.roll_over()

    def end_rollover(self) -> None:
        """See above."""
        if self._must_roll:
            self.roll_over()

    def roll_over(self) -> None:
        """Give the stream a new index to write to."""

        def rolled() -> bool:
            try:
                self.elastic(f"/{self.stream}/_rollover", method="POST")
            except OSError:
                return False
            return True

        until(rolled, _SLOW)

    def indices(self) -> int:
        """How many backing indices the stream has."""
        return len(self.elastic(f"/_resolve/index/{self.stream}")["data_streams"][0]["backing_indices"])

    def open_letters(self) -> int:
        """How many records of the pair at hand are dead letters that nobody has replayed."""

        async def count() -> int:
            settings = Kafka(bootstrap_servers=[self.bootstrap_servers], dead_letter_topic=self.dead)
            async with aclosing(read_letters(settings)) as pieces:
                return len({one.record_id async for some in pieces for one in some if self._is_of_pair(one)})

        return asyncio.run(count())

    def _is_of_pair(self, letter: Letter) -> bool:
        return letter.settlement is None and str(self.path).encode() in letter.value

    def replay_rest(self) -> None:
        """What no replay has sent yet."""
        self.finish(*self._replaying(), seconds=_SLOW)

    def _replaying(self) -> list[str]:
        return ["dead-letters", "replay", *self._chosen(), "--set", "labels.retries=0"]

    def _chosen(self) -> list[str]:
        return ["--where", f"log.file.path={self.path}"]

    def _until_said(self, log: str, message: str) -> None:
        until(lambda: any(line["message"] == message for line in self.said(log)), _SLOW)


HAPPENINGS = {
    "crash shipper": (Pairs.begin_crash_shipper, Pairs.end_crash_shipper),
    "crash indexer": (Pairs.begin_crash_indexer, Pairs.end_crash_indexer),
    "rebalance": (Pairs.begin_rebalance, Pairs.end_rebalance),
    "replay": (Pairs.begin_replay, Pairs.end_replay),
    "Kafka restart": (Pairs.begin_kafka, Pairs.end_kafka),
    "Elasticsearch restart": (Pairs.begin_elasticsearch, Pairs.end_elasticsearch),
    "rollover": (Pairs.begin_rollover, Pairs.end_rollover),
}


@pytest.fixture(scope="module")
def site(_breakable: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pairs]:
    """One for all pairs."""
    _breakable.up()
    one = Pairs(tmp_path_factory.mktemp("pairs"), _breakable, f"t{secrets.token_hex(4)}")
    one.begin()
    yield one
    one.end()
    _breakable.up()


@pytest.mark.parametrize(("first", "second"), [*itertools.combinations(HAPPENINGS, 2)])
def test_a_pair_leaves_every_line_once(site: Pairs, first: str, second: str) -> None:
    """The second happens before the first is over."""
    site.stack.up()  # a pair that failed may have left a server away
    began = time.monotonic()
    site.path = site.logs / f"{first} + {second}.log".replace(" ", "_")
    happenings = HAPPENINGS[first], HAPPENINGS[second]
    site.write(0, LINES // 4)
    until(site.documents, _SLOW, 0.01)
    site.write(LINES // 4, LINES // 2)
    happenings[0][0](site)
    site.write(LINES // 2, 3 * LINES // 4)
    happenings[1][0](site)
    happenings[0][1](site)
    site.write(3 * LINES // 4, LINES)
    happenings[1][1](site)
    until(lambda: len(site.documents()) >= LINES - POISON, _SLOW, 0.2)
    until(lambda: len(site.documents()) + site.open_letters() >= LINES, _SLOW, 0.5)
    if site.open_letters():
        site.replay_rest()
    else:
        assert "replay" in {first, second}
    until(lambda: len(site.documents()) >= LINES, _SLOW, 0.2)
    site.seconds[site.path] = time.monotonic() - began
    ids = site.documents()
    assert len(ids) == LINES, "stored twice"
    assert len(set(ids)) == LINES
    assert site.ship.running
    assert site.index.running


def test_lines_ids_and_documents_are_the_same_for_all_pairs(site: Pairs, request: pytest.FixtureRequest) -> None:
    """At the end of all: the chains in the topic have no hole, nothing came late, and `tailrace audit` agrees."""
    records: dict[str, list[Shipped]] = defaultdict(list)
    for one in site.shipped(_SLOW):
        records[one.document["log"]["file"]["path"]].append(one)
    rows = []
    for path, seconds in site.seconds.items():
        site.path = path
        ours = records[str(path)]
        ids, stored = {one.record_id for one in ours}, site.documents()
        rows.append((path.stem.replace("_", " "), LINES, len(ids), len(stored), len(ours) - len(ids), f"{seconds:.1f}"))
        assert ids == set(stored)
        assert len(stored) == LINES
        assert sum(chain(ours).values()) == path.stat().st_size
    request.config.stash[TABLES].append(
        (
            f"Each pair at the same time, {site.indices()} backing indices",
            [("pair", "lines", "ids", "documents", "sent again", "seconds"), *rows],
        )
    )
    assert site.ship.stop(_SLOW) == 0
    assert site.index.stop(_SLOW) == 0
    site.finish("audit", seconds=_SLOW)
