"""Lines that repeat one JSON shape to documents, without building a tree for each. No I/O.

A service writes the same keys in the same order, millions of times. From one line of such a shape, and the document
that the ordinary way makes of it, this learns a pattern for the line and the pieces of the document between its values;
the next lines of the shape are matched and joined with them, each value copied as it stands. Whatever does not match
exactly (an escape, another key, a time that is none, bytes that are not UTF-8) goes the ordinary way. A property test
holds both ways equal.
"""

import itertools
import operator
import re
from collections.abc import Callable
from typing import NamedTuple

import orjson

from shipper import ecs
from shipper.times import Times

_MOST_SHAPES = 8
_MOST_TRIES = 256
"""Lines that keep bringing new shapes are not worth learning."""
_MOST_BYTES = 8192
"""A longer line is not learnt from: a pattern of its tens of thousands of keys took seconds to make."""
_REMEMBERED = 4096
_MOST_KEYS = 128

_TOKEN = re.compile(
    rb'(\s*[{,]\s*("[^"\\\x00-\x1f]*")\s*:\s*)'
    rb'(?:"([^"\\\x00-\x1f]*)"|(-?(?:0|[1-9]\d{0,14})(?:\.\d{1,17})?)|(true|false)|(null))(?=\s*[,}])'
)
_TEXT, _NUMBER, _TRUTH, _NULL = 3, 4, 5, 6
"""Which group of a token tells what kind of value it has."""
_TEXT_PATTERN = rb'"([^"]*)"'
"""Without backslashes and control characters, which are looked for in all of the chunk: four times as fast."""
_NUMBER_PATTERN = rb"(-?(?:0|[1-9]\d{0,14})(?:\.\d{1,17})?)"
_INTEGER_PATTERN = rb"(0|-?[1-9]\d{0,14})"
_TIME_PATTERN = rb'"(\d\d\d\d-\d\d-\d\dT\d\d:\d\d:\d\d)((?:\.\d{1,9})?)Z"'
_IS_TIME = re.compile(_TIME_PATTERN[1:-1])

# Stand-ins that the ordinary way carries into the document as they are, and that no line contains by chance.
_PROBE_TIME = b"2001-02-03T04:05:06.070809011Z"
_PROBE_READ = "2002-03-04T05:06:07.080Z"
_PROBE_OFFSET, _PROBE_SIZE, _PROBE_SKIPPED = 777_000_000_000_001, 777_000_000_000_002, 777_000_000_000_003
_PROBE_NUMBER = 777_000_000_001_000
_SLOT = re.compile(
    rb"tlrprobe(?P<text>\d+)x|777000000001(?P<number>\d\d\d)|77700000000000(?P<own>[123])|(?P<time>%b)|(?P<read>%b)"
    % (re.escape(_PROBE_TIME), re.escape(_PROBE_READ.encode()))
)
_LEVEL, _READ = 0, 4
"""Places behind the pattern's groups: level, offset, size, skipped, time of reading."""

Reference = Callable[[bytes, int, int, int, str], bytes]
"""The ordinary way: (line, offset, size, skipped, time of reading) to the document."""


class _Shape(NamedTuple):
    """``pick`` puts the pattern's groups, the five values behind them and the ``pieces`` into the document's order.

    ``time`` and ``level`` are the groups that hold them, or -1.
    """

    match: Callable[[bytes], re.Match[bytes] | None]
    pieces: tuple[bytes, ...]
    pick: Callable[[tuple[bytes, ...]], tuple[bytes, ...]]
    time: int
    level: int


class Shapes:
    """The shapes of one source's lines; ``reference`` is the ordinary way."""

    def __init__(self, times: Times, reference: Reference) -> None:
        self._times = times
        self._reference = reference
        self._shapes: list[_Shape] = []
        self._tries = 0
        self._seconds: set[bytes] = set()
        self._levels: dict[bytes, bytes] = {}

    def clear(self) -> None:
        """Something that stands in every document has changed."""
        self._shapes.clear()

    def document(self, line: bytes, offset: int, size: int, skipped: int, read: bytes) -> bytes | None:
        """The document of a line of a known shape; None if the line must go the ordinary way.

        Hazard: the line must have no control characters (``is_clean`` of its chunk).
        """
        if b"\\" in line:
            return None
        for shape in self._shapes:
            found = shape.match(line)
            if found is not None:
                break
        else:
            return None
        groups = found.groups()
        if shape.time >= 0 and groups[shape.time] not in self._seconds and not self._is_second(groups[shape.time]):
            return None
        if not line.isascii() and not _is_utf8(line):
            return None
        level = b""
        if shape.level >= 0:
            level = self._levels.get(groups[shape.level]) or self._level(groups[shape.level])
            if not level:
                return None
        if shape is not self._shapes[0]:
            self._shapes.remove(shape)
            self._shapes.insert(0, shape)
        own = (level, b"%d" % offset, b"%d" % size, b"%d" % skipped if skipped else b"0", read)
        return b"".join(shape.pick(groups + own + shape.pieces))

    def learn(self, line: bytes) -> None:
        """Learn the shape of a line that went the ordinary way, if it is a flat object and there is room."""
        self._tries += 1
        if self._tries > _MOST_TRIES or len(line) > _MOST_BYTES:
            return
        shape = _learn(line, self._reference)
        if shape is not None:
            self._shapes.insert(0, shape)
            del self._shapes[_MOST_SHAPES:]

    def _is_second(self, second: bytes) -> bool:
        if len(self._seconds) >= _REMEMBERED:
            self._seconds.clear()
        if self._times.utc(second.decode() + "Z") is None:
            return False
        self._seconds.add(second)
        return True

    def _level(self, written: bytes) -> bytes:
        """The common name of a level; empty if JSON would have to escape it, or there are too many to be levels."""
        text = written.decode("ascii", "replace")
        level = ecs.level_of(int(text) if text.lstrip("-").isdigit() and text.isascii() else text)
        if level is None or not level.isascii() or not level.isalnum() or len(self._levels) >= _REMEMBERED:
            return b""
        self._levels[written] = level.encode()
        return self._levels[written]


def _learn(line: bytes, reference: Reference) -> _Shape | None:
    tokens = _tokens(line)
    keys = tuple(orjson.loads(token[2]) for token in tokens)
    if not keys or len(set(keys)) != len(keys):
        return None
    pattern = probe = b""
    groups: dict[int, int] = {}
    count = 0
    time = level = -1
    for number, (token, (claim, _name)) in enumerate(zip(tokens, ecs.plan(keys), strict=True)):
        kind = next(index for index in (_TEXT, _NUMBER, _TRUTH, _NULL) if token[index] is not None)
        value = _value_pattern(kind, claim, token[kind])
        if value is None:
            return None
        pattern += re.escape(token[1]) + value
        probe += token[1] + _stand_in(kind, claim, number)
        groups[number] = count
        if kind == _NULL:
            continue
        if claim is ecs.TIME:
            time = count
        elif claim is ecs.LEVEL:
            level = count
        count += value.count(b"(") - value.count(b"(?")
    last = line[tokens[-1].end() :]
    document = reference(probe + last, _PROBE_OFFSET, _PROBE_SIZE, _PROBE_SKIPPED, _PROBE_READ)
    pieces, order = _cut_up(document, groups, count, time)
    if level >= 0:
        order = [count + _LEVEL if place == level else place for place in order]
    wanted = {*range(count), count + _LEVEL} - {level if level >= 0 else count + _LEVEL}
    taken = [place for place in order if place <= count]
    if len(taken) != len(wanted) or set(taken) != wanted:
        return None
    match = re.compile(pattern + re.escape(last)).fullmatch
    return _Shape(match, pieces, operator.itemgetter(*order), time, level)


def _tokens(line: bytes) -> list[re.Match[bytes]]:
    """The keys and values of a flat object; none if it is not flat, or has too many."""
    tokens = list(itertools.islice(_TOKEN.finditer(line), _MOST_KEYS + 1))
    joined = all(first.end() == second.start() for first, second in itertools.pairwise(tokens))
    if not tokens or tokens[0].start() or not joined or len(tokens) > _MOST_KEYS:
        return []
    return tokens if line[tokens[-1].end() :].strip() == b"}" else []


def _value_pattern(kind: int, claim: ecs.Claim | None, value: bytes) -> bytes | None:
    """What a value of its kind looks like, if it may be copied into the document; None if it needs the ordinary way."""
    if kind == _NULL:
        return b"null"
    if claim is None:
        return {_TEXT: _TEXT_PATTERN, _NUMBER: _NUMBER_PATTERN, _TRUTH: b"(true|false)"}[kind]
    if claim is ecs.TIME:
        return _TIME_PATTERN if kind == _TEXT and _IS_TIME.fullmatch(value) else None
    if kind == _TEXT and (claim in ecs.TEXTS or claim is ecs.LEVEL):
        return _TEXT_PATTERN
    if kind == _NUMBER and b"." not in value and (claim in ecs.INTEGERS or claim is ecs.LEVEL):
        return _INTEGER_PATTERN
    return None


def _stand_in(kind: int, claim: ecs.Claim | None, number: int) -> bytes:
    if kind == _NULL:
        return b"null"
    if claim is ecs.TIME:
        return b'"%b"' % _PROBE_TIME
    return b"%d" % (_PROBE_NUMBER + number) if kind == _NUMBER else b'"tlrprobe%dx"' % number


def _cut_up(document: bytes, groups: dict[int, int], count: int, time: int) -> tuple[tuple[bytes, ...], list[int]]:
    """The probe's document cut where its stand-ins came out: the pieces, and the places of all parts in order."""
    pieces: list[bytes] = []
    order: list[int] = []
    first_piece = count + _READ + 1
    last = 0
    for slot in _SLOT.finditer(document):
        order.append(first_piece + len(pieces))
        pieces.append(document[last : slot.start()])
        last = slot.end()
        if slot["own"]:
            order.append(count + int(slot["own"]))
        elif slot["read"]:
            order.append(count + _READ)
        elif slot["time"]:
            order += [time, time + 1, first_piece + len(pieces)]
            pieces.append(b"Z")
        else:
            order.append(groups[int(slot["text"] or slot["number"])])
    order.append(first_piece + len(pieces))
    return (*pieces, document[last:]), order


_CONTROLS = bytes(byte for byte in range(32) if byte != 10)


def is_clean(chunk: bytes) -> bool:
    """Whether there is no control character but line feeds."""
    return len(chunk.translate(None, _CONTROLS)) == len(chunk)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
