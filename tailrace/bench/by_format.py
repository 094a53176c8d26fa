"""What a million lines of each format cost the shipper, beside the bare trial of the same lines in the same run."""

import os
import statistics
import sys
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from tailrace.bench import bare, child
from tailrace.bench.child import Spent
from tailrace.bench.ground import FILES, Ground
from tailrace.bench.loads import Load, least, load_of
from tailrace.bench.measure import Plan, Progress
from tailrace.bench.samples import SAMPLES

BARE = 5.5
"""What the bare trial of the JSON lines takes on the machine that the aims are for."""


class Case(NamedTuple):
    """Lines of a format, what the input says besides, and the aim: processor seconds per million, start-up apart."""

    format: str
    aim: float
    more: str = ""


_REDACTING = 'filters = [{ redact = { kinds = ["email", "card", "bearer", "password"] } }]'
CASES = {
    "plain": Case("plain", 2.5),
    "json": Case("json", 5.5),
    "json, redacted": Case("json", 9.0, _REDACTING),
    "nginx": Case("nginx", 7.0),
    "java": Case("java", 6.0),
}
"""By the names that the table has."""


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
    nothing = ground.folder / "nothing.log"
    nothing.touch()
    idle = _Ways(ground, "nothing", [nothing], CASES["plain"])
    start, bare_start = (least([run() for _ in range(2)]) for run in (idle.ship, idle.ship_bare))
    runs = {name: _Format(ground, plan.lines, name, case) for name, case in CASES.items()}
    for number in range(plan.rounds):
        for name, one in runs.items():
            progress(f"shipping {plan.lines:,} lines: {name}, round {number + 1} of {plan.rounds}")
            one.round(number)
    return [one.figures(start, bare_start) for one in runs.values()]


class _Ways:
    """The shipper and the bare trial on the same files; each run begins at their beginning."""

    def __init__(self, ground: Ground, name: str, files: list[Path], case: Case) -> None:
        self._core = max(os.sched_getaffinity(0))
        self._place = ground.place(f"{name}_format", files, case.format, case.more)
        kind = "json" if case.format == "json" else "text"
        words = [kind, ground.bootstrap_servers, self._place.topic, *map(str, files)]
        self._bare = [sys.executable, "-m", bare.__name__, *words]

    def ship(self) -> Spent:
        """One run of the shipper."""
        for file in self._place.folder.glob(self._place.registry.name + "*"):
            file.unlink()
        return child.run(self._place.command("ship", "--once"), self._place.log("ship"), self._core)

    def ship_bare(self) -> Spent:
        """One run of the bare trial, into the same topic."""
        return child.run(self._bare, self._place.log("bare"), self._core)


class _Format:
    """Lines of one format, and what was spent on them."""

    def __init__(self, ground: Ground, count: int, name: str, case: Case) -> None:
        self._name = name
        self._lines = count
        word = name.replace(", ", "_")
        self._files = [ground.folder / f"{word}-{number}.log" for number in range(FILES)]
        start = int(time.time()) - count // 1000
        for number, file in enumerate(self._files):
            share = count * (number + 1) // FILES - count * number // FILES
            with file.open("wb", buffering=1 << 20) as opened:
                opened.writelines(SAMPLES[case.format](share, number, start))
        self._ways = _Ways(ground, word, self._files, case)
        self._ours: list[Spent] = []
        self._bare: list[Spent] = []

    def round(self, number: int) -> None:
        """One more run of each, turn about."""
        for ours in (True, False) if number % 2 else (False, True):
            if ours:
                self._ours.append(self._ways.ship())
            else:
                self._bare.append(self._ways.ship_bare())

    def figures(self, start: Spent, bare_start: Spent) -> FormatFigures:
        """What it came to."""
        ours, theirs = load_of(self._ours, start, self._lines), load_of(self._bare, bare_start, self._lines)
        return FormatFigures(
            name=self._name,
            line_bytes=sum(file.stat().st_size for file in self._files) / self._lines,
            shipper=ours,
            bare=theirs,
            cpu_to_bare=statistics.median(
                cpu / max(1e-9, bare_cpu) for (_, cpu), (_, bare_cpu) in zip(ours.runs, theirs.runs, strict=True)
            ),
        )
