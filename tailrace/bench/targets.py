"""Figures to targets met and missed. No I/O."""

import msgspec

from tailrace.bench.measure import Figures
from tailrace.bench.outage import Outage
from tailrace.bench.storing import Indexing
from tailrace.words import several

_Row = tuple[str, str, float, float, bool, str]
"""What a verdict says, in its order."""
_TO_CEILING = 95
_RESIDENT_MIB = 143
_GROWTH_MIB = 5
"""What counts as flat."""


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
    return _verdicts(rows)


def outage_verdicts(outage: Outage) -> list[Verdict]:
    """The same for an outage."""
    held = outage.indexer
    return _verdicts(
        [
            ("outage", "indexer, resident", max(held.before, held.away, held.after), _RESIDENT_MIB, True, "MiB"),
            ("outage", "indexer, growth", held.growth, _GROWTH_MIB, True, "MiB"),
            ("outage", "agent, growth", outage.agent.growth, _GROWTH_MIB, True, "MiB"),
            ("outage", "catching up, to the ceiling", 100 * outage.to_ceiling, _TO_CEILING, False, "%"),
        ]
    )


def indexing_words(one: Indexing) -> str:
    """The case of one or several indexers, in words."""
    return f"{several(one.indexers, 'indexer')}, {several(one.partitions, 'partition')}"


def _verdicts(rows: list[_Row]) -> list[Verdict]:
    return [
        Verdict(part=part, name=name, value=value, target=target, most=most, unit=unit)
        for part, name, value, target, most, unit in rows
    ]


def _indexing(one: Indexing) -> list[_Row]:
    part = indexing_words(one)
    return [
        (part, "rate to the ceiling", 100 * one.to_ceiling, _TO_CEILING, False, "%"),
        (part, "processor per million", one.indexer.cpu_seconds_per_million, 5, True, "CPU-s"),
        (part, "resident", one.indexer.resident_mib, _RESIDENT_MIB, True, "MiB"),
    ]
