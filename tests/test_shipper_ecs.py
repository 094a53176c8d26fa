"""What a line said to the fields of an ECS document."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper import ecs
from shipper.records import Encoder
from tailrace.settings import Input

NOW = 1_795_456_800_500_000_000


def document(line: bytes, entry_format: str = "auto", **more: Any) -> dict[str, Any]:
    """The document of one line."""
    entry = Input(paths=["/x"], dataset="app", format=entry_format, timezone="UTC", **more)  # type: ignore[arg-type]
    encoder = Encoder(entry, "s" * 20, "/x", {"name": "h"}, 900_000, 1_000_000)
    ((_header, value),) = encoder.chunk([line], 7, 0, 0, NOW).records
    assert b"\n" not in value
    found: dict[str, Any] = orjson.loads(value)
    return found


def test_a_document_has_what_every_document_has() -> None:
    """Where the line comes from, when it was read, and where it goes."""
    found = document(b"hello")
    assert found == {
        "@timestamp": "2026-11-23T18:00:00.500Z",
        "message": "hello",
        "log": {"offset": 7, "file": {"path": "/x"}},
        "service": {"name": "app"},
        "event": {"dataset": "app", "created": "2026-11-23T18:00:00.500Z"},
        "tailrace": {"source": "s" * 20, "bytes": 6, "skipped": 0},
        "ecs": {"version": "8.11.0"},
        "host": {"name": "h"},
        "agent": {"type": "tailrace", "version": "0.1.0"},
        "data_stream": {"type": "logs", "dataset": "app", "namespace": "default"},
    }


@pytest.mark.parametrize("key", ecs.ALIASES["time"])
def test_each_alias_of_the_time_is_known(key: str) -> None:
    """Whatever a service calls it."""
    assert document(orjson.dumps({key: "2026-01-02T03:04:05Z"}))["@timestamp"] == "2026-01-02T03:04:05Z"


@pytest.mark.parametrize("key", ecs.ALIASES["level"])
@pytest.mark.parametrize(
    ("written", "level"),
    [
        ("WARNING", "warn"),
        ("Err", "error"),
        ("SEVERE", "error"),
        ("INFO", "info"),
        (30, "info"),
        (60, "fatal"),
        (7, "7"),
    ],
)
def test_each_alias_of_the_level_is_known(key: str, written: object, level: str) -> None:
    """In lower case under its common name; the numbers are pino's and bunyan's."""
    assert document(orjson.dumps({key: written}))["log"]["level"] == level


@pytest.mark.parametrize(
    ("line", "path", "value"),
    [
        ({"msg": "m"}, "message", "m"),
        ({"event": "play"}, "message", "play"),
        ({"event": "play", "message": "m"}, "message", "m"),
        ({"event": "play", "message": "m"}, "labels/event", "play"),
        ({"logger": "l"}, "log/logger", "l"),
        ({"log.logger": "l", "name": "n"}, "labels/name", "n"),
        ({"service": "s"}, "service/name", "s"),
        ({"service": {"name": "s", "version": "1"}}, "service/version", "1"),
        ({"service.name": "s", "service": "other"}, "labels/service", "other"),
        ({"app": "s"}, "service/name", "s"),
        ({"traceId": "t"}, "trace/id", "t"),
        ({"dd.trace_id": "t"}, "trace/id", "t"),
        ({"dd.trace_id": 123}, "trace/id", "123"),
        ({"trace": {"id": "t"}}, "trace/id", "t"),
        ({"span_id": "s"}, "span/id", "s"),
        ({"error": "boom"}, "error/message", "boom"),
        ({"error": {"kind": "E", "message": "boom", "stack": "at x"}}, "error/type", "E"),
        ({"error": {"extra": 5}}, "numeric_labels/error.extra", 5),
        ({"exc_info": "Traceback\n  x"}, "error/stack_trace", "Traceback\n  x"),
        ({"exception": [{"exc_type": "E", "exc_value": "boom", "frames": []}]}, "error/type", "E"),
        ({"http": {"response": {"status_code": "404"}}}, "http/response/status_code", 404),
        ({"http.request.method": "GET"}, "http/request/method", "GET"),
        ({"client.ip": "::1"}, "client/ip", "::1"),
        ({"client.ip": "nowhere"}, "labels/client.ip", "nowhere"),
        ({"process.pid": "x"}, "labels/process.pid", "x"),
        ({"log": {"origin": {"file": {"line": 5}}}}, "log/origin/file/line", 5),
        ({"user": {"plan": "gold"}}, "labels/user.plan", "gold"),
        ({"labels": {"team": "a"}}, "labels/team", "a"),
        ({"numeric_labels": {"n": 1}}, "numeric_labels/n", 1),
        ({"n": 1.5}, "numeric_labels/n", 1.5),
        ({"n": [1, 2]}, "numeric_labels/n", [1, 2]),
        ({"n": [1, "a"]}, "labels/n", '[1,"a"]'),
        ({"flag": True}, "labels/flag", "true"),
        ({"n": 2**53 + 1}, "labels/n", str(2**53 + 1)),
        ({"": 1}, "numeric_labels/_", 1),
        ({" ": "x"}, "labels/_", "x"),
        ({"a..b": "x"}, "labels/a.b", "x"),
        ({"a" * 300: "x"}, f"labels/{'a' * 256}", "x"),
        ({"a" * 255: {"b": "x"}}, f"labels/{'a' * 255}", "x"),
        ({"a" * 254: {"b": {}}}, f"labels/{'a' * 254}.b", "{}"),
        ({"host": "other"}, "labels/host", "other"),
        ({"data_stream": {"dataset": "evil"}}, "labels/data_stream.dataset", "evil"),
        ({"tailrace": {"source": "evil"}}, "labels/tailrace.source", "evil"),
    ],
)
def test_a_field_goes_where_ecs_or_the_labels_have_it(line: object, path: str, value: object) -> None:
    """ECS names by alias, dotted or nested; the rest to labels by type; what is ours cannot be set by a line."""
    found: Any = document(orjson.dumps(line))
    for part in path.split("/"):
        found = found[part]
    assert found == value


@pytest.mark.parametrize(
    ("line", "flags"),
    [
        (b'{"time": "never"}', ["time"]),
        (b'{"half": "of', ["format"]),
        (b"no json", ["format"]),
        (b"[1]", ["format"]),
        (b'{"a": "\xff"}', ["encoding"]),
        (b"[" * 10_000, ["format"]),
        (b'{"a":' * 10_000, ["format"]),
        (b'{"a":' * 900 + b"1" + b"}" * 900, ["format"]),
        (b'{"a":' + b"[" * 300 + b"]" * 300 + b"}", ["format"]),
    ],
)
def test_a_line_that_is_not_what_its_input_says_is_flagged_and_kept(line: bytes, flags: list[str]) -> None:
    """Its text stays the message."""
    found = document(line, "json")
    assert found["log"]["flags"] == flags
    if flags == ["format"]:
        assert found["message"].encode() == line


@pytest.mark.parametrize(
    ("line", "label"),
    [
        (b'{"n": NaN}', "nan"),
        (b'{"n": -Infinity}', "-inf"),
        (b'{"n": 123456789012345678901234567890}', "123456789012345678901234567890"),
        (b'{"n": 1e999}', "1e999"),
        (b'{"n": 1, "n": "last"}', "last"),
        (b'{"n": "\\ud800x"}', "�x"),
        (b'{"n": "tab\there"}', "tab\there"),
    ],
)
def test_json_that_others_write_keeps_its_values(line: bytes, label: str) -> None:
    """Beyond the standard, or beyond a double: as text; of a key written twice the last."""
    assert document(line, "json")["labels"]["n"] == label


def test_constant_fields_of_the_input_are_added() -> None:
    """ECS names to their place, others to labels."""
    found = document(b"x", fields={"service.environment": "prod", "team": "a", "shard": 3})
    assert found["service"] == {"name": "app", "environment": "prod"}
    assert found["labels"] == {"team": "a"}
    assert found["numeric_labels"] == {"shard": 3}


def test_the_original_is_kept_on_request() -> None:
    """In event.original, byte for byte where it is UTF-8."""
    assert document(b'{"msg": "m"}', keep_original=True)["event"]["original"] == '{"msg": "m"}'


@pytest.mark.parametrize(
    ("line", "level", "time"),
    [
        ("[2026-11-23T18:00:00,123][WARN ][o.e.n.Node] x", "warn", "2026-11-23T18:00:00.123Z"),
        ("[2026-11-23 18:00:00,123] INFO x (kafka.server)", "info", "2026-11-23T18:00:00.123Z"),
        ("2026-11-23 18:00:00 status installed", None, "2026-11-23T18:00:00Z"),
        ("nothing to see", None, "2026-11-23T18:00:00.500Z"),
    ],
)
def test_a_plain_line_tells_its_time_and_level_where_it_begins_with_them(line: str, level: str, time: str) -> None:
    """The text stays whole."""
    found = document(line.encode())
    assert (found["message"], found["@timestamp"], found["log"].get("level")) == (line, time, level)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)
NAMES = st.sampled_from(
    [*ecs.FIELDS, *(name for names in ecs.ALIASES.values() for name in names), "log", "http", "labels"]
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(NAMES | st.text(max_size=6), JSON, max_size=6))
def test_nothing_a_service_writes_has_the_wrong_type_for_its_field(tree: dict[str, Any]) -> None:
    """Every leaf of the document is an ECS field of the right type or a label; names are safe for Elasticsearch."""
    found = document(json.dumps(tree).encode())
    for name, value in found.pop("labels", {}).items():
        assert name
        assert name.strip(". ")
        assert isinstance(value, str) or all(isinstance(item, str) for item in value)
    for name, value in found.pop("numeric_labels", {}).items():
        assert name
        for number in value if isinstance(value, list) else [value]:
            assert -(2**53) <= number <= 2**53
    for path, value in leaves(found):
        assert path in KNOWN, path
        kind = KNOWN[path]
        for item in value if isinstance(value, list) else [value]:
            assert isinstance(item, {"long": int}.get(kind, str)), (path, item)


def leaves(tree: dict[str, Any], path: str = "") -> list[tuple[str, Any]]:
    """The leaves of a tree with their dotted paths."""
    found = []
    for key, value in tree.items():
        name = f"{path}.{key}" if path else key
        found += leaves(value, name) if isinstance(value, dict) else [(name, value)]
    return found


KNOWN = {
    **ecs.FIELDS,
    **dict.fromkeys(("@timestamp", "event.created"), "date"),
    **dict.fromkeys(("log.offset", "tailrace.bytes", "tailrace.skipped"), "long"),
    **dict.fromkeys(
        (
            "message log.level log.logger log.file.path log.flags event.dataset ecs.version host.name agent.type "
            "agent.version data_stream.type data_stream.dataset data_stream.namespace tailrace.source"
        ).split(),
        "keyword",
    ),
}


def test_no_ecs_field_is_a_prefix_of_another() -> None:
    """Or one would have to be text and an object at once."""
    assert not [(a, b) for a in ecs.FIELDS for b in ecs.FIELDS if b.startswith(a + ".")]
