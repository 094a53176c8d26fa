"""CloudEvents to documents that no mapping can conflict with, in both modes of Kafka's binding."""

import base64
import json
from typing import Any

import pytest
from fakes import FakePolled
from hypothesis import given
from hypothesis import strategies as st

from indexer.activity import action_of
from indexer.cloud_events import Times
from indexer.dead_letters import letter
from indexer.documents import Documents, Translator, address
from indexer.mend import Mend, Set
from indexer.ownership import Origin
from indexer.reasons import Reason
from indexer.revive import Revived, Wish, revive
from tailrace import letters

ORIGIN = Origin("orders", 2)
KAFKA_TIME = "2026-11-23T18:37:18.138Z"
EVENT = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/shop/eu",
    "type": "com.example.order.placed",
    "time": "2026-11-23T19:00:00.5+01:00",
    "subject": "order/7",
    "datacontenttype": "application/json",
}


def _translate(*records: FakePolled, streams: dict[str, str] | None = None) -> Documents:
    return Translator(["logs-*-*", "metrics-*-*"], streams or {}).translate(records, ORIGIN)


def _document(record: FakePolled, stream: str = "") -> dict[str, Any]:
    found = _translate(record, streams={"orders": stream} if stream else None)
    assert found.refusals == []
    document: dict[str, Any] = json.loads(found.documents[0])
    return document


def _structured(**fields: Any) -> FakePolled:
    return FakePolled(json.dumps({**EVENT, **fields}).encode())


def _binary(value: bytes | None, kind: str = "application/json", **attributes: str) -> FakePolled:
    said = {**{name: text for name, text in EVENT.items() if name != "datacontenttype"}, **attributes}
    headers = [(f"ce_{name}", text.encode()) for name, text in said.items()]
    return FakePolled(value, [*headers, ("content-type", kind.encode())] if kind else headers)


def test_both_modes_make_the_same_document() -> None:
    """Attributes become fields of ECS, the payload fields that ECS knows, and labels; nothing else."""
    payload = {"user": {"id": "u1"}, "total": 12.5, "items": 3, "paid": True, "note": "thanks", "message": "placed"}
    wanted = {
        "@timestamp": "2026-11-23T18:00:00.5Z",
        "event": {
            "id": "e-1",
            "action": "com.example.order.placed",
            "provider": "/shop/eu",
            "kind": "event",
            "dataset": "orders",
            "created": KAFKA_TIME,
        },
        "cloudevents": {"specversion": "1.0", "subject": "order/7", "datacontenttype": "application/json"},
        "user": {"id": "u1"},
        "message": "placed",
        "data_stream": {"type": "logs", "dataset": "orders", "namespace": "default"},
        "ecs": {"version": "8.11.0"},
        "labels": {"paid": "true", "note": "thanks"},
        "numeric_labels": {"total": 12.5, "items": 3},
    }
    assert _document(_structured(data=payload)) == wanted
    assert _document(_binary(json.dumps(payload).encode())) == wanted
    headers = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
    assert _document(_structured(data=payload)._replace(headers=headers)) == wanted


@pytest.mark.parametrize("key", ["user", "event", "message", "labels", "cloudevents", "a", "@timestamp", "host"])
@pytest.mark.parametrize("value", ["text", 1, 2.5, True, [1, "x"], [{"b": 1}], {"b": {"c": 1}}, {"b": "x"}, {}])
def test_no_payload_can_be_in_the_way_of_another(key: str, value: Any) -> None:
    """A field that ECS has keeps its type; under all others only labels are new, which cannot conflict."""
    document = _document(_structured(data={key: value}))
    assert set(document) <= {"@timestamp", "event", "cloudevents", "data_stream", "ecs", "message", *_LABELS}
    assert isinstance(document.get("message", ""), str)
    assert document["event"].keys() == {"id", "action", "provider", "kind", "dataset", "created"}
    assert all(isinstance(one, str | list) for one in document.get("labels", {}).values())


_LABELS = ("labels", "numeric_labels")
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(_JSON, st.dictionaries(st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1), _JSON, max_size=4))
def test_any_payload_and_any_extension_make_a_document(payload: Any, extensions: dict[str, Any]) -> None:
    """Whatever an event holds it is one line of JSON whose labels are text and numbers."""
    found = _translate(_structured(**{**extensions, **EVENT, "data": payload}))
    assert found.refusals == []
    document = json.loads(found.documents[0])
    assert all(isinstance(one, str | list) for one in document.get("labels", {}).values())
    assert not any(isinstance(one, str | dict) for one in document.get("numeric_labels", {}).values())


def test_a_payload_cannot_replace_what_the_event_says_of_itself() -> None:
    """Its own id and kind are labels then, not lost."""
    document = _document(
        _structured(data={"event": {"id": "mine", "kind": "alert"}, "@timestamp": "2020-01-01T00:00:00Z"})
    )
    assert (document["event"]["id"], document["labels"]["event.id"]) == ("e-1", "mine")
    assert document["event"]["kind"] == "alert"
    assert (document["@timestamp"], document["labels"]["@timestamp"]) == (
        "2026-11-23T18:00:00.5Z",
        "2020-01-01T00:00:00Z",
    )
    document = _document(_structured(tenant="acme", level=1, data={"tenant": ["evil", "x"], "level": 2, "a": "b"}))
    assert document["labels"] == {"tenant": ["acme", "evil", "x"], "a": "b"}
    assert document["numeric_labels"] == {"level": [1, 2]}


def test_extensions_are_labels_and_a_trace_is_a_trace() -> None:
    """The trace of the distributed tracing extension is found under the fields of ECS."""
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    document = _document(_structured(traceparent=trace, comtenant="acme", sequence=7, data=None))
    assert document["trace"] == {"id": "4bf92f3577b34da6a3ce929d0e0e4736"}
    assert document["span"] == {"id": "00f067aa0ba902b7"}
    assert document["labels"] == {"comtenant": "acme"}
    assert document["numeric_labels"] == {"sequence": 7}
    assert _document(_structured(traceparent="odd"))["labels"] == {"traceparent": "odd"}


@pytest.mark.parametrize(
    ("time", "stamp", "label"),
    [
        ("2026-11-23T18:00:00Z", "2026-11-23T18:00:00Z", None),
        ("2026-11-23t18:00:00.1234567899z", "2026-11-23T18:00:00.123456789Z", None),
        ("yesterday", KAFKA_TIME, "yesterday"),
        ("1815-06-18T11:30:00Z", KAFKA_TIME, "1815-06-18T11:30:00Z"),
        ("2026-02-30T00:00:00Z", KAFKA_TIME, "2026-02-30T00:00:00Z"),
    ],
)
def test_a_time_that_is_none_is_kept_and_kafkas_counts(time: str, stamp: str, label: str | None) -> None:
    """The document is where people look for it, and what the event said is not lost."""
    document = _document(_structured(time=time))
    assert document["@timestamp"] == stamp
    assert document.get("labels", {}).get("time") == label


def test_without_any_time_it_is_a_dead_letter() -> None:
    """As any record of others."""
    (refusal,) = _translate(_structured(time="")._replace(timestamp=-1)).refusals
    assert refusal.reason is Reason.TIME
    assert _document(_structured()._replace(timestamp=-1))["@timestamp"] == "2026-11-23T18:00:00.5Z"
    timed = _structured(time="", data={"@timestamp": "2026-11-23T18:00:00Z"})._replace(timestamp=-1)
    assert _document(timed)["@timestamp"] == "2026-11-23T18:00:00Z"


@pytest.mark.parametrize(
    ("value", "kind", "wanted"),
    [
        (b"hello", "text/plain", {"message": "hello"}),
        (b'{"a":1}', "text/plain", {"message": '{"a":1}'}),
        (b"<a/>", "application/xml", {"message": "<a/>"}),
        (b"hello", "", {"message": "hello"}),
        (b"21.5", "application/json", {"numeric_labels": {"data": 21.5}}),
        (b"[1,2]", "application/vnd.x+json", {"numeric_labels": {"data": [1, 2]}}),
        (b'[{"a":1}]', "application/json", {"labels": {"data": '[{"a":1}]'}}),
        (b"null", "application/json", {}),
        (b"", "application/json", {}),
        (None, "application/json", {}),
    ],
)
def test_payloads_that_are_no_object(value: bytes | None, kind: str, wanted: dict[str, Any]) -> None:
    """Text is the message, the rest is a label; an event without a payload, or a value, is still stored."""
    document = _document(_binary(value, kind))
    for name in ("message", *_LABELS):
        assert document.get(name) == wanted.get(name)


def test_half_a_character_is_replaced() -> None:
    """In either mode and in base64, as in any JSON of others."""
    payload = rb'{"name":"cut \ud83d"}'
    structured = _structured(data={"name": "cut \ud83d"})
    coded = _structured(data_base64=base64.b64encode(payload).decode())
    for record in (structured, coded, _binary(payload)):
        assert _document(record)["labels"] == {"name": "cut \ufffd"}
    said = FakePolled(structured.value, [("content-type", b"application/cloudevents+json")])
    assert _document(said)["labels"] == {"name": "cut \ufffd"}


def test_base64_is_decoded_where_it_is_text() -> None:
    """What is not stays as it came."""
    coded = base64.b64encode(b'{"total":3}').decode()
    assert _document(_structured(data_base64=coded))["numeric_labels"] == {"total": 3}
    raw = base64.b64encode(b"\x00\xff").decode()
    assert _document(_structured(data_base64=raw))["cloudevents"]["data_base64"] == raw
    assert _document(_structured(data_base64="&"))["cloudevents"]["data_base64"] == "&"


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (_binary(b"\x00\x00\x00\x00\x07\x02hi", "application/avro"), "magic byte 0, schema 7"),
        (_binary(b"\x0a\x05hello\x10\x01", "application/protobuf"), "perhaps Protobuf"),
        (FakePolled(b"\xc3\x01" + bytes(9), [("content-type", b"application/cloudevents+avro")]), "single Avro object"),
        (FakePolled(b"[{}]", [("content-type", b"application/cloudevents-batch+json")]), "no JSON object, but list"),
        (FakePolled(b"text", [("Content-Type", b"application/cloudevents+json")]), "not JSON"),
    ],
)
def test_what_is_no_json_is_a_clear_dead_letter(record: FakePolled, said: str) -> None:
    """It says that it should be an event, and what it looks like."""
    (refusal,) = _translate(record).refusals
    assert refusal.reason is Reason.JSON
    assert "CloudEvent" in refusal.text
    assert said in refusal.text


@pytest.mark.parametrize("depth", [250, 300, 600, 950, 980, 1000, 1015])
def test_what_is_nested_too_deeply_is_a_document_or_a_dead_letter(depth: int) -> None:
    """It never ends the indexer: that would read it again, and so would the next one that gets the partition."""
    deep: Any = "x"
    for _ in range(depth):
        deep = [deep]
    value = b'{"x":' + b"[" * depth + b"1" + b"]" * depth + b"}"
    for record in (_binary(value), _structured(data={"x": 0})):
        whole = record.value.replace(b'{"x": 0}', value) if record.value and record.value != value else record.value
        found = _translate(record._replace(value=whole))
        assert len(found.documents) + len(found.refusals) == 1
        assert all(one.reason is Reason.JSON for one in found.refusals)


@pytest.mark.parametrize("missing", ["specversion", "id", "source", "type"])
def test_what_lacks_an_attribute_is_json_as_any_other(missing: str) -> None:
    """A service's own ``id`` and ``type`` do not make its JSON an event."""
    fields = {name: value for name, value in EVENT.items() if name != missing}
    document = _document(FakePolled(json.dumps(fields).encode()))
    document.pop("data_stream")
    assert document == {"@timestamp": KAFKA_TIME, **fields}


def test_an_event_chooses_its_stream_in_its_payload_or_by_its_topic() -> None:
    """As any record of others; the parts are said in the document."""
    record = _structured(data={"data_stream": {"dataset": "pay", "namespace": "eu"}, "a": 1})
    found = _translate(record)
    assert address(found.lines[0]) == ("logs-pay-eu", "orders-2-0")
    document = json.loads(found.documents[0])
    assert document["data_stream"] == {"type": "logs", "dataset": "pay", "namespace": "eu"}
    assert document["numeric_labels"] == {"a": 1}
    assert "labels" not in document
    assert (
        address(_translate(_structured(), streams={"orders": "metrics-pay-default"}).lines[0])[0]
        == "metrics-pay-default"
    )
    (refusal,) = _translate(_structured(data={"data_stream": {"type": "traces", "dataset": "x"}})).refusals
    assert (refusal.reason, refusal.stream) == (Reason.STREAM, "traces-x-default")


def test_a_refused_event_without_a_value_is_a_letter_all_the_same() -> None:
    """A dead letter without a value would be passed over by all that read letters."""
    record = _binary(None)._replace(timestamp=-1)
    record = record._replace(headers=[one for one in record.headers if one[0] != "ce_time"])
    (refusal,) = _translate(record).refusals
    sent = letter(refusal, 1)
    found = letters.read(0, FakePolled(sent.value, sent.headers))
    assert isinstance(found, letters.Letter)
    assert found.reason == "time"


def _revived(record: FakePolled, *mends: Mend, as_text: bool = False) -> tuple[str, dict[str, Any]]:
    """The header and the document of the record that a replay sends in place of a refused one."""
    (refusal,) = _translate(record).refusals
    sent = letter(refusal, 1)
    found = letters.read(0, FakePolled(sent.value, sent.headers))
    assert isinstance(found, letters.Letter)
    again = revive(found, mends, Wish(streams={}, as_text=as_text))
    assert isinstance(again, Revived)
    (plain,) = _translate(FakePolled(again.value, again.headers)).documents
    assert plain == again.value
    return again.headers[0][1].decode(), json.loads(again.value)


@pytest.mark.parametrize("record", [_structured(data={"a": 1}), _binary(b'{"a":1}')])
def test_a_replayed_event_is_the_document_that_it_would_have_been(record: FakePolled) -> None:
    """Its attributes are not lost with the headers, and the flag says that it may be stored already."""
    moved = Set("data.data_stream.dataset", "pay") if not record.headers else Set("data_stream.dataset", "pay")
    value = json.loads(record.value or b"")
    (value.get("data", value))["data_stream"] = {"dataset": "Not Valid"}
    header, document = _revived(record._replace(value=json.dumps(value).encode()), moved)
    assert header == "1|r|logs-pay-default|orders-2-0"
    wanted = _document(record, "logs-pay-default")
    assert document == wanted


def test_what_was_no_json_can_be_replayed_as_text() -> None:
    """It is the message of its event, whatever type its content had."""
    header, document = _revived(_binary(b"\xff\x00", "application/avro"), as_text=True)
    assert header == "1|r|logs-orders-default|orders-2-0"
    assert (document["message"], document["event"]["id"]) == ("\ufffd\x00", "e-1")


PLAY = {
    "user": {"id": "u1"},
    "session": {"id": "s1", "start": "2026-11-23T17:00:00Z"},
    "content": {"id": "c1", "title": "Dune", "season": 2},
    "device": {"id": "d1", "type": "tv", "model": {"name": "X9"}},
    "position_seconds": 61,
    "rating": 4.5,
    "mood": "fine",
}


def test_activity_keeps_its_fields() -> None:
    """In an activity stream the fields of its template are themselves, others still labels."""
    document = _document(_structured(type="com.example.player.Seek.v2", data=PLAY), "logs-activity.web-default")
    for name in ("user", "session", "content", "device", "position_seconds", "rating"):
        assert document[name] == PLAY[name]
    assert document["action"] == "seek"
    assert document["labels"] == {"mood": "fine"}
    said = _document(_structured(data={"action": "rate"}), "logs-activity.web-default")
    assert said["action"] == "rate"
    assert "position_seconds" not in _document(_structured(data=PLAY))


@pytest.mark.parametrize(
    ("kind", "action"),
    [("play", "play"), ("com.example.pause.v1", "pause"), ("a/b/Stop", "stop"), ("v1", ""), ("", "")],
)
def test_the_action_of_a_type(kind: str, action: str) -> None:
    """Its last word that is no version."""
    assert action_of(kind) == action


@pytest.mark.parametrize("value", [None, 3, "", "2026-11-23", "2026-11-23T18:00:00", "٢026-11-23T18:00:00Z"])
def test_what_is_no_time_of_an_event(value: object) -> None:
    """RFC 3339 has a date, a time and an offset."""
    assert Times().utc(value) is None
