"""Figures to targets met and missed. No I/O."""

import msgspec

from tailrace.bench.measure import Figures
from tailrace.bench.storing import Indexing
from tailrace.words import several


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One figure beside its target; ``most`` says that it must not be larger, else it must not be smaller."""

    part: str
    name: str
    value: float
    target: float
    most: bool
    unit: str

    @property
    def met(self) -> bool:
        """Whether the target is met."""
        return self.value <= self.target if self.most else self.value >= self.target


def verdicts(figures: Figures) -> list[Verdict]:
    """Every figure that has a target."""
    rows = [
        ("shipper", "rate", figures.shipper.per_second, 120_000, False, "lines/s"),
        ("shipper", "processor per million", figures.shipper.cpu_seconds_per_million, 7, True, "CPU-s"),
        ("shipper", "resident", figures.shipper.resident_mib, 70, True, "MiB"),
        *(row for one in figures.indexing for row in _indexing(one)),
        ("latency", "p50", figures.latency.p50, 250, True, "ms"),
        ("latency", "p99", figures.latency.p99, 1000, True, "ms"),
    ]
    return [
        Verdict(part=part, name=name, value=value, target=target, most=most, unit=unit)
        for part, name, value, target, most, unit in rows
    ]


def indexing_words(one: Indexing) -> str:
    """The case of one or several indexers, in words."""
    return f"{several(one.indexers, 'indexer')}, {several(one.partitions, 'partition')}"


def _indexing(one: Indexing) -> list[tuple[str, str, float, float, bool, str]]:
    part = indexing_words(one)
    return [
        (part, "rate to the ceiling", 100 * one.to_ceiling, 95, False, "%"),
        (part, "processor per million", one.indexer.cpu_seconds_per_million, 5, True, "CPU-s"),
        (part, "resident", one.indexer.resident_mib, 143, True, "MiB"),
    ]
