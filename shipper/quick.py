"""Lines of one source to documents, quickly where their format allows it. No I/O.

Which lines come out of here, and which must go the ordinary way, changes nothing but the speed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import orjson

from shipper import native, traces
from shipper.drawn import LEAST_LINES, Drawn
from shipper.formats.auto import Auto
from shipper.rows import Rows
from shipper.shapes import Shapes
from shipper.sketch import END, STAND_IN, Lines, Own, Reference, Sketch
from shipper.sketches import SKETCHES
from shipper.stencils import Stencils
from shipper.times import Times

_SUB = b"\x1a"
_BACKSLASH = rb"\\"
_JSON = ("auto", "json")


class Quick:
    """The quick ways of one source's lines; ``reference`` is the ordinary one.

    Where nobody named the format, ``learnt`` says what it is now.
    """

    def __init__(self, name: str, learnt: Auto | None, times: Times, reference: Reference) -> None:
        self._name = name
        self._learnt = learnt
        self._times = times
        self._reference = reference
        self._shapes = _shapes(times, reference) if name in _JSON else None
        self._sketched: dict[Sketch, Drawn] = {}
        self._sorted: list[Sketch] = []
        self._sorted_of = ""
        self._joined = False
        """Whether the last chunk had lines that were joined from several."""

    def clear(self) -> None:
        """Something that stands in every document has changed."""
        self._sketched.clear()
        if self._shapes is not None:
            self._shapes.clear()

    def documents(self, lines: list[bytes], start: int, read: bytes) -> Sequence[bytes | None]:
        """A document for each line, right if no bytes were skipped before it; None if it must go the ordinary way.

        The first line begins at byte ``start`` of the file.
        """
        name = self._name if self._learnt is None else self._learnt.name
        documents: list[bytes | None] = [None] * len(lines)
        rows = list(range(len(lines)))
        if self._shapes is not None and name in _JSON:
            documents = self._shapes.documents(lines, start, read)
            if all(documents):
                return documents
            rows = [row for row in rows if documents[row] is None and lines[row][:1] != b"{"]
        sketches = self._sketches(name)
        if len(rows) < LEAST_LINES or not sketches:
            return documents
        self._fill_all(_Chunk(lines, native.offsets(lines, start), read, documents), rows, sketches)
        return documents

    def records(
        self, lines: list[bytes], start: int, read: bytes, repeats: int, prefixes: Sequence[bytes], most: int
    ) -> Rows | None:
        """The records of lines, but for the values of those that must go the ordinary way; ``missing`` says which.

        None where nothing compiled makes records. The values are right if no bytes were skipped before the first line,
        and of at most so many bytes; ``start`` and ``read`` are as of ``documents``, the others as of ``native.rows``.
        """
        name = self._name if self._learnt is None else self._learnt.name
        sketches = self._sketches(name)
        if not sketches or len(lines) < LEAST_LINES or (self._shapes is not None and name in _JSON):
            return None
        compiled = self._at_work(sketches[0]).compiled
        if compiled is None:
            return None
        single = [line for line in lines if b"\n" not in line] if self._joined else lines
        text = _text(single)
        if text is None:
            return None
        together, stand_ins = memoryview(orjson.dumps(text))[1:-1], _SUB.decode() in text
        made = native.rows(compiled, lines, together, start, read, repeats, prefixes, most, stand_ins=stand_ins)
        self._joined = made is None or len(single) < len(lines)
        if made is not None and made.missing:
            chunk = _Chunk(lines, native.offsets(lines, start), read, made.others)
            self._fill_all(chunk, made.missing, sketches, done=len(lines) - len(made.missing))
            made.missing = [row for row in made.missing if not 0 < len(made.others[row] or b"") <= most]
            for row in made.missing:
                made.others[row] = None
        return made

    def _fill_all(self, chunk: "_Chunk", rows: list[int], sketches: list[Sketch], done: int = 0) -> None:
        """Make the documents of these lines; so many others were made by the first sketch already."""
        single = [row for row in rows if b"\n" not in chunk.lines[row]] if self._joined else rows
        left = _escaped(chunk.lines, single)
        self._joined = len(left.rows) < len(rows)
        most, best = done, sketches[0]
        for sketch in tuple(sketches[1:] if done else sketches):
            if len(left.rows) < LEAST_LINES:
                break
            before = len(left.rows)
            left = self._fill(chunk, sketch, left, chunk.own)
            if before - len(left.rows) > most:
                most, best = before - len(left.rows), sketch
        sketches.remove(best)
        sketches.insert(0, best)
        if self._joined:
            self._fill_heads(chunk, rows, sketches)

    def _fill_heads(self, chunk: "_Chunk", rows: list[int], sketches: Sequence[Sketch]) -> None:
        """Make the documents of records of which all but the first line is a stack trace."""
        heads, errors = {}, {}
        for row in rows:
            line = chunk.lines[row]
            if b"\n" in line and chunk.documents[row] is None:
                heads[row], _, rest = line.partition(b"\n")
                errors[row] = traces.member(heads[row], rest)
        rows = [row for row, error in errors.items() if error is not None]
        left = _escaped(heads, rows)

        def own(rows: list[int]) -> Own:
            return chunk.own(rows)._replace(errors=[errors[row] for row in rows])

        for sketch in sketches:
            if left.rows and self._at_work(sketch).heads:
                left = self._fill(chunk, sketch, left, own)

    def _fill(self, chunk: "_Chunk", sketch: Sketch, left: Lines, own: Callable[[list[int]], Own]) -> Lines:
        """Make the documents of those lines that the sketch is for; returns the others."""
        done, made = self._at_work(sketch).documents(left, own)
        if STAND_IN in left.together and made:
            made = b"\n".join(made).replace(STAND_IN, _BACKSLASH).split(b"\n")
        if len(done) == len(chunk.lines) and done == left.rows:
            chunk.documents[:] = made
            return _NONE
        for row, document in zip(done, made, strict=True):
            chunk.documents[row] = document
        return left.where([chunk.documents[row] is None for row in left.rows]) if done else left

    def _sketches(self, name: str) -> list[Sketch]:
        """Those of a format, first the one that last made most of a chunk."""
        if name != self._sorted_of:
            self._sorted_of, self._sorted = name, list(SKETCHES.get("plain" if name == "auto" else name, ()))
        return self._sorted

    def _at_work(self, sketch: Sketch) -> Drawn:
        found = self._sketched.get(sketch)
        if found is None:
            found = self._sketched[sketch] = Drawn(sketch, self._times, self._reference)
        return found


class _Chunk(NamedTuple):
    """The lines of a chunk, where each begins, the time of reading, and the documents as they are made."""

    lines: list[bytes]
    offsets: list[bytes]
    read: bytes
    documents: list[bytes | None]

    def own(self, rows: list[int]) -> Own:
        """What some of the lines have besides what they say."""
        if len(rows) == len(self.lines):
            return Own(self.offsets, native.sizes(self.lines), self.read, b"")
        return Own([self.offsets[row] for row in rows], native.sizes([self.lines[row] for row in rows]), self.read, b"")


_NONE = Lines([], [], b"")


def _shapes(times: Times, reference: Reference) -> "Shapes | Stencils":
    return Shapes(times, reference) if native.compiled is None else Stencils(times, reference)


def _escaped(lines: Mapping[int, bytes] | list[bytes], rows: list[int]) -> Lines:
    """Those of the rows that can be quick, each as it stands inside a JSON text, without the CR of its delimiter.

    Left out are lines joined from several, and those that are not UTF-8.
    """
    some = lines if isinstance(lines, list) and len(rows) == len(lines) else [lines[row] for row in rows]
    text = _text(some)
    escaped = orjson.dumps(text)[1:-1] if text is not None else b""
    texts = escaped.split(END)
    if len(texts) == len(rows) and text is not None:
        return Lines(rows, texts, escaped)
    single = [row for row in rows if b"\n" not in lines[row]]
    if len(single) < len(rows):
        return _escaped(lines, single)
    rows = [row for row in rows if _text([lines[row]]) is not None]
    escaped = orjson.dumps(_text([lines[row] for row in rows]))[1:-1]
    return Lines(rows, escaped.split(END) if rows else [], escaped)


def _text(lines: list[bytes]) -> str | None:
    """Lines as one text, with stand-ins for their backslashes; None if they are no text, or may have stand-ins."""
    together = b"\n".join(lines)
    if b"\r" in together:
        together = together.replace(b"\r\n", b"\n").removesuffix(b"\r")
    if _SUB in together:
        return None
    if b"\\" in together:
        together = together.replace(b"\\", _SUB)
    try:
        return together.decode()
    except UnicodeDecodeError:
        return None
