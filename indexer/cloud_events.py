"""A CloudEvent in a record of Kafka's to an ECS document. No I/O.

Both modes of the Kafka protocol binding (CloudEvents 1.0.2) are known: *structured*, where the value is a JSON object
with the attributes and the payload under ``data``; and *binary*, where headers ``ce_…`` are the attributes and the
value is the payload.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple

import orjson

from indexer import activity
from indexer.halves import loads
from indexer.no_text import why_no_text
from tailrace import ecs
from tailrace.record import stream_fields

Headers = Sequence[tuple[str, bytes]]

_PREFIX = "ce_"
_STRUCTURED = "application/cloudevents"
_REQUIRED = ("id", "source", "specversion", "type")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}.*", re.ASCII | re.DOTALL)
_YEARS = range(1970, 2262)
"""What ``date_nanos`` of Elasticsearch can hold."""
OWN = {
    "id": "event.id",
    "type": "event.action",
    "source": "event.provider",
    "specversion": "cloudevents.specversion",
    "subject": "cloudevents.subject",
    "datacontenttype": "cloudevents.datacontenttype",
    "dataschema": "cloudevents.dataschema",
}
"""The attributes' fields. Not ``event.type``: of that ECS allows only a few words."""


class CloudEvent(NamedTuple):
    """One event: its attributes by name, extensions included, and its payload, any JSON value or a text.

    ``encoded`` is base64 of a payload that is neither; empty if there is none.
    """

    attributes: Mapping[str, Any]
    payload: Any = None
    encoded: str = ""


class Times:
    """Times as CloudEvents have them (RFC 3339) in UTC."""

    def utc(self, value: object) -> str | None:
        """The time, with as many digits of a second as were given; None if it is none that Elasticsearch can hold."""
        found = _TIME.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            return None
        try:
            time = datetime.fromisoformat(found[1].upper() + found[3].upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            return None
        fraction = f".{found[2]}" if found[2] else ""
        return f"{time:%Y-%m-%dT%H:%M:%S}{fraction}Z" if time.year in _YEARS else None


class _Document(ecs.Document):
    """A document of an event; its payload may have all fields of ECS that a line of a log may have."""

    claims: ClassVar[Mapping[str, ecs.Claim]] = {
        **ecs.CLAIMS,
        **dict.fromkeys(("host.name", "log.level", "log.logger"), ecs.KINDS["keyword"]),
        "message": ecs.KINDS["text"],
        "@timestamp": ecs.KINDS["date"],
    }


class _Activity(ecs.Document):
    """The same of what a person did."""

    claims: ClassVar[Mapping[str, ecs.Claim]] = {
        **_Document.claims,
        **{name: ecs.KINDS[kind] for name, kind in activity.FIELDS.items()},
    }


def is_binary(headers: Headers) -> bool:
    """Whether a record is an event in binary mode; its value may then be anything, or nothing."""
    return any(name.lower() == "ce_specversion" for name, _ in headers)


def says_structured(headers: Headers) -> bool:
    """Whether a record's content type is that of structured mode; its value should then be a JSON object."""
    return _content_type(headers).lower().startswith(_STRUCTURED)


def is_structured(fields: Mapping[str, Any]) -> bool:
    """Whether a JSON object has all attributes that an event must have."""
    return all(isinstance(fields.get(name), str) and fields[name] for name in _REQUIRED)


def structured(fields: Mapping[str, Any]) -> CloudEvent:
    """The event in a JSON object."""
    attributes = {name: value for name, value in fields.items() if name not in ("data", "data_base64")}
    encoded = fields.get("data_base64")
    if not isinstance(encoded, str):
        return CloudEvent(attributes, fields.get("data"))
    try:
        whole = base64.b64decode(encoded, validate=True)
        return CloudEvent(attributes, _payload(whole, str(attributes.get("datacontenttype") or "")))
    except ValueError:
        return CloudEvent(attributes, None, encoded)


def binary(headers: Headers, value: bytes) -> CloudEvent | None:
    """The event in headers and a value; None if the value is neither JSON nor text."""
    attributes: dict[str, Any] = {
        name[len(_PREFIX) :].lower(): (said or b"").decode("utf-8", "replace")
        for name, said in headers
        if name.lower().startswith(_PREFIX)
    }
    kind = _content_type(headers)
    if kind:
        attributes["datacontenttype"] = kind
    if not value:
        return CloudEvent(attributes)
    try:
        return CloudEvent(attributes, _payload(value, kind))
    except ValueError:
        return None


def with_json(headers: Headers) -> Headers:
    """The headers of a record whose value has become JSON, whatever it was before."""
    if _is_json(_content_type(headers)):
        return headers
    return [(name, said) for name, said in headers if not _is_type(name)]


def names_of(event: CloudEvent) -> Mapping[str, Any]:
    """Where an event may name its data stream: its payload, if that is an object."""
    return event.payload if isinstance(event.payload, dict) else {}


def document_of(event: CloudEvent, stream: str, received: str | None) -> dict[str, Any] | None:
    """The document of an event for a data stream; ``received`` is Kafka's time. None if no time is known."""
    document: ecs.Document = _Activity(Times()) if activity.is_activity(stream) else _Document(Times())
    attributes = dict(event.attributes)
    time = document.times.utc(attributes.get("time"))
    if time is not None:
        document.put("@timestamp", time)
        del attributes["time"]
    for name, value in attributes.items():
        _attribute(document, name, value)
    _fill(document, event, stream)
    if "@timestamp" not in document.fields:
        if received is None:
            return None
        document.put("@timestamp", received)
    return _finished(document, stream, received)


def _attribute(document: ecs.Document, name: str, value: Any) -> None:  # noqa: ANN401 - any JSON value
    field = OWN.get(name)
    if field is not None and ecs.keyword(document, field, value):
        return
    trace = _TRACE.fullmatch(value) if name == "traceparent" and isinstance(value, str) else None
    if trace is not None:
        document.put("trace.id", trace[1])
        document.put("span.id", trace[2])
    else:
        document.label(ecs.label_of(ecs.key_of(name)), value)


def _fill(document: ecs.Document, event: CloudEvent, stream: str) -> None:
    """The payload, after the attributes, which it cannot replace: a label of both has both values."""
    said_before = {**document.labels}, {**document.numbers}
    if isinstance(event.payload, dict):
        said = {name: value for name, value in event.payload.items() if name.partition(".")[0] != "data_stream"}
        document.walk("", said, 0)
    elif isinstance(event.payload, str):
        document.put("message", event.payload)
    else:
        document.label("data", event.payload)
    if event.encoded:
        document.put("cloudevents.data_base64", event.encoded)
    if activity.is_activity(stream) and "action" not in document.fields:
        action = activity.action_of(str(event.attributes.get("type") or ""))
        if action:
            document.put("action", action)
    for before, now in zip(said_before, (document.labels, document.numbers), strict=True):
        now |= {name: [*_list(value), *_list(now[name])] for name, value in before.items() if now[name] != value}


def _list(value: Any) -> list[Any]:  # noqa: ANN401 - what a label has
    return value if isinstance(value, list) else [value]


def _finished(document: ecs.Document, stream: str, received: str | None) -> dict[str, Any]:
    named = stream_fields(stream)
    document.put("event.kind", "event")
    document.put("event.dataset", named["dataset"])
    if received is not None:
        document.put("event.created", received)
    fields = document.fields
    fields["data_stream"] = named
    fields["ecs"] = {"version": ecs.VERSION}
    if document.labels:
        fields["labels"] = document.labels
    if document.numbers:
        fields["numeric_labels"] = document.numbers
    return fields


def _payload(value: bytes, kind: str) -> Any:  # noqa: ANN401 - any JSON value, or text
    """A payload by its content type, which may be empty.

    Raises:
        ValueError: it is neither JSON nor text.
    """
    if not kind or _is_json(kind):
        try:
            return loads(value)
        except orjson.JSONDecodeError:
            pass
    if why_no_text(value):
        raise ValueError
    return value.decode()


def _is_json(kind: str) -> bool:
    return kind.partition(";")[0].strip().lower().endswith(("/json", "+json"))


def _content_type(headers: Headers) -> str:
    return next((said.decode("utf-8", "replace").strip() for name, said in headers if _is_type(name) and said), "")


def _is_type(name: str) -> bool:
    return name.lower() in ("content-type", "ce_datacontenttype")
