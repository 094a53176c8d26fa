"""The calls of the hot loop that go over every line of a chunk: compiled if they are, else in Python. No I/O.

The sources are in ``c/``, and built with the package where there is a C compiler (hatch_build.py). Both ways give the
same; property tests hold them equal.
"""

import itertools
import sys
from array import array
from collections.abc import Sequence
from typing import Any
from zlib import crc32

from shipper import columns
from shipper.rows import Rows
from tailrace import extension

compiled: Any = extension.built("shipper", interface=2)
"""The compiled calls (``_native.pyi`` has their types), or None if the package was built without a compiler."""


def interleave(parts: Sequence[bytes | columns.Column]) -> list[bytes]:
    """One text for each row: its own item of the parts that are columns, and the parts that are the same for all.

    Raises:
        TypeError: an item of a column is None.
    """
    made: list[bytes] = columns.interleave(parts) if compiled is None else compiled.interleave(parts)
    return made


def offsets(lines: list[bytes], start: int) -> list[bytes]:
    """Where each line begins, as text, if the first begins at ``start`` and each ends with a line feed."""
    if compiled is not None:
        made: list[bytes] = compiled.offsets(lines, start)
        return made
    return [b"%d" % offset for offset in begins(lines, start)]


def sizes(lines: list[bytes]) -> list[bytes]:
    """How many bytes each line has with its line feed, as text."""
    if compiled is not None:
        made: list[bytes] = compiled.sizes(lines)
        return made
    lengths = list(map(len, lines))
    texts = {length: b"%d" % (length + 1) for length in set(lengths)}
    return [texts[length] for length in lengths]


def headers(lines: list[bytes], start: int, repeats: int, fresh: bytes, again: bytes) -> list[bytes]:
    """The header of each line: ``again`` or, behind so many that may repeat, ``fresh``; its offset; its checksum."""
    if compiled is not None:
        made: list[bytes] = compiled.headers(lines, start, repeats, fresh, again)
        return made
    checksums = array("I", map(crc32, lines))
    if sys.byteorder == "little":
        checksums.byteswap()
    texts = checksums.tobytes().hex("\n", 4).encode().split(b"\n")
    prefixes = [again] * repeats + [fresh] * (len(lines) - repeats)
    padded = [b"%016d" % offset for offset in begins(lines, start)]
    return columns.interleave([prefixes, padded, b":", texts])


def rows(
    sketch: object,
    lines: list[bytes],
    together: bytes | memoryview,
    start: int,
    read: bytes,
    repeats: int,
    prefixes: Sequence[bytes],
    most: int,
    *,
    stand_ins: bool,
) -> Rows | None:
    """The records of lines with their headers, as of ``headers``, and values where a compiled sketch is for the line.

    ``together`` are the lines that have no line feed inside, escaped, with escaped line feeds between them; None if
    they are not so many. A value is at most so many bytes. ``prefixes`` are the fresh and the other one. With
    ``stand_ins`` the value gets backslashes for them.
    """
    made = compiled.rows(sketch, lines, together, start, read, repeats, *prefixes, most, stand_ins)
    return None if made is None else Rows(*made)


def begins(lines: list[bytes], start: int) -> list[int]:
    """Where each line begins, if the first begins at ``start`` and each ends with a line feed."""
    found = list(itertools.accumulate([len(line) + 1 for line in lines], initial=start))
    found.pop()
    return found
