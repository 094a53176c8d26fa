"""What a line said, under whatever names, to the fields of an ECS document. No I/O.

Names and types are those of the Elastic Common Schema 8.11 (https://www.elastic.co/guide/en/ecs/8.11/). A field that no
ECS field claims, or whose value has the wrong type, becomes a label: text under ``labels``, numbers under
``numeric_labels``, each with the whole dotted key as its name. So nothing that a service writes can conflict with a
mapping.
"""

from typing import Any

from shipper.times import Times
from tailrace import ecs
from tailrace.ecs import EXACT, FIELDS, VERSION, Claim, as_text, key_of, keyword, label_of, text, type_of

__all__ = ["EXACT", "FIELDS", "VERSION", "Claim", "as_text", "key_of", "label_of"]

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
    "severe": "error",
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


class Document(ecs.Document):
    """One ECS document while it is made; ``log`` stands apart, the reader completes it."""

    __slots__ = ("flags", "log")
    times: Times

    def __init__(self, times: Times) -> None:
        super().__init__(times)
        self.log: dict[str, Any] = {}
        self.flags: list[str] = []


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


def _named(path: str) -> Claim:
    """Takes a value under an alias for the keyword field ``path``."""
    return lambda document, _key, value: keyword(document, path, value)


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
CLAIMS: dict[str, Claim] = dict(ecs.CLAIMS)
"""By dotted name: what takes a value for an ECS field, and says False if the value does not fit it."""
CLAIMS |= {"@timestamp": _time, "message": _message, "log.level": _level, "log.logger": _logger}
CLAIMS["fields.message"] = _message
"""Rust's tracing puts it there."""
Document.claims = CLAIMS
TIME, LEVEL = _time, _level
TEXTS = frozenset({_message, _logger, _error, keyword, text, *_NAMED.values()})
"""What takes any text of one line as it stands."""
INTEGERS = frozenset({_message, keyword, ecs.long, *_NAMED.values()})
"""What takes any integer as it stands."""


def plan(keys: tuple[str, ...]) -> list[tuple[Claim | None, str]]:
    """For the top-level keys of an object: who takes each value (None: it is a label), and under which name.

    Of several keys for the same role the first in ``ALIASES`` wins; the others become labels.
    """
    winners = {next(name for name in names if name in keys): role for role, names in _roles_in(keys)}
    return [(_ROLES[winners[key]] if key in winners else CLAIMS.get(key), label_of(key_of(key))) for key in keys]


def _roles_in(keys: tuple[str, ...]) -> list[tuple[str, tuple[str, ...]]]:
    return [(role, names) for role, names in ALIASES.items() if not set(names).isdisjoint(keys)]
