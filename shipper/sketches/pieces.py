"""Pieces of lines that several formats share: patterns, and how they become members of a document. No I/O."""

import orjson

from shipper import ecs
from shipper.sketch import Iso, Turn
from shipper.times import Times

REST = rb"((?:[^\\]++|\\[^n])*+)"
"""Whatever follows, to the end of the line."""
SECOND = rb"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)"


def level(text: str, _times: Times) -> str | None:
    """A member of ``log``, under the level's common name."""
    name = ecs.level_of(text)
    return None if name is None else f'"level":{orjson.dumps(name).decode()},'


def time(second: int, fraction: int, zone: int) -> tuple[bytes | Iso, ...]:
    """The member ``@timestamp`` from the numbers of three groups."""
    return b'"@timestamp":"', Iso(second, fraction, zone), b'",'


def said(before: str, after: str = '",') -> Turn:
    """A turn of a text without white space at its ends into part of an object; of nothing, into nothing."""

    def turn(text: str, _times: Times) -> str | None:
        if text in ("", "-"):
            return ""
        return before + text + after if text.strip() == text else None

    return turn
