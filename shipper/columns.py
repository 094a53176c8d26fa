"""Lines of one JSON shape to documents, column by column. No I/O.

Between its quotes, each line of a shape has the same number of tokens: keys and punctuation, which must be the shape's
own, and values, which are copied as they stand once they are known to be what they seem. So all the first values of a
chunk's lines are looked at together, then all the second: a few calls for each key, not for each line.
"""

import re
from collections.abc import Sequence
from itertools import compress, repeat
from typing import NamedTuple

_DIGITS = bytes(0x31 if 0x30 <= byte <= 0x39 else 0x30 if byte == 1 else byte for byte in range(256))


class Check:
    """Whether values match a pattern that tells digits apart only by whether a leading one is 0.

    So values with the same mask (a 1 for each digit, but for a leading 0) need to be matched only once, ever: a column
    of thousands has a few.
    """

    def __init__(self, pattern: bytes) -> None:
        self._match = re.compile(pattern).fullmatch
        self._good: set[bytes] = set()

    def good(self, values: list[bytes]) -> list[bool] | None:
        """Which values match; None if all of them do. They must be without control characters."""
        together = b"\n" + b"\n".join(values)
        masks = together.replace(b"\n0", b"\n\1").replace(b"\n-0", b"\n-\1").translate(_DIGITS).split(b"\n")
        del masks[0]
        unknown = set(masks) - self._good
        self._good.update(mask for mask in unknown if self._match(mask))
        return None if unknown <= self._good else [mask in self._good for mask in masks]


class Slot(NamedTuple):
    """Where a value stands: which token of its line, and what else is in that token; ``check`` is None for any text."""

    place: int
    prefix: bytes
    suffix: bytes
    check: Check | None


class Layout(NamedTuple):
    """How the lines of a shape are built: ``width`` tokens, of which ``literals`` say (place, token), and ``slots``."""

    width: int
    literals: tuple[tuple[int, bytes], ...]
    slots: tuple[Slot, ...]


class Table:
    """Lines cut at their quotes; ``bad`` are the rows that turned out not to be of the shape.

    Hazard: only for lines without backslashes and control characters, all with the same number of quotes.
    """

    def __init__(self, lines: list[bytes], width: int) -> None:
        together = b'"'.join(lines)
        self.rows = len(lines)
        self._lines = lines
        self.bad: set[int] = set()
        self._tokens = together.split(b'"')
        self._width = width
        if not together.isascii() and not _is_utf8(together):
            self.refuse([_is_utf8(line) for line in lines])

    def refuse(self, good: list[bool]) -> None:
        """Note the rows that are not good."""
        self.bad.update(row for row, one in enumerate(good) if not one)

    def misfits(self, literals: tuple[tuple[int, bytes], ...]) -> list[int]:
        """Hold the rows against keys and punctuation: those that differ at the first place where any do."""
        for place, literal in literals:
            column = self._tokens[place :: self._width]
            if column.count(literal) != self.rows:
                return [row for row, token in enumerate(column) if token != literal]
        return []

    def values(self, slot: Slot) -> list[bytes]:
        """One value of each row, checked."""
        column = self._tokens[slot.place :: self._width]
        if slot.prefix or slot.suffix:
            column = _bare(column, slot.prefix, slot.suffix)
        good = slot.check.good(column) if slot.check is not None else None
        if good is not None:
            self.refuse(good)
        return column

    def sizes(self) -> list[bytes]:
        """How many bytes each line has with its line feed, as text."""
        lengths = list(map(len, self._lines))
        texts = {length: b"%d" % (length + 1) for length in set(lengths)}
        return list(map(texts.__getitem__, lengths))

    def good(self, column: list[bytes]) -> list[bytes]:
        """A column without the bad rows."""
        return list(compress(column, (row not in self.bad for row in range(self.rows)))) if self.bad else column


def interleave(parts: Sequence[bytes | list[bytes]]) -> list[bytes]:
    """One text for each row: its own item of the parts that are columns, and the parts that are the same for all."""
    return list(map(b"".join, zip(*(part if isinstance(part, list) else repeat(part) for part in parts), strict=False)))


def _bare(column: list[bytes], prefix: bytes, suffix: bytes) -> list[bytes]:
    """What stands between the prefix and the suffix of each token; empty for tokens that have them not."""
    together = b"\n".join(column)
    if together.startswith(prefix) and together.endswith(suffix):
        found = together[len(prefix) : len(together) - len(suffix)].split(suffix + b"\n" + prefix)
        if len(found) == len(column):
            return found
    return [
        token[len(prefix) : len(token) - len(suffix)] if token.startswith(prefix) and token.endswith(suffix) else b""
        for token in column
    ]


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
