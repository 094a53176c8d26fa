"""Refusals of which nobody knows whose fault they are: the record's, once there is evidence, and else never."""

import datetime
from collections import Counter

import pytest
from test_indexer_edge import PARTITIONS, Load, Sent
from test_indexer_edge import site as site  # noqa: PLC0414 - pytest finds it here

from indexer.bulk import Outcome, Verdict
from indexer.load import Odd, Spot
from indexer.outcasts import Outcasts
from indexer.ownership import Origin

STREAM, OTHER = "logs-app-default", "logs-other-default"
WHY = Verdict(Outcome.ODD, "illegal_argument_exception", "unable to parse date [yesterday]")
ODD = Odd(Spot(Origin("t", 0), 7), STREAM, WHY)
LOAD = "load"


class Clock:
    """A time that passes only when it is told to."""

    now = 100.0


@pytest.fixture
def clock() -> Clock:
    """The clock of whoever asks."""
    return Clock()


@pytest.fixture
def doubts() -> Outcasts:
    """Nobody is in doubt."""
    return Outcasts()


def refused(doubts: Outcasts, clock: Clock, count: int, odd: Odd = ODD, load: str = LOAD) -> list[Odd]:
    """It is refused so often, and nothing is stored; who is to blame after that."""
    for _ in range(count):
        doubts.answered(load, [odd], [], [], clock.now)
    return doubts.to_blame(load, clock.now)


def stored(doubts: Outcasts, clock: Clock, *streams: str) -> None:
    """A request that is sent now stores records of these streams."""
    clock.now += 1
    doubts.stored(streams or [STREAM], clock.now)


def test_a_record_is_to_blame_if_others_of_its_stream_are_stored_in_between(doubts: Outcasts, clock: Clock) -> None:
    """And it is refused again; not before the sixth try."""
    assert refused(doubts, clock, 3) == []
    stored(doubts, clock)
    assert refused(doubts, clock, 2) == []
    assert refused(doubts, clock, 1) == [ODD]
    assert doubts.to_blame(LOAD, clock.now) == [], "it is said once"


def test_nobody_is_to_blame_for_what_is_mended(doubts: Outcasts, clock: Clock) -> None:
    """A pipeline was broken, all were refused, and the first that is stored again is no evidence against the others."""
    assert refused(doubts, clock, 100) == []
    stored(doubts, clock)
    assert doubts.to_blame(LOAD, clock.now) == []
    doubts.answered(LOAD, [], [ODD.spot], [], clock.now)
    assert refused(doubts, clock, 5) == [], "it was refused in another way in between"


def test_nobody_is_to_blame_while_nothing_of_the_stream_is_stored(doubts: Outcasts, clock: Clock) -> None:
    """However often, whatever else is stored, and what was sent before it was refused."""
    sent = clock.now
    clock.now += 1
    assert refused(doubts, clock, 10) == []
    doubts.stored([STREAM], sent)
    stored(doubts, clock, OTHER)
    assert refused(doubts, clock, 100) == []


def test_where_nothing_of_the_stream_is_sent_any_more_the_first_answer_tells(doubts: Outcasts, clock: Clock) -> None:
    """Others were stored in it, and the refusals last: an answer in the midst of which a fault begins is rare."""
    doubts.answered(LOAD, [ODD], [], [STREAM], clock.now)
    assert refused(doubts, clock, 100) == []
    clock.now += 30
    assert refused(doubts, clock, 1) == [ODD]


def test_what_is_refused_in_a_known_way_is_soon_to_blame(doubts: Outcasts, clock: Clock) -> None:
    """Once others of its stream were stored in between, for the like reason; else each would take seconds."""
    refused(doubts, clock, 1)
    stored(doubts, clock)
    assert refused(doubts, clock, 5) == [ODD]
    alike = ODD._replace(spot=Spot(Origin("t", 0), 8), verdict=WHY._replace(text="unable to parse date [tomorrow]"))
    assert refused(doubts, clock, 1, alike) == [], "nothing was stored since"
    stored(doubts, clock)
    assert refused(doubts, clock, 1, alike) == [alike]
    for number, other in enumerate(
        (alike._replace(stream=OTHER), alike._replace(verdict=WHY._replace(error_type="script_exception")))
    ):
        one = other._replace(spot=Spot(Origin("t", 0), 10 + number))
        refused(doubts, clock, 1, one)
        stored(doubts, clock, STREAM, OTHER)
        assert refused(doubts, clock, 1, one) == []


def test_loads_are_told_apart_and_forgotten(doubts: Outcasts, clock: Clock) -> None:
    """What is stored of one is evidence for all."""
    assert not doubts
    refused(doubts, clock, 5)
    assert refused(doubts, clock, 5, load="another") == []
    doubts.forget(LOAD)
    assert (doubts.has(LOAD), doubts.has("another"), bool(doubts)) == (False, True, True)
    stored(doubts, clock)
    assert refused(doubts, clock, 1, load="another") == [ODD]
    doubts.forget("another")
    assert not doubts


@pytest.mark.edge
def test_what_only_elasticsearch_understands_does_not_stop_the_others(site: Load) -> None:
    """A time series, whose records must have a dimension: what has none is a letter with Elasticsearch's reason."""
    site.elastic(
        f"/_index_template/{site.name}",
        {
            "index_patterns": [f"logs-{site.name}*"],
            "priority": 900,
            "data_stream": {},
            "template": {
                "settings": {"number_of_replicas": 0, "index.mode": "time_series", "index.routing_path": ["pod"]},
                "mappings": {
                    "properties": {
                        "@timestamp": {"type": "date"},
                        "n": {"type": "long"},
                        "pod": {"type": "keyword", "time_series_dimension": True},
                    }
                },
            },
        },
        "PUT",
    )
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")

    def measured(number: int) -> Sent:
        pod = "" if number in (5, 500, 501, 2999) else f',"pod":"{number}"'
        return Sent(f'{{"@timestamp":"{now}","n":{number}{pod}}}'.encode(), [], number % PARTITIONS)

    site.send([measured(number) for number in range(3000)])
    site.indexer |= {"streams": {site.topic: site.stream}, "slice_actions": 200, "ids": "auto"}
    found = site.index_once()
    assert (found["stored"], found["dead"]) == (2996, 4)
    reasons = Counter(dict(letter.headers)["tailrace.reason"] for letter in site.letters())
    assert reasons == {b"refused": 4}
    assert {b"routing" in dict(letter.headers)["tailrace.error"] for letter in site.letters()} == {True}
