"""A line of a file whose format nobody named. No I/O.

The format is learnt from lines of the file, some at a time, and kept as long as it fits: it is never decided line by
line, but for JSON and text, which are told apart by their first byte.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from shipper import ecs
from shipper.formats import json, plain
from shipper.formats.fill import NO_FORMAT
from shipper.times import Times

Format = Callable[[bytes, ecs.Document], bool]
Telling = Callable[[str, bytes, ecs.Document], bool]

_SAMPLE = 20
"""So many lines are looked at, of all that there are; a file that has shown fewer is looked at again."""
_LEAST = 3
"""From fewer lines nothing is learnt, but for a format that fits them all and is telling."""
_SURE = 0.8
_UNSURE = 0.2
"""Between these shares of lines that fit, a format is not taken, and the lines say that nobody is sure."""
_LONG_AGO = 1_700_000_000 * 10**9
"""A time of reading with which every time without a year is one: which it is does not count here."""
FLAG = "auto"


class Guess(NamedTuple):
    """The format that fits most lines, and which share of them."""

    name: str
    share: float


class Fits:
    """How many of some lines, blank ones left out, each format fits, and in how many of them it is unmistakable.

    ``is_telling`` says the latter of a format's name, a line that it fits and the document that it made.
    """

    def __init__(self, candidates: Mapping[str, Format], is_telling: Telling = lambda *_: False) -> None:
        self.lines = 0
        self._candidates = candidates
        self._is_telling = is_telling
        self._hits = dict.fromkeys(candidates, 0)
        self._telling = dict.fromkeys(candidates, 0)

    def add(self, lines: Sequence[bytes]) -> None:
        """Count some lines."""
        sample = [line for line in lines if line and not line.isspace()]
        times = Times("UTC")
        times.now = _LONG_AGO
        self.lines += len(sample)
        for name, fits in self._candidates.items():
            for line in sample:
                document = ecs.Document(times)
                with contextlib.suppress(*NO_FORMAT):
                    if fits(line, document):
                        self._hits[name] += 1
                        self._telling[name] += self._is_telling(name, line, document)

    def share(self, name: str) -> float:
        """Which share of the lines a format fits; 0 without lines."""
        return self._hits.get(name, 0) / max(1, self.lines)

    @property
    def best(self) -> Guess:
        """Of several formats that do as well, the first."""
        name = max(self._hits, key=self.share, default="")
        return Guess(name, self.share(name)) if self.share(name) else Guess("", 0.0)

    def is_sure(self, name: str) -> bool:
        """Whether a format may be taken: for four fifths of the lines, or all but one, or if most are unmistakable."""
        if self._telling.get(name, 0) * 2 > self.lines:
            return True
        hits = self._hits.get(name, 0)
        return hits >= _LEAST and (hits >= self.lines - 1 or self.share(name) >= _SURE)


def guess(lines: Sequence[bytes], candidates: Mapping[str, Format]) -> Guess:
    """Which of some formats fits most lines that are not blank."""
    fits = Fits(candidates)
    fits.add(lines)
    return fits.best


class Auto:
    """The format of one source, as far as it is known."""

    def __init__(self, candidates: Mapping[str, Format], is_telling: Telling = lambda *_: False) -> None:
        self._candidates = candidates
        self._is_telling = is_telling
        self._fits = Fits(candidates, is_telling)
        self._learnt = ""
        self._unsure = False

    @property
    def name(self) -> str:
        """The format that was learnt; ``auto`` while lines are JSON or text, empty while nobody is sure."""
        return self._learnt or ("" if self._unsure else "auto")

    def learn(self, lines: Sequence[bytes]) -> None:
        """Look at the lines that come next: whether what was learnt still fits, or what would."""
        sample = lines[:: max(1, len(lines) // _SAMPLE)][:_SAMPLE]
        if self._fits.lines >= _SAMPLE:
            if len(sample) < _SAMPLE or (not self._learnt and not self._unsure and lines[0][:1] == b"{"):
                return
            if self._learnt and guess(sample, {"": self._candidates[self._learnt]}).share > _UNSURE:
                return
            self._learnt = ""
            self._fits = Fits(self._candidates, self._is_telling)
        self._fits.add(sample)
        self._decide()

    def _decide(self) -> None:
        best = self._fits.best
        if self._fits.is_sure(best.name):
            self._learnt = best.name
        elif self._fits.share(self._learnt) <= _UNSURE:
            self._learnt = ""
        self._unsure = not self._learnt and self._fits.lines >= _LEAST and best.share > _UNSURE

    def __call__(self, line: bytes, document: ecs.Document) -> bool:
        """Fill the document as the format that was learnt does; else as JSON where it is an object, or as text."""
        if self._learnt:
            return self._candidates[self._learnt](line, document)
        if self._unsure:
            document.flags.append(FLAG)
        return fields(line, document)


def fields(line: bytes, document: ecs.Document) -> bool:
    """Fill the document as JSON where the line is an object, else as text."""
    if line[:1] == b"{":
        if json.fields(line, document):
            return True
        if line[:2] == b'{"':
            document.flags.append("format")
    return plain.fields(line, document)
