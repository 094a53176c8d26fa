"""Lines of one JSON shape to documents, column by column. No I/O.

All the first values of a chunk's lines are looked at together, then all the second: a few calls for each key, not for
each line. A value is JSON as it was written, quotes included, and copied as it stands once it is known to be what it
seems.
"""

import re
from collections.abc import Sequence
from itertools import repeat
from typing import Any

import msgspec

from tailrace.causes import NO_JSON

Decoder = msgspec.json.Decoder[Any]
Column = Sequence[Any]
"""The values of one key, each ``bytes`` or ``msgspec.Raw``; None where a line lacks the key."""

_DIGITS = bytes(0x31 if 0x30 <= byte <= 0x39 else 0x30 if byte == 1 else byte for byte in range(256))


def decoder(keys: Sequence[str]) -> Decoder:
    """A decoder of objects to the values of these keys, in this order.

    Hazard: it does not tell of keys that are not among them, and takes the last of several that are the same.
    """
    fields = [(f"f{number}", msgspec.Raw, None) for number in range(len(keys))]
    names = {f"f{number}": key for number, key in enumerate(keys)}
    return msgspec.json.Decoder(msgspec.defstruct("Line", fields, rename=names, gc=False))


def is_flat(together: bytes, lines: int) -> bool:
    """Whether in so many objects there can be no other, and no array (texts with brackets make it say no, too)."""
    return b"[" not in together and together.count(b"{") == lines


def decode(by: Decoder, lines: list[bytes], together: bytes) -> list[tuple[Any, ...] | None]:
    """The values of each line (``together`` joins them with line feeds); None for one that is no object by itself.

    All lines at once, if each begins and ends as an object does: then none can go on in the next, since nothing that
    is JSON has a brace that closes, a line feed and a brace that opens inside it.
    """
    if together[-1:] == b"\r":
        together = together[:-1].replace(b"}\r\n", b"}\n")
    bounded = together[:1] == b"{" and together[-1:] == b"}" and together.count(b"}\n{") == len(lines) - 1
    if bounded and is_utf8(together):
        try:
            found = by.decode_lines(together)
        except NO_JSON:
            found = []
        if len(found) == len(lines):
            return list(map(msgspec.structs.astuple, found))
    return [_decode(by, line) for line in lines]


def _decode(by: Decoder, line: bytes) -> tuple[Any, ...] | None:
    if line[:1] != b"{" or not is_utf8(line):
        return None
    try:
        return msgspec.structs.astuple(by.decode(line))
    except NO_JSON:
        return None


class Check:
    """Whether the values of a column match a pattern; without one, whether they are texts.

    The pattern must tell digits apart only by whether a leading one is 0. So values with the same mask (a 1 for each
    digit, but for a leading 0) need to be matched only once, ever: a column of thousands has a few.
    """

    def __init__(self, pattern: bytes | None = None) -> None:
        self._match = re.compile(pattern).fullmatch if pattern is not None else None
        self._good: set[bytes] = set()

    def good(self, column: Column) -> list[bool] | None:
        """Which values are there and match; None if all of them do."""
        try:
            together = b"\n".join(column)
        except TypeError:  # one is None
            return [value is not None and self.good([value]) is None for value in column]
        return self._texts(column, together) if self._match is None else self._matching(together)

    def _texts(self, column: Column, together: bytes) -> list[bool] | None:
        if together[:1] == together[-1:] == b'"' and together.count(b'"\n"') == len(column) - 1:
            return None
        return [bytes(value)[:1] == b'"' for value in column]

    def _matching(self, together: bytes) -> list[bool] | None:
        marked = b"\n" + together
        if b"\n0" in marked or b"\n-0" in marked:
            marked = marked.replace(b"\n0", b"\n\1").replace(b"\n-0", b"\n-\1")
        masks = marked.translate(_DIGITS).split(b"\n")
        del masks[0]
        unknown = set(masks) - self._good
        self._good.update(mask for mask in unknown if self._match is not None and self._match(mask))
        return None if unknown <= self._good else [mask in self._good for mask in masks]


def as_bytes(column: Column) -> list[bytes]:
    """A column all of whose values are there, as bytes; none may contain a line feed, and no JSON value does."""
    return b"\n".join(column).split(b"\n")


def interleave(parts: Sequence[bytes | Column]) -> list[bytes]:
    """One text for each row: its own item of the parts that are columns, and the parts that are the same for all."""
    columns = [repeat(part) if isinstance(part, bytes) else part for part in parts]
    return list(map(b"".join, zip(*columns, strict=False)))


def is_utf8(text: bytes) -> bool:
    """Whether bytes are UTF-8."""
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
