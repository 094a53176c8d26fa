"""A document becomes lines that a person can read and that cannot take over the terminal."""

import datetime
import json

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace import levels, show
from tailrace.show import Look, in_line, line, lookup, neutral

UTC = Look(zone=datetime.UTC)
DOCUMENT = {
    "@timestamp": "2026-11-23T18:15:02.123456789Z",
    "message": "took too long",
    "log": {"level": "error", "logger": "app.play"},
    "service": {"name": "playback"},
    "labels": {"user.id": "u1", "note": "é"},
    "numeric_labels": {"ms": 12.5},
}


def test_a_line_is_time_level_service_and_message() -> None:
    """In columns, times in the zone that was asked for."""
    assert line(DOCUMENT, UTC) == "2026-11-23 18:15:02.123 ERROR playback     took too long"
    paris = Look(zone=datetime.timezone(datetime.timedelta(hours=1)))
    assert line(DOCUMENT, paris).startswith("2026-11-23 19:15:02.123 ")


def test_dotted_keys_read_as_nested_ones() -> None:
    """Documents of others come either way, and mixed."""
    dotted = {"@timestamp": "2026-11-23T18:15:02Z", "log.level": "WARN", "service.name": "a", "message": "m"}
    assert line(dotted, UTC) == "2026-11-23 18:15:02.000 WARN  a            m"
    assert lookup({"error": {"stack.trace": 1}}, "error.stack.trace") == 1
    assert lookup({"a.b": {"c": 2}}, "a.b.c") == 2
    assert lookup({"a": "text"}, "a.b") is None


def test_a_stack_trace_is_indented_under_its_line() -> None:
    """Each of its lines, Windows ends too; the error's own text is not said twice."""
    error = {"type": "ValueError", "message": "bad", "stack_trace": "Traceback\r\n  at f\nValueError: bad\n"}
    shown = line({**DOCUMENT, "error": error}, UTC).split("\n")
    assert shown[1:] == ["    Traceback", "      at f", "    ValueError: bad"]


def test_an_error_without_a_stack_trace_is_said_under_the_line() -> None:
    """Unless the message says it already."""
    shown = line({**DOCUMENT, "error": {"type": "IOError", "message": "disk gone"}}, UTC)
    assert shown.endswith("took too long\n    IOError: disk gone")
    assert "\n" not in line({**DOCUMENT, "message": "disk gone", "error": {"message": "disk gone"}}, UTC)


def test_a_multiline_message_stays_one_block() -> None:
    """The stack trace in it is not repeated from error.stack_trace."""
    document = {**DOCUMENT, "message": "boom\nTraceback\n  at f", "error": {"stack_trace": "Traceback\n  at f"}}
    assert line(document, UTC).split("\n")[1:] == ["    Traceback", "      at f"]


def test_fields_that_are_asked_for_stand_at_the_end() -> None:
    """An object shows all its leaves; what a document lacks is left out."""
    look = Look(zone=datetime.UTC, fields=("labels", "numeric_labels.ms", "trace.id"))
    assert line(DOCUMENT, look).endswith("took too long labels.user.id=u1 labels.note=é numeric_labels.ms=12.5")


def test_a_document_without_a_message_is_shown_whole() -> None:
    """So that no line is empty."""
    assert line({"@timestamp": "2026-11-23T18:15:02Z", "a": {"b": 1}}, UTC).endswith('-            {"a": {"b": 1}}')


@pytest.mark.parametrize("stamp", ["yesterday", 1e30, None, "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", [], True])
def test_an_odd_time_is_shown_as_it_is(stamp: object) -> None:
    """And never stops the output, in whatever zone."""
    for hours in (-12, 14):
        look = Look(zone=datetime.timezone(datetime.timedelta(hours=hours)))
        assert line({"@timestamp": stamp, "message": "m"}, look).endswith(" m")


def test_milliseconds_since_the_epoch_are_a_time() -> None:
    """As some documents of others have it."""
    assert line({"@timestamp": 1_700_000_000_000, "message": "m"}, UTC).startswith("2023-11-14 22:13:20.000")


def test_levels_have_colours_only_when_asked() -> None:
    """Red for errors, yellow for warnings; the same text without."""
    coloured = line(DOCUMENT, Look(colour=True, zone=datetime.UTC))
    assert "\x1b[31mERROR\x1b[0m" in coloured
    assert click.unstyle(coloured) == line(DOCUMENT, UTC)
    for name in levels.NAMES:
        assert "\x1b[" in line({**DOCUMENT, "log": {"level": name}}, Look(colour=True))


def test_terminal_sequences_of_a_message_are_shown_and_not_obeyed() -> None:
    """Colours, titles, cursor moves, backspaces and right-to-left overrides, all in one way: as JSON writes them."""
    assert neutral("\x1b[31mred\x1b[0m") == "\\u001b[31mred\\u001b[0m"
    assert neutral("\x1b]0;owned\x07") == "\\u001b]0;owned\\u0007"
    assert neutral("a\rb\x08\x7f\x9b2J") == "a\\u000db\\u0008\\u007f\\u009b2J"
    assert neutral("\u202eabc") == "\\u202eabc"
    assert neutral("a\tb é 日本 🙂") == "a\tb é 日本 🙂"


def test_a_name_stays_in_its_line() -> None:
    """Else a file's name could write a verdict of its own under a table."""
    assert in_line("/a\n✓ all is well\t\x1b[2K\r") == "/a\\n✓ all is well\\t\\u001b[2K\\u000d"


@given(st.text())
def test_json_stays_the_same(text: str) -> None:
    """So that whole documents can be printed for programs and for a terminal alike."""
    shown = neutral(json.dumps(text, ensure_ascii=False))
    assert json.loads(shown) == text
    assert not show._UNSAFE.search(shown)


def test_only_a_message_has_lines_of_its_own() -> None:
    """Else a service's name, a level, a time or a label could write a line that nobody logged."""
    forged = "x\n2026-11-27 20:00:00.000 ERROR payments\tgone"
    shown = forged.replace("\n", "\\n").replace("\t", "\\t")
    look = Look(zone=datetime.UTC, fields=("labels",))
    for field in ("service.name", "log.level", "@timestamp", "labels"):
        (one,) = line({**DOCUMENT, field: {forged: forged} if field == "labels" else forged}, look).split("\n")
        assert shown.lower() in one.lower()
    first, second = line({**DOCUMENT, "message": forged}, UTC).split("\n")
    assert (first.endswith(" x"), second[:8]) == (True, "    2026")


@given(st.text(), st.text(), st.text())
def test_no_text_of_a_document_reaches_the_terminal_raw(message: str, service: str, label: str) -> None:
    """Whatever is in them: only printable characters, tabs, and the line breaks that are ours."""
    document = {"message": message, "service": {"name": service}, "labels": {label: message}, "log": {"level": label}}
    for one in line(document, Look(fields=("labels",))).split("\n"):
        assert not show._UNSAFE.search(one)
        one.encode("utf-8")


def test_levels_know_their_order_and_spellings() -> None:
    """``--level warn`` is warn and worse, in every spelling that documents of others may have."""
    assert levels.at_least("WARNING") == ["warn", "error", "critical", "fatal", "alert", "emergency", "panic"]
    assert levels.at_least("odd") == ["odd"]
    assert levels.rank("crit") == levels.rank("fatal")
    assert {"error", "ERROR", "Error", "err", "ERR"} <= set(levels.spellings(["error"]))
