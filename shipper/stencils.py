"""Lines that repeat a few JSON shapes to documents, the compiled way. No I/O.

Does what shapes.py does, and learns shapes with it; but each line is read once, by C, and its document put together at
once, instead of column by column.
"""

from shipper import native, shapes
from shipper.known import Known
from shipper.shapes import Reference, Shape
from shipper.times import Times

_WANTS = {
    shapes.ANY_TEXT: b"s",
    shapes.LEVEL_TEXT: b"s",
    shapes.TIME: b"T",
    shapes.ANY_NUMBER: b"n",
    shapes.INTEGER: b"i",
    shapes.TRUTHS: b"t",
    shapes.NULLS: b"0",
}
"""The letter of each check, as c/shapes.c names them."""


class Stencils:
    """The shapes of one source's lines; ``reference`` is the ordinary way."""

    def __init__(self, times: Times, reference: Reference) -> None:
        self._reference = reference
        self._known = Known(times)
        self._shapes: dict[int, tuple[Shape, ...]] = {}
        """By the number of quotes in a line."""
        self._cut: tuple[object, ...] = ()
        self._tries = 0

    def clear(self) -> None:
        """Something that stands in every document has changed."""
        self._shapes.clear()
        self._cut = ()
        self._tries = 0

    def documents(self, lines: list[bytes], start: int, read: bytes) -> list[bytes | None]:
        """A document for each line, right if no bytes were skipped before it; None if it must go the ordinary way.

        The first line begins at byte ``start`` of the file.
        """
        documents = self._fill(lines, start, read)
        while not all(documents) and self._tries <= shapes.MOST_TRIES:
            missing = [line for line, document in zip(lines, documents, strict=True) if document is None]
            if len(missing) < shapes.LEAST_LINES or not self._learn(missing):
                break
            documents = self._fill(lines, start, read)
        return documents

    def _fill(self, lines: list[bytes], start: int, read: bytes) -> list[bytes | None]:
        if not self._cut:
            return [None] * len(lines)
        known = self._known
        made: list[bytes | None] = native.compiled.fill(
            lines, start, read, self._cut, known.seconds, known.is_second, known.levels, known.is_level
        )
        return made

    def _learn(self, lines: list[bytes]) -> bool:
        """Learn from the first and the last of the lines with as many quotes, of all; whether there is a new shape."""
        learnt = False
        for quotes, rows in shapes.by_quotes(lines).items():
            for line in (lines[rows[0]], lines[rows[-1]]):
                self._tries += 1
                if self._tries > shapes.MOST_TRIES:
                    break
                shape = shapes.learn(line, self._reference)
                known = self._shapes.get(quotes, ())
                if shape is not None and all(shape.kinds != one.kinds for one in known):
                    self._shapes[quotes] = (shape, *known[: shapes.MOST_SHAPES - 1])
                    learnt = True
        if learnt:
            self._cut = tuple(_stencil(shape) for some in self._shapes.values() for shape in some)
        return learnt


def _stencil(shape: Shape) -> object:
    """A shape as the compiled code has it."""
    pieces, slots = [b""], []
    for part in shape.parts:
        if isinstance(part, bytes):
            pieces[-1] += part
        else:
            slots.append(part)
            pieces.append(b"")
    keys = tuple(key.encode() for key in shape.keys)
    wants = b"".join(_WANTS[check] for check in shape.checks)
    level = -1 if shape.level is None else shape.level
    return native.compiled.shape(keys, wants, tuple(pieces), tuple(slots), level)
