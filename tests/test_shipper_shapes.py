"""The quick way and the ordinary way of making documents are one."""

import json
import string

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shipper.records import Encoder
from tailrace.settings import Input

pytestmark = pytest.mark.usefixtures("both_ways")

NOW = 1_795_000_000_123_456_789
KEYS = [
    "timestamp", "time", "@timestamp", "level", "severity", "message", "msg", "event", "logger", "name", "service",
    "app", "trace_id", "span.id", "error", "exception", "stack_trace", "process.pid", "http.response.status_code",
    "client.ip", "user_id", "duration", "a.b", "labels.x", "tailrace", "%s", "log", "numeric_labels.y", "é", "host",
    "tags",
]  # fmt: skip
TIMES = st.sampled_from(
    [
        "2026-11-23T18:00:00Z",
        "2026-11-23T18:00:00.123456Z",
        "0000-01-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "x",
        "2026-11-23 18:00:00",
    ]
)  # fmt: skip
TEXTS = st.one_of(
    TIMES,
    st.sampled_from(["INFO", "warn", "Warning", "", " ", "%d%b", "127.0.0.1", "200", "tlrprobe1x"]),
    st.sampled_from(["a\\u0041", "\\ud800", 'q\\"', "\\\\", "\\x", "\\"]),
    st.text(string.printable.replace('"', "").replace("\\", "").replace("\n", ""), max_size=12),
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'), max_size=6),
)  # fmt: skip
VALUES = st.one_of(
    TEXTS.map(lambda text: f'"{text}"'),
    st.integers(-(10**18), 10**18).map(str),
    st.floats().map(json.dumps),
    st.sampled_from(
        ["true", "false", "null", "-0", "0.10", "1e5", "[]", '{"a":1}', "30", "007", "12345678901234567890"]
    ),
)
SHAPES = st.lists(st.sampled_from(KEYS), min_size=1, max_size=8)


@st.composite
def lines_of_one_shape(draw: st.DrawFn) -> list[bytes]:
    """Lines with the same keys in the same order; now and then a value of another kind."""
    keys = draw(SHAPES)
    colon = draw(st.sampled_from([":", ": ", " : "]))
    lines = []
    for _ in range(draw(st.integers(2, 5))):
        body = ",".join(f'"{key}"{colon}{draw(VALUES)}' for key in keys)
        lines.append((f"{{{body}}}" + draw(st.sampled_from(["", "", "\r", " "]))).encode())
    return lines


def encoder() -> Encoder:
    """An encoder whose constant parts need escapes."""
    entry = Input(paths=["/x"], dataset="app", format="auto", timezone="UTC")
    return Encoder(entry, "a" * 20, '/var/log/%d "é".log', {"name": "h"}, 900_000, 1_000_000)


@settings(max_examples=400, deadline=None)
@given(lines_of_one_shape())
@example([b'{"a":"1","a":"2"}', b'{"a":"3","a":"4"}'])
@example([b'{"level":"--5"}', b'{"level":"--5"}'])
@example([b'{"level":"30"}', b'{"level":"30"}', b'{"level":30}', b'{"level":30}'])
@example([b'{"level":"%s"}' % (b"9" * 5000)] * 3)
@example([b'{"user_id":"x"}', b'{"user_id":"\\ud800"}'])
@example([b'{"user_id":"x"}', b'{"user_id":"\\x"}'])
@example([b'{"user_id":"x"}', b'{"user_id":"\x01"}'])
@example([b'{"user_id":"x"}', b'{"user_id":"\xff"}'])
@example([b'{"\xff":"x"}', b'{"\xff":"y"}'])
@example([b'{"777000000000001":"x"}', b'{"777000000000001":"y"}'])
@example([b'{"2002-03-04T05:06:07.080Z":"x","777000000000003":"x"}'] * 3)
@example([b'{"level":"%s","a":1}' % (b"n" * 100)] * 3)
@example([b'{"process.pid":1}', b'{"process.pid":-0}'])
@example([b'{"a":1,"b":2}', b'{"a":1,"b":2}', b'{"a":[{"b":1},1,', b'2]}{"a":1,"b":2}'])
@example([b'{"level":"info"}', b'{"level":"info"}', b'{"lever":"info"}'])
@example([b'{"user_id":"x"}', b'{"user_id":"y"}', b'{"user.id":"z"}'])
@example([b'{"user_id":"x","app":{"b":"c"}}', b'{"user_id":"x","app":"b"}', b'{"user_id":"x","app":"b"}'])
@example([b'{"a":"1","b":"2"}', b'{"b":"1","a":"2"}', b'{"a":"1","c":"2"}', b'{"a":"1","a":"2"}', b'{"a":"1","b":"2"}'])
@example(
    [b'{"error":"x","error.message":"y"}', b'{"error.message":"x","error":"y"}', b'{"error":"x","error.message":"y"}']
)
@example([b'{"user_id":"a\\"b\\\\"}', b'{"user_id":"\\/"}', b'{"user_id":"\\\\"}', b'{"user_id":"\\\\","b":1}'])
@example([b'{"user_id":"x"}', b'{"user_id":', b'{"user_id":"y"}} {"user_id":"x"}', b'{"user_id":"x"}'])
@example([b'{"user_id":"x"}\r', b'{"user_id":"y"}\r', b'{"user_id":"z"}', b'{"user_id":"z\r"}\r'])
@example([b'{"user_id":"x"} ', b' {"user_id":"y"}', b'{"user_id":"z"}', b'["user_id","x"]', b'"user_id":"x"'])
@example([b'{"level":30,"msg":"x"}', b'{"level":-0,"msg":"y"}'])
def test_a_line_of_a_known_shape_gives_the_document_it_would_give_the_ordinary_way(lines: list[bytes]) -> None:
    """Documents but the first of a shape may come the quick way; all equal those of an encoder that never learns."""
    quick, ordinary = encoder(), encoder()
    ordinary._quick = None
    for again in range(2):
        got = quick.chunk(lines, 100 * again, 3, 0, NOW).records
        wanted = ordinary.chunk(lines, 100 * again, 3, 0, NOW).records
        assert [header for header, _ in got] == [header for header, _ in wanted]
        assert [orjson.loads(value) for _, value in got] == [orjson.loads(value) for _, value in wanted]


def test_the_quick_way_is_taken_for_what_services_write() -> None:
    """Otherwise the test above would prove nothing, and the speed would be gone unseen."""
    line = (
        b'{"timestamp": "2026-11-23T18:00:0%d.5Z", "level": "info", "logger": "a.b", "event": "play", "user": "u1", '
        b'"ok": true, "ms": 1.5, "pid": 12, "trace_id": "abc", "none": null}'
    )
    ways = encoder()._quick
    assert ways is not None
    _, quick = ways.documents([line % 1, line % 2], 300, b"2026-11-23T18:00:03.000Z")
    assert quick is not None
    document = orjson.loads(quick)
    assert document["@timestamp"] == "2026-11-23T18:00:02.5Z"
    assert document["labels"] == {"user": "u1", "ok": "true"}
    assert document["numeric_labels"] == {"ms": 1.5, "pid": 12}
    assert document["log"] == {
        "level": "info",
        "logger": "a.b",
        "offset": 301 + len(line % 1),
        "file": {"path": '/var/log/%d "é".log'},
    }
