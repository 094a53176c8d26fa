"""What a million lines of each format cost the shipper, beside the bare trial of the same lines in the same run."""

import os
import statistics
import sys
import time
from pathlib import Path

import msgspec

from tailrace.bench import bare, child
from tailrace.bench.child import Spent
from tailrace.bench.ground import FILES, Ground
from tailrace.bench.measure import Load, Plan, Progress, least, load_of
from tailrace.bench.samples import SAMPLES

AIMS = {"plain": 2.5, "json": 5.5, "nginx": 7.0, "java": 6.0}
"""Processor seconds per million lines on a quiet machine, start-up apart."""


class FormatFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Both ways of one format; ``cpu_to_bare`` is the median of the rounds. Lines are those of the files."""

    name: str
    line_bytes: float
    shipper: Load
    bare: Load
    cpu_to_bare: float


def measure_formats(ground: Ground, plan: Plan, progress: Progress) -> list[FormatFigures]:
    """Ship lines of each format, in rounds: a disturbance of the machine then spoils a round, not a format.

    Raises:
        BenchFailed: a process failed.
    """
    progress("starting up a shipper that has nothing to do")
    runs = {name: _Format(ground, plan, name) for name in SAMPLES}
    first = next(iter(runs.values()))
    start, bare_start = first.start(), first.bare_start()
    for number in range(plan.rounds):
        for name, one in runs.items():
            progress(f"shipping {plan.lines:,} lines: {name}, round {number + 1} of {plan.rounds}")
            one.round(number)
    return [one.figures(start, bare_start) for one in runs.values()]


class _Format:
    """Lines of one format, and what was spent on them."""

    def __init__(self, ground: Ground, plan: Plan, name: str) -> None:
        self._ground = ground
        self._name = name
        self._lines = plan.lines
        self._core = max(os.sched_getaffinity(0))
        self._files = [ground.folder / f"{name}-{number}.log" for number in range(FILES)]
        start = int(time.time()) - plan.lines // 1000
        for number, file in enumerate(self._files):
            share = plan.lines * (number + 1) // FILES - plan.lines * number // FILES
            with file.open("wb", buffering=1 << 20) as opened:
                opened.writelines(SAMPLES[name](share, number, start))
        self._ours: list[Spent] = []
        self._bare: list[Spent] = []

    def start(self) -> Spent:
        """What a shipper spends that finds no line."""
        return least([self._ship(f"start{number}", [self._nothing()]) for number in range(2)])

    def bare_start(self) -> Spent:
        """What the bare trial spends that finds no line."""
        return least([self._ship_bare(f"bare_start{number}", [self._nothing()]) for number in range(2)])

    def round(self, number: int) -> None:
        """One more run of each, turn about."""
        if number % 2:
            self._bare.append(self._ship_bare(f"bare{number}", self._files))
        self._ours.append(self._ship(f"round{number}", self._files))
        if not number % 2:
            self._bare.append(self._ship_bare(f"bare{number}", self._files))

    def figures(self, start: Spent, bare_start: Spent) -> FormatFigures:
        """What it came to."""
        return FormatFigures(
            name=self._name,
            line_bytes=sum(file.stat().st_size for file in self._files) / self._lines,
            shipper=load_of(self._ours, start, self._lines),
            bare=load_of(self._bare, bare_start, self._lines),
            cpu_to_bare=statistics.median(
                (one.cpu_seconds - start.cpu_seconds) / max(1e-9, other.cpu_seconds - bare_start.cpu_seconds)
                for one, other in zip(self._ours, self._bare, strict=True)
            ),
        )

    def _nothing(self) -> Path:
        nothing = self._ground.folder / "nothing.log"
        nothing.touch()
        return nothing

    def _ship(self, name: str, files: list[Path]) -> Spent:
        place = self._ground.place(f"{self._name}_{name}", files, self._name)
        return child.run(place.command("ship", "--once"), place.log("ship"), self._core)

    def _ship_bare(self, name: str, files: list[Path]) -> Spent:
        place = self._ground.place(f"{self._name}_{name}", files)
        kind = "json" if self._name == "json" else "text"
        words = [kind, self._ground.bootstrap_servers, place.topic, *map(str, files)]
        return child.run([sys.executable, "-m", bare.__name__, *words], place.log("bare"), self._core)
