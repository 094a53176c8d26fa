"""The partitions of all topics that records go to, to one row of lanes, and a source's name to its own."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from shipper.lanes import Lane
from tailrace.kafka import key_hash

_MOST_REMEMBERED = 100_000


class Waiting(NamedTuple):
    """A partition that holds records and has acknowledged none for so many seconds: its leader is away, or slow."""

    lane: int
    topic: str
    partition: int
    seconds: float
    in_flight_bytes: int


class _Stretch(NamedTuple):
    """The lanes of one topic: from which number on, and how many."""

    first: int
    length: int


class Road:
    """The lanes, numbered through all topics: those of the first have the numbers of its partitions.

    ``places`` says for each which topic and partition it is.
    """

    def __init__(self, partitions: Mapping[str, int]) -> None:
        self.lanes: list[Lane] = []
        self.places: list[tuple[str, int]] = []
        self._stretches: dict[str, _Stretch] = {}
        self._hashes: dict[str, int] = {}
        for topic, count in partitions.items():
            self._stretches[topic] = _Stretch(len(self.lanes), count)
            self.lanes += [Lane() for _ in range(count)]
            self.places += [(topic, number) for number in range(count)]

    def count(self, topic: str) -> int:
        """How many lanes a topic has; 0 before it is known."""
        return self._stretches[topic].length if topic in self._stretches else 0

    def lane_of(self, source: str, topic: str) -> int:
        """The lane of a source in a topic, by its name as any Kafka client chooses by a key; 0 before there are any."""
        if not self.lanes:
            return 0
        number = self._hashes.get(source)
        if number is None:
            if len(self._hashes) > _MOST_REMEMBERED:
                self._hashes.clear()
            number = self._hashes[source] = key_hash(source.encode())
        first, length = self._stretches[topic]
        return first + number % length

    def lanes_of(self, source: str, own: str, others: Sequence[str]) -> tuple[int, ...]:
        """All lanes that records of a source may go to: of the shipper's own topic, and of those that rules name."""
        lane = self.lane_of(source, own)
        return (lane, *(self.lane_of(source, topic) for topic in others)) if others else (lane,)

    def waiting(self, now: float, most_seconds: float) -> list[Waiting]:
        """The partitions that hold records and have acknowledged none for longer than so many seconds."""
        return [
            Waiting(number, *place, now - lane.progressed, lane.bytes)
            for number, (place, lane) in enumerate(zip(self.places, self.lanes, strict=True))
            if lane.bytes and now - lane.progressed > most_seconds
        ]
