"""Filters: what they drop, change and hide, and that the chain of records stays whole whatever they do."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shipper.filter_keys import filter_rules
from shipper.filters.secrets import KINDS
from shipper.identity import Place
from shipper.records import Encoder
from shipper.routed import by_topic
from shipper.source import Source, fresh_row
from tailrace.conditions import condition_of
from tailrace.record import parse_header
from tailrace.settings import Input, parse

NOW = 1_795_456_800_500_000_000
SOURCE = "s" * 20


def an_input(filters: str, entry_format: str = "json", more: str = "") -> Input:
    """An input with these filters, each a line of TOML tables."""
    rules = "".join(f"[[shipper.inputs.filters]]\n{one}\n" for one in filters.strip().split("\n---\n") if one)
    head = f'[[shipper.inputs]]\npaths = ["/x"]\ndataset = "app"\nformat = "{entry_format}"\ntimezone = "UTC"\n{more}\n'
    (entry,) = parse(head + rules).shipper.inputs
    return entry


def encoder(entry: Input, *, quick: bool = True) -> Encoder:
    """An encoder of an input, with the quick way or without it."""
    made = Encoder(entry, SOURCE, "/x", {"name": "h"}, 900_000, 1_000_000, None, filter_rules(entry))
    if not quick:
        made._shapes = None
    return made


def documents(entry: Input, lines: Sequence[bytes]) -> list[dict[str, Any]]:
    """The documents that are left of some lines; both ways of making them agree, and the chain is whole."""
    chunks = [encoder(entry, quick=quick).chunk([*lines], 0, 0, 0, NOW) for quick in (True, False)]
    quick, ordinary = ([(header, orjson.loads(value)) for header, value in one.records] for one in chunks)
    assert quick == ordinary
    assert chunks[0][1:] == chunks[1][1:]
    at = 0
    for header, document in quick:
        assert document["log"]["offset"] - document["tailrace"]["skipped"] == at
        at = document["log"]["offset"] + document["tailrace"]["bytes"]
        parsed = parse_header(header)
        assert parsed is not None
        stream = document["data_stream"]
        assert parsed.stream == f"logs-{stream['dataset']}-{stream['namespace']}"
        assert document["event"]["dataset"] == stream["dataset"]
    assert at + chunks[0].skipped == sum(len(line) + 1 for line in lines)
    return [document for _, document in quick]


def line(**fields: Any) -> bytes:
    """A JSON line."""
    return orjson.dumps({"timestamp": "2026-11-23T18:00:00Z", **fields})


def messages(entry: Input, lines: Sequence[bytes]) -> list[str]:
    """The messages of the records that are left."""
    return [document["message"] for document in documents(entry, lines)]


LEVELS = [
    line(level=level, message=f"{number}") for number, level in enumerate(["info", "debug", "error", "debug"] * 3)
]


def test_drop_leaves_out_what_its_condition_holds_for() -> None:
    """And the bytes count as skipped before the next record, and by rule."""
    entry = an_input("when = 'log.level == \"debug\"'\ndrop = true")
    assert messages(entry, LEVELS) == ["0", "2", "4", "6", "8", "10"]
    chunk = encoder(entry).chunk([*LEVELS], 0, 0, 0, NOW)
    size = sum(len(one) + 1 for one in LEVELS if b"debug" in one)
    assert chunk.dropped == {"drop-1": (6, size)}
    assert chunk.blank == size
    assert chunk.skipped == len(LEVELS[-1]) + 1


def test_keep_leaves_out_all_others() -> None:
    """Also those of which the condition cannot say anything."""
    entry = an_input("name = 'loud'\nwhen = 'log.level == \"error\"'\nkeep = true")
    assert messages(entry, [*LEVELS, line(message="x")]) == ["2", "6", "10"]


def test_rules_are_applied_in_order() -> None:
    """A rule sees what those before it have made of the record."""
    entry = an_input(
        "rename = { usr = 'user.name' }\n---\nwhen = 'user.name == \"bob\"'\ndrop = true\n---\n"
        "set = { 'labels.seen' = true }\n---\nwhen = 'labels.seen == \"true\"'\nremove = ['level']"
    )
    (one,) = documents(entry, [line(usr="bob", message="a"), line(usr="eve", message="b", level="info")])
    assert (one["message"], one["user"], one["labels"]) == ("b", {"name": "eve"}, {"seen": "true"})


def test_rename_never_loses_a_value() -> None:
    """Where the new name is taken, or the value does not fit, the field keeps its old name."""
    entry = an_input("rename = { usr = 'user.name', status = 'http.response.status_code', a = 'b' }")
    one, two = documents(
        entry, [line(usr="bob", status="high", a=1), line(**{"user.name": "x"}, usr="y", a="1", b="2")]
    )
    assert (one["user"], one["labels"], one["numeric_labels"]) == ({"name": "bob"}, {"status": "high"}, {"b": 1})
    assert "http" not in one
    assert (two["user"], two["labels"]) == ({"name": "x"}, {"usr": "y", "a": "1", "b": "2"})


def test_set_and_remove_know_fields_by_their_names() -> None:
    """ECS fields where they belong, others as labels by type; an object that is left empty goes."""
    entry = an_input(
        "set = { 'service.environment' = 'live', 'http.response.status_code' = 200, tier = 'gold', weight = 2.5 }"
        "\n---\n"
        "remove = ['user.id', 'labels.x', 'n', 'message', 'trace.id']"
    )
    (one,) = documents(entry, [line(message="m", **{"user.id": "7", "trace.id": "t"}, x="1", n=5, tier=1)])
    assert one["service"] == {"name": "app", "environment": "live"}
    assert one["http"] == {"response": {"status_code": 200}}
    assert (one["labels"], one["numeric_labels"]) == ({"tier": "gold"}, {"weight": 2.5})
    assert not {"user", "trace", "message"} & set(one)


def test_a_route_is_another_data_stream() -> None:
    """In the header and in the document; what a route leaves out stays as it is."""
    entry = an_input(
        "when = 'log.level == \"error\"'\nroute = { dataset = 'app.errors' }\n---\n"
        "when = 'has(labels.tenant)'\nroute = { namespace = 'tenants' }"
    )
    found = documents(entry, [*LEVELS[:3], line(level="error", tenant="a"), line(tenant="a"), line(tenant="b")])
    assert [f"{one['data_stream']['dataset']}-{one['data_stream']['namespace']}" for one in found] == [
        *("app-default", "app-default", "app.errors-default", "app.errors-tenants", "app-tenants", "app-tenants")
    ]


def test_a_route_may_name_a_topic() -> None:
    """For the quick way and the ordinary one; what it leaves out stays, and a later rule may name another."""
    entry = an_input(
        "when = 'log.level == \"error\"'\nroute = { topic = 'loud', dataset = 'app.errors' }\n---\n"
        "when = 'has(labels.tenant)'\nroute = { topic = 'tenants' }\n---\n"
        "when = 'has(labels.plan)'\nroute = { namespace = 'paid' }"
    )
    lines = [*LEVELS[:3], line(level="error", tenant="a"), line(tenant="a", plan="x"), line(plan="y")]
    assert len(documents(entry, lines)) == len(lines)
    for quick in (True, False):
        made = encoder(entry, quick=quick)
        assert made.topics == ("loud", "tenants")
        records = made.chunk([*lines], 0, 0, 0, NOW).records
        sorted_out = by_topic(records, "own")
        assert {topic: [records.index(one) for one in some] for topic, some in sorted_out.items()} == {
            "own": [0, 1, 5],
            "loud": [2],
            "tenants": [3, 4],
        }
        headers = [parse_header(header) for header, _ in records]
        assert [header.stream for header in headers if header is not None] == [
            *("logs-app-default", "logs-app-default", "logs-app.errors-default"),
            *("logs-app.errors-default", "logs-app-paid", "logs-app-paid"),
        ]


def test_records_are_bare_where_no_rule_names_a_topic() -> None:
    """So that nothing is done per line for what nobody asked for."""
    made = encoder(an_input("route = { dataset = 'other' }"))
    assert made.topics == ()
    assert {type(record) for record in made.chunk([*LEVELS], 0, 0, 0, NOW).records} == {tuple}


def test_a_sample_keeps_traces_whole_and_all_errors() -> None:
    """Which is a function of the trace: the same in another file, and a larger share keeps what a smaller one keeps."""
    lines = [line(**{"trace.id": f"t{number // 3}"}, message=f"{number // 3}") for number in range(900)]
    bad = [line(**{"trace.id": f"t{number}"}, level="error", message="bad") for number in range(50)]
    tenth, half = (an_input(f"sample = {{ rate = {rate} }}") for rate in (0.1, 0.5))
    few, many = messages(tenth, lines), messages(half, lines[::-1])
    assert all(few.count(one) == 3 for one in few)
    assert set(few) < set(many)
    assert 10 < len(set(few)) < 60
    assert len(messages(tenth, bad)) == 50
    assert len(messages(an_input("sample = { rate = 0.1, keep_errors = false }"), bad)) < 25


def test_a_sample_of_lines_without_a_trace_goes_by_their_place() -> None:
    """So equal lines share no fate, and a line has the same whenever it is read."""
    entry = an_input("sample = { rate = 0.5 }")
    lines = [line(message="same")] * 200
    assert 60 < len(messages(entry, lines)) < 140
    whole = encoder(entry).chunk([*lines], 0, 0, 0, NOW).records
    size = len(lines[0]) + 1
    tail = encoder(entry).chunk(lines[50:], 50 * size, 0, 0, NOW).records
    assert [header for header, _ in whole][-len(tail) :] == [header for header, _ in tail]


def test_a_throttle_lets_so_many_of_a_key_through_in_a_window() -> None:
    """By the records' own time."""
    entry = an_input("throttle = { most = 2, per_seconds = 10, by = ['device'] }")
    lines = [
        orjson.dumps({"timestamp": f"2026-11-23T18:00:{second:02d}Z", "device": device, "message": f"{device}{second}"})
        for second in range(25)
        for device in "ab"
    ]
    assert messages(entry, lines) == ["a0", "b0", "a1", "b1", "a10", "b10", "a11", "b11", "a20", "b20", "a21", "b21"]


def test_a_wrong_time_does_not_close_a_throttle_for_ever() -> None:
    """A record of next year opens a window of its own, and so does the next of today."""
    entry = an_input("throttle = { most = 1, per_seconds = 60 }")
    times = ["2026-11-23T18:00:00Z", "2027-11-23T18:00:00Z", "2026-11-23T18:00:01Z", "2026-11-23T18:00:02Z"]
    lines = [orjson.dumps({"timestamp": time, "message": str(number)}) for number, time in enumerate(times)]
    assert messages(entry, lines) == ["0", "1", "2"]


def test_a_record_without_a_time_is_throttled_by_the_window_that_is_open() -> None:
    """Never by when it was read: that is another time when it is read again."""
    entry = an_input("throttle = { most = 2, per_seconds = 1 }")
    lines = [orjson.dumps({"message": str(number)}) for number in range(5)]
    assert messages(entry, lines) == ["0", "1"]


def test_a_throttle_goes_on_where_it_was() -> None:
    """What it remembers is stored with the position, so in the middle of a window a restart lets no more through."""
    entry = an_input("throttle = { most = 3, per_seconds = 60 }")
    lines = [line(message=str(number)) + b"\n" for number in range(6)]
    content, half = b"".join(lines), len(lines[0]) * 2
    source = Source(fresh_row(SOURCE, "/x", Place(1, 1)), encoder(entry), b"")
    step = source.read(content[:half], NOW, full=False)
    assert step is not None
    source.finish(source.begin(step))
    stored = source.row(0)
    again = Source(stored, encoder(entry), source.anchor)
    for one in (source, again):
        step = one.read(one.anchor + content[half:], NOW, full=False)
        assert step is not None
        assert (len(step.records), step.dropped) == (1, {"throttle-1": (3, half // 2 * 3)})
        one.begin(step)
        one.rewind()
    step = source.read(source.anchor + content[half:], NOW, full=False)
    assert step is not None
    assert len(step.records) == 1


def test_a_throttle_has_room_for_so_many_keys() -> None:
    """What it remembers has a limit; keys for which there is no room share one."""
    entry = an_input("throttle = { most = 1, by = ['device'] }")
    lines = [line(device=f"d{number}") for number in range(600)]
    made = encoder(entry)
    chunk = made.chunk(lines, 0, 0, 0, NOW)
    assert len(chunk.records) == 513
    assert len(made.memory) < 25_000


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "timestamp": st.sampled_from(["2026-11-23T18:00:00Z", "2026-11-23T18:00:07Z", "x", "2026-11-23T18:01:00.5Z"]),
        "level": st.sampled_from(["debug", "info", "ERROR"]),
        "message": st.sampled_from(["ok", "a@b.io", "p\\q", "password=x y", "é", "card 4111 1111 1111 1111", "::1 up"]),
        "device": st.sampled_from(["a", "b", "tv"]),
        "trace_id": st.sampled_from(["1", "2", "3"]),
        "ms": st.integers(0, 3) | st.sampled_from([0.5, 4111111111111111, 378282246310005]),
        "password": st.sampled_from(["s3cret", "null", 7, True, ["x"]]),
        "bob@b.io": st.just(1),
        "client.ip": st.sampled_from(["10.0.0.1", "x"]),
        "dataset": st.just("app"),
    },
)
LINES = st.lists(FIELDS.map(orjson.dumps) | st.sampled_from([b"", b"plain 10.1.2.3", b"\xff{", b"{}"]), max_size=40)
RULES = st.lists(
    st.sampled_from(
        [
            "when = 'log.level == \"debug\"'\ndrop = true",
            "when = 'numeric_labels.ms > 1.0'\nkeep = true",
            "sample = { rate = 0.5 }",
            "sample = { rate = 0.7, by = ['device'], keep_errors = false }",
            "throttle = { most = 2, per_seconds = 5, by = ['device'] }",
            "when = 'has(labels.device)'\nthrottle = { most = 3 }",
            "rename = { device = 'user.name', ms = 'trace.id' }",
            "when = '\"password\" in labels'\nset = { 'log.level' = 'warn', n = 3 }",
            "remove = ['device', 'client.ip', 'log.level']",
            "when = 'log.level != \"info\"'\nroute = { dataset = 'other' }",
            "when = 'labels.device == \"tv\"'\nroute = { namespace = 'tv' }",
            "redact = { kinds = ['email', 'card', 'ipv4', 'ipv6', 'password'] }",
            "redact = { patterns = ['o(k)', '^a'], label = 'own' }",
        ]
    ),
    max_size=5,
)


def with_names(rules: Sequence[str]) -> str:
    """The rules, each with its own name."""
    return "\n---\n".join(f"name = 'r{number}'\n{rule}" for number, rule in enumerate(rules))


@settings(deadline=None, max_examples=150)
@given(LINES, RULES)
@example(
    [orjson.dumps({"level": "debug"}), orjson.dumps({"level": "info"})] * 3,
    ["when = 'has(log.level)'\nremove = ['level']"],
)
def test_both_ways_and_the_chain_agree_whatever_is_dropped(lines: list[bytes], rules: list[str]) -> None:
    """Never an error, always JSON; the quick way leaves what the ordinary one does; no byte is lost or doubled."""
    documents(an_input(with_names(rules)), lines)


@settings(deadline=None, max_examples=100)
@given(LINES, RULES, st.data())
def test_a_file_read_again_gives_the_same_records(lines: list[bytes], rules: list[str], data: st.DataObject) -> None:
    """From every position that was ever stored, however the reads were cut, and at whatever time."""
    entry = an_input(with_names(rules))
    content = b"".join(one + b"\n" for one in lines)

    def read(source: Source, size: int, now: int, records: dict[bytes, Any]) -> None:
        start = source.at - len(source.anchor)
        step = source.read(content[start : source.at + size], now, full=True)
        if step is not None:
            source.finish(source.begin(step))
            for header, value in step.records:
                found = orjson.loads(value)
                del found["event"]["created"]
                if found["@timestamp"] not in (
                    "2026-11-23T18:00:00Z",
                    "2026-11-23T18:00:07Z",
                    "2026-11-23T18:01:00.5Z",
                ):
                    del found["@timestamp"]
                identity = header.rpartition(b"|")[2]
                assert records.setdefault(identity, found) == found

    first: dict[bytes, Any] = {}
    source = Source(fresh_row(SOURCE, "/x", Place(1, 1)), encoder(entry), b"")
    rows = [(source.row(0), source.anchor)]
    while source.at < len(content):
        read(source, data.draw(st.integers(150, 3000)), NOW, first)
        rows.append((source.row(0), source.anchor))
    row, anchor = data.draw(st.sampled_from(rows))
    again: dict[bytes, Any] = {}
    second = Source(row, encoder(entry), anchor)
    while second.at < len(content):
        read(second, data.draw(st.integers(150, 3000)), NOW + 10**12, again)
    assert {name: one for name, one in first.items() if int(name.split(b":")[1]) >= row.position} == again
    assert second.row(0) == source.row(0)


def test_an_input_with_filters_is_never_read_without_them() -> None:
    """Whoever makes an encoder must hand them over: a forgotten one would let secrets out."""
    with pytest.raises(TypeError):
        Encoder(an_input("redact = { kinds = ['email'] }"), SOURCE, "/x", {"name": "h"}, 900_000, 1_000_000)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("drop = true", r"filters\[0\]\.when: drop needs a condition"),
        ("when = 'has(user.id)'", r"filters\[0\]: it does nothing"),
        ("when = 'has(user.id)'\ndrop = true\nkeep = true", "drop and keep are two things to do"),
        (
            "when = 'log.level = 1'\ndrop = true",
            r"filters\[0\]\.when: write == for =\.\n  log\.level = 1\n            \^",
        ),
        ("sample = { rate = 1.5 }", "more than 0 and less than 1, not 1.5"),
        ("throttle = { most = 0 }", "most: must be more than 0"),
        ("throttle = { most = 1, per_seconds = 0.1 }", "per_seconds: must be 1 or more"),
        ("remove = ['tailrace.skipped']", "belongs to the shipper itself"),
        ("rename = { a = 'log.file.path' }", "belongs to the shipper itself"),
        ("route = {}", "leads nowhere|does nothing"),
        ("route = { dataset = 'Walk Shop' }", "'Walk Shop' cannot be part of a data stream's name; use lower case, at"),
        ("route = { topic = 'my topic' }", "'my topic' cannot be a topic's name; use letters, digits"),
        ("sample = 0.1", r"sample: write sample = \{ rate = 0.1 \}\."),
        ("redact = 'email'", r"redact: write redact = \{ kinds = "),
        ("redact = { kinds = ['emial'] }", "did you mean email"),
        ("redact = { patterns = ['a(b'] }", r"redact\.patterns\[0\]: missing \)\.\n  a\(b\n   \^"),
        ("redact = { patterns = ['x*'] }", "matches where there is nothing"),
        ("redact = { patterns = ['x'], label = 'a]' }", "cannot be a label"),
        ("redct = { kinds = ['email'] }", "did you mean redact"),
        (
            "name = 'a'\nsample = { rate = 0.1 }\n---\nname = 'a'\nsample = { rate = 0.1 }",
            "another filter of this input",
        ),
    ],
)
def test_a_mistake_in_a_filter_is_named(rule: str, said: str) -> None:
    """With its key, and a caret under the place in a condition or a pattern."""
    with pytest.raises(Exception, match=said) as caught:
        an_input(rule)
    assert type(caught.value).__name__ == "FixSettings"


def test_a_value_that_a_field_cannot_have_is_refused() -> None:
    """Before anything is read."""
    with pytest.raises(Exception, match=re.escape("sets source.ip to 'x', which that field cannot hold")):
        filter_rules(an_input("set = { 'source.ip' = 'x' }"))


def test_the_examples_of_the_page_are_whole_settings() -> None:
    """Every block of docs/filters.md can be pasted, and its conditions hold where the text says."""
    page = (Path(__file__).parent.parent / "docs/filters.md").read_text("utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    head = '[[shipper.inputs]]\npaths = ["/x"]\ndataset = "app"\n'
    for block in blocks:
        (entry,) = parse(block if "[[shipper.inputs]]" in block else head + block).shipper.inputs
        assert entry.filters
    (conditions,) = re.findall(r"^```text\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    for condition in conditions.splitlines():
        condition_of(condition)
    entry = parse(blocks[-1]).shipper.inputs[0]
    for one in entry.filters:
        if one.redact is not None:
            assert set(one.redact.kinds) <= set(KINDS)
