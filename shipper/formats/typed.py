"""What a person's own format found in a line, by fields that they named, to the document. No I/O."""

import math
import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from shipper import ecs
from shipper.columns import is_utf8
from shipper.formats.fill import fill, finish, finish_untimed, text_of

Kind = Literal["text", "integer", "number"]
_TIMES = ("time", "timestamp", "@timestamp")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


class Field(NamedTuple):
    """A field that ECS knows takes what fits it; another is a label, of that kind."""

    name: str
    kind: Kind
    is_time: bool


def field_of(name: str, kind: Kind = "text") -> Field:
    """A field by the name that a person gave it."""
    known = name if name in ecs.CLAIMS else ecs.label_of(ecs.key_of(name))
    return Field(known, kind, name in _TIMES)


def raw_of(line: bytes) -> bytes:
    """A line as patterns take it: UTF-8, without the CR of its delimiter.

    Bytes, since the library that matches them would count out the place of every group anew in a text.
    """
    return line.removesuffix(b"\r") if is_utf8(line) else text_of(line).encode()


def fill_groups(
    document: ecs.Document,
    line: bytes,
    raw: bytes,
    groups: Iterable[tuple[Field, bytes | None]],
    time_format: str,
) -> bool:
    """As ``fill_all``, of what the groups of a pattern matched in ``raw``."""
    pairs = ((field, value.decode("utf-8", "replace")) for field, value in groups if value)
    return fill_all(document, line, raw.decode(), pairs, time_format)


def fill_all(
    document: ecs.Document, line: bytes, text: str, pairs: Iterable[tuple[Field, str | None]], time_format: str
) -> bool:
    """Set each field, the time, and the message where none of them is it; True.

    Of several values for one field the first counts that says something.
    """
    time = ""
    for field, value in pairs:
        if not value:
            continue
        if field.is_time:
            time = time or value
        elif field.kind == "text" or field.name in ecs.CLAIMS:
            fill(document, ((field.name, value),))
        else:
            document.label(field.name, _number(value, field.kind))
    document.fields.setdefault("message", text)
    if not time:
        return finish_untimed(document, line)
    times = document.times
    return finish(document, line, times.by_format(time, time_format) if time_format else times.of_text(time))


def _number(text: str, kind: Kind) -> int | float | str:
    """A number where the text is one of that kind that JSON can hold; else the text, which is another label."""
    if not _NUMBER.fullmatch(text.strip()):
        return text
    value = float(text)
    if not math.isfinite(value):
        return text
    if kind == "number":
        return value
    return int(value) if value.is_integer() and abs(value) <= ecs.EXACT else text
