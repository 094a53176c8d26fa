"""Runs of one command to what they carried and what it took. No I/O."""

import msgspec

from tailrace.bench.child import Spent

MILLION = 1_000_000


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One way to carry all lines: per second at its best; processor seconds for a million, the start apart; MiB."""

    per_second: float
    cpu_seconds_per_million: float
    start_cpu_seconds: float
    resident_mib: float
    runs: list[tuple[float, float]]
    """Of each run the rate and the processor seconds for a million, in the order in which they ran."""


def load_of(runs: list[Spent], start: Spent, count: int, rates: list[float] | None = None) -> Load:
    """What runs that carried ``count`` lines each spent beyond their start; the rates where they were counted apart."""
    if rates is None:
        rates = [count / more(one.seconds, start.seconds) for one in runs]
    cpu = [more(one.cpu_seconds, start.cpu_seconds) * MILLION / count for one in runs]
    return Load(
        per_second=max(rates),
        cpu_seconds_per_million=min(cpu),
        start_cpu_seconds=start.cpu_seconds,
        resident_mib=max(one.resident_mib for one in runs),
        runs=list(zip(rates, cpu, strict=True)),
    )


def more(whole: float, start: float) -> float:
    """What a run took beyond its start; all of it where it was too short to tell."""
    return whole - start if whole > start else whole


def least(runs: list[Spent]) -> Spent:
    """Of several runs that do the same, what the machine disturbed least."""
    return Spent(*(min(values) for values in zip(*runs, strict=True)))
