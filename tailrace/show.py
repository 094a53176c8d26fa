"""A document to the line, or lines, that a person reads. No I/O."""

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tailrace import levels

_RESET = "\x1b[0m"
_DIM = "2"
_SERVICE = "36"
_COLOURS = ((7, "97;41"), (6, "1;31"), (5, "31"), (4, "33"), (2, "32"), (0, "2"))
"""SGR codes by the least rank of a level that has them."""

_SHORT = {"critical": "CRIT", "emergency": "EMERG"}
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_INDENT = "    "


class Look(msgspec.Struct, frozen=True):
    """How lines are shown: in colour or not, times in ``zone`` (None: this machine's), with which fields at the end."""

    colour: bool = False
    zone: datetime.tzinfo | None = None
    fields: tuple[str, ...] = ()


def line(document: Mapping[str, Any], look: Look) -> str:
    """One document as time, level, service and message, with what follows (a stack trace) indented under it.

    Control characters, which could take over the terminal, are shown and never sent.
    """
    message, *rest = _texts(document)
    parts = [
        _paint(_time(document, look.zone), _DIM, look),
        _level(document, look),
        _paint(in_line(str(_service(document))).ljust(12), _SERVICE, look),
        message,
    ]
    extra = " ".join(f"{in_line(name)}={in_line(value)}" for name, value in _fields(document, look.fields))
    first = " ".join([*parts, _paint(extra, _DIM, look)] if extra else parts).rstrip()
    return "\n".join([first, *(_paint(_INDENT + text, _DIM, look) for text in rest)])


def lookup(document: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - any JSON value
    """The value of a dotted field, whether the document nests its objects or dots its keys; None if it has none."""
    if name in document:
        return document[name]
    for dot in (found.start() for found in re.finditer(r"\.", name)):
        inner = document.get(name[:dot])
        if isinstance(inner, Mapping) and (value := lookup(inner, name[dot + 1 :])) is not None:
            return value
    return None


def neutral(text: str) -> str:
    r"""A text in which control and direction characters are visible and not obeyed; line feeds and tabs stay.

    Each becomes what JSON and TOML write for it, an ESC ``\\u001b``: it can be searched for, and JSON stays the same.
    """
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def in_line(text: str) -> str:
    """As ``neutral``, of what has to stay in its line, as the name of a file, in which a line feed may be."""
    return neutral(text).replace("\n", "\\n").replace("\t", "\\t")


def _texts(document: Mapping[str, Any]) -> list[str]:
    """The message's lines, then what an error adds to them; all safe to print."""
    message = lookup(document, "message")
    if message is None:
        rest = {key: value for key, value in document.items() if key not in ("@timestamp", "ecs", "data_stream")}
        message = json.dumps(rest, ensure_ascii=False, default=str)
    whole = str(message)
    kind, reason = lookup(document, "error.type"), lookup(document, "error.message")
    stack = lookup(document, "error.stack_trace")
    stack = stack.strip("\n") if isinstance(stack, str) and stack.strip("\n") not in whole else ""
    error = ": ".join(str(part) for part in (kind, reason) if part)
    if error and str(reason or kind) not in whole + stack:
        whole += "\n" + error
    return [neutral(text) for text in (whole + ("\n" + stack if stack else "")).replace("\r\n", "\n").split("\n")]


def _time(document: Mapping[str, Any], zone: datetime.tzinfo | None) -> str:
    stamp = lookup(document, "@timestamp")
    try:
        if isinstance(stamp, int | float):
            found = datetime.datetime.fromtimestamp(stamp / 1000, datetime.UTC)
        else:
            found = datetime.datetime.fromisoformat(str(stamp))
        if found.tzinfo is None:
            found = found.replace(tzinfo=datetime.UTC)
        return found.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    except (ValueError, OverflowError, OSError):
        return in_line(str(stamp or "-")).ljust(23)


def _level(document: Mapping[str, Any], look: Look) -> str:
    name = levels.common(str(lookup(document, "log.level") or "-"))
    how_bad = levels.rank(name)
    text = in_line(_SHORT.get(name, name.upper())).ljust(5)
    if how_bad is None:
        return text
    return _paint(text, next(code for least, code in _COLOURS if how_bad >= least), look)


def _service(document: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    return lookup(document, "service.name") or lookup(document, "data_stream.dataset") or "-"


def _fields(document: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name in names:
        value = lookup(document, name)
        if value is not None:
            yield from _leaves(name, value)


def _leaves(name: str, value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any JSON value
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(f"{name}.{key}", inner)
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _paint(text: str, code: str, look: Look) -> str:
    return f"\x1b[{code}m{text}{_RESET}" if look.colour else text
