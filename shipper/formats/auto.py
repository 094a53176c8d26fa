"""A line of a file whose format nobody named. No I/O.

The format is learnt from lines of the file, some at a time, and kept as long as it fits: it is never decided line by
line, but for JSON and text, which are told apart by their first byte.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from shipper import ecs
from shipper.formats import json, plain
from shipper.times import Times

Format = Callable[[bytes, ecs.Document], bool]

_SAMPLE = 20
"""So many lines are looked at, of all that there are; a file that has shown fewer is looked at again."""
_LEAST = 3
"""From fewer lines nothing is learnt."""
_SURE = 0.8
_UNSURE = 0.2
"""Between these shares of lines that fit, a format is not taken, and the lines say that nobody is sure."""
FLAG = "auto"


class Guess(NamedTuple):
    """The format that fits most lines, and which share of them."""

    name: str
    share: float


def guess(lines: Sequence[bytes], candidates: Mapping[str, Format]) -> Guess:
    """Which of some formats fits most lines that are not blank; of several that do as well, the first."""
    sample = [line for line in lines if line and not line.isspace()]
    best = Guess("", 0.0)
    times = Times("UTC")
    for name, fits in candidates.items():
        share = sum(fits(line, ecs.Document(times)) for line in sample) / max(1, len(sample))
        if share > best.share:
            best = Guess(name, share)
    return best


class Auto:
    """The format of one source, as far as it is known."""

    def __init__(self, candidates: Mapping[str, Format]) -> None:
        self._candidates = candidates
        self._seen = 0
        self._learnt: Format | None = None
        self.name = "auto"
        """The format that was learnt; ``auto`` while lines are JSON or text, empty while nobody is sure."""
        self._unsure = False

    def learn(self, lines: Sequence[bytes]) -> None:
        """Look at the lines that come next: whether what was learnt still fits, or what would."""
        sample = lines[:: max(1, len(lines) // _SAMPLE)][:_SAMPLE]
        if self._seen >= _SAMPLE:
            if len(sample) < _SAMPLE or (self._learnt is None and not self._unsure and lines[0][:1] == b"{"):
                return
            if self._learnt is not None and guess(sample, {"": self._learnt}).share > _UNSURE:
                return
            self._seen = 0
        self._seen += len(sample)
        if self._seen < _LEAST:
            return
        best = guess(sample, self._candidates)
        self._learnt = self._candidates[best.name] if best.share >= _SURE else None
        self._unsure = _UNSURE < best.share < _SURE
        self.name = best.name if self._learnt is not None else "" if self._unsure else "auto"

    def __call__(self, line: bytes, document: ecs.Document) -> bool:
        """Fill the document as the format that was learnt does; else as JSON where it is an object, or as text."""
        if self._learnt is not None:
            return self._learnt(line, document)
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
