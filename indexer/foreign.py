"""A record that another program sent to its document and stream, or to why it can have none. No I/O."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from indexer import cloud_events
from indexer.cloud_events import CloudEvent, Headers
from indexer.halves import loads, whole
from indexer.mend import CannotMend, encode
from indexer.mend import decode as exactly
from indexer.no_text import why_no_text
from indexer.reasons import Reason
from tailrace.record import is_stream_part, stream_fields

_ONE_LINE = bytes.maketrans(b"\n\r", b"  ")


class Fault(NamedTuple):
    """Why there is no document."""

    reason: Reason
    text: str


def decode(value: bytes) -> dict[str, Any] | None:
    """The JSON object of a value; None if it is none, or nested beyond the decoder's limit of 1,024."""
    try:
        fields = loads(value)
    except orjson.JSONDecodeError:
        return None
    return fields if isinstance(fields, dict) else None


class Foreign(NamedTuple):
    """A record of others: its data stream, which may be none that is allowed, and its document, empty with a fault."""

    stream: str
    document: bytes
    fault: Fault | None


def foreign(
    value: bytes, headers: Headers, timestamp: int, topic: str, streams: Mapping[str, str], *, stream: str = ""
) -> Foreign:
    """What a record that another program sent says, as a CloudEvent or in its own way.

    ``timestamp`` is Kafka's, in milliseconds; ``streams`` are those of the settings, for records that name none.
    ``stream`` is that of an earlier time, which then holds.
    """
    fields = decode(value)
    event = _event_of(value, headers, fields)
    found: bytes | Fault
    if isinstance(event, CloudEvent):
        stream = stream or stream_of(topic, cloud_events.names_of(event), streams)
        found = _event(event, stream, timestamp)
    else:
        stream = stream or stream_of(topic, fields, streams)
        found = event or _document(value, fields, timestamp, stream)
    return Foreign(stream, b"", found) if isinstance(found, Fault) else Foreign(stream, found, None)


def is_event_alone(headers: Headers) -> bool:
    """Whether a record without a value is still a record: a CloudEvent that has no payload."""
    return cloud_events.is_binary(headers)


def stream_of(topic: str, fields: Mapping[str, Any] | None, streams: Mapping[str, str]) -> str:
    """The stream that a record names in ``data_stream.*``, and its topic's in what it does not name.

    ``streams`` are the settings'.
    """
    whole = streams.get(topic) or f"logs-{_dataset(topic)}-default"
    if not fields or not _names_stream(fields):
        return whole
    nested = fields.get("data_stream")
    parts: list[str] = []
    for name, default in stream_fields(whole).items():
        found = nested.get(name) if isinstance(nested, dict) else None
        found = fields.get(f"data_stream.{name}", found)
        parts.append(found if isinstance(found, str) and found else default)
    return "-".join(parts)


def why_no_object(value: bytes) -> str:
    """Why a value is not one JSON object, as far as can be said shortly."""
    if binary := why_no_text(value):
        return f"not JSON: {binary}"
    try:
        found = loads(value)
    except orjson.JSONDecodeError as error:
        return f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}, at character {error.pos}"
    if isinstance(found, dict):  # only a decoder that counts its levels otherwise takes it for none
        return "it is nested too deeply to be changed"
    return f"no JSON object, but {type(found).__name__.replace('NoneType', 'null')}"


def _document(value: bytes, fields: dict[str, Any] | None, timestamp: int, stream: str) -> bytes | Fault:
    """One line of JSON: an object as it is, with a time and its stream if it says neither; a text as ``message``.

    ``fields`` is what ``decode`` says of the value, ``timestamp`` Kafka's, in milliseconds.
    """
    time = iso(timestamp)
    if fields is None:
        return _message(value, time, stream) if time else _timeless(timestamp)
    more: dict[str, Any] = {}
    if fields.get("@timestamp") is None:
        if time is None:
            return _timeless(timestamp)
        more["@timestamp"] = time
    if not _names_stream(fields):
        more["data_stream"] = stream_fields(stream)
    value = whole(value)
    rest = value.strip()[1:].translate(_ONE_LINE)
    if "@timestamp" in more and "@timestamp" in fields:  # it is null
        try:
            return encode({**(exactly(value) or fields), **more})
        except CannotMend as error:
            return Fault(Reason.JSON, f"the value cannot be written as JSON again: {error}")
    if not more:
        return b"{" + rest
    return orjson.dumps(more)[:-1] + (b"," if fields else b"") + rest


def _event_of(value: bytes, headers: Headers, fields: Mapping[str, Any] | None) -> CloudEvent | Fault | None:
    """The CloudEvent that a record is; None if it is none, a fault if it says so and is not."""
    if fields is None and cloud_events.says_structured(headers):
        return Fault(Reason.JSON, f"a CloudEvent by its content type, but {why_no_object(value)}")
    if fields is not None and cloud_events.is_structured(fields):
        return cloud_events.structured(fields)
    if not cloud_events.is_binary(headers):
        return None
    event = cloud_events.binary(headers, value)
    return Fault(Reason.JSON, f"the payload of a CloudEvent: {why_no_object(value)}") if event is None else event


def _event(event: CloudEvent, stream: str, timestamp: int) -> bytes | Fault:
    try:
        document = cloud_events.document_of(event, stream, iso(timestamp))
        return _timeless(timestamp) if document is None else orjson.dumps(document)
    except (orjson.JSONEncodeError, RecursionError):  # nested beyond what can be written
        return Fault(Reason.JSON, "the event cannot be written as JSON again")


def _names_stream(fields: Mapping[str, Any]) -> bool:
    return any(name == "data_stream" or name.startswith("data_stream.") for name in fields)


def _message(value: bytes, time: str, stream: str) -> bytes | Fault:
    if binary := why_no_text(value):
        return Fault(Reason.JSON, f"not JSON: {binary}")
    return orjson.dumps({"@timestamp": time, "data_stream": stream_fields(stream), "message": value.decode()})


def _timeless(timestamp: int) -> Fault:
    return Fault(Reason.TIME, f"neither the record nor Kafka's timestamp {timestamp} says when it was")


def iso(milliseconds: int) -> str | None:
    """Kafka's timestamp as ISO 8601, or None if it has none or one beyond our calendar."""
    if milliseconds < 0:
        return None
    try:
        moment = datetime.fromtimestamp(math.floor(milliseconds / 1000), UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"


def _dataset(topic: str) -> str:
    """A topic's name as a dataset: lower case, dashes to underscores, at most 100 characters."""
    name = topic.lower().replace("-", "_")[:100]
    return name if is_stream_part(name) else "foreign"
