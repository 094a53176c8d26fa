"""Conditions: what holds, what cannot be said, and where a mistake is."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper import ecs
from tailrace.conditions import ROOTS, BadCondition, condition_of

DOCUMENT: dict[str, Any] = {
    "log": {"level": "warn"},
    "http": {"response": {"status_code": 503}},
    "labels": {"a": "x", "user.tier": "gold"},
    "numeric_labels": {"ms": 12, "share": 0.5},
    "tags": ["live", "eu"],
    "message": "slow answer",
}


def holds(text: str, document: dict[str, Any] = DOCUMENT) -> bool:
    """Whether a condition holds for a document."""
    condition = condition_of(text)
    values = []
    for path in condition.paths:
        place: Any = document
        for name in path:
            place = place.get(name) if isinstance(place, dict) else None
        values.append(place)
    return condition.holds(tuple(values))


@pytest.mark.parametrize(
    "text",
    [
        'log.level in ["warn", "error"]',
        'log.level == "warn" && http.response.status_code >= 500',
        'labels.user.tier == "gold"',
        'labels["user.tier"] == "gold" && labels.a == "x"',
        "numeric_labels.ms == 12 && numeric_labels.ms > 11.5",
        '"live" in tags',
        'tags.exists(tag, tag.startsWith("e"))',
        'message.matches("^slow .*")',
        "!has(user.id) && has(log.level) && !has(error.stack_trace)",
        '"a" in labels',
        "size(labels) == 2",
    ],
)
def test_what_holds(text: str) -> None:
    """Fields by their names, labels by dots or brackets, whole objects, and whether they are there."""
    assert holds(text)


@pytest.mark.parametrize(
    "text", ['labels.b == "x"', "labels.a > 5", "user.id == ''", "1 / (numeric_labels.ms == 12 ? 0 : 1) == 1"]
)
def test_what_cannot_be_said_does_not_hold(text: str) -> None:
    """A field that is not there, text against number, a division by zero: no error, and not true."""
    assert not holds(text)


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ('log.level = "debug"', 10, "write == for ="),
        ('log.level === "debug"', 10, "write == for ==="),
        ('labels.a <> "b"', 9, "write != for <>"),
        ('labels.a == "b" & labels.c == "d"', 16, "write && for &"),
        ('labels.a == "and" and labels.c == "d"', 18, "write && for and"),
        ('labels.or == "b" OR labels.c == "d"', 17, "write || for OR"),
        ("not has(user.id)", 0, "write ! for not"),
        ("!has(error.id) && not (message == 'a')", 18, "write ! for not"),
        ("log.level ==", 12, "something is missing here"),
        ("(log.level == 'a'", 17, "a ) is missing here"),
        ("levl == 1", 0, "there is no field or function levl; what is no field of ECS is a label, labels.levl"),
        ('level == "warn"', 0, "there is no field level; write log.level, or labels.level for a label"),
        ('host.name == "a"', 0, "host is written by the shipper and cannot be asked for"),
        (
            'log.level == "a" &&\n  foo',
            22,
            "there is no field or function foo; what is no field of ECS is a label, labels.foo",
        ),
        ('log.level.startswith("x")', 10, "there is no field or function startswith; the nearest is startsWith"),
        ('message.startWith("x")', 8, "there is no field or function startWith; the nearest is startsWith"),
        ('message.lower() == "x"', 8, "there is no function lower"),
        ("log.level == debug", 13, 'there is no field debug; put text in quotes, as "debug"'),
        ("log.level in ['a', debug]", 19, 'there is no field debug; put text in quotes, as "debug"'),
        (
            "has(log.level) && @timestamp > 5",
            18,
            "@timestamp cannot be asked for: what is decided must be the same when a line is read again",
        ),
        ('log.level == "debug', 13, "the quote that begins here is not closed"),
        ("log.level == \"debug'", 13, "the quote that begins here is not closed"),
        (
            "log.level == \N{LEFT DOUBLE QUOTATION MARK}debug\N{RIGHT DOUBLE QUOTATION MARK}",
            13,
            "write straight quotes",
        ),
        ("log.level is null", 10, "'is' is not expected here"),
        ('message.matches("a(b")', 18, "missing )"),
        ('"text"', 0, "it is neither true nor false"),
        ("log.offset > 0 && event.created == ''", 18, "event.created differs when the line is read again"),
        ("labels.a == '' && labels.a.b == ''", 18, 'write labels["a.b"] beside labels'),
    ],
)
def test_a_mistake_is_pointed_at(text: str, place: int, reason: str) -> None:
    """The place is that of the first character at fault, and the reason is the next step where one can be told."""
    with pytest.raises(BadCondition) as caught:
        condition_of(text)
    assert (caught.value.place, str(caught.value)) == (place, reason)
    assert caught.value.pointed().splitlines()[1] == " " * (place + 2) + "^"


def test_every_field_that_a_line_may_fill_can_be_asked_for() -> None:
    """No ECS field that a document may have begins with a name that conditions do not know."""
    only_in_lines = {"@timestamp", "fields"}
    assert {name.partition(".")[0] for name in ecs.CLAIMS} - only_in_lines <= set(ROOTS)


def test_one_is_the_same_as_one_point_nought() -> None:
    """Numbers under numeric_labels are doubles, so what was remembered for 1 is right for 1.0, in either order."""
    condition = condition_of('type(numeric_labels.n) == double && string(numeric_labels.n) == "1"')
    assert condition.holds((1,))
    assert condition.holds((1.0,))


VALUES = st.recursive(
    st.none() | st.integers() | st.floats() | st.text() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=200)
@given(
    VALUES, st.sampled_from(["user.id == 'a'", "user.id > 5", "'a' in user.id", "size(user.id) > 1", "user.id[0] == 1"])
)
def test_no_value_makes_a_condition_fail(value: Any, text: str) -> None:
    """Whatever stands in a field, and in whatever order values come, the answer is yes or no, and always the same."""
    condition = condition_of(text)
    assert condition.holds((value,)) is condition.holds((value,)) is condition_of(text).holds((value,))
