"""Fields under any names to an ECS document that no mapping can conflict with. No I/O.

Names and types are those of the Elastic Common Schema 8.11 (https://www.elastic.co/guide/en/ecs/8.11/). A field that no
ECS field claims, or whose value has the wrong type, becomes a label: text under ``labels``, numbers under
``numeric_labels``, each with the whole dotted key as its name.
"""

import ipaddress
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

import orjson

VERSION = "8.11.0"
EXACT = 2**53
"""Integers up to here survive as a double."""
_KEY_CHARACTERS = 256
_DEPTH = 16

_KEYWORDS = """
client.address client.domain client.user.name cloud.account.id cloud.availability_zone cloud.instance.id
cloud.machine.type cloud.project.id cloud.provider cloud.region container.id container.image.name container.name
destination.address destination.domain error.code
error.grouping_key error.id error.type event.action event.category event.code event.id event.kind event.module
event.outcome event.provider event.reason event.type file.name file.path http.request.body.content http.request.id
http.request.method http.request.mime_type http.request.referrer http.response.mime_type http.version
kubernetes.container.name kubernetes.namespace kubernetes.node.name kubernetes.pod.name kubernetes.pod.uid
log.origin.file.name log.origin.function log.syslog.appname
log.syslog.facility.name log.syslog.hostname log.syslog.msgid log.syslog.procid log.syslog.severity.name
log.syslog.version network.protocol network.transport network.type orchestrator.cluster.name
orchestrator.namespace orchestrator.resource.name process.command_line process.executable process.name
process.thread.name server.address server.domain service.environment service.id service.name service.node.name
service.type service.version source.address source.domain span.id tags trace.id transaction.id url.domain url.fragment
url.full url.original url.path url.query url.scheme user.email user.id user.name user_agent.name user_agent.original
user_agent.version
""".split()
_LONGS = """
client.bytes client.port destination.bytes destination.port event.duration event.sequence http.request.body.bytes
http.request.bytes http.response.body.bytes http.response.bytes http.response.status_code log.origin.file.line
log.syslog.facility.code log.syslog.priority log.syslog.severity.code
process.pid process.thread.id server.port source.bytes source.port url.port
""".split()
FIELDS: dict[str, str] = {
    **dict.fromkeys(_KEYWORDS, "keyword"),
    **dict.fromkeys(_LONGS, "long"),
    **dict.fromkeys(("client.ip", "destination.ip", "server.ip", "source.ip"), "ip"),
    **dict.fromkeys(("event.start", "event.end"), "date"),
    **dict.fromkeys(("error.message", "error.stack_trace"), "text"),
}
"""Every ECS field that a line may fill by its own name, and its type: keyword, long, ip, date or text."""

type_of = type
Claim = Callable[[Any, str, Any], bool]
"""Takes a value for a field of a document; says False, leaving the document as it was, if the value does not fit."""


class Clock(Protocol):
    """What knows how times are written."""

    def utc(self, value: object) -> str | None:
        """An RFC 3339 timestamp in UTC that Elasticsearch can hold as ``date_nanos``; None if the value is no time."""


class Document:
    """One ECS document while it is made: ``fields`` is its tree; ``claims`` says by dotted name what takes a value."""

    __slots__ = ("fields", "labels", "numbers", "times")
    claims: ClassVar[Mapping[str, Claim]]

    def __init__(self, times: Clock) -> None:
        self.times = times
        self.fields: dict[str, Any] = {}
        self.labels: dict[str, Any] = {}
        self.numbers: dict[str, Any] = {}

    def label(self, key: str, value: Any) -> None:
        """Keep a field that ECS does not know, split by type; objects are flattened, ``null`` says nothing."""
        kind = type_of(value)
        if kind is str:
            self.labels[key] = value
        elif kind is bool:
            self.labels[key] = "true" if value else "false"
        elif kind is int or kind is float:
            if -EXACT <= value <= EXACT:
                self.numbers[key] = value
            else:
                self.labels[key] = str(value)
        elif kind is dict:
            self.walk(key, value, 0)
        elif kind is list:
            self._list(key, value)

    def walk(self, path: str, tree: dict[str, Any], depth: int) -> None:
        """Take the leaves of an object, each under its dotted path."""
        claims = self.claims
        for key, value in tree.items():
            name = f"{path}.{key_of(key)}" if path else key_of(key)
            if type_of(value) is dict and value and depth < _DEPTH:
                self.walk(name, value, depth + 1)
            elif type_of(value) is dict:
                self.labels[_cut(label_of(name))] = as_text(value)
            else:
                claim = claims.get(name)
                if claim is None or not claim(self, name, value):
                    self.label(_cut(label_of(name)), value)

    def put(self, path: str, value: object) -> bool:
        """Set an ECS field by its dotted path; False if the place is taken."""
        *parents, last = path.split(".")
        place = self.fields
        for parent in parents:
            place = place.setdefault(parent, {})
        if last in place:
            return False
        place[last] = value
        return True

    def _list(self, key: str, values: list[Any]) -> None:
        kinds = {type_of(value) for value in values}
        if kinds <= {int, float} and all(-EXACT <= value <= EXACT for value in values):
            if values:
                self.numbers[key] = values
        elif kinds <= {str}:
            self.labels[key] = values
        else:
            self.labels[key] = as_text(values)


def key_of(key: str) -> str:
    """A key as a field name: not blank, not endless, without dots at its ends (Elasticsearch refuses such names)."""
    if key and len(key) <= _KEY_CHARACTERS and key[0] not in ". " and key[-1] not in ". " and ".." not in key:
        return key if key.isprintable() else "".join(char if char.isprintable() else "_" for char in key)
    parts = [part.strip() for part in key[:_KEY_CHARACTERS].split(".")]
    name = ".".join(part for part in parts if part)
    return "".join(char if char.isprintable() else "_" for char in name) or "_"


def _cut(name: str) -> str:
    return name if len(name) <= _KEY_CHARACTERS else name[:_KEY_CHARACTERS].rstrip(". ")


def as_text(value: Any) -> str:
    """A value as text: what is text stays, the rest as JSON."""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # an integer of more than 64 bits
        return json.dumps(value, ensure_ascii=False)


def label_of(name: str) -> str:
    """A dotted name as the name of a label: what a service itself put under ``labels`` keeps its own name."""
    return name.removeprefix("numeric_").removeprefix("labels.") or "_" if "labels." in name else name


def keyword(document: Document, key: str, value: Any) -> bool:
    """Takes a text, a list of texts, an integer or a truth value."""
    if type_of(value) is str:
        return document.put(key, value)
    if type_of(value) is int or type_of(value) is bool:
        return document.put(key, as_text(value))
    if type_of(value) is list and value and all(type_of(item) is str for item in value):
        return document.put(key, value)
    return False


def long(document: Document, key: str, value: Any) -> bool:
    """Takes an integer of 64 bits, also as text or as a number without a fraction."""
    if type_of(value) is str and value.isascii() and value.isdigit() and len(value) < 18:
        value = int(value)
    elif type_of(value) is float and math.isfinite(value) and value.is_integer():
        value = int(value)
    return type_of(value) is int and -(2**63) <= value < 2**63 and document.put(key, value)


def _ip(document: Document, key: str, value: Any) -> bool:
    if type_of(value) is not str or "%" in value:
        return False
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return document.put(key, value)


def _date(document: Document, key: str, value: Any) -> bool:
    time = document.times.utc(value)
    return time is not None and document.put(key, time)


def double(document: Document, key: str, value: Any) -> bool:
    """Takes a number that a double can hold."""
    is_number = type_of(value) is float or (type_of(value) is int and -EXACT <= value <= EXACT)
    return is_number and document.put(key, value)


def text(document: Document, key: str, value: Any) -> bool:
    """Takes a text."""
    return type_of(value) is str and document.put(key, value)


KINDS: dict[str, Claim] = {
    "keyword": keyword,
    "long": long,
    "double": double,
    "ip": _ip,
    "date": _date,
    "text": text,
}
"""By kind: what takes a value for a field of that kind."""
CLAIMS: dict[str, Claim] = {name: KINDS[kind] for name, kind in FIELDS.items()}
"""By dotted name: what takes a value for an ECS field."""
Document.claims = CLAIMS
