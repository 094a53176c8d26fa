"""The measurements in their order, each in the same run as what it is compared with."""

import contextlib
import os
import statistics
import sys
import time
from collections.abc import Callable

import msgspec
import orjson

from tailrace.bench import child, latency
from tailrace.bench.child import Spent
from tailrace.bench.cores import apart
from tailrace.bench.ground import Ground, Place
from tailrace.bench.lines import lines
from tailrace.bench.loads import MILLION, Load, least, load_of
from tailrace.bench.storing import Indexing, Storing
from tailrace.stack import Name

Progress = Callable[[str], None]
"""Called with what is being measured now."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How much to measure: ``lines`` each time, ``rounds`` times, ``helper_lines`` with the client's own helper."""

    lines: int = 600_000
    rounds: int = 3
    helper_lines: int = 50_000
    latency_seconds: float = 20.0
    is_apart: bool = True
    """Whether Elasticsearch has cores to itself while storing is measured, where there is more than one."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """All that was measured; ratios are medians over the rounds of what ran next to each other."""

    lines: int
    line_bytes: float
    loads_microseconds: float
    """The yardstick: what ``orjson.loads`` takes for one line on this machine, now."""
    shipper: Load
    bare: Load
    shipper_cpu_to_bare: float
    apart: list[int]
    """The cores that Elasticsearch had to itself while storing was measured; none if all shared all."""
    indexing: list[Indexing]
    helper: Load
    latency: latency.Latency


def measure(ground: Ground, plan: Plan, progress: Progress) -> Figures:
    """Measure everything.

    Raises:
        BenchFailed: a process failed, or not all lines arrived.
    """
    progress(f"writing {plan.lines:,} lines")
    files = ground.write_files(plan.lines)
    shipped = _Shipping(ground, plan, progress)
    for number in range(plan.rounds):
        shipped.round(number)
    pids = dict(ground.pids)
    node = pids.pop(Name.ELASTICSEARCH)
    with contextlib.ExitStack() as held:
        cores = held.enter_context(apart(node, pids.values())) if plan.is_apart else []
        stored = Storing(ground, files, plan.lines, progress)
        for number in range(plan.rounds):
            stored.round(number)
        helped = stored.helper(min(plan.helper_lines, plan.lines))
    progress(f"one line every {latency.EVERY_SECONDS * 1000:g} ms for {plan.latency_seconds:g} s")
    ground.settle()
    waited = latency.measure(ground, plan.latency_seconds)
    return Figures(
        lines=plan.lines,
        line_bytes=sum(file.stat().st_size for file in files) / plan.lines,
        loads_microseconds=loads_microseconds(),
        shipper=load_of(shipped.ours, shipped.start, plan.lines),
        bare=load_of(shipped.bare, shipped.bare_start, plan.lines),
        shipper_cpu_to_bare=statistics.median(
            (one.cpu_seconds - shipped.start.cpu_seconds)
            / max(1e-9, other.cpu_seconds - shipped.bare_start.cpu_seconds)
            for one, other in zip(shipped.ours, shipped.bare, strict=True)
        ),
        apart=cores,
        indexing=stored.figures(),
        helper=helped,
        latency=waited,
    )


class _Shipping:
    """The shipper and the bare trial, turn about, on one core."""

    def __init__(self, ground: Ground, plan: Plan, progress: Progress) -> None:
        self._ground = ground
        self._plan = plan
        self._progress = progress
        self._core = max(os.sched_getaffinity(0))
        self._files = sorted(ground.folder.glob("lines-*.log"))
        self.ours: list[Spent] = []
        self.bare: list[Spent] = []
        progress("starting up a shipper that has nothing to do")
        nothing = ground.folder / "empty.log"
        nothing.touch()
        place = ground.place("empty", [nothing])
        command = place.command("ship", "--once")
        self.start = least([child.run(command, place.log("ship"), self._core) for _ in range(3)])
        command = self._bare(place.topic, [str(nothing)])
        self.bare_start = least([child.run(command, place.log("bare"), self._core) for _ in range(3)])

    def round(self, number: int) -> None:
        """One more run of each."""
        name = f"round{number}"
        place = self._ground.place(name, self._files)
        other = self._ground.place(f"{name}_bare", self._files)
        if number % 2:
            self._ship_bare(other)
        self._ship(place)
        if not number % 2:
            self._ship_bare(other)

    def _ship(self, place: Place) -> None:
        self._progress(f"shipping {self._plan.lines:,} lines")
        self.ours.append(child.run(place.command("ship", "--once"), place.log("ship"), self._core))

    def _ship_bare(self, place: Place) -> None:
        self._progress(f"shipping {self._plan.lines:,} lines with the bare trial")
        command = self._bare(place.topic, [str(file) for file in self._files])
        self.bare.append(child.run(command, place.log("bare"), self._core))

    def _bare(self, topic: str, files: list[str]) -> list[str]:
        return [sys.executable, "-m", "tailrace.bench.bare", "json", self._ground.bootstrap_servers, topic, *files]


def loads_microseconds() -> float:
    """The yardstick of this machine now: what ``orjson.loads`` takes for a JSON line, at its best."""
    sample = list(lines(20_000, seed=1, start=int(time.time())))
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for line in sample:
            orjson.loads(line)
        best = min(best, time.process_time() - began)
    return best / len(sample) * MILLION
