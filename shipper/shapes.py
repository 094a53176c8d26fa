"""Lines that repeat a few JSON shapes to documents, without building a tree for each. No I/O.

A service writes the same keys, millions of times. From one line of such a shape, and the document that the ordinary way
makes of it, this learns how such lines are built, and the pieces of the document between their values; the lines of the
shape are then held against it and joined with the pieces, column by column (columns.py). Whatever does not fit exactly
(another key, an object in an object, a time that is none, bytes that are not UTF-8) goes the ordinary way. A property
test holds both ways equal.

Lines are told apart by the number of their quotes: with all the keys of a shape, and values of its kinds, a line has no
quote left for any other key.
"""

import itertools
import re
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any, NamedTuple

import orjson

from shipper import ecs, native
from shipper.columns import Check, Column, Decoder, as_bytes, decode, decoder, interleave, is_flat, is_utf8
from shipper.known import Known
from shipper.times import Times

MOST_SHAPES = 8
"""Of lines with as many quotes."""
MOST_TRIES = 256
"""Lines that keep bringing new shapes are not worth learning."""
_MOST_BYTES = 8192
"""A longer line is not learnt from: it may have tens of thousands of keys."""
_MOST_KEYS = 128
LEAST_LINES = 2
"""Fewer of a kind in a chunk are made the ordinary way, which is quicker for them."""

_TOKEN = re.compile(
    rb'(\s*[{,]\s*("[^"\\\x00-\x1f]*")\s*:\s*)'
    rb'(?:("(?:[^"\\\x00-\x1f]|\\["\\/bfnrt])*")|(-?(?:0|[1-9]\d{0,14})(?:\.\d{1,17})?)|(true|false)|(null))(?=\s*[,}])'
)
_TEXT, _NUMBER, _TRUTH, _NULL = 3, 4, 5, 6
"""Which group of a token tells what kind of value it has."""
ANY_TEXT, LEVEL_TEXT = Check(), Check()
ANY_NUMBER = Check(rb"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,17})?")
INTEGER = Check(rb"0|-?[1-9]\d{0,14}")
TRUTHS = Check(rb"true|false")
NULLS = Check(rb"null")
TIME = Check(rb'"\d\d\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z"')
_SECOND = slice(1, len('"2001-02-03T04:05:06'))

# Stand-ins that the ordinary way carries into the document as they are, and that no line contains by chance.
_PROBE_TIME = b'"2001-02-03T04:05:06.070809011Z"'
_PROBE_READ = "2002-03-04T05:06:07.080Z"
_PROBE_OFFSET, _PROBE_SIZE, _PROBE_SKIPPED = 777_000_000_000_001, 777_000_000_000_002, 777_000_000_000_003
_OTHERS = (888_000_000_000_001, 888_000_000_000_002, 888_000_000_000_003, "2003-04-05T06:07:08.090Z")
_PROBE_NUMBER = 777_000_000_001_000
_SLOT = re.compile(
    rb'"tlrtext(?P<text>\d+)x"|tlrtruth(?P<truth>\d+)x|"777000000001(?P<quoted>\d\d\d)"|777000000001(?P<number>\d\d\d)'
    rb"|77700000000000(?P<own>[123])|(?P<time>%b)|(?P<read>%b)"
    % (re.escape(_PROBE_TIME), re.escape(_PROBE_READ.encode()))
)
_OFFSET, _SIZE, _READ = -2, -1, -3
"""What of a document is no value of its line; the first two are columns behind those of the values."""
_OWN: dict[bytes, bytes | int] = {b"1": _OFFSET, b"2": _SIZE, b"3": b"0"}
"""Only lines behind which no bytes were skipped come this way."""

Reference = Callable[[bytes, int, int, int, str], bytes]
"""The ordinary way: (line, offset, size, skipped, time of reading) to the document."""
Values = tuple[Any, ...]
"""What was decoded of one line: for each key of a family its value, or None."""


class Shape(NamedTuple):
    """The keys of a kind of line, and the check that the value of each must pass.

    ``parts`` are those of the document, in order: bytes, the number of a key, or one of the three that are no value.
    ``time`` and ``level`` are the numbers of the keys that hold them, or None.
    """

    keys: tuple[str, ...]
    checks: tuple[Check, ...]
    parts: tuple[bytes | int, ...]
    time: int | None
    level: int | None

    @property
    def kinds(self) -> dict[str, Check]:
        """The check of each key: two shapes with the same are one."""
        return dict(zip(self.keys, self.checks, strict=True))


class _Family(NamedTuple):
    """The shapes of lines with as many quotes, and a decoder of all their keys.

    For each shape ``columns`` says where the values of its keys stand in what is decoded, and ``marks`` which of these
    no other shape of the family has (None if there is no such).
    """

    decoder: Decoder
    shapes: tuple[Shape, ...]
    columns: tuple[tuple[int, ...], ...]
    marks: tuple[int | None, ...]


class _Group(NamedTuple):
    """Some lines of a chunk by their numbers, and what was decoded of each."""

    rows: list[int]
    values: list[Values]

    def where(self, chosen: Sequence[bool]) -> "_Group":
        return _Group(list(compress(self.rows, chosen)), list(compress(self.values, chosen)))

    def joined(self, other: "_Group") -> "_Group":
        return _Group(self.rows + other.rows, self.values + other.values) if other.rows else self


class _Chunk(NamedTuple):
    """The lines of a chunk, where each begins, the time of reading, and the documents as they are made."""

    lines: list[bytes]
    offsets: list[bytes]
    read: bytes
    documents: list[bytes | None]


class Shapes:
    """The shapes of one source's lines; ``reference`` is the ordinary way."""

    def __init__(self, times: Times, reference: Reference) -> None:
        self._known = Known(times)
        self._reference = reference
        self._families: dict[int, _Family] = {}
        """By the number of quotes in a line."""
        self._tries = 0

    def clear(self) -> None:
        """Something that stands in every document has changed."""
        self._families.clear()
        self._tries = 0

    def documents(self, lines: list[bytes], start: int, read: bytes) -> list[bytes | None]:
        """A document for each line, right if no bytes were skipped before it; None if it must go the ordinary way.

        The first line begins at byte ``start`` of the file.
        """
        chunk = _Chunk(lines, native.offsets(lines, start), read, [None] * len(lines))
        for quotes, rows in by_quotes(lines).items():
            left = rows
            family = self._families.get(quotes)
            while len(left) >= LEAST_LINES:
                if family is not None:
                    left = self._fill(chunk, family, left)
                family = self._learn(quotes, [lines[row] for row in (left[0], left[-1])]) if left else None
                if family is None:
                    break
        return chunk.documents

    def _fill(self, chunk: _Chunk, family: _Family, rows: list[int]) -> list[int]:
        """Make the documents of those rows that have a shape of the family; returns the others."""
        lines = [chunk.lines[row] for row in rows]
        together = b"\n".join(lines)
        flat = is_flat(together, len(lines))
        decoded = decode(family.decoder, lines, together)
        left = _Group(rows, [values for values in decoded if values is not None])
        failed: list[int] = []
        if len(left.values) < len(rows):
            failed = [row for row, values in zip(rows, decoded, strict=True) if values is None]
            left = _Group([row for row, values in zip(rows, decoded, strict=True) if values is not None], left.values)
        for shape, columns, mark in zip(family.shapes, family.columns, family.marks, strict=True):
            others = _Group([], [])
            if mark is not None:
                marked = [values[mark] is not None for values in left.values]
                if not all(marked):
                    left, others = left.where(marked), left.where([not one for one in marked])
            left = self._make(chunk, shape, columns, left, flat=flat).joined(others)
        return sorted(failed + left.rows)

    def _make(self, chunk: _Chunk, shape: Shape, columns: tuple[int, ...], group: _Group, *, flat: bool) -> _Group:
        """Make the documents of those rows that have the shape; returns the others.

        In ``flat`` lines no value has more than two quotes, so when those that are no texts are as they must be, the
        number of a line's quotes leaves nothing else for the others, as long as none is missing.
        """
        if not group.rows:
            return group
        every: list[Column] = list(zip(*group.values, strict=True))
        picked = [every[column] for column in columns]
        fit = _of_kind(shape, picked, flat=flat)
        if fit is None:
            levels = as_bytes(picked[shape.level]) if shape.level is not None else []
            fit = self._sensible(shape, picked, levels)
        if fit is not None:
            unfit = group.where([not one for one in fit])
            return self._make(chunk, shape, columns, group.where(fit), flat=flat).joined(unfit)
        if shape.level is not None:
            picked[shape.level] = [self._known.levels[level] for level in levels]
        picked.append([chunk.offsets[row] for row in group.rows])
        picked.append(native.sizes([chunk.lines[row] for row in group.rows]))
        try:
            documents = interleave(_put_in(shape.parts, picked, chunk.read))
        except TypeError:  # a text is None
            return self._make(chunk, shape, columns, group, flat=False)
        for row, document in zip(group.rows, documents, strict=True):
            chunk.documents[row] = document
        return _Group([], [])

    def _sensible(self, shape: Shape, picked: list[Column], levels: list[bytes]) -> list[bool] | None:
        """In which rows the time is one, and the level; None if in all."""
        if shape.time is not None:
            times = as_bytes(picked[shape.time])
            new = {time[_SECOND] for time in times} - self._known.seconds
            bad = {second for second in new if not self._known.is_second(second)}
            if bad:
                return [time[_SECOND] not in bad for time in times]
        bad = {level for level in set(levels) if not self._known.is_level(level)}
        return [level not in bad for level in levels] if bad else None

    def _learn(self, quotes: int, lines: list[bytes]) -> _Family | None:
        """The family with the shape of one of some lines, if it is a flat object and there is room."""
        family = self._families.get(quotes)
        known = family.shapes if family is not None else ()
        for line in lines:
            self._tries += 1
            if self._tries > MOST_TRIES:
                return None
            shape = learn(line, self._reference)
            if shape is not None and all(shape.kinds != one.kinds for one in known):
                self._families[quotes] = _family((shape, *known[: MOST_SHAPES - 1]))
                return self._families[quotes]
        return None


def by_quotes(lines: list[bytes]) -> dict[int, list[int]]:
    """The numbers of the lines by how many quotes begin or end their texts; without those that have none."""
    counts = [line.count(b'"') for line in lines]
    if b"\\" in b"".join(lines):
        for row, line in enumerate(lines):
            if b"\\" in line:
                counts[row] = line.replace(b"\\\\", b"").replace(b'\\"', b"").count(b'"')
    if counts and counts.count(counts[0]) == len(counts):
        groups = {counts[0]: list(range(len(lines)))}
    else:
        groups = {}
        for row, count in enumerate(counts):
            groups.setdefault(count, []).append(row)
    return {count: rows for count, rows in groups.items() if count > 0}


def _of_kind(shape: Shape, picked: list[Column], *, flat: bool) -> list[bool] | None:
    """In which rows every value passes its check; None if in all. Those of ``flat`` lines' texts can be left out."""
    checks = zip(shape.checks, picked, strict=True)
    verdicts = [check.good(column) for check, column in checks if not (flat and check is ANY_TEXT)]
    mixed = [verdict for verdict in verdicts if verdict is not None]
    return [all(row) for row in zip(*mixed, strict=True)] if mixed else None


def _family(shapes: tuple[Shape, ...]) -> _Family:
    keys = list(dict.fromkeys(key for shape in shapes for key in shape.keys))
    numbers = {key: number for number, key in enumerate(keys)}
    marks = []
    for shape in shapes:
        others = {key for one in shapes if one is not shape for key in one.keys}
        mark = next((key for key in shape.keys if key not in others), None) if others else None
        marks.append(None if mark is None else numbers[mark])
    columns = tuple(tuple(numbers[key] for key in shape.keys) for shape in shapes)
    return _Family(decoder(keys), shapes, columns, tuple(marks))


def learn(line: bytes, reference: Reference) -> Shape | None:
    """The shape of a line; None if it is no flat object whose values may be copied."""
    tokens = _tokens(line) if len(line) <= _MOST_BYTES and is_utf8(line) else []
    keys = tuple(orjson.loads(token[2]) for token in tokens)
    if not keys or len(set(keys)) != len(keys):
        return None
    probes: list[bytes] = []
    checks: list[Check] = []
    time = level = None
    for number, (token, key, (claim, _name)) in enumerate(zip(tokens, keys, ecs.plan(keys), strict=True)):
        kind = next(index for index in (_TEXT, _NUMBER, _TRUTH, _NULL) if token[index] is not None)
        if not _may_copy(kind, claim, token[kind]):
            return None
        probes.append(b"%b:%b" % (orjson.dumps(key), _stand_in(kind, claim, number)))
        checks.append(_check(kind, claim))
        if kind != _NULL and claim is ecs.TIME:
            time = number
        elif kind != _NULL and claim is ecs.LEVEL:
            level = number
    documents = [
        reference(b"{%b}" % b",".join(probe), _PROBE_OFFSET, _PROBE_SIZE, _PROBE_SKIPPED, _PROBE_READ)
        for probe in (probes, probes[::-1])
    ]
    if orjson.loads(documents[0]) != orjson.loads(documents[1]):
        return None  # of two keys the first counts: lines with the same keys in another order are not of this shape
    if _moved(documents[0]) != reference(b"{%b}" % b",".join(probes), *_OTHERS):
        return None  # a key, or a field from the settings, has one of our stand-ins in it
    parts = _cut_up(documents[0], time, level)
    copied = sorted(part for part in parts if isinstance(part, int) and part >= 0)
    if copied != [number for number, check in enumerate(checks) if check is not NULLS]:
        return None
    return Shape(keys, tuple(checks), parts, time, level)


def _moved(document: bytes) -> bytes:
    """The probe's document with the other offset, size, skipped bytes and time of reading."""
    for stand_in, other in zip((_PROBE_OFFSET, _PROBE_SIZE, _PROBE_SKIPPED, _PROBE_READ), _OTHERS, strict=True):
        document = document.replace(str(stand_in).encode(), str(other).encode())
    return document


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
        return kind == _TEXT and TIME.good([value]) is None
    if kind == _NULL or claim is None:
        return True
    if kind == _TEXT:
        return claim in ecs.TEXTS or claim is ecs.LEVEL
    return kind == _NUMBER and b"." not in value and (claim in ecs.INTEGERS or claim is ecs.LEVEL)


def _check(kind: int, claim: ecs.Claim | None) -> Check:
    """What a value must look like to be copied."""
    if kind == _TEXT:
        return TIME if claim is ecs.TIME else LEVEL_TEXT if claim is ecs.LEVEL else ANY_TEXT
    if kind == _NUMBER:
        return ANY_NUMBER if claim is None else INTEGER
    return TRUTHS if kind == _TRUTH else NULLS


def _stand_in(kind: int, claim: ecs.Claim | None, number: int) -> bytes:
    if kind == _NULL:
        return b"null"
    if claim is ecs.TIME:
        return _PROBE_TIME
    if kind == _NUMBER:
        return b"%d" % (_PROBE_NUMBER + number)
    return (b'"tlrtext%dx"' if kind == _TEXT else b'"tlrtruth%dx"') % number


def _cut_up(document: bytes, time: int | None, level: int | None) -> tuple[bytes | int, ...]:
    """The probe's document cut where its stand-ins came out; a text's with its quotes, as a level's name has them."""
    parts: list[bytes | int] = []
    last = 0
    for found in _SLOT.finditer(document):
        keeps_quotes = found["quoted"] is not None and int(found["quoted"]) != level
        parts.append(document[last : found.start() + keeps_quotes])
        last = found.end() - keeps_quotes
        if found["own"]:
            parts.append(_OWN[found["own"]])
        elif found["read"]:
            parts.append(_READ)
        elif found["time"]:
            parts.append(_READ if time is None else time)
        else:
            parts.append(int(found["text"] or found["truth"] or found["quoted"] or found["number"]))
    return (*parts, document[last:])


def _put_in(parts: tuple[bytes | int, ...], values: list[Column], read: bytes) -> list[bytes | Column]:
    """The columns in their places of the document; neighbours that are the same for all rows become one."""
    result: list[bytes | Column] = []
    for part in parts:
        found = part if isinstance(part, bytes) else read if part == _READ else values[part]
        if isinstance(found, bytes) and result and isinstance(result[-1], bytes):
            result[-1] += found
        else:
            result.append(found)
    return result
