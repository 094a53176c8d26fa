"""Numbered lines, as they come out of the topic and of the index, to what is missing or repeated. No I/O."""

from array import array
from collections.abc import Iterable, Mapping

import msgspec


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What became of lines."""

    rotations: int
    written: int
    shipped: int
    """Lines that are in the topic, each counted once."""
    repeated: int
    """Records more than there are lines, which say that they may repeat, as they must."""
    silent: int
    """Repetitions that do not say so."""
    renamed: int
    """Repetitions under another id, which nobody downstream can tell from a new line."""
    stored: int
    """Lines that are in Elasticsearch, each counted once."""
    doubled: int
    """Documents more than there are lines."""


class Count(Totals, frozen=True, kw_only=True):
    """What became of the lines of one file, all generations of it together."""

    way: str

    @property
    def is_exact(self) -> bool:
        """Whether every line is in the topic and, once, in Elasticsearch, and each repetition says that it is one."""
        return self.shipped == self.stored == self.written and not (self.silent or self.renamed or self.doubled)


class Shipped:
    """The records of the topic, in the order of each partition, and the lines that are in them."""

    def __init__(self, written: Mapping[str, int]) -> None:
        self._ids = {way: array("q", bytes(8 * lines)) for way, lines in written.items()}
        self.repeated = dict.fromkeys(written, 0)
        self.silent = dict.fromkeys(written, 0)
        self.renamed = dict.fromkeys(written, 0)
        self.strange = 0
        """Records that no line accounts for."""

    def take(self, way: str, number: int, record_id: str, *, may_repeat: bool) -> None:
        """One record."""
        ids = self._ids.get(way)
        if ids is None or not 0 <= number < len(ids):
            self.strange += 1
            return
        mark = hash(record_id) or 1
        if not ids[number]:
            ids[number] = mark
        elif ids[number] != mark:
            self.renamed[way] += 1
        elif may_repeat:
            self.repeated[way] += 1
        else:
            self.silent[way] += 1

    def lines(self, way: str) -> int:
        """How many different lines came."""
        return sum(map(bool, self._ids[way]))

    def missing(self, way: str) -> list[int]:
        """The numbers of those that did not."""
        return [number for number, mark in enumerate(self._ids[way]) if not mark]


class Stored:
    """The documents of the index, and the lines that are in them."""

    def __init__(self, written: Mapping[str, int]) -> None:
        self._copies = {way: bytearray(lines) for way, lines in written.items()}
        self.doubled = dict.fromkeys(written, 0)
        self.strange = 0

    def take(self, way: str, number: int) -> None:
        """One document."""
        copies = self._copies.get(way)
        if copies is None or not 0 <= number < len(copies):
            self.strange += 1
        elif copies[number]:
            self.doubled[way] += 1
        else:
            copies[number] = 1

    def lines(self, way: str) -> int:
        """How many different lines came."""
        return sum(self._copies[way])


def ranges(numbers: Iterable[int], most: int = 5) -> str:
    """Ascending numbers as text, the first few stretches of them: ``3-17, 20, …``."""
    stretches: list[list[int]] = []
    for number in numbers:
        if stretches and number == stretches[-1][1] + 1:
            stretches[-1][1] = number
        else:
            stretches.append([number, number])
    shown = [f"{first}" if first == last else f"{first}-{last}" for first, last in stretches[:most]]
    return ", ".join([*shown, *(["…"] if len(stretches) > most else [])])
