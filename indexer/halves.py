"""JSON with half a character in a text, as of an emoji that was cut, to the same JSON without. No I/O."""

import re
from typing import Any

import orjson

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
"""An escape; in its group is one that has not the other half beside it."""


def whole(value: bytes) -> bytes:
    """The same JSON with a replacement character for each half, as the shipper has it; all else stays as written."""
    if not _SURROGATE.search(value):
        return value
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], value)


def loads(value: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """What JSON says, in whole characters.

    Raises:
        orjson.JSONDecodeError: it is no JSON, or nested beyond the decoder's limit of 1,024.
    """
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        found = whole(value)
        if found == value:
            raise
        return orjson.loads(found)
