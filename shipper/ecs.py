"""What a line said, under whatever names, to the fields of an ECS document. No I/O.

Names and types are those of the Elastic Common Schema 8.11 (https://www.elastic.co/guide/en/ecs/8.11/). A field that no
ECS field claims, or whose value has the wrong type, becomes a label: text under ``labels``, numbers under
``numeric_labels``, each with the whole dotted key as its name. So nothing that a service writes can conflict with a
mapping.
"""

import ipaddress
import json
import math
from collections.abc import Callable
from typing import Any

import orjson

from shipper.times import Times

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

ALIASES: dict[str, tuple[str, ...]] = {
    "time": ("@timestamp", "timestamp", "time", "ts", "asctime"),
    "message": ("message", "msg", "event"),
    "level": ("log.level", "level", "severity", "levelname", "lvl", "loglevel"),
    "logger": ("log.logger", "logger", "logger_name", "name"),
    "service.name": ("service.name", "service", "app"),
    "trace.id": ("trace.id", "trace_id", "traceId", "traceid", "dd.trace_id"),
    "span.id": ("span.id", "span_id", "spanId", "spanid", "dd.span_id"),
    "transaction.id": ("transaction.id", "transaction_id", "transactionId"),
    "error": ("error", "err"),
    "stack": ("error.stack_trace", "stack_trace", "stacktrace", "exc_info", "exception", "stack"),
}
"""What services call the fields that matter most, the name that wins first."""

_LEVELS = {
    "warning": "warn",
    "err": "error",
    "information": "info",
    "informational": "info",
    "crit": "critical",
    "emerg": "emergency",
    10: "trace",
    20: "debug",
    30: "info",
    40: "warn",
    50: "error",
    60: "fatal",
}
"""Names of levels that differ from the common one, and the numbers of pino and bunyan."""

type_of = type
Claim = Callable[["Document", str, Any], bool]
"""Takes a value for a field; says False, leaving the document as it was, if the value does not fit."""


class Document:
    """One ECS document while it is made: ``fields`` is its tree; ``log`` stands apart, the reader completes it."""

    __slots__ = ("fields", "flags", "labels", "log", "numbers", "times")

    def __init__(self, times: Times) -> None:
        self.times = times
        self.fields: dict[str, Any] = {}
        self.log: dict[str, Any] = {}
        self.labels: dict[str, Any] = {}
        self.numbers: dict[str, Any] = {}
        self.flags: list[str] = []

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
        for key, value in tree.items():
            name = f"{path}.{key_of(key)}" if path else key_of(key)
            if type_of(value) is dict and value and depth < _DEPTH:
                self.walk(name, value, depth + 1)
            elif type_of(value) is dict:
                self.labels[label_of(name)[:_KEY_CHARACTERS]] = as_text(value)
            else:
                claim = CLAIMS.get(name)
                if claim is None or not claim(self, name, value):
                    self.label(label_of(name)[:_KEY_CHARACTERS], value)

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


def as_text(value: Any) -> str:
    """A value as text: what is text stays, the rest as JSON."""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # an integer of more than 64 bits
        return json.dumps(value, ensure_ascii=False)


def level_of(value: Any) -> str | None:
    """A level in lower case under its common name; the numbers of pino and bunyan become words; None if it is none."""
    if type_of(value) is str:
        level = value.strip().lower()
        return _LEVELS.get(level, level)[:32] or None
    if type_of(value) is int:
        return _LEVELS.get(value, str(value))
    return None


def _time(document: Document, _key: str, value: Any) -> bool:
    if "@timestamp" in document.fields:
        return False
    time = document.times.utc(value)
    if time is None:
        document.flags.append("time")
        return False
    document.fields["@timestamp"] = time
    return True


def _message(document: Document, key: str, value: Any) -> bool:
    if "message" in document.fields or value is None:
        return False
    if type_of(value) is str:
        document.fields["message"] = value
        return True
    if key == "event" or type_of(value) is dict:
        return False
    document.fields["message"] = as_text(value)
    return True


def _level(document: Document, _key: str, value: Any) -> bool:
    level = level_of(value)
    if level is None or "level" in document.log:
        return False
    document.log["level"] = level
    return True


def _logger(document: Document, _key: str, value: Any) -> bool:
    if type_of(value) is not str or "logger" in document.log:
        return False
    document.log["logger"] = value
    return True


def _error(document: Document, _key: str, value: Any) -> bool:
    """``error`` itself: its text, or an object under whatever names loggers use for its parts."""
    if type_of(value) is str:
        return document.put("error.message", value)
    if type_of(value) is not dict:
        return False
    for key, inner in value.items():
        path = _ERROR_PARTS.get(key)
        if path is None or not CLAIMS[path](document, path, inner):
            document.walk("", {f"error.{key_of(key)}": inner}, 1)
    return True


_ERROR_PARTS = {
    "message": "error.message",
    "msg": "error.message",
    "type": "error.type",
    "name": "error.type",
    "kind": "error.type",
    "class": "error.type",
    "code": "error.code",
    "id": "error.id",
    "stack": "error.stack_trace",
    "stacktrace": "error.stack_trace",
    "stack_trace": "error.stack_trace",
}


def _stack(document: Document, _key: str, value: Any) -> bool:
    """A stack trace as text, or as the list of exceptions that structlog writes."""
    if type_of(value) is str:
        return document.put("error.stack_trace" if "\n" in value else "error.message", value)
    if type_of(value) is dict:
        return _error(document, "error", value)
    if type_of(value) is list and value and all(type_of(item) is dict for item in value):
        if type_of(value[0].get("exc_type")) is str:
            document.put("error.type", value[0]["exc_type"])
            document.put("error.message", as_text(value[0].get("exc_value", "")))
        return document.put("error.stack_trace", as_text(value))
    return False


def _keyword(document: Document, key: str, value: Any) -> bool:
    if type_of(value) is str:
        return document.put(key, value)
    if type_of(value) is int or type_of(value) is bool:
        return document.put(key, as_text(value))
    if type_of(value) is list and value and all(type_of(item) is str for item in value):
        return document.put(key, value)
    return False


def _long(document: Document, key: str, value: Any) -> bool:
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


def _text(document: Document, key: str, value: Any) -> bool:
    return type_of(value) is str and document.put(key, value)


def _named(path: str) -> Claim:
    """Takes a value under an alias for the keyword field ``path``."""
    return lambda document, _key, value: _keyword(document, path, value)


_NAMED = {path: _named(path) for path in ("service.name", "trace.id", "span.id", "transaction.id")}
_ROLES: dict[str, Claim] = {
    **_NAMED,
    "time": _time,
    "message": _message,
    "level": _level,
    "logger": _logger,
    "error": _error,
    "stack": _stack,
}
_KINDS: dict[str, Claim] = {"keyword": _keyword, "long": _long, "ip": _ip, "date": _date, "text": _text}
CLAIMS: dict[str, Claim] = {name: _KINDS[kind] for name, kind in FIELDS.items()}
"""By dotted name: what takes a value for an ECS field, and says False if the value does not fit it."""
CLAIMS |= {"@timestamp": _time, "message": _message, "log.level": _level, "log.logger": _logger}
CLAIMS["fields.message"] = _message
"""Rust's tracing puts it there."""
TIME, LEVEL = _time, _level
TEXTS = frozenset({_message, _logger, _error, _keyword, _text, *_NAMED.values()})
"""What takes any text of one line as it stands."""
INTEGERS = frozenset({_message, _keyword, _long, *_NAMED.values()})
"""What takes any integer as it stands."""


def plan(keys: tuple[str, ...]) -> list[tuple[Claim | None, str]]:
    """For the top-level keys of an object: who takes each value (None: it is a label), and under which name.

    Of several keys for the same role the first in ``ALIASES`` wins; the others become labels.
    """
    winners = {next(name for name in names if name in keys): role for role, names in _roles_in(keys)}
    return [(_ROLES[winners[key]] if key in winners else CLAIMS.get(key), label_of(key_of(key))) for key in keys]


def label_of(name: str) -> str:
    """A dotted name as the name of a label: what a service itself put under ``labels`` keeps its own name."""
    return name.removeprefix("numeric_").removeprefix("labels.") or "_" if "labels." in name else name


def _roles_in(keys: tuple[str, ...]) -> list[tuple[str, tuple[str, ...]]]:
    return [(role, names) for role, names in ALIASES.items() if not set(names).isdisjoint(keys)]
