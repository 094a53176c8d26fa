"""Bytes of a file to whole lines. No I/O.

A line ends with LF; a CR before it belongs to the delimiter. Offsets are of the file's bytes.
"""

import zlib
from typing import NamedTuple

HOLE = b"\0"
"""What a file reads as where nothing was written: a writer that kept its place over a truncation leaves a hole."""


class Lines(NamedTuple):
    """The whole lines at the start of a chunk, without their delimiters (a CR is still there), and what is left over.

    ``covered`` bytes of the chunk belong to the whole lines; ``rest`` is the beginning of a line without its end.
    """

    lines: list[bytes]
    rest: bytes
    covered: int


def split(chunk: bytes) -> Lines:
    """Split a chunk that begins at the start of a line."""
    lines = chunk.split(b"\n")
    rest = lines.pop()
    return Lines(lines, rest, len(chunk) - len(rest))


class Cut(NamedTuple):
    """A line that ended without its delimiter, or too far away: its first bytes, its whole length and checksum.

    ``covered`` bytes of the file belong to it, the delimiter included where there is one. The NULs of a hole at its
    beginning are covered, and neither kept nor part of its length.
    """

    kept: bytes
    length: int
    checksum: int
    covered: int


def cut(rest: bytes) -> Cut:
    """A line that ends where it is cut, without a delimiter."""
    kept = rest.lstrip(HOLE)
    return Cut(kept, len(kept), zlib.crc32(rest), len(rest))


def is_blank(line: bytes) -> bool:
    """Whether a line says nothing: only white space, or the NULs of a hole that a truncation left."""
    return not line or line.isspace() or (line[0] == 0 and not line.strip(b"\0\r\n\t "))


class LongLine:
    """A line longer than we keep, while its end is searched for.

    The bytes past the first ``most`` are read once, only for the checksum and the length.
    """

    __slots__ = ("_checksum", "_hole", "_kept", "_most", "length")

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept = b""
        self._checksum = 0
        self._hole = 0
        self.length = 0

    def feed(self, chunk: bytes) -> Cut | None:
        """Take the next bytes; the line once its end is found (what follows the end is not taken)."""
        end = chunk.find(b"\n")
        piece = chunk if end < 0 else chunk[:end]
        if len(self._kept) < self._most:
            text = piece if self._kept else piece.lstrip(HOLE)
            self._hole += len(piece) - len(text)
            self._kept += text[: self._most - len(self._kept)]
        self._checksum = zlib.crc32(piece, self._checksum)
        self.length += len(piece)
        return None if end < 0 else self._line(1)

    def cut(self) -> Cut:
        """The line as if it ended here, without a delimiter."""
        return self._line(0)

    def _line(self, delimiter: int) -> Cut:
        return Cut(self._kept, self.length - self._hole, self._checksum, self.length + delimiter)
