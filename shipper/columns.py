"""Lines of one JSON shape to documents, column by column. No I/O.

Between its quotes, each line of a shape has the same number of tokens: keys and punctuation, which must be the shape's
own, and values, which are copied as they stand once they are known to be what they seem. So all the first values of a
chunk's lines are looked at together, then all the second: a few calls for each key, not for each line.
"""

import re
from itertools import compress
from typing import NamedTuple

Check = re.Pattern[bytes]
"""Matches values with a line feed behind each, if all of them may be copied."""


def check(value: bytes) -> Check:
    """A check for values that match this pattern, which must be one that never needs to give back what it took."""
    return re.compile(rb"(?:(?>%b)\n)*+" % value)


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
        if slot.check is not None and not slot.check.fullmatch(b"\n".join(column) + b"\n"):
            self.refuse([slot.check.fullmatch(value + b"\n") is not None for value in column])
        return column

    def good(self, column: list[bytes]) -> list[bytes]:
        """A column without the bad rows."""
        return list(compress(column, (row not in self.bad for row in range(self.rows)))) if self.bad else column


def interleave(parts: list[bytes | list[bytes]], rows: int) -> list[bytes]:
    """One text for each row: its own item of the parts that are columns, and the parts that are the same for all.

    Nothing in a part may be a line feed.
    """
    width = len(parts) + 1
    cells = [b"\n"] * (width * rows)
    for number, part in enumerate(parts):
        cells[number::width] = part if isinstance(part, list) else [part] * rows
    texts = b"".join(cells).split(b"\n")
    texts.pop()
    return texts


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
