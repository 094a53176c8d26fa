"""Lines to records: stack traces and other records of several lines, in one piece. No I/O.

Where a record ends follows from its bytes alone, from its first line on: never from how many of them one read brought,
nor from the time. So what is read again after a crash is joined in the same way; a stored cut is the only other end.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from shipper.formats import csv, wrapped
from shipper.trace_lines import LANGUAGES, Marks, Traces
from tailrace.patterns import pattern_of
from tailrace.settings import Input

_RULE_OF_FORMAT = {
    "auto": "traces",
    "plain": "traces",
    "java": "java",
    "python": "python",
    "rust": "rust",
    "postgresql": "indent",
}
_RULE_OF_FORMAT |= {"cri": "cri", "docker": "docker", "csv": "csv"}
"""What ``rule = "auto"`` means for a format; the others have one line for each record."""


class Joined(NamedTuple):
    """Records at the start of some lines, and how many bytes behind them (delimiters counted) are not yet a record.

    ``pieces`` are the numbers of those records that are, or look like, the rest of another.
    """

    records: list[bytes]
    open_bytes: int
    pieces: frozenset[int]


_NONE: frozenset[int] = frozenset()
Rule = Callable[[Sequence[bytes], int, int], Marks]
"""Marks lines of which the first begins a record, given the most lines and bytes of a record.

Where what a line is depends on lines before it in its record, the rule itself must keep the limits: behind a limit it
begins anew, as it does when the file is read from there.
"""


class Joiner:
    """Joins the lines of one source by a rule; a record has at most so many lines, and bytes with delimiters."""

    def __init__(self, rule: Rule, most_lines: int, most_bytes: int, *, flags: bool = True) -> None:
        self._rule = rule
        self._flags = flags
        self._most_lines = most_lines
        self._most_bytes = most_bytes

    def join(self, lines: list[bytes], rest: bytes, *, final: bool) -> Joined:
        """Join whole lines (without delimiters) of which the first begins a record.

        ``rest`` is the line behind them that has no end yet: it is not joined, but its length may be what ends the last
        record. With ``final`` nothing can follow, and no record stays open.
        """
        if not lines:
            return Joined(lines, 0, _NONE)
        continues, pieces, may_go_on = self._rule(lines, self._most_lines, self._most_bytes)
        if not may_go_on and True not in continues and not pieces:
            return Joined(lines, 0, _NONE)
        starts = self._starts(lines, continues, pieces)
        open_bytes = 0
        if may_go_on and not final:
            last = lines[starts[-1] :]
            size = _size(last)
            if len(last) < self._most_lines and size + len(rest) < self._most_bytes:
                open_bytes = size
                lines = lines[: starts.pop()]
        records = [
            lines[start] if end - start == 1 else b"\n".join(lines[start:end])
            for start, end in pairwise([*starts, len(lines)])
        ]
        return Joined(
            records, open_bytes, frozenset(bisect_right(starts, line) - 1 for line in pieces if line < len(lines))
        )

    def _starts(self, lines: list[bytes], continues: list[bool], pieces: list[int]) -> list[int]:
        """The lines that begin a record; those that do for a limit are added to the pieces."""
        natural = [line for line, goes_on in enumerate(continues) if not goes_on or not line]
        starts: list[int] = []
        for start, end in pairwise([*natural, len(lines)]):
            starts.append(start)
            if end - start == 1:
                continue
            size = len(lines[start]) + 1
            for line in range(start + 1, end):
                size += len(lines[line]) + 1
                if line - starts[-1] >= self._most_lines or size > self._most_bytes:
                    starts.append(line)
                    size = len(lines[line]) + 1
                    if self._flags:
                        pieces.append(line)
        return starts


def joiner_of(entry: Input, chunk_bytes: int) -> Joiner | None:
    """What joins the lines of an input's files that are read so many bytes at a time; None where each is a record.

    Raises:
        BadPattern: one of its patterns is wrong.
    """
    multiline = entry.multiline
    rule = _rule_of(entry)
    # A record must be seen whole in one read, with the line that ends it.
    most_bytes = min(multiline.max_bytes, chunk_bytes // 2)
    if rule is _all:
        return Joiner(rule, multiline.count, most_bytes, flags=False)
    return None if rule is None else Joiner(rule, multiline.max_lines, most_bytes)


def _rule_of(entry: Input) -> Rule | None:
    multiline = entry.multiline
    if multiline.start or multiline.continues:
        return _Pattern(multiline.start or multiline.continues, starts=bool(multiline.start))
    if multiline.count:
        return _all
    name = _RULE_OF_FORMAT.get(entry.format, "off") if multiline.rule == "auto" else multiline.rule
    if name == "csv":
        return _Quoted(csv.Quotes(entry.csv)) if entry.csv.quote else None
    if name in _SIMPLE:
        return _SIMPLE[name]
    return Traces(LANGUAGES, attach=False) if name == "traces" else Traces((name,), attach=True)


class _Pattern:
    """A pattern that a line matches from its beginning: every first line does, or every other."""

    def __init__(self, pattern: str, *, starts: bool) -> None:
        self._match = pattern_of(pattern).match
        self._starts = starts

    def __call__(self, lines: Sequence[bytes], _most_lines: int, _most_bytes: int) -> Marks:
        """Mark lines."""
        match, starts = self._match, self._starts
        continues = [(match(line) is None) is starts for line in lines]
        return Marks(continues, [0] if continues[0] else [], may_go_on=True)


class _Parts:
    """A line says itself whether the next one belongs to it."""

    def __init__(self, goes_on: Callable[[bytes], bool]) -> None:
        self._goes_on = goes_on

    def __call__(self, lines: Sequence[bytes], _most_lines: int, _most_bytes: int) -> Marks:
        """Mark lines."""
        going = [self._goes_on(line) for line in lines]
        return Marks([False, *going[:-1]], [], going[-1])


class _Quoted:
    """A line that ends within a value in quotes goes on in the next."""

    def __init__(self, quotes: csv.Quotes) -> None:
        self._is_open = quotes.is_open

    def __call__(self, lines: Sequence[bytes], most_lines: int, most_bytes: int) -> Marks:
        """Mark lines."""
        continues: list[bool] = []
        pieces: list[int] = []
        goes_on, first, size = False, 0, 0
        for number, line in enumerate(lines):
            size += len(line) + 1
            if goes_on and (number - first >= most_lines or size > most_bytes):
                pieces.append(number)
                goes_on = False
            if not goes_on:
                first, size = number, len(line) + 1
            continues.append(goes_on)
            goes_on = self._is_open(line, was_open=goes_on)
        return Marks(continues, pieces, goes_on)


def _all(lines: Sequence[bytes], _most_lines: int, _most_bytes: int) -> Marks:
    """Only a limit ends a record."""
    return Marks([True] * len(lines), [], may_go_on=True)


def _indented(lines: Sequence[bytes], _most_lines: int, _most_bytes: int) -> Marks:
    """A line that begins with white space belongs to the one before."""
    continues = [line[:1] in (b" ", b"\t") for line in lines]
    return Marks(continues, [0] if continues[0] else [], may_go_on=True)


_SIMPLE: dict[str, Rule | None] = {
    "off": None,
    "indent": _indented,
    "cri": _Parts(wrapped.cri_goes_on),
    "docker": _Parts(wrapped.docker_goes_on),
}
"""Rules that need no settings."""


def _size(lines: list[bytes]) -> int:
    return sum(map(len, lines)) + len(lines)
