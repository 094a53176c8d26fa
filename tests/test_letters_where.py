"""Conditions that choose dead letters, and groups of them."""

import datetime
import json
import re
from typing import Any

import pytest

from tailrace.letter_groups import Groups, by_names
from tailrace.letters import Letter, Settled, Settlement, Subject
from tailrace.where import where

NOW = datetime.datetime(2026, 11, 23, 18, tzinfo=datetime.UTC)
MS = int(NOW.timestamp() * 1000)


def a_letter(document: Any = None, **more: Any) -> Letter:
    """A letter of a mapping conflict an hour ago."""
    value = document if isinstance(document, bytes) else json.dumps(document or {}).encode()
    fields = {
        "partition": 0, "offset": 1, "subject": Subject("logs", 2, 7, MS), "reason": "mapping", "error": "no good",
        "error_type": "document_parsing_exception", "field": "labels.n", "stream": "logs-play-default",
        "record_id": "s:1", "time": MS - 3_600_000, "length": len(value), "key": b"k", "value": value,
        "headers": (("t", b"1||logs-play-default|s:1"),),
    }  # fmt: skip
    return Letter(**{**fields, **more})


@pytest.mark.parametrize(
    ("condition", "fits"),
    [
        ("reason=mapping", True),
        (" reason = mapping ", True),
        ("reason!=mapping", False),
        ("field~^labels", True),
        ("field!~^labels", False),
        ("dataset=play", True),
        ("service=play", True),
        ("service=", False),
        ("host=", True),
        ("topic=logs", True),
        ("offset>6", True),
        ("offset<7", False),
        ("time<30m", True),
        ("time<2h", False),
        ("time>2h", True),
        ("time>2026-11-23", True),
        ("settled=", True),
        ("labels.user.id=u=1", True),
        ("labels.missing=", True),
        ("labels.missing~.", False),
        ("n=5", True),
        ("n>4.5", True),
        ("n<4.5", False),
        ("ok=true", True),
        ("tags=b", True),
        ("tags=c", False),
        ("reason~map|json", True),
        (".reason=theirs", True),
        (".topic=", True),
        ("message<3", False),
    ],
)
def test_a_condition_is_about_the_letter_or_its_document(condition: str, fits: bool) -> None:
    """Names of the letter first, then fields, however they are nested; after a dot always a field."""
    document = {
        "service": {"name": "play"}, "labels": {"user.id": "u=1"}, "n": 5, "ok": True, "tags": ["a", "b"],
        "reason": "theirs", "message": "text",
    }  # fmt: skip
    assert where([condition], NOW).holds(a_letter(document)) is fits


def test_all_conditions_must_hold() -> None:
    """None at all hold of every letter."""
    assert where([], NOW).holds(a_letter())
    assert where(["reason=mapping", "field=labels.n"], NOW).holds(a_letter())
    assert not where(["reason=mapping", "field=n"], NOW).holds(a_letter())


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("resaon=mapping", "No letter has a field resaon; did you mean reason?"),
        ("labels.usr!=x", "No letter has a field labels.usr; did you mean labels.user?"),
        ("sevrice.name~x", "No letter has a field sevrice.name; did you mean service.name?"),
        ("colour=red", "No letter has a field colour."),
        (".resaon=mapping", "No letter has a field .resaon."),
    ],
)
def test_a_name_that_no_letter_has_is_told(condition: str, said: str) -> None:
    """With the nearest that is there: a misspelt name is a field that is missing everywhere."""
    one = where(["reason=mapping", condition], NOW)
    assert one.unmet == [], "nothing was asked yet"
    for document in ({"service": {"name": "play"}}, {"labels": {"user": "u"}}):
        one.holds(a_letter(document))
    assert [str(unmet) for unmet in one.unmet] == [said]
    one.holds(
        a_letter({condition.strip(".").partition("=")[0].rstrip("!~x"): "x", "labels": {"usr": 1}, "sevrice.name": 1})
    )
    assert one.unmet == []


def test_a_cut_letter_has_no_fields_to_look_at() -> None:
    """Its fields are as if they were missing."""
    cut = a_letter(b'{"n":5}', length=9000)
    assert where(["n="], NOW).holds(cut)
    assert not where(["n=5"], NOW).holds(cut)


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("reason", "write name=value"),
        ("=x", "write name=value"),
        ("", "write name=value"),
        ("field~(", "missing )"),
        ("field~(?=x)", "look-around is not supported"),
        ("offset>many", "'many' is no number"),
        ("time=1h", "time>2h"),
        ("time>soon", "is no time"),
    ],
)
def test_a_condition_that_cannot_be_read_says_how_to_write_it(condition: str, said: str) -> None:
    """Before anything is read from Kafka."""
    with pytest.raises(ValueError, match=re.escape(said)):
        where([condition], NOW)


def test_groups_count_and_say_first_and_last() -> None:
    """The largest first; the example is what was said last."""
    groups = Groups(["reason", "service"])
    groups.add([a_letter({"service.name": "a"}, time=5, error="old"), a_letter({"service.name": "a"}, time=9)])
    groups.add([a_letter({"service.name": "a"}, time=7), a_letter(reason="json", time=1)])
    dropped = Settlement(Settled.DROPPED, 0, "", "")
    groups.add([a_letter(reason="json", time=0, settlement=dropped)])
    first, second = groups.all()
    assert (first.values, first.letters, first.first, first.last) == ({"reason": "mapping", "service": "a"}, 3, 5, 9)
    assert first.example == "no good"
    assert (second.values, second.letters) == ({"reason": "json", "service": ""}, 2)
    assert groups.oldest == 1, "a dropped letter needs nobody's attention"


def test_only_known_names_can_be_grouped_by() -> None:
    """The error names them."""
    assert by_names("reason, host") == ("reason", "host")
    with pytest.raises(ValueError, match="known are reason, field"):
        by_names("reason,colour")
