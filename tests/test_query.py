"""What people type finds what they mean: short names, levels, periods."""

import datetime
import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace import period, query
from tailrace.query import Wanted, expand, matcher, matches, to_elasticsearch

NOW = datetime.datetime(2026, 11, 23, 18, 15, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
WORST = "(emergency OR EMERGENCY OR Emergency OR panic OR PANIC OR Panic OR emerg OR EMERG OR Emerg)"
ERRORS = "(error OR ERROR OR Error OR err OR ERR OR Err OR severe OR SEVERE OR Severe)"


@pytest.fixture(scope="module", autouse=True)
def berlin() -> Iterator[None]:
    """This machine stands in central Europe, which sets its clocks back at the end of October."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("typed", "means"),
    [
        ("service:play*", "service.name:play*"),
        ("-host:h1 +logger:a.b", "-host.name:h1 +log.logger:a.b"),
        ("(service:a OR !host:b)", "(service.name:a OR !host.name:b)"),
        ("trace:4bf9 dataset:edge error:ValueError", "trace.id:4bf9 data_stream.dataset:edge error.type:ValueError"),
        ("level:ERROR", f"log.level:{ERRORS}"),
        ("level:er*", "log.level:er*"),
        ("level:>alert", f"log.level:{WORST}"),
        ("level:(odd OR NOT strange)", "log.level:((odd OR ODD OR Odd) OR NOT (strange OR STRANGE OR Strange))"),
        ("_exists_:trace", "_exists_:trace.id"),
        ("file:/var/log/a.log", r"log.file.path:\/var\/log\/a.log"),
        ('service:"a b"', 'service.name:"a b"'),
    ],
)  # fmt: skip
def test_a_short_name_becomes_its_field(typed: str, means: str) -> None:
    """Where a term begins, with its value as documents have it."""
    assert expand(typed) == means


@pytest.mark.parametrize(
    "typed",
    ["", "level", '"level:error"', 'message:"a \\" level:error"', "/level:x/", "log.level:error", "mylevel:error",
     "level\\:error", "labels.host:a", "_exists_:trace.id", '"level:open quote'],
)  # fmt: skip
def test_everything_else_stays_as_it_is(typed: str) -> None:
    """Quotes, regular expressions, escapes, full names, other names."""
    assert expand(typed) == typed


@given(st.text(alphabet='level:service"\\/() >=<*-_.aE', max_size=40))
def test_expanding_never_fails_and_never_eats_what_is_quoted(text: str) -> None:
    """Any text; what stands in quotes comes out as it went in."""
    expand(text)
    quoted = '"' + text.replace("\\", "").replace('"', "") + '"'
    assert expand(quoted) == quoted


def test_level_and_names_become_filters() -> None:
    """Not part of the query string, so that nothing in a name is a query."""
    found = to_elasticsearch(Wanted("boom", ("play*", "edge"), ("h1",), "alert"), period.period("1h", None, None, NOW))[
        "bool"
    ]
    span, services, hosts, level = found["filter"]
    assert span["range"]["@timestamp"]["gte"] == "2026-11-23T16:15:00.000000Z"
    assert services["bool"]["should"] == [{"wildcard": {"service.name": "play*"}}, {"term": {"service.name": "edge"}}]
    assert hosts["bool"]["should"] == [{"term": {"host.name": "h1"}}]
    assert "ALERT" in level["terms"]["log.level"]
    assert "error" not in level["terms"]["log.level"]
    assert found["must"][0]["query_string"]["query"] == "boom"
    assert "must" not in to_elasticsearch(Wanted(), period.period(None, None, None, NOW))["bool"]


def test_a_document_is_wanted_if_all_holds() -> None:
    """The same filters as in search, on one document, dotted keys too."""
    document = {"message": "Connection Refused", "log.level": "ERROR", "service": {"name": "edge"}, "host.name": "h1"}

    def wanted(text: str = "", **rest: object) -> bool:
        return matches(Wanted(text, **rest), matcher(text), document)  # type: ignore[arg-type]

    assert wanted()
    assert wanted("connection ref", level="warn", services=("ed*",), hosts=("x", "h1"))
    assert wanted("/conn.*(refused|reset)/")
    assert not wanted("conn.*refused")
    assert not wanted(level="fatal")
    assert not wanted(services=("play",))
    assert not wanted(hosts=("h",))
    assert not matches(Wanted(level="info"), matcher(""), {"message": "no level"})
    with pytest.raises(ValueError, match="is no regular expression"):
        matcher("/(/")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15m", 900), ("90s", 90), ("1h30m", 5400), ("7d", 604_800), ("2w", 1_209_600), ("0.5h", 1800)],
)
def test_a_length_of_time_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    """Several in a row add up."""
    assert period.duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "15", "m", "15 minutes", "-1h", "15x", "1h2", "999999999999d"])
def test_what_is_no_length_of_time_is_refused_with_an_example(text: str) -> None:
    """Or longer than the calendar."""
    with pytest.raises(ValueError, match=r"as 15m or 1h30m|nothing is so old"):
        period.duration(text)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("2026-11-23T14:05:00", "2026-11-23T14:05:00+01:00"),
        ("2026-11-23T14:05Z", "2026-11-23T14:05:00+00:00"),
        ("2026-11-23", "2026-11-23T00:00:00+01:00"),
        ("2026-10-20T12:00", "2026-10-20T12:00:00+02:00"),
        ("2026-10-25", "2026-10-25T00:00:00+02:00"),
        ("14:05+00:00", "2026-11-23T14:05:00+00:00"),
        ("0001-01-01", "0001-01-01T00:00:00+00:00"),
        ("14:05", "2026-11-23T14:05:00+01:00"),
        ("9:05", "2026-11-23T09:05:00+01:00"),
        ("15m", "2026-11-23T18:00:00+01:00"),
    ],
)
def test_a_moment_is_iso_or_today_or_so_long_ago(text: str, means: str) -> None:
    """Without a zone it is in the machine's, as its clock was then."""
    assert period.moment(text, NOW).isoformat() == means


def test_the_period_is_said_in_words() -> None:
    """For the message that nothing was found in it."""
    assert period.period(None, None, None, NOW).words == "the last 15 minutes"
    assert period.period("1h30m", None, None, NOW).words == "the last 1 hour 30 minutes"
    assert period.period(None, "14:00", None, NOW).words == "since 2026-11-23 14:00:00"
    assert period.period(None, "14:00", "15:00", NOW).words == "2026-11-23 14:00:00 to 2026-11-23 15:00:00"
    before = period.period("1h", None, "15:00", NOW)
    assert (before.since.hour, before.until and before.until.hour) == (14, 15)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("1h", "14:00", None), "give one of them"),
        ((None, "15:00", "14:00"), "ends before it begins"),
        ((None, "soon", None), "is no time; write"),
        (("3000000d", None, None), "longer than the calendar"),
    ],
)
def test_a_period_that_cannot_be_is_told(options: tuple[str | None, ...], sentence: str) -> None:
    """In one sentence."""
    with pytest.raises(ValueError, match=re.escape(sentence)):
        period.period(*options, NOW)


def test_a_search_stays_within_what_elasticsearch_can_sort() -> None:
    """date_nanos begins in 1970 and ends in 2262."""
    endless = period.Period(datetime.datetime(1, 1, 2, tzinfo=datetime.UTC), None, "")
    span = query.to_elasticsearch(Wanted(), endless)["bool"]["filter"][0]["range"]["@timestamp"]
    assert (span["gte"][:4], span["lt"][:4]) == ("1970", "2262")
