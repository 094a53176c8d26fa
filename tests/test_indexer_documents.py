"""Records to bulk lines: ours untouched, strangers' made whole, and nothing can slip an action in."""

import json
import string

import orjson
import pytest
from fakes import FakePolled
from hypothesis import example, given, settings
from hypothesis import strategies as st

from indexer import bulk, documents
from indexer.documents import Documents, Translator, address, name, one_line
from indexer.ownership import Origin
from indexer.reasons import Reason
from tailrace.record import header_prefix, record_id

STREAM = "logs-app-default"
ORIGIN = Origin("t", 0)
VALUE = b'{"@timestamp":"2026-11-23T18:00:00Z","message":"hello"}'


def _header(stream: str = STREAM, *, number: int = 0, may_repeat: bool = False) -> bytes:
    return (header_prefix(stream, may_repeat=may_repeat) + record_id("s", number, 7)).encode()


def _ours(value: bytes | None = VALUE, **options: object) -> FakePolled:
    return FakePolled(value, (("t", _header()),), **options)  # type: ignore[arg-type]


def _translate(*records: FakePolled, streams: dict[str, str] | None = None, repeat_before: int = 0) -> Documents:
    return Translator(["logs-*-*"], streams or {}).translate(records, ORIGIN, repeat_before)


def test_a_record_of_ours_passes_untouched() -> None:
    """The value's bytes go to Elasticsearch as they are, under its stream and id, the first time and later."""
    odd = b'{ "big":123456789012345678901234567890 ,"e":1e400}'
    translator = Translator(["logs-*-*"], {})
    for _ in range(2):
        found = translator.translate([_ours(odd)], ORIGIN)
        assert found.documents == [odd]
        assert found.lines == [b'{"create":{"_index":"logs-app-default","_id":"s:0000000000000000:00000007"}}\n']
        assert address(found.lines[0]) == (STREAM, record_id("s", 0, 7))
        assert found.repeats == [False]


def test_elasticsearch_may_make_the_ids() -> None:
    """Then no action line has one, of whichever way; the record keeps its own, for its dead letter."""
    flagged = FakePolled(VALUE, (("t", _header(number=2, may_repeat=True)),), offset=9)
    records = [_ours(offset=7), flagged, FakePolled(b'{"message":"of another"}', offset=8)]
    found = Translator(["logs-*-*"], {}, own_ids=False).translate(records, ORIGIN)
    assert {line for record, line in zip(found.records, found.lines, strict=True) if record.offset != 8} == {
        b'{"create":{"_index":"logs-app-default"}}\n'
    }
    assert sorted(address(line) for line in found.lines) == [*([(STREAM, "")] * 2), ("logs-t-default", "")]
    assert [name(record, ORIGIN) for record in records] == [record_id("s", 0, 7), record_id("s", 2, 7), "t-0-8"]


def test_who_makes_the_ids_changes_nothing_that_is_refused() -> None:
    """So that the setting may be changed at any time: an id that could not be a document's is refused either way."""
    wrong = [
        b'1||logs-app-default|a"b',
        b"1||logs-app-default|",
        b"2||logs-app-default|i",
        _header("metrics-app-default"),
    ]
    records = [FakePolled(VALUE, (("t", header),)) for header in wrong]
    either = [Translator(["logs-*-*"], {}, own_ids=own).translate(records, ORIGIN).refusals for own in (True, False)]
    assert len(either[0]) == len(wrong)
    assert either[0] == either[1]


def test_the_flag_and_the_reach_make_records_doubtful() -> None:
    """Flag r, and every record below the last owner's reach, may be stored already."""
    flagged = FakePolled(VALUE, (("t", _header(number=2, may_repeat=True)),), offset=9)
    found = _translate(_ours(offset=4), _ours(offset=5), flagged, repeat_before=5)
    repeats = {record.offset: repeat for record, repeat in zip(found.records, found.repeats, strict=True)}
    assert repeats == {4: True, 5: False, 9: True}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (FakePolled(VALUE, (("t", b"2||logs-app-default|id"),)), Reason.HEADER),
        (FakePolled(VALUE, (("t", None),)), Reason.HEADER),
        (FakePolled(VALUE, (("t", b""),)), Reason.HEADER),
        (FakePolled(VALUE, (("t", b"1||logs-app-default|"),)), Reason.HEADER),
        (FakePolled(VALUE, (("t", b"1||logs-app-default|" + b"x" * 513),)), Reason.HEADER),
        (FakePolled(VALUE, (("t", b'1||logs-app-default|a"b'),)), Reason.HEADER),
        (FakePolled(VALUE, (("t", b"1||logs-app-default|a\nb"),)), Reason.HEADER),
        (FakePolled(VALUE, (("t", _header()), ("t", _header()))), Reason.HEADER),
        (FakePolled(VALUE, (("t", _header("metrics-app-default")),)), Reason.STREAM),
        (FakePolled(VALUE, (("t", ("1||logs-" + "é" * 99 + "-" + "é" * 99 + "|id").encode()),)), Reason.STREAM),
        (_ours(b"[1]"), Reason.JSON),
        (_ours(b'{"a":1}{"b":2'), Reason.JSON),
        (_ours(b'{"a":"x\ny"}'), Reason.JSON),
        (_ours(b""), Reason.JSON),
        (_ours(b"[" * 100_000), Reason.JSON),
        (_ours(b'{"a":"\xc0\xaf"}'), Reason.JSON),
        (_ours(b'{"a":"\xed\xa0\x80"}'), Reason.JSON),
        (FakePolled(VALUE[:-1] + b',"data_stream":{"dataset":"Not Valid"}}'), Reason.STREAM),
        (FakePolled(b"text", timestamp=-1), Reason.TIME),
        (FakePolled(b"text", timestamp=10**18), Reason.TIME),
        (FakePolled(b'{"@timestamp":null,"a":' + b"[" * 1010 + b"]" * 1010 + b"}"), Reason.JSON),
    ],
)
def test_what_cannot_be_trusted_is_refused_with_a_reason(record: FakePolled, reason: Reason) -> None:
    """Every such record is a dead letter with its reason, and nothing of it is sent; its neighbours are."""
    found = _translate(_ours(), record, _ours())
    assert [refusal.reason for refusal in found.refusals] == [reason]
    assert len(found.lines) == len(found.documents) == len(found.records) == 2


def test_what_is_too_large_to_be_decoded_is_a_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small batch may hold a record of gigabytes, and to decode it would take several times as much."""
    monkeypatch.setattr(documents, "_MOST_VALUE_BYTES", 100)
    found = _translate(FakePolled(b'{"a":"%s"}' % (b"x" * 92)), FakePolled(b'{"a":"%s"}' % (b"x" * 93)))
    assert [one.reason for one in found.refusals] == [Reason.TOO_LARGE]
    assert (len(found.documents), found.refusals[0].text) == (1, "it has 101 bytes, more than are decoded")


def test_tombstones_are_counted_and_nothing_else() -> None:
    """A null value is no error and no document, with our header or without."""
    found = _translate(_ours(None), FakePolled(None), _ours())
    assert (found.tombstones, len(found.lines), found.refusals) == (2, 1, [])


def test_a_raw_line_break_between_tokens_becomes_a_space() -> None:
    """Pretty-printed JSON is the same JSON on one line; no number is written anew."""
    pretty = b' {\r\n "a": 123456789012345678901234567890,\n "b": "\\n"\n} '
    assert one_line(pretty) == b'{   "a": 123456789012345678901234567890,  "b": "\\n" }'
    assert _translate(_ours(pretty)).documents == [one_line(pretty)]


@pytest.mark.parametrize(
    ("value", "stream", "document"),
    [
        (
            "plain ü \x1b[1mtext\n".encode(),
            "logs-some_topic-default",
            {"@timestamp": "T", "message": "plain ü \x1b[1mtext\n"},
        ),
        (b'{"a":1}', "logs-some_topic-default", {"@timestamp": "T", "a": 1}),
        (b"{}", "logs-some_topic-default", {"@timestamp": "T"}),
        (b'{"@timestamp":null}', "logs-some_topic-default", {"@timestamp": "T"}),
        (b'{"@timestamp":null,"n":%d}' % 10**30, "logs-some_topic-default", {"@timestamp": "T", "n": 10**30}),
        (b'{"@timestamp":"x","n":[]}', "logs-some_topic-default", {"@timestamp": "x", "n": []}),
        (b"[1]", "logs-some_topic-default", {"@timestamp": "T", "message": "[1]"}),
    ],
)
def test_records_of_others_are_made_whole(value: bytes, stream: str, document: dict[str, object]) -> None:
    """A JSON object keeps what it says, and gets a time and the name of its stream; text becomes message."""
    found = Translator(["logs-*-*"], {}).translate([FakePolled(value, offset=12)], Origin("Some-Topic", 3))
    assert address(found.lines[0]) == (stream, "Some-Topic-3-12")
    if document["@timestamp"] == "T":
        document = document | {"@timestamp": "2026-11-23T18:37:18.138Z"}
    named = {"type": "logs", "dataset": "some_topic", "namespace": "default"}
    assert json.loads(found.documents[0]) == document | {"data_stream": named}


def test_json_of_others_keeps_its_very_bytes() -> None:
    """Only what it lacks stands before them: no number is written anew."""
    value = b'{"@timestamp": "x", "n": 123456789012345678901234567890, "f": 1.0}'
    (document,) = Translator(["logs-*-*"], {}).translate([FakePolled(value)], Origin("t", 3)).documents
    assert document == b'{"data_stream":{"type":"logs","dataset":"t","namespace":"default"},' + value[1:]


@pytest.mark.parametrize("time", [b'"x"', b"null"])
def test_half_a_character_does_not_make_another_record_of_it(time: bytes) -> None:
    """A cut emoji is in its place what the shipper makes of it; stream, time and numbers are what they say."""
    value = b'{"@timestamp":%b,"data_stream":{"dataset":"shop"},"n":%d,"name":"cut ' % (time, 10**30) + rb'\ud83d"}'
    found = _translate(FakePolled(value))
    assert address(found.lines[0])[0] == "logs-shop-default"
    plain = _translate(FakePolled(value.replace(rb"\ud83d", "\ufffd".encode())))
    assert json.loads(found.documents[0]) == json.loads(plain.documents[0])


@pytest.mark.parametrize("value", [rb"half \ud83d", rb'["half \ud83d"]', rb'{"half \ud83d'])
def test_half_a_character_in_a_text_stays_as_it_came(value: bytes) -> None:
    """What is no object is a message, to the letter."""
    assert json.loads(_translate(FakePolled(value)).documents[0])["message"] == value.decode()


@pytest.mark.parametrize(
    ("value", "stream"),
    [
        (b'{"data_stream":{"dataset":"shop"}}', "logs-shop-default"),
        (b'{"data_stream.dataset":"shop","data_stream":{"namespace":"eu"}}', "logs-shop-eu"),
        (b'{"data_stream.type":"metrics"}', "metrics-some_topic-default"),
        (b'{"data_stream":{"namespace":"eu"}}', "logs-some_topic-eu"),
        (b'{"data_stream":7}', "logs-some_topic-default"),
    ],
)
def test_records_of_others_choose_their_stream(value: bytes, stream: str) -> None:
    """What they say of it stays as it is, even where it is half of it; the rest is as their topic's."""
    found = Translator(["*-*-*"], {}).translate([FakePolled(value, offset=12)], Origin("Some-Topic", 3))
    assert address(found.lines[0]) == (stream, "Some-Topic-3-12")
    document = json.loads(found.documents[0])
    document.pop("@timestamp")
    assert document == json.loads(value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"plain \xff text", "not JSON: it is no UTF-8 (byte FF at 6)"),
        (b'{"a":"\xc3("}', "not JSON: it is no UTF-8 (byte C3 at 6)"),
        (b"\x00\x00\x00\x00\x2a\x02hi", "(magic byte 0, schema 42)"),
        (b"Obj\x01\x04\x14avro.codec", "an Avro file"),
        (b"\xc3\x01" + bytes(8) + b"x", "a single Avro object"),
        (b"\x0a\x05hello\x10\x01", "binary, perhaps Protobuf (byte 05 at 1)"),
        (b"text\x00", "binary, perhaps Protobuf (byte 00 at 4)"),
    ],
)
def test_what_is_no_text_is_not_made_one(value: bytes, said: str) -> None:
    """A foreign record that cannot be a message without loss is a dead letter, which says what it looks like."""
    (refusal,) = _translate(FakePolled(value)).refusals
    assert refusal.reason is Reason.JSON
    assert refusal.text.startswith("not JSON: ")
    assert said in refusal.text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"no json", "not JSON: invalid literal"),
        (b"[1]", "no JSON object, but list"),
        (b"null", "no JSON object, but null"),
        (b"\x00\x00\x00\x00\x07{}", "(magic byte 0, schema 7)"),
        (b'{"a":"x\ny"}', "not JSON: "),
        (b"[" * 100_000, "not JSON: "),
    ],
)
def test_a_record_of_ours_that_is_no_object_says_why(value: bytes, said: str) -> None:
    """In few words, with the place."""
    (refusal,) = _translate(_ours(value)).refusals
    assert said in refusal.text


def test_the_setting_of_a_topic_chooses_the_stream() -> None:
    """``indexer.streams`` names the stream of records that do not name one."""
    found = _translate(FakePolled(b"x"), streams={"t": "logs-theirs-default"})
    assert address(found.lines[0])[0] == "logs-theirs-default"


def test_foreign_json_of_any_depth_is_kept_as_text() -> None:
    """What our decoder will not read is a message, not a crash."""
    deep = b'{"a":' * 5000 + b"1" + b"}" * 5000
    assert json.loads(_translate(FakePolled(deep)).documents[0])["message"] == deep.decode()


def test_very_many_distinct_streams_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of what was found out about streams is bounded."""
    monkeypatch.setattr(documents, "_MOST_TARGETS", 100)
    translator = Translator(["logs-*-*"], {})
    for number in range(250):
        translator.translate([FakePolled(VALUE, (("t", _header(f"logs-a{number}-default")),))], ORIGIN)
    assert len(translator._targets) <= 100
    assert len(translator._plain) <= 100


_HEADERS = st.one_of(
    st.just(_header()),
    st.binary(max_size=60),
    st.builds(
        lambda flags, stream, record_id: b"1|" + flags + b"|" + stream + b"|" + record_id,
        st.sampled_from([b"", b"r"]),
        st.one_of(st.just(STREAM.encode()), st.binary(max_size=30)),
        st.one_of(st.binary(max_size=20), st.text(string.printable, max_size=20).map(str.encode)),
    ),
    st.none(),
)
_INJECTION = b'{"a":1}\n{"delete":{"_index":"logs-app-default","_id":"1"}}\n{"b":2}'
_VALUES = st.one_of(
    st.none(),
    st.just(VALUE),
    st.just(_INJECTION),
    st.binary(max_size=80),
    st.binary(max_size=80).map(lambda inner: b"{" + inner + b"}"),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    ).map(lambda tree: json.dumps(tree, indent=1).encode()),
    st.fixed_dictionaries(
        {}, optional={"@timestamp": st.none() | st.text(), "data_stream": st.dictionaries(st.text(), st.text())}
    ).map(orjson.dumps),
)
_TOPICS = st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=249)
_RECORDS = st.lists(
    st.builds(
        FakePolled,
        _VALUES,
        st.lists(st.tuples(st.sampled_from(["t", "t", "x"]), _HEADERS), max_size=2),
        timestamp=st.integers(-1, 2**62),
    ),
    max_size=5,
)


@settings(max_examples=60)
@given(_RECORDS, _TOPICS)
@example([FakePolled(_INJECTION, (("t", _header()),)), _ours(), FakePolled(_INJECTION)], "t")
@example([_ours(), FakePolled(VALUE, (("t", b'1||logs-app-default|x"}}\n{"delete":{}}\n'),))], "t")
def test_nothing_can_inject_an_action(records: list[FakePolled], topic: str) -> None:
    """Whatever headers and values say, the body is our create actions and one line for each document, no more."""
    translator = Translator(["logs-*-*"], {})
    translator.translate([_ours()], ORIGIN)
    found = translator.translate(records, Origin(topic, 0))
    assert len(found.lines) + len(found.refusals) + found.tombstones == len(records)
    body = bulk.body(found.lines, found.documents)
    lines = body.split(b"\n")
    assert len(lines) == 2 * len(found.lines) + 1
    assert lines[-1] == b""
    assert b"\r" not in body
    body.decode()
    for action, document in zip(lines[:-1:2], lines[1::2], strict=True):
        target = json.loads(action)
        assert target.keys() == {"create"}
        assert target["create"].keys() == {"_index", "_id"}
        assert target["create"]["_index"].startswith("logs-")
        assert 0 < len(target["create"]["_id"]) <= 512
        assert document.startswith(b"{")
        assert document.endswith(b"}")
