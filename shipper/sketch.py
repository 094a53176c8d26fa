"""Lines of one text format to documents, column by column. No I/O.

A sketch says how the simple lines of a format are cut, and which fields the pieces give. All lines of a chunk are
escaped for JSON in one call and cut with one pattern in another; then all their first pieces are looked at together,
all their second, and so on. What a sketch says is held against the ordinary way once, with two lines of the format:
what those documents have besides (where the line stands, the host, fields from the settings) is learnt from them.
Whatever is not simple (bytes that are not UTF-8, pieces with escapes, times that are none) goes the ordinary way. A
property test holds both ways equal.
"""

import re
from collections.abc import Callable, Sequence
from itertools import compress
from typing import NamedTuple

import orjson

from shipper.columns import Column
from shipper.native import interleave
from shipper.times import Times

Reference = Callable[[bytes, int, int, int, str], bytes]
"""The ordinary way: (line, offset, size, skipped, time of reading) to the document."""
Turn = Callable[[str, Times], str | bytes | None]
"""A piece of a line to JSON; None if it is not simple."""

END = b"\\n"
"""The line feed between two escaped lines, and no other two bytes, as long as no line has a backslash."""
STAND_IN = rb"\u001a"
"""What stands for a backslash of a line until its document is made."""
REST = rb"([^\\]*+(?:\\[^n][^\\]*+)*+)"
"""At the end of a pattern: whatever follows, to the end of the line."""
_REMEMBERED = 4096
_MOST_KEY_BYTES = 256
_SECOND_BYTES = 19
_NOTHING = frozenset((b"", b"-"))

# Stand-ins of the document that a sketch is held against; no line contains them by chance.
_READ = "2002-03-04T05:06:07.080Z"
_OFFSET, _SIZE = 777_000_000_000_001, 777_000_000_000_002
_SLOTS: dict[bytes, str] = {b"%d" % _OFFSET: "offsets", b"%d" % _SIZE: "sizes", _READ.encode(): "read"}
_SLOT = re.compile(b"(%b)" % b"|".join(map(re.escape, _SLOTS)))


class Cells(NamedTuple):
    """What the pattern found in some lines, a column for each group (the first has number 0); the whole lines."""

    groups: Sequence[Column]
    lines: Column


class Memo(dict[bytes, bytes | None]):
    """What became of pieces that lines share; each is turned into JSON once. It forgets all when it has grown large."""

    def __init__(self, turn: Turn, times: Times) -> None:
        super().__init__()
        self._turn = turn
        self._times = times

    def __missing__(self, key: bytes) -> bytes | None:
        found = self._turn(key.decode(), self._times)
        made = found.encode() if isinstance(found, str) else found
        if len(key) <= _MOST_KEY_BYTES:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[key] = made
        return made


class Whole(NamedTuple):
    """The line itself, as it stands inside a JSON text."""

    def columns(self, cells: Cells, _memo: "Memos") -> list[bytes | Column]:
        """One column."""
        return [cells.lines]


class Text(NamedTuple):
    """A piece as it stands inside a JSON text; the pattern must leave nothing for it that needs a look."""

    group: int

    def columns(self, cells: Cells, _memo: "Memos") -> list[bytes | Column]:
        """One column."""
        return [cells.groups[self.group]]


class Given(NamedTuple):
    """A piece with what belongs before and behind it, or nothing where the line has none, or ``-``."""

    group: int
    before: bytes
    after: bytes = b'"'

    def columns(self, cells: Cells, _memo: "Memos") -> list[bytes | Column]:
        """One column, or the piece between two constants where every line has it."""
        column = cells.groups[self.group]
        if b"-" not in column and b"" not in column:
            return [self.before, column, self.after]
        before, after = self.before, self.after
        return [[b"" if piece in _NOTHING else before + piece + after for piece in column]]


class Known(NamedTuple):
    """A piece of which a chunk has few different ones, each turned into JSON once."""

    group: int
    turn: Turn

    def columns(self, cells: Cells, memo: "Memos") -> list[bytes | Column]:
        """One column."""
        return [list(map(memo(self.turn).__getitem__, cells.groups[self.group]))]


class Rated(NamedTuple):
    """A piece that gives these parts where ``every`` piece of the column is good for them; else as ``Known``.

    ``kind`` names the compiled code that tells the same of one piece, if there is any.
    """

    group: int
    every: Callable[[Column], bool]
    parts: "Parts"
    turn: Turn
    kind: bytes = b""

    def columns(self, cells: Cells, memo: "Memos") -> list[bytes | Column]:
        """Those of the parts, or one."""
        if self.every(cells.groups[self.group]):
            return _columns(self.parts, cells, memo)
        return Known(self.group, self.turn).columns(cells, memo)


class Iso(NamedTuple):
    """A time of two pieces: 19 bytes of date and clock, and what follows: a fraction, a zone, both, or nothing."""

    second: int
    tail: int

    def columns(self, cells: Cells, memo: "Memos") -> list[bytes | Column]:
        """The second in UTC, and its fraction."""
        seconds, tails = cells.groups[self.second], cells.groups[self.tail]
        together = b"\n".join(tails)
        masks = set(together.translate(_ONES).split(b"\n"))
        if _ZONELESS.issuperset(masks):
            known, fractions = memo(naive), together
        elif _IN_UTC.issuperset(masks):
            known, fractions = memo(utc), together.translate(None, b"Z")
        else:
            pieces = [_TAIL.fullmatch(tail) for tail in tails]
            keys = [b"?" if zone is None else second + zone[2] for second, zone in zip(seconds, pieces, strict=True)]
            rest = [b"" if zone is None else zone[1] for zone in pieces]
            return [list(map(memo(_zoned).__getitem__, keys)), [piece.replace(b",", b".") for piece in rest], b"Z"]
        return [list(map(known.__getitem__, seconds)), fractions.replace(b",", b".").split(b"\n"), b"Z"]


_ONES = bytes(0x31 if 0x30 <= byte <= 0x39 else 0x00 if byte == 0x31 else byte for byte in range(256))
_ZONELESS = frozenset([b"", *(mark + b"1" * digits for mark in (b".", b",") for digits in range(1, 10))])
_IN_UTC = frozenset(mask + b"Z" for mask in _ZONELESS)
_TAIL = re.compile(rb"((?:[.,]\d{1,9})?)(Z|[+-]\d\d:?\d\d|)")
_SECOND = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d", re.ASCII)


def _zoned(text: str, times: Times) -> str | None:
    found = times.utc(text) if _SECOND.match(text) else None
    return None if found is None else found[:-1]


def naive(text: str, times: Times) -> str | None:
    """A second without a zone, 19 bytes, to UTC."""
    return _zoned(text, times) if len(text) == _SECOND_BYTES else None


def utc(text: str, times: Times) -> str | None:
    """A second in UTC, 19 bytes, as Elasticsearch takes it."""
    return naive(text, times) and _zoned(text + "Z", times)


class Computed(NamedTuple):
    """What ``turn`` makes of the whole line."""

    turn: Callable[[bytes], bytes]

    def columns(self, cells: Cells, _memo: "Memos") -> list[bytes | Column]:
        """One column."""
        return [list(map(self.turn, cells.lines))]


Maker = Whole | Text | Given | Known | Rated | Iso | Computed
Parts = tuple[bytes | Maker, ...]
Memos = Callable[[Turn], Memo]


class Sketch(NamedTuple):
    """The simple lines of a format.

    ``pattern`` matches the beginning of such a line, written as inside a JSON text (a quote has a backslash before it),
    with ``END`` behind it; it has two groups or more. Together with what the parts refuse it must find exactly what the
    ordinary way finds, or nothing. Quick patterns are loose ones (``[^ ]+``), so parts must look closely at what those
    found. The parts are JSON: ``fields`` the document's own, ``log`` and ``event`` what is inside these two objects,
    each member followed by a comma. ``probes`` are lines of this kind: two that differ in all pieces, and others
    without what may be lacking.
    ``heads`` says that of a record of several lines the first one alone says all this, but for its stack trace.
    """

    pattern: bytes
    fields: Parts
    probes: tuple[bytes, ...]
    log: Parts = ()
    event: Parts = ()
    heads: bool = False


class Lines(NamedTuple):
    """Some lines of a chunk by their numbers, each as it stands inside a JSON text, and all of them joined."""

    rows: list[int]
    texts: list[bytes]
    together: bytes

    def where(self, chosen: Sequence[bool]) -> "Lines":
        """Those that were chosen."""
        if all(chosen):
            return self
        texts = list(compress(self.texts, chosen))
        return Lines(list(compress(self.rows, chosen)), texts, END.join(texts))


class Sketched:
    """A sketch at work on the lines of one source; ``reference`` is the ordinary way."""

    def __init__(self, sketch: Sketch, times: Times, reference: Reference) -> None:
        self._times = times
        self._memos: dict[Turn, Memo] = {}
        self._find = re.compile(rb"\\n(?:%b)" % sketch.pattern).findall
        self._fits = re.compile(sketch.pattern).match
        self._mixed = False
        self.heads = False
        self._parts = self._learn(sketch, reference)

    def documents(self, lines: Lines, own: Callable[[list[int]], "Own"]) -> tuple[list[int], list[bytes]]:
        """The numbers of those lines that are of this kind, and their documents."""
        if not self._parts:
            return [], []
        fit, groups = self._cut(lines)
        chosen = lines.where(fit)
        while chosen.rows:
            cells = Cells(groups, chosen.texts)
            columns = self._columns(cells, own(chosen.rows))
            try:
                return chosen.rows, interleave(columns)
            except TypeError:  # a piece is None: not simple
                good = _whole_rows(columns)
            chosen = chosen.where(good)
            groups = [list(compress(column, good)) for column in groups]
        return [], []

    def _cut(self, lines: Lines) -> tuple[list[bool], Sequence[Column]]:
        """Which lines match the pattern, and the columns of those."""
        if not self._mixed:
            found = self._find(b"%b%b%b" % (END, lines.together, END))
            # Each match begins at a line's beginning, and none can reach into the next line, or that one would lack.
            if len(found) == len(lines.rows):
                return [True] * len(found), list(zip(*found, strict=True))
        matches = [self._fits(text + END) for text in lines.texts]
        fit = [match is not None for match in matches]
        self._mixed = not all(fit)
        return fit, list(zip(*(match.groups(b"") for match in matches if match is not None), strict=True))

    def _columns(self, cells: Cells, own: "Own") -> list[bytes | Column]:
        columns: list[bytes | Column] = []
        for part in self._parts:
            if isinstance(part, bytes):
                found: list[bytes | Column] = [part]
            elif isinstance(part, str):
                found = [getattr(own, part)]
            else:
                found = part.columns(cells, self._memo)
            for one in found:
                if isinstance(one, bytes) and columns and isinstance(columns[-1], bytes):
                    columns[-1] += one
                else:
                    columns.append(one)
        return columns

    def _memo(self, turn: Turn) -> Memo:
        memo = self._memos.get(turn)
        if memo is None:
            memo = self._memos[turn] = Memo(turn, self._times)
        return memo

    def _learn(self, sketch: Sketch, reference: Reference) -> tuple[bytes | Maker | str, ...]:
        """The parts of the whole document; none if the ordinary way makes others of the sketch's own lines."""
        rests = [self._rest(sketch, probe, reference) for probe in sketch.probes]
        if rests[0] is None or any(rest != rests[0] for rest in rests):
            return ()
        log, event, others = rests[0]
        if not log or not event or STAND_IN in log + event + others:
            return ()
        self.heads = sketch.heads and b'"error":' not in others
        parts: list[bytes | Maker | str] = [b"{", *sketch.fields, "errors", b'"log":{', *sketch.log]
        for piece in (log, b'},"event":{', *sketch.event, event, b"},", others):
            parts += _slots(piece) if isinstance(piece, bytes) else [piece]
        return tuple(parts)

    def _rest(self, sketch: Sketch, probe: bytes, reference: Reference) -> tuple[bytes, bytes, bytes] | None:
        """What the ordinary document of a line has besides what the sketch says: in ``log``, in ``event``, and else."""
        wanted = orjson.loads(reference(probe, _OFFSET, _SIZE, 0, _READ))
        text = orjson.dumps(probe.decode())[1:-1]
        match = self._fits(text + END)
        if match is None:
            return None
        self._parts = (b"{", *sketch.fields, b'"log":{', *sketch.log, b'"_":0},"event":{', *sketch.event, b'"_":0}}')
        columns = self._columns(Cells([[group] for group in match.groups(b"")], [text]), Own([b""], [b""], b"", b""))
        if not all(_whole_rows(columns)):
            return None
        ours = orjson.loads(interleave(columns)[0])
        places = [(wanted["log"], ours.pop("log")), (wanted["event"], ours.pop("event")), (wanted, ours)]
        for place, some in places:
            some.pop("_", None)
            if any(place.pop(key, None) != value for key, value in some.items()):
                return None
        log, event = (orjson.dumps(wanted.pop(name))[1:-1] for name in ("log", "event"))
        return log, event, orjson.dumps(wanted)[1:]


class Own(NamedTuple):
    """What each line has besides what it says: where it begins, how many bytes it covers, when it was read.

    ``errors`` are members of documents, of traces behind the lines, or empty.
    """

    offsets: Column
    sizes: Column
    read: bytes
    errors: bytes | Column


def _slots(piece: bytes) -> list[bytes | str]:
    return [_SLOTS.get(one, one) for one in _SLOT.split(piece) if one]


def _whole_rows(columns: list[bytes | Column]) -> list[bool]:
    """In which rows no piece is None."""
    return [None not in row for row in zip(*(one for one in columns if not isinstance(one, bytes)), strict=True)]


def _columns(parts: Parts, cells: Cells, memo: Memos) -> list[bytes | Column]:
    found: list[bytes | Column] = []
    for part in parts:
        found += [part] if isinstance(part, bytes) else part.columns(cells, memo)
    return found
