"""Refusals of which nobody knows whose fault they are: the record's, once there is evidence, and else never."""

import datetime
from collections import Counter

import pytest
from test_indexer_edge import PARTITIONS, Load, Sent
from test_indexer_edge import site as site  # noqa: PLC0414 - pytest finds it here

from indexer.bulk import Outcome, Verdict
from indexer.load import Odd
from indexer.outcasts import Outcasts
from indexer.ownership import Origin

STREAM = "logs-app-default"
WHY = Verdict(Outcome.ODD, "illegal_argument_exception", "unable to parse date [yesterday]")
ODD = Odd(Origin("t", 0), 7, STREAM, WHY)
LOAD = "load"


def refused(outcasts: Outcasts, count: int, odd: Odd = ODD, load: str = LOAD) -> list[Odd]:
    """It is refused so often; who is to blame after that."""
    for _ in range(count):
        outcasts.refused(load, [odd])
    return outcasts.to_blame(load)


def test_a_record_is_to_blame_if_others_of_its_stream_are_stored_meanwhile() -> None:
    """In the first answer or in a later one; not before the sixth try."""
    outcasts = Outcasts()
    assert refused(outcasts, 3) == []
    outcasts.stored([STREAM])
    assert refused(outcasts, 2) == []
    assert refused(outcasts, 1) == [ODD]
    assert outcasts.to_blame(LOAD) == [], "it is said once"


def test_nobody_is_to_blame_while_nothing_of_the_stream_is_stored() -> None:
    """However often, and whatever else is stored: the stream may lack what only an operator can mend."""
    outcasts = Outcasts()
    outcasts.stored([STREAM])
    assert refused(outcasts, 100) == [], "that was before"
    outcasts.stored(["logs-other-default"])
    assert refused(outcasts, 100) == []
    outcasts.stored([STREAM])
    assert outcasts.to_blame(LOAD) == [ODD]


def test_what_is_refused_in_a_known_way_is_to_blame_at_once() -> None:
    """Beside others that are stored, in its stream and for the like reason; else each would take seconds."""
    outcasts = Outcasts()
    outcasts.refused(LOAD, [ODD])
    outcasts.stored([STREAM])
    assert refused(outcasts, 5) == [ODD]
    alike = ODD._replace(offset=8, verdict=WHY._replace(text="unable to parse date [tomorrow]"))
    assert refused(outcasts, 1, alike) == [], "nothing was stored since"
    outcasts.stored([STREAM])
    assert outcasts.to_blame(LOAD) == [alike]
    for other in (
        alike._replace(offset=9, stream="logs-other-default"),
        alike._replace(offset=10, verdict=WHY._replace(error_type="script_exception")),
    ):
        outcasts.refused(LOAD, [other])
        outcasts.stored([STREAM, "logs-other-default"])
        assert outcasts.to_blame(LOAD) == []


def test_loads_are_told_apart_and_forgotten() -> None:
    """What is stored of one is evidence for all."""
    outcasts = Outcasts()
    assert not outcasts
    refused(outcasts, 5)
    assert refused(outcasts, 5, load="another") == []
    outcasts.forget(LOAD)
    assert (outcasts.has(LOAD), outcasts.has("another"), bool(outcasts)) == (False, True, True)
    outcasts.stored([STREAM])
    assert refused(outcasts, 1, load="another") == [ODD]
    outcasts.forget("another")
    assert not outcasts


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
