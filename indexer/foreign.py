"""A record that another program sent to its document and stream, or to why it can have none. No I/O."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from indexer.reasons import Reason
from tailrace.record import is_stream_part

_ONE_LINE = bytes.maketrans(b"\n\r", b"  ")
_BINARY = re.compile(rb"[\x00-\x07\x0b\x0e-\x1a\x1c-\x1f]")
"""What no text has: control characters other than white space, backspace and escape, which colours begin with."""


class Fault(NamedTuple):
    """Why there is no document."""

    reason: Reason
    text: str


def decode(value: bytes) -> dict[str, Any] | None:
    """The JSON object of a value; None if it is none, or nested beyond the decoder's limit of 1,024."""
    try:
        fields = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    return fields if isinstance(fields, dict) else None


def document_of(value: bytes, fields: Mapping[str, Any] | None, timestamp: int) -> bytes | Fault:
    """One line of JSON: an object as it is, with a time if it has none; a text as the ``message`` of one.

    ``fields`` is what ``decode`` says of the value, ``timestamp`` Kafka's, in milliseconds.
    """
    time = iso(timestamp)
    if fields is None:
        return _message(value, time) if time else _timeless(timestamp)
    if fields.get("@timestamp") is not None:
        return value.strip().translate(_ONE_LINE)
    if time is None:
        return _timeless(timestamp)
    if "@timestamp" in fields:
        try:
            return orjson.dumps({**fields, "@timestamp": time})
        except orjson.JSONEncodeError:  # nested beyond its limit of 254
            return Fault(Reason.JSON, "the value cannot be written as JSON again")
    rest = value.strip()[1:].translate(_ONE_LINE)
    return b'{"@timestamp":"' + time.encode() + (b'",' if fields else b'"') + rest


def stream_of(topic: str, fields: Mapping[str, Any] | None, streams: Mapping[str, str]) -> str:
    """The stream that a record names in ``data_stream.*``, else its topic's; ``streams`` are the settings'."""
    nested = fields.get("data_stream") if fields else None
    parts: list[str] = []
    for name, default in (("type", "logs"), ("dataset", ""), ("namespace", "default")):
        found = nested.get(name) if isinstance(nested, dict) else None
        found = fields.get(f"data_stream.{name}", found) if fields else found
        parts.append(found if isinstance(found, str) and found else default)
    if parts[1]:
        return "-".join(parts)
    return streams.get(topic) or f"logs-{_dataset(topic)}-default"


def why_no_object(value: bytes) -> str:
    """Why a value is not one JSON object, as far as can be said shortly."""
    if binary := _binary(value):
        return f"not JSON: {binary}"
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        return f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}, at character {error.pos}"
    return f"no JSON object, but {type(found).__name__.replace('NoneType', 'null')}"


def _message(value: bytes, time: str) -> bytes | Fault:
    if binary := _binary(value):
        return Fault(Reason.JSON, f"not JSON: {binary}")
    return orjson.dumps({"@timestamp": time, "message": value.decode()})


def _timeless(timestamp: int) -> Fault:
    return Fault(Reason.TIME, f"neither the record nor Kafka's timestamp {timestamp} says when it was")


def _binary(value: bytes) -> str:
    """What a value is that is no text; empty if it is text."""
    if value[:1] == b"\x00" and len(value) > 5:
        schema = int.from_bytes(value[1:5], "big")
        return f"it begins as a schema registry's Avro, Protobuf or JSON does (magic byte 0, schema {schema})"
    if value.startswith(b"Obj\x01"):
        return "it begins as an Avro file does (Obj, 1)"
    if value.startswith(b"\xc3\x01"):
        return "it begins as a single Avro object does (bytes C3 01)"
    if found := _BINARY.search(value):
        return f"it is binary, perhaps Protobuf (byte {value[found.start()]:02X} at {found.start()})"
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return f"it is no UTF-8 (byte {value[error.start]:02X} at {error.start})"
    return ""


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
