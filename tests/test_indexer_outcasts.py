"""Refusals of which nobody knows whose fault they are: the record's, once there is evidence, and else never."""

import datetime
from collections import Counter

import pytest
from test_indexer_edge import PARTITIONS, Load, Sent
from test_indexer_edge import site as site  # noqa: PLC0414 - pytest finds it here

from indexer import outcasts
from indexer.bulk import Outcome, Verdict
from indexer.load import Odd, Spot
from indexer.outcasts import Outcasts, When
from indexer.ownership import Origin

STREAM, OTHER = "logs-app-default", "logs-other-default"
WHY = Verdict(Outcome.ODD, "illegal_argument_exception", "unable to parse date [yesterday]")
ODD = Odd(Spot(Origin("t", 0), 7), STREAM, WHY)
LOAD = "load"


class Clock:
    """A time that passes only when it is told to."""

    now = 100.0

    def request(self) -> When:
        """One that is sent now, and answered at once."""
        return When(self.now, self.now)


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
        clock.now += 0.001
        doubts.answered(load, [odd], [], [], clock.request())
    return doubts.to_blame(load)


def stored(doubts: Outcasts, clock: Clock, *streams: str) -> None:
    """A request that is sent now stores records of these streams."""
    clock.now += 1
    doubts.stored(streams or [STREAM], clock.request())


def test_a_record_is_to_blame_if_others_of_its_stream_are_stored_in_between(doubts: Outcasts, clock: Clock) -> None:
    """And it is refused again; not before the sixth try."""
    assert refused(doubts, clock, 3) == []
    stored(doubts, clock)
    assert refused(doubts, clock, 2) == []
    stored(doubts, clock, OTHER)
    assert refused(doubts, clock, 1) == [ODD]
    assert doubts.to_blame(LOAD) == [], "it is said once"


def test_nobody_is_to_blame_for_what_is_mended(doubts: Outcasts, clock: Clock) -> None:
    """A pipeline was broken, all were refused, and the first that is stored again is no evidence against the others."""
    assert refused(doubts, clock, 100) == []
    stored(doubts, clock)
    assert doubts.to_blame(LOAD) == []
    doubts.answered(LOAD, [], [ODD.spot], [], clock.request())
    assert refused(doubts, clock, 5) == [], "it was refused in another way in between"


def test_nobody_is_to_blame_while_nothing_is_stored(doubts: Outcasts, clock: Clock) -> None:
    """Nor for what was sent before it was refused, nor where it is not tried again behind what is stored."""
    sent = clock.request()
    clock.now += 1
    assert refused(doubts, clock, 10) == []
    clock.now += 10_000
    doubts.stored([STREAM, OTHER], sent)
    doubts.stored([], clock.request())
    assert refused(doubts, clock, 100) == []
    stored(doubts, clock, OTHER)
    assert doubts.to_blame(LOAD) == []
    assert refused(doubts, clock, 1) == [ODD]


def test_a_stream_of_which_nothing_is_stored_does_not_hold_up_the_others_for_ever(
    doubts: Outcasts, clock: Clock
) -> None:
    """After minutes in which only others are stored; the next of it that is refused in this way, soon."""
    assert refused(doubts, clock, 10) == []
    stored(doubts, clock, OTHER)
    clock.now += 290
    assert refused(doubts, clock, 10) == []
    clock.now += 10
    assert refused(doubts, clock, 1) == [ODD]
    following = ODD._replace(spot=Spot(Origin("t", 0), 8))
    doubts.answered(LOAD, [following], [], [OTHER], clock.request())
    assert refused(doubts, clock, 10, following) == [], "a fault may begin in the midst of an answer"
    stored(doubts, clock, OTHER)
    assert refused(doubts, clock, 1, following) == [following]


def test_where_nothing_of_the_stream_is_sent_any_more_the_first_answer_tells(doubts: Outcasts, clock: Clock) -> None:
    """Others were stored in it, and the refusals last: an answer in the midst of which a fault begins is rare."""
    doubts.answered(LOAD, [ODD], [], [STREAM], clock.request())
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


def test_where_nothing_is_sent_any_more_the_first_answer_tells_in_the_end(doubts: Outcasts, clock: Clock) -> None:
    """Only others were stored in it; if nothing was, nobody is ever to blame."""
    lonely = ODD._replace(spot=Spot(Origin("t", 1), 7))
    doubts.answered(LOAD, [ODD], [], [OTHER], clock.request())
    doubts.answered("another", [lonely], [], [], clock.request())
    clock.now += 290
    assert refused(doubts, clock, 100) == []
    clock.now += 10
    assert refused(doubts, clock, 1) == [ODD]
    assert refused(doubts, clock, 100, lonely, "another") == []


def test_a_fault_of_the_cluster_after_one_of_a_record_blames_nobody(doubts: Outcasts, clock: Clock) -> None:
    """A kind that is known counts only where the same stream is stored in between, whatever becomes of others."""
    refused(doubts, clock, 5)
    stored(doubts, clock)
    assert refused(doubts, clock, 1) == [ODD]
    good = ODD._replace(spot=Spot(Origin("t", 0), 8))
    refused(doubts, clock, 1, good)
    stored(doubts, clock, OTHER)
    assert refused(doubts, clock, 50, good) == []


def test_a_stream_that_was_stored_since_is_not_known_to_be_broken(doubts: Outcasts, clock: Clock) -> None:
    """Its next fault lasts for minutes again before anybody is to blame."""
    refused(doubts, clock, 5)
    stored(doubts, clock, OTHER)
    clock.now += 300
    assert refused(doubts, clock, 1) == [ODD]
    stored(doubts, clock, STREAM)
    good = ODD._replace(spot=Spot(Origin("t", 0), 8))
    refused(doubts, clock, 1, good)
    stored(doubts, clock, OTHER)
    assert refused(doubts, clock, 50, good) == []


def test_what_was_sent_before_the_mend_and_answered_after_it_is_no_refusal_behind_it(
    doubts: Outcasts, clock: Clock
) -> None:
    """Another request was stored meanwhile."""
    refused(doubts, clock, 10)
    began = clock.now
    clock.now += 1
    doubts.stored([STREAM], When(clock.now, clock.now + 1))
    doubts.answered(LOAD, [ODD], [], [], When(began, clock.now + 2))
    assert doubts.to_blame(LOAD) == []
    doubts.answered(LOAD, [ODD], [], [], When(clock.now + 0.5, clock.now + 3))
    assert doubts.to_blame(LOAD) == [], "it was sent before that was answered"
    clock.now += 4
    assert refused(doubts, clock, 1) == [ODD]


def test_time_counts_only_up_to_the_last_refusal(doubts: Outcasts, clock: Clock) -> None:
    """While Elasticsearch is away, or we are frozen, nothing is refused."""
    doubts.answered(LOAD, [ODD], [], [STREAM, OTHER], clock.request())
    refused(doubts, clock, 10)
    clock.now += 1000
    assert doubts.to_blame(LOAD) == []


def test_where_others_of_the_stream_are_sent_and_refused_the_first_answer_tells_late(
    doubts: Outcasts, clock: Clock
) -> None:
    """A fault that began in the midst of it would make letters of a whole stream after seconds."""
    doubts.answered(LOAD, [ODD], [], [STREAM], clock.request())
    refused(doubts, clock, 1, ODD._replace(spot=Spot(Origin("t", 1), 7)), "another")
    clock.now += 30
    assert refused(doubts, clock, 100) == []
    clock.now += 300
    assert refused(doubts, clock, 1) == [ODD]


def test_what_is_known_of_a_record_outlives_its_load(doubts: Outcasts, clock: Clock) -> None:
    """Where a group is rebalanced every minute there would never be evidence."""
    refused(doubts, clock, 5)
    stored(doubts, clock)
    doubts.forget(LOAD)
    assert not doubts
    last = ODD._replace(verdict=WHY._replace(text="unable to parse date [still]"))
    assert refused(doubts, clock, 1, last, load="its next") == [last]


def test_of_what_is_known_the_newest_stays(doubts: Outcasts, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many kinds there are."""
    monkeypatch.setattr(outcasts, "_MOST_KNOWN", 3)
    for number in range(9):
        one = ODD._replace(stream=f"logs-{number}-default", spot=Spot(Origin("t", 0), number))
        refused(doubts, clock, 5, one)
        stored(doubts, clock, one.stream)
        assert refused(doubts, clock, 1, one) == [one]
        following = one._replace(spot=Spot(Origin("t", 1), number))
        refused(doubts, clock, 1, following)
        stored(doubts, clock, one.stream)
        assert refused(doubts, clock, 1, following) == [following]


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


def time_series(site: Load, streams: str) -> None:
    """Make these streams time series, whose records must have a dimension ``pod``; and be of today."""
    properties = {
        "@timestamp": {"type": "date"},
        "n": {"type": "long"},
        "pod": {"type": "keyword", "time_series_dimension": True},
    }
    own = {"number_of_replicas": 0, "index.mode": "time_series", "index.routing_path": ["pod"]}
    template = {"settings": own, "mappings": {"properties": properties}}
    body = {"index_patterns": [streams], "priority": 901, "data_stream": {}, "template": template}
    site.elastic(f"/_index_template/{site.name}-series", body, "PUT")


def measured(number: int, fields: str) -> Sent:
    """A record of today that may have a dimension."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return Sent(f'{{"@timestamp":"{now}","n":{number}{fields}}}'.encode(), [], number % PARTITIONS)


@pytest.mark.edge
def test_what_only_elasticsearch_understands_does_not_stop_the_others(site: Load) -> None:
    """What has no dimension is a letter with Elasticsearch's reason."""
    time_series(site, f"logs-{site.name}*")
    without = (5, 500, 501, 2999)
    site.send([measured(number, "" if number in without else f',"pod":"{number}"') for number in range(3000)])
    site.indexer |= {"streams": {site.topic: site.stream}, "slice_actions": 200, "ids": "auto"}
    found = site.index_once()
    assert (found["stored"], found["dead"]) == (2996, 4)
    reasons = Counter(dict(letter.headers)["tailrace.reason"] for letter in site.letters())
    assert reasons == {b"refused": 4}
    assert {b"routing" in dict(letter.headers)["tailrace.error"] for letter in site.letters()} == {True}


@pytest.mark.edge
def test_a_stream_that_takes_nothing_does_not_stop_those_that_share_its_topic(
    site: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its records are letters, though nothing of it was ever stored."""
    monkeypatch.setattr(outcasts, "_SECONDS_APART", 1.0)
    time_series(site, f"logs-{site.name}.series-*")
    lone = f',"data_stream":{{"type":"logs","dataset":"{site.name}.series","namespace":"default"}}'
    site.send([measured(number, lone) for number in range(9)] + site.records(9000))
    site.indexer |= {"slice_actions": 200, "ids": "auto"}
    found = site.index_once()
    assert (found["stored"], found["dead"]) == (9000, 9)
    assert {dict(letter.headers)["tailrace.reason"] for letter in site.letters()} == {b"refused"}
