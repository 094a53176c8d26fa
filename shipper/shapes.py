"""Lines that repeat a few JSON shapes to documents, without building a tree for each. No I/O.

A service writes the same keys in the same order, millions of times. From one line of such a shape, and the document
that the ordinary way makes of it, this learns how such lines are built, and the pieces of the document between their
values; the lines of the shape are then held against it and joined with the pieces, column by column (columns.py).
Whatever does not fit exactly (an escape, another key, a time that is none, bytes that are not UTF-8) goes the ordinary
way. A property test holds both ways equal.
"""

import itertools
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import orjson

from shipper import ecs
from shipper.columns import Check, Layout, Slot, Table, interleave
from shipper.times import Times

_MOST_SHAPES = 8
"""Of lines with as many quotes."""
_MOST_TRIES = 256
"""Lines that keep bringing new shapes are not worth learning."""
_MOST_BYTES = 8192
"""A longer line is not learnt from: it may have tens of thousands of keys."""
_MOST_KEYS = 128
_MOST_SIEVINGS = 3
"""How often rows of other keys are taken out of those of a shape, before all of them go the ordinary way."""
_LEAST_LINES = 2
"""Fewer of a kind in a chunk are made the ordinary way, which is quicker for them."""
_REMEMBERED = 4096

_TOKEN = re.compile(
    rb'(\s*[{,]\s*("[^"\\\x00-\x1f]*")\s*:\s*)'
    rb'(?:"([^"\\\x00-\x1f]*)"|(-?(?:0|[1-9]\d{0,14})(?:\.\d{1,17})?)|(true|false)|(null))(?=\s*[,}])'
)
_TEXT, _NUMBER, _TRUTH, _NULL = 3, 4, 5, 6
"""Which group of a token tells what kind of value it has."""
_ANY_NUMBER = Check(rb"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,17})?")
_INTEGER = Check(rb"0|-?[1-9]\d{0,14}")
_TRUTHS = Check(rb"true|false")
_TIME = Check(rb"\d\d\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z")
_SECOND = len("2001-02-03T04:05:06")

# Stand-ins that the ordinary way carries into the document as they are, and that no line contains by chance.
_PROBE_TIME = b"2001-02-03T04:05:06.070809011Z"
_PROBE_READ = "2002-03-04T05:06:07.080Z"
_PROBE_OFFSET, _PROBE_SIZE, _PROBE_SKIPPED = 777_000_000_000_001, 777_000_000_000_002, 777_000_000_000_003
_PROBE_NUMBER = 777_000_000_001_000
_SLOT = re.compile(
    rb"tlrprobe(?P<text>\d+)x|777000000001(?P<number>\d\d\d)|77700000000000(?P<own>[123])|(?P<time>%b)|(?P<read>%b)"
    % (re.escape(_PROBE_TIME), re.escape(_PROBE_READ.encode()))
)
_OFFSET, _SIZE, _READ = -1, -2, -3
"""What of a document is no value of its line; the first two are columns behind those of the values."""
_OWN: dict[bytes, bytes | int] = {b"1": _OFFSET, b"2": _SIZE, b"3": b"0"}
"""Only lines behind which no bytes were skipped come this way."""

Reference = Callable[[bytes, int, int, int, str], bytes]
"""The ordinary way: (line, offset, size, skipped, time of reading) to the document."""


class _Shape(NamedTuple):
    """``parts`` of the document, in order: bytes, the number of a slot, or one of the three that are no value.

    ``time`` and ``level`` are the slots that hold them, or None. ``form`` is a line with a line feed for each value.
    ``mark`` stands in each line of the shape, and in none of the shapes learnt before it; empty if there is none.
    """

    form: bytes
    mark: bytes
    layout: Layout
    parts: tuple[bytes | int, ...]
    time: int | None
    level: int | None


class Own(NamedTuple):
    """What documents say beside their line's values: where each line begins, and the time of reading."""

    offsets: list[bytes]
    read: bytes


class Shapes:
    """The shapes of one source's lines; ``reference`` is the ordinary way."""

    def __init__(self, times: Times, reference: Reference) -> None:
        self._times = times
        self._reference = reference
        self._shapes: dict[int, list[_Shape]] = {}
        """By the number of tokens in a line."""
        self._tries = 0
        self._seconds: set[bytes] = set()
        self._levels: dict[bytes, bytes] = {}
        self._number_levels: dict[bytes, bytes] = {}

    def clear(self) -> None:
        """Something that stands in every document has changed."""
        self._shapes.clear()
        self._tries = 0

    def documents(self, lines: list[bytes], offsets: list[bytes], read: bytes) -> list[bytes | None]:
        """A document for each line, right if no bytes were skipped before it; None if it must go the ordinary way."""
        documents: list[bytes | None] = [None] * len(lines)
        together = b"\n".join(lines)
        if not is_clean(together):
            return documents
        rows: Sequence[int] = range(len(lines))
        if b"\\" in together:
            rows = [row for row in rows if b"\\" not in lines[row]]
        own = Own(offsets, read)
        for count, group in _groups([lines[row].count(b'"') for row in rows], rows).items():
            left = group
            for shape in self._shapes.get(count + 1, ()):
                if len(left) >= _LEAST_LINES:
                    left = self._fill(documents, shape, lines, left, own)
            while count and len(left) >= _LEAST_LINES:
                learnt = self._learn([lines[row] for row in (left[0], left[-1])])
                if learnt is None:
                    break
                left = self._fill(documents, learnt, lines, left, own)
        return documents

    def _fill(
        self, documents: list[bytes | None], shape: _Shape, lines: list[bytes], rows: list[int], own: Own
    ) -> list[int]:
        """Make the documents of those rows that have the shape; returns the others."""
        others: list[int] = []
        if shape.mark:
            others = [row for row in rows if shape.mark not in lines[row]]
            rows = [row for row in rows if shape.mark in lines[row]] if others else rows
        for _ in range(_MOST_SIEVINGS):
            if not rows:
                break
            table = Table([lines[row] for row in rows], shape.layout.width)
            misfits = table.misfits(shape.layout.literals)
            if not misfits:
                return sorted(others + self._fill_all(documents, shape, table, rows, own))
            others += [rows[number] for number in misfits]
            wrong = set(misfits)
            rows = [row for number, row in enumerate(rows) if number not in wrong]
        return sorted(others + rows)

    def _fill_all(
        self, documents: list[bytes | None], shape: _Shape, table: Table, rows: list[int], own: Own
    ) -> list[int]:
        """As ``_fill``, of rows that have the keys and the punctuation of the shape."""
        columns = [table.values(slot) for slot in shape.layout.slots]
        if shape.time is not None:
            self._check_seconds(table, columns[shape.time])
        if shape.level is not None:
            columns[shape.level] = self._name_levels(table, shape.layout.slots[shape.level], columns[shape.level])
        good = [row for number, row in enumerate(rows) if number not in table.bad] if table.bad else rows
        if not good:
            return rows
        values = [table.good(column) for column in (*columns, table.sizes())]
        values.append(list(map(own.offsets.__getitem__, good)))
        parts = _put_in(shape.parts, values, own.read)
        for row, document in zip(good, interleave(parts), strict=True):
            documents[row] = document
        return [rows[number] for number in sorted(table.bad)]

    def _learn(self, lines: list[bytes]) -> _Shape | None:
        """The shape of one of some lines, if it is a flat object and there is room."""
        for line in lines:
            self._tries += 1
            if self._tries > _MOST_TRIES or len(line) > _MOST_BYTES:
                return None
            shape = _learn(line, self._reference)
            known = self._shapes.get(shape.layout.width, []) if shape is not None else []
            if shape is not None and all(shape.layout != one.layout for one in known):
                marks = (part for part in shape.form.split(b"\n") if all(part not in one.form for one in known))
                marked = shape._replace(mark=next(marks, b"") if known else b"")
                self._shapes[shape.layout.width] = [marked, *known[: _MOST_SHAPES - 1]]
                return marked
        return None

    def _check_seconds(self, table: Table, column: list[bytes]) -> None:
        """Whether there are such times, and Elasticsearch can hold them; each second is looked at once."""
        seconds = {time[:_SECOND] for time in column} - self._seconds
        if len(self._seconds) >= _REMEMBERED:
            self._seconds.clear()
        for second in seconds:
            if self._times.utc(second.decode("ascii", "replace") + "Z") is not None:
                self._seconds.add(second)
            else:
                table.refuse([time[:_SECOND] != second for time in column])

    def _name_levels(self, table: Table, slot: Slot, column: list[bytes]) -> list[bytes]:
        """Levels by their common names; a text of digits is not the number (which alone has a check)."""
        as_number = slot.check is not None
        names = self._levels if not as_number else self._number_levels
        for written in set(column):
            if not (names.get(written) or (_is_level(slot, written) and self._level(written, as_number=as_number))):
                table.refuse([level != written for level in column])
        return [names.get(level, b"") for level in column]

    def _level(self, written: bytes, *, as_number: bool) -> bytes:
        """The common name of a level; empty if JSON would have to escape it, or there are too many to be levels."""
        names = self._number_levels if as_number else self._levels
        text = written.decode("ascii", "replace")
        level = ecs.level_of(int(text) if as_number else text)
        if level is None or not level.isascii() or not level.isalnum() or len(names) >= _REMEMBERED:
            return b""
        names[written] = level.encode()
        return names[written]


def _is_level(slot: Slot, written: bytes) -> bool:
    return slot.check is None or slot.check.good([written]) is None


def _learn(line: bytes, reference: Reference) -> _Shape | None:
    tokens = _tokens(line)
    keys = tuple(orjson.loads(token[2]) for token in tokens)
    if not keys or len(set(keys)) != len(keys):
        return None
    form = probe = b""
    slots: dict[int, int] = {}
    checks: list[Check | None] = []
    time = level = None
    for number, (token, (claim, _name)) in enumerate(zip(tokens, ecs.plan(keys), strict=True)):
        kind = next(index for index in (_TEXT, _NUMBER, _TRUTH, _NULL) if token[index] is not None)
        if not _may_copy(kind, claim, token[kind]):
            return None
        probe += token[1] + _stand_in(kind, claim, number)
        if kind == _NULL:
            form += token[1] + b"null"
            continue
        form += token[1] + (b'"\n"' if kind == _TEXT else b"\n")
        if claim is ecs.TIME:
            time = len(checks)
        elif claim is ecs.LEVEL:
            level = len(checks)
        slots[number] = len(checks)
        checks.append(_check(kind, claim))
    last = line[tokens[-1].end() :]
    document = reference(probe + last, _PROBE_OFFSET, _PROBE_SIZE, _PROBE_SKIPPED, _PROBE_READ)
    parts = _cut_up(document, slots, time)
    if sorted(part for part in parts if isinstance(part, int) and part >= 0) != list(range(len(checks))):
        return None
    return _Shape(form + last, b"", _lay_out(form + last, checks), parts, time, level)


def _groups(counts: list[int], rows: Sequence[int]) -> dict[int, list[int]]:
    """The rows by what was counted in them."""
    if counts and counts.count(counts[0]) == len(counts):
        return {counts[0]: list(rows)}
    groups: dict[int, list[int]] = {}
    for row, count in zip(rows, counts, strict=True):
        groups.setdefault(count, []).append(row)
    return groups


def _tokens(line: bytes) -> list[re.Match[bytes]]:
    """The keys and values of a flat object; none if it is not flat, or has too many."""
    tokens = list(itertools.islice(_TOKEN.finditer(line), _MOST_KEYS + 1))
    joined = all(first.end() == second.start() for first, second in itertools.pairwise(tokens))
    if not tokens or tokens[0].start() or not joined or len(tokens) > _MOST_KEYS:
        return []
    return tokens if line[tokens[-1].end() :].strip() == b"}" else []


def _may_copy(kind: int, claim: ecs.Claim | None, value: bytes) -> bool:
    """Whether values of this kind may be copied into the document; else they need the ordinary way."""
    if claim is ecs.TIME:
        return kind == _TEXT and _TIME.good([value]) is None
    if kind == _NULL or claim is None:
        return True
    if kind == _TEXT:
        return claim in ecs.TEXTS or claim is ecs.LEVEL
    return kind == _NUMBER and b"." not in value and (claim in ecs.INTEGERS or claim is ecs.LEVEL)


def _check(kind: int, claim: ecs.Claim | None) -> Check | None:
    """What a value must look like to be copied; text may be anything between its quotes."""
    if kind == _TEXT:
        return _TIME if claim is ecs.TIME else None
    if kind == _TRUTH:
        return _TRUTHS
    return _ANY_NUMBER if claim is None else _INTEGER


def _stand_in(kind: int, claim: ecs.Claim | None, number: int) -> bytes:
    if kind == _NULL:
        return b"null"
    if claim is ecs.TIME:
        return b'"%b"' % _PROBE_TIME
    return b"%d" % (_PROBE_NUMBER + number) if kind == _NUMBER else b'"tlrprobe%dx"' % number


def _lay_out(form: bytes, checks: list[Check | None]) -> Layout:
    """The layout of lines of this form, in which a line feed stands for each value that may differ."""
    literals: list[tuple[int, bytes]] = []
    slots: list[Slot] = []
    tokens = form.split(b'"')
    for place, token in enumerate(tokens):
        before, stands_in, after = token.partition(b"\n")
        if stands_in:
            slots.append(Slot(place, before, after, checks[len(slots)]))
        else:
            literals.append((place, token))
    return Layout(len(tokens), tuple(literals), tuple(slots))


def _cut_up(document: bytes, slots: dict[int, int], time: int | None) -> tuple[bytes | int, ...]:
    """The probe's document cut where its stand-ins came out; ``slots`` are those of the keys, by their number."""
    parts: list[bytes | int] = []
    last = 0
    for found in _SLOT.finditer(document):
        parts.append(document[last : found.start()])
        last = found.end()
        if found["own"]:
            parts.append(_OWN[found["own"]])
        elif found["read"]:
            parts.append(_READ)
        elif found["time"]:
            parts.append(_READ if time is None else time)
        else:
            parts.append(slots[int(found["text"] or found["number"])])
    return (*parts, document[last:])


def _put_in(parts: tuple[bytes | int, ...], values: list[list[bytes]], read: bytes) -> list[bytes | list[bytes]]:
    """The columns in their places of the document; neighbours that are the same for all rows become one."""
    result: list[bytes | list[bytes]] = []
    for part in parts:
        found: bytes | list[bytes] = part if isinstance(part, bytes) else read if part == _READ else values[part]
        if isinstance(found, bytes) and result and isinstance(result[-1], bytes):
            result[-1] += found
        else:
            result.append(found)
    return result


_WITHOUT_CONTROLS = bytes(byte if byte >= 32 or byte == 10 else 32 for byte in range(256))


def is_clean(chunk: bytes) -> bool:
    """Whether there is no control character but line feeds."""
    return chunk.translate(_WITHOUT_CONTROLS) == chunk
