"""Lines of one text format to documents, the compiled way. No I/O.

A pattern becomes steps that hardly go back. That matches less than the regular expression, but where it does it matches
the same; what it leaves may still go the way in Python. A sketch with something that has no step, or a part that has no
compiled kind, gets none.
"""

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from typing import Any, NamedTuple

from shipper import native
from shipper.sketch import (
    REST,
    Computed,
    Given,
    Iso,
    Known,
    Lines,
    Maker,
    Memo,
    Own,
    Rated,
    Reference,
    Sketch,
    Sketched,
    Text,
    Turn,
    Whole,
    naive,
    utc,
)
from shipper.times import Times

parser: Any = None
codes: Any = None
try:  # how Python itself reads a pattern; it promises this to nobody
    from re import _constants, _parser  # type: ignore[attr-defined]
except ImportError:
    pass
else:
    parser, codes = _parser, _constants

_ANY = bytes(range(256))
_DIGITS = b"0123456789"
_WORD = re.compile(rb"\w")
_WORDS = bytes(byte for byte in range(256) if _WORD.match(bytes([byte])))
_MOST = sys.maxsize
_OWN = {"offsets": 0, "sizes": 1, "read": 2}
LEAST_LINES = 4
"""Fewer lines go the ordinary way, which is quicker for them."""


class _Step(NamedTuple):
    """Of a pattern: ``least`` to ``most`` bytes of a set, a group's begin or end, what the next ``steps`` are for."""

    kind: bytes
    least: int = 0
    most: int = 0
    some: bytes = b""
    group: int = 0
    steps: int = 0


class _Part(NamedTuple):
    """Of a document: a group with text around it, a memo that says what it becomes, what the next ``parts`` are for."""

    kind: bytes
    group: int = 0
    second: int = 0
    parts: int = 0
    before: bytes = b""
    after: bytes = b""
    memo: object = None
    other: object = None


class _NoStep(Exception):
    """Something in a pattern has no step."""


class Drawn(Sketched):
    """A sketch at work on the lines of one source, by compiled code where it can be."""

    def __init__(self, sketch: Sketch, times: Times, reference: Reference) -> None:
        super().__init__(sketch, times, reference)
        self.compiled = _drawn(sketch.pattern, self._parts, self._memo) if self._parts else None
        """What compiled code takes for the sketch; None if it cannot be had."""

    def documents(self, lines: Lines, own: Callable[[list[int]], Own]) -> tuple[list[int], list[bytes]]:
        """The numbers of those lines that are of this kind, and their documents."""
        if self.compiled is None:
            return super().documents(lines, own)
        mine = own(lines.rows)
        if mine.errors:
            return super().documents(lines, own)
        made: list[bytes | None] = native.compiled.draw(self.compiled, lines.texts, mine.offsets, mine.sizes, mine.read)
        documents = list(filter(None, made))
        if len(documents) == len(made):
            return lines.rows, documents
        rows = list(compress(lines.rows, made))
        left = lines.where([document is None for document in made])
        if len(left.rows) < LEAST_LINES:
            return rows, documents
        more_rows, more = super().documents(left, own)
        return rows + more_rows, documents + more


def _drawn(pattern: bytes, parts: Sequence[bytes | Maker | str], memo: Callable[[Turn], Memo]) -> object | None:
    """What ``_native.draw`` wants for a sketch; None if it cannot be had."""
    if native.compiled is None or parser is None:
        return None
    rest = pattern.endswith(REST)
    try:
        steps = _steps(parser.parse(pattern.removesuffix(REST) if rest else pattern))
        kept = [one for part in parts for one in _parts(part, memo)]
    except _NoStep:
        return None
    if rest:
        group = sum(step[0] == b"(" for step in steps)
        steps += [_Step(b"(", group=group), _Step(b"*"), _Step(b")", group=group)]
    made: object = native.compiled.sketch(tuple(steps), tuple(kept))
    return made


def _steps(parsed: Iterable[Any]) -> list[_Step]:
    return [step for code, value in parsed for step in _steps_of(code, value)]


def _steps_of(code: object, value: Any) -> list[_Step]:  # noqa: ANN401 - as Python's parser gives it
    if code in (codes.MAX_REPEAT, codes.POSSESSIVE_REPEAT):
        return _repeated(*value, possessive=code is codes.POSSESSIVE_REPEAT)
    if code is codes.SUBPATTERN:
        group, added, taken, parsed = value
        if added or taken:
            raise _NoStep
        inner = _steps(parsed)
        return inner if group is None else [_Step(b"(", group=group - 1), *inner, _Step(b")", group=group - 1)]
    if code in (codes.ASSERT, codes.ASSERT_NOT) and value[0] < 0:
        raise _NoStep
    if code is codes.ASSERT and list(value[1]) == [(codes.LITERAL, byte) for byte in rb"\n"]:
        return [_Step(b"$")]
    if code in (codes.ASSERT, codes.ASSERT_NOT):
        inner = _steps(value[1])
        return [_Step(b"=" if code is codes.ASSERT else b"!", steps=len(inner)), *inner]
    if code is codes.BRANCH:
        ways = [_steps(way) for way in value[1]]
        inner = [step for way in ways for step in (_Step(b"1", steps=len(way)), *way)]
        return [_Step(b"|", steps=len(inner)), *inner]
    return [_Step(b"s", some=_set(code, value), least=1, most=1)]


def _repeated(least: int, most: int, parsed: Sequence[Any], *, possessive: bool) -> list[_Step]:
    if len(parsed) == 1 and parsed[0][0] in (codes.LITERAL, codes.NOT_LITERAL, codes.IN):
        return [_Step(b"s", some=_set(*parsed[0]), least=int(least), most=min(int(most), _MOST))]
    inner = _steps(parsed)
    if (int(least), int(most)) != (0, 1) or possessive or any(step.kind == b"(" for step in inner):
        raise _NoStep
    return [_Step(b"?", steps=len(inner)), *inner]


def _set(code: object, value: Any) -> bytes:  # noqa: ANN401 - as Python's parser gives it
    """The bytes that one place of a pattern takes."""
    if code is codes.LITERAL:
        return bytes([value])
    if code is codes.NOT_LITERAL:
        return _without(bytes([value]))
    if code is codes.RANGE:
        return bytes(range(value[0], value[1] + 1))
    if code is codes.CATEGORY and value in (codes.CATEGORY_DIGIT, codes.CATEGORY_WORD):
        return _DIGITS if value is codes.CATEGORY_DIGIT else _WORDS
    if code is not codes.IN:
        raise _NoStep
    some = b"".join(_set(*one) for one in value if one[0] is not codes.NEGATE)
    return _without(some) if value[0][0] is codes.NEGATE else some


def _without(some: bytes) -> bytes:
    return _ANY.translate(None, some)


def _parts(part: bytes | Maker | str, memo: Callable[[Turn], Memo]) -> list[_Part]:
    made = []
    match part:
        case bytes():
            made = [_Part(b"c", before=part)]
        case str():
            made = [_Part(b"o", _OWN[part])] if part in _OWN else []
        case Whole():
            made = [_Part(b"w")]
        case Text(group):
            made = [_Part(b"t", group)]
        case Given(group, before, after):
            made = [_Part(b"g", group, before=before, after=after)]
        case Known(group, turn):
            made = [_Part(b"k", group, memo=memo(turn))]
        case Iso(second, tail):
            made = [_Part(b"i", second, tail, memo=memo(naive), other=memo(utc))]
        case Computed(compute):
            made = [_Part(b"f", memo=compute)]
        case Rated():
            made = _rated(part, memo)
    return made


def _rated(part: Rated, memo: Callable[[Turn], Memo]) -> list[_Part]:
    """Its parts follow the one that says when they hold."""
    if not part.kind:
        raise _NoStep
    inner = [one for each in part.parts for one in _parts(each, memo)]
    return [_Part(part.kind, part.group, parts=len(inner), memo=memo(part.turn)), *inner]
