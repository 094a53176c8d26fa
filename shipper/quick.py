"""Lines of one source to documents, quickly where their format allows it. No I/O.

Which lines come out of here, and which must go the ordinary way, changes nothing but the speed.
"""

from collections.abc import Sequence

import orjson

from shipper.columns import is_utf8
from shipper.formats.auto import Auto
from shipper.shapes import Shapes
from shipper.sketch import END, STAND_IN, Lines, Own, Reference, Sketch, Sketched
from shipper.sketches import SKETCHES
from shipper.times import Times

_LEAST_LINES = 4
"""Fewer lines are made the ordinary way, which is quicker for them."""
_SUB = b"\x1a"
_BACKSLASH = rb"\\"


class Quick:
    """The quick ways of one source's lines; ``reference`` is the ordinary one, ``learnt`` a format that nobody named."""

    def __init__(self, name: str, learnt: Auto | None, times: Times, reference: Reference) -> None:
        self._name = name
        self._learnt = learnt
        self._times = times
        self._reference = reference
        self._shapes = Shapes(times, reference) if name in ("auto", "json") else None
        self._sketched: dict[Sketch, Sketched] = {}

    def clear(self) -> None:
        """Something that stands in every document has changed."""
        self._sketched.clear()
        if self._shapes is not None:
            self._shapes.clear()

    def documents(self, lines: list[bytes], offsets: list[bytes], read: bytes) -> Sequence[bytes | None]:
        """A document for each line, right if no bytes were skipped before it; None if it must go the ordinary way."""
        name = self._name if self._learnt is None else self._learnt.name
        documents: list[bytes | None] = [None] * len(lines)
        if self._shapes is not None and name in ("auto", "json"):
            documents = self._shapes.documents(lines, offsets, read)
        sketches = SKETCHES.get("plain" if name == "auto" else name, ())
        if len(lines) < _LEAST_LINES or not sketches or (self._shapes is not None and None not in documents):
            return documents
        rows = [row for row, (line, done) in enumerate(zip(lines, documents, strict=True)) if done is None]
        if name == "auto":
            rows = [row for row in rows if lines[row][:1] != b"{"]
        left = _escaped(lines, rows)
        odd = STAND_IN in left.together

        def own(rows: list[int]) -> Own:
            if len(rows) == len(lines):
                return Own(offsets, _sizes(lines), read)
            return Own([offsets[row] for row in rows], _sizes([lines[row] for row in rows]), read)

        for sketch in sketches:
            if len(left.rows) < _LEAST_LINES:
                break
            done, made = self._at_work(sketch).documents(left, own)
            if not done:
                continue
            if odd:
                made = b"\n".join(made).replace(STAND_IN, _BACKSLASH).split(b"\n")
            if len(done) == len(lines):
                return made
            for row, document in zip(done, made, strict=True):
                documents[row] = document
            taken = set(done)
            left = left.where([row not in taken for row in left.rows])
        return documents

    def _at_work(self, sketch: Sketch) -> Sketched:
        found = self._sketched.get(sketch)
        if found is None:
            found = self._sketched[sketch] = Sketched(sketch, self._times, self._reference)
        return found


def _escaped(lines: list[bytes], rows: list[int]) -> Lines:
    """Those of the rows that can be quick, each as it stands inside a JSON text, without the CR of its delimiter.

    Left out are lines joined from several, and those that are not UTF-8.
    """
    some = lines if len(rows) == len(lines) else [lines[row] for row in rows]
    together = b"\n".join(some)
    if together.count(b"\n") != len(some) - 1 or _SUB in together or not is_utf8(together):
        rows = [row for row in rows if b"\n" not in lines[row] and _SUB not in lines[row] and is_utf8(lines[row])]
        together = b"\n".join([lines[row] for row in rows])
    if b"\r" in together:
        together = together.replace(b"\r\n", b"\n").removesuffix(b"\r")
    if b"\\" in together:
        together = together.replace(b"\\", _SUB)
    escaped = orjson.dumps(together.decode())[1:-1]
    return Lines(rows, escaped.split(END) if rows else [], escaped)


def _sizes(lines: list[bytes]) -> list[bytes]:
    """How many bytes each line has with its line feed, as text."""
    lengths = list(map(len, lines))
    texts = {length: b"%d" % (length + 1) for length in set(lengths)}
    return [texts[length] for length in lengths]
