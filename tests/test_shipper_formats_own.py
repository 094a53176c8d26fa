"""Formats whose fields a person names: grok and CSV."""

import csv
import io
from typing import Any

import hypothesis
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper import ecs
from shipper.formats import format_of
from shipper.multiline import joiner_of
from shipper.times import Times
from shipper.trial import source_of, steps_of
from tailrace.settings import Csv, Input, Shipper


def document(line: str | bytes, **keys: Any) -> dict[str, Any] | None:
    """What a format makes of a line, whole; None if it refuses it."""
    made = ecs.Document(Times("UTC"))
    taken = format_of(Input(paths=["/x"], dataset="d", **keys))(line.encode() if isinstance(line, str) else line, made)
    parts = {"log": made.log, "labels": made.labels, "numbers": made.numbers, "flags": made.flags}
    whole = made.fields | {key: value for key, value in parts.items() if value}
    assert taken or whole == {}, "refused, so nothing may be set"
    return whole if taken else None


def shipped(content: bytes, **keys: Any) -> list[dict[str, Any]]:
    """The documents of a file, joined as the agent would."""
    entry = Input(paths=["/x"], dataset="d", timezone="UTC", **keys)
    source = source_of(entry, "/x", "host", Shipper())
    steps = steps_of(source, lambda most, at: content[at : at + most], Shipper().chunk_bytes, lambda: 1)
    return [orjson.loads(value) for step in steps for _, value in step.records]


def test_grok_names_fields() -> None:
    """Anywhere in the line; numbers are numbers; the first of several values for a field counts."""
    pattern = (
        "%{TIMESTAMP_ISO8601:time} %{IPORHOST:source.address} (?:%{INT:n:int}|%{WORD:n}) took=%{NUMBER:took:float}"
    )
    assert document("<< 2026-11-24 05:04:15,123 web 7 took=1.5 >>", format="grok", pattern=pattern) == {
        "@timestamp": "2026-11-24T05:04:15.123Z",
        "message": "<< 2026-11-24 05:04:15,123 web 7 took=1.5 >>",
        "source": {"address": "web"},
        "numbers": {"n": 7, "took": 1.5},
    }
    made = document("2026-11-24 05:04:15 web none took=1", format="grok", pattern=pattern)
    assert made is not None
    assert made["labels"] == {"n": "none"}
    assert document("something else", format="grok", pattern=pattern) is None


def test_the_lines_that_grok_has_names_for_are_ecs() -> None:
    """An access log and syslog, by one name each."""
    line = '10.0.0.7 - jane [24/Nov/2026:05:04:15 +0100] "GET /cart?x HTTP/1.1" 404 153 "-" "curl/8.5.0"'
    made = document(line, format="grok", pattern="^%{COMBINEDAPACHELOG}$")
    assert made is not None
    assert made["@timestamp"] == "2026-11-24T04:04:15Z"
    assert made["http"]["response"] == {"status_code": 404, "body": {"bytes": 153}}
    assert "labels" not in made
    made = document("Nov  4 05:04:15 web app[7]: up", format="grok", pattern="%{SYSLOGLINE}")
    assert made is not None
    assert (made["message"], made["process"]) == ("up", {"name": "app", "pid": 7})


def test_columns_become_fields() -> None:
    """Types of labels as the settings say, of ECS fields as ECS does; a column without a name is not kept."""
    columns = ["time", "http.response.status_code", "", "took", "n", "labels.user", "message"]
    settings = Csv(columns=columns, delimiter=";", types={"took": "number", "n": "integer"})
    keys = {"format": "csv", "csv": settings, "time_format": "%d.%m.%Y %T,%f"}
    assert document('24.11.2026 05:04:15,123;404;x;1.5;17;jane;"a ""b"";c"', **keys) == {
        "@timestamp": "2026-11-24T05:04:15.123Z",
        "http": {"response": {"status_code": 404}},
        "numbers": {"took": 1.5, "n": 17},
        "labels": {"user": "jane"},
        "message": 'a "b";c',
    }
    made = document("soon;x;;fast;1.5;;m", **keys)
    assert made == {
        "labels": {"http.response.status_code": "x", "took": "fast", "n": "1.5"},
        "message": "m",
        "flags": ["time"],
    }
    assert document("24.11.2026 05:04:15,123;404", **keys) is None


def test_a_value_of_several_lines_is_one_record() -> None:
    """What stands between quotes; a quote within a value opens nothing; a file that is cut ends the record."""
    keys = {"format": "csv", "csv": Csv(columns=["a", "b"])}
    made = shipped(b'1,"x\ny ""z""\n"\n2,5" disk\n3,"x",\n4,"open\nend', **keys)
    assert [one.get("labels") for one in made] == [
        {"a": "1", "b": 'x\ny "z"\n'},
        {"a": "2", "b": '5" disk'},
        None,
        {"a": "4", "b": "open\nend"},
    ]
    assert made[2]["log"]["flags"] == ["format"]


def test_a_stray_quote_ends_at_the_limit() -> None:
    """Then it begins anew, with the flag; the same whatever one read brings."""
    entry = Input(paths=["/x"], dataset="d", format="csv", csv=Csv(columns=["a"]))
    joiner = joiner_of(entry, 262_144)
    assert joiner is not None
    lines = [b'"open', *[b"x"] * 1200]
    whole = joiner.join(lines, b"", final=True)
    assert [record.count(b"\n") + 1 for record in whole.records] == [500, *[1] * 701]
    assert whole.pieces == {1}


@hypothesis.settings(deadline=None)
@given(
    st.lists(st.lists(st.text(alphabet="ab\",;\n \t'é", max_size=8), min_size=2, max_size=2), min_size=1, max_size=6),
    st.sampled_from(",;\t|"),
    st.sampled_from("\"'"),
)
def test_what_a_writer_of_csv_writes_is_read(rows: list[list[str]], delimiter: str, quote: str) -> None:
    """Python's writer is the other side: each row is one record, and each value comes back."""
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, quotechar=quote, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    settings = Csv(columns=["x", "y"], delimiter=delimiter, quote=quote)
    made = shipped(file.getvalue().encode(), format="csv", csv=settings, keep_original=True)
    assert [one.get("labels", {}) for one in made] == [
        {name: value for name, value in zip("xy", row, strict=True) if value not in ("", "-")} for row in rows
    ]
    assert "\n".join(one["event"]["original"] for one in made) + "\n" == file.getvalue()


KEYS: dict[str, dict[str, Any]] = {
    "csv": {"csv": Csv(columns=["time", "b", "took"], types={"took": "integer"}), "time_format": "%F"},
    "csv without quotes": {"csv": Csv(columns=["a", "b"], quote="")},
    "grok": {"pattern": "%{TIMESTAMP_ISO8601:time}? *%{NUMBER:took:int}?%{DATA:a}%{GREEDYDATA:b}"},
    "regex": {"pattern": r"(?P<time>\S*) ?(?P<a__b>.*)", "time_format": "%s"},
}


@pytest.mark.parametrize("name", KEYS)
@hypothesis.settings(deadline=None)
@given(
    st.binary(max_size=80) | st.lists(st.sampled_from([b'"', b",", b"\n", b"1", b"9e999", b"x", b"\r"])).map(b"".join)
)
def test_whatever_the_bytes_a_document_comes_out(name: str, content: bytes) -> None:
    """No exception; valid JSON; and the lines can be had back from what is kept, but for NULs before them (a hole)."""
    made = shipped(content, format=name.split(maxsplit=1)[0], keep_original=True, **KEYS[name])
    lines = [line for line in content.split(b"\n") if line.strip(b"\0\r\n\t \x0b\x0c")]
    kept = "\n".join(one["event"]["original"] for one in made).split("\n")
    assert [line.lstrip("\0") for line in kept if line.strip("\0\r\n\t \x0b\x0c")] == [
        line.lstrip(b"\0").decode("utf-8", "replace") for line in lines
    ]


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("text", ['"', '""', ',"', '"x",', "x", "1.", " ", '"\n', "\n"])
def test_a_line_that_almost_fits_takes_no_time(name: str, text: str) -> None:
    """A long line of repetitions: quadratic time would not end."""
    shipped(text.encode() * 60_000, format=name.split(maxsplit=1)[0], **KEYS[name])


@pytest.mark.parametrize(
    ("name", "pattern"), [("grok", "^%{WORD:w} %{GREEDYDATA:message}$"), ("regex", r"(?P<w>\w+) (?P<message>.*)")]
)
def test_patterns_match_characters_and_what_is_none_is_replaced(name: str, pattern: str) -> None:
    """Not bytes; what is no UTF-8 costs the line a flag, and not its fields."""
    assert document("a é名\r", format=name, pattern=pattern) == {"labels": {"w": "a"}, "message": "é名"}
    assert document(b"a x\xff\r", format=name, pattern=pattern) == {
        "labels": {"w": "a"},
        "message": "x\ufffd",
        "flags": ["encoding"],
    }
