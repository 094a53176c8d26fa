"""The measurements in their order, each in the same run as what it is compared with."""

import os
import statistics
import sys
import time
from collections.abc import Callable

import msgspec
import orjson

from tailrace.bench import bodies, child, latency
from tailrace.bench.child import Spent
from tailrace.bench.ground import Ground, Pace, Place
from tailrace.bench.lines import lines

Progress = Callable[[str], None]
"""Called with what is being measured now."""

_IN_FLIGHT = 3
"""The indexer's own default."""
_MILLION = 1_000_000


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How much to measure: ``lines`` each time, ``rounds`` times, ``helper_lines`` with the client's own helper."""

    lines: int = 1_000_000
    rounds: int = 3
    helper_lines: int = 50_000
    latency_seconds: float = 20.0


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One way to carry all lines: per second at its best; processor seconds for a million, the start apart; MiB."""

    per_second: float
    cpu_seconds_per_million: float
    start_cpu_seconds: float
    resident_mib: float
    runs: list[tuple[float, float]]
    """Of each run the rate and the processor seconds for a million, in the order in which they ran."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """All that was measured; ratios are medians over the rounds of what ran next to each other."""

    lines: int
    line_bytes: float
    loads_microseconds: float
    """The yardstick: what ``orjson.loads`` takes for one line on this machine, now."""
    shipper: Load
    bare: Load
    shipper_cpu_to_bare: float
    indexer: Load
    ceiling: Load
    indexer_to_ceiling: float
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
    places = [shipped.round(number) for number in range(plan.rounds)]
    stored = _Storing(ground, plan, progress)
    for number, place in enumerate(places):
        stored.round(number, place)
    helped = stored.helper()
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
        indexer=load_of(stored.ours, stored.start, plan.lines, stored.ours_rates),
        ceiling=load_of(stored.ceiling, stored.ceiling_start, plan.lines, stored.ceiling_rates),
        indexer_to_ceiling=statistics.median(
            one / max(1e-9, other) for one, other in zip(stored.ours_rates, stored.ceiling_rates, strict=True)
        ),
        helper=helped,
        latency=waited,
    )


class _Shipping:
    """The shipper and the bare trial, turn about, on one core; every round leaves a topic for the indexer."""

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

    def round(self, number: int) -> Place:
        """One more run of each."""
        name = f"round{number}"
        place = self._ground.place(name, self._files)
        other = self._ground.place(f"{name}_bare", self._files)
        if number % 2:
            self._ship_bare(other)
        self._ship(place)
        if not number % 2:
            self._ship_bare(other)
        return place

    def _ship(self, place: Place) -> None:
        self._progress(f"shipping {self._plan.lines:,} lines")
        self.ours.append(child.run(place.command("ship", "--once"), place.log("ship"), self._core))

    def _ship_bare(self, place: Place) -> None:
        self._progress(f"shipping {self._plan.lines:,} lines with the bare trial")
        command = self._bare(place.topic, [str(file) for file in self._files])
        self.bare.append(child.run(command, place.log("bare"), self._core))

    def _bare(self, topic: str, files: list[str]) -> list[str]:
        return [sys.executable, "-m", "tailrace.bench.bare", "json", self._ground.bootstrap_servers, topic, *files]


class _Storing:
    """The indexer and a replay of the very bodies it must send, turn about."""

    def __init__(self, ground: Ground, plan: Plan, progress: Progress) -> None:
        self._ground = ground
        self._plan = plan
        self._progress = progress
        self._file = ground.folder / "bodies.ndjson"
        self.ours: list[Spent] = []
        self.ceiling: list[Spent] = []
        self.ours_rates: list[float] = []
        self.ceiling_rates: list[float] = []
        progress("starting up an indexer that has nothing to do")
        place = ground.place("nothing", [ground.folder / "none.log"])
        self.start = least([child.run(place.command("index", "--once"), place.log("index")) for _ in range(3)])
        self._prepare(place, "none")
        self.ceiling_start = least([child.run(self._replay(), place.log("replay")) for _ in range(3)])

    def round(self, number: int, place: Place) -> None:
        """One more run of each."""
        stream = f"{place.stream.removesuffix('-default')}_replayed-default"
        self._progress(f"preparing {self._plan.lines:,} bodies")
        self._prepare(place, stream)
        if number % 2:
            self._ceiling(place, stream)
        self._index(place)
        if not number % 2:
            self._ceiling(place, stream)

    def helper(self) -> Load:
        """What the client's own helper does with some of the last round's documents, into a stream of their own."""
        count = min(self._plan.helper_lines, self._plan.lines)
        stream = f"logs-{self._ground.word}_helper-default"
        self._progress(f"storing {count:,} lines with async_bulk")
        self._ground.settle()
        pace = Pace(self._ground, stream, count)
        log = self._ground.folder / "helper.log"
        words = ["helper", self._ground.elasticsearch_url, str(self._file), stream]
        start = child.run(_bodies(*words, "0"), log)
        spent = child.run(_bodies(*words, str(count)), log, meanwhile=pace.look)
        rate = pace.per_second or count / _more(spent.seconds, start.seconds)
        return load_of([spent], start, count, [rate])

    def _index(self, place: Place) -> None:
        self._progress(f"indexing {self._plan.lines:,} records")
        self._ground.settle()
        pace = Pace(self._ground, place.stream, self._plan.lines)
        self.ours.append(child.run(place.command("index", "--once"), place.log("index"), meanwhile=pace.look))
        self.ours_rates.append(pace.per_second)

    def _ceiling(self, place: Place, stream: str) -> None:
        self._progress(f"replaying {self._plan.lines:,} prepared bodies")
        self._ground.settle()
        pace = Pace(self._ground, stream, self._plan.lines)
        self.ceiling.append(child.run(self._replay(), place.log("replay"), meanwhile=pace.look))
        self.ceiling_rates.append(pace.per_second)

    def _prepare(self, place: Place, stream: str) -> None:
        command = _bodies("prepare", self._ground.bootstrap_servers, place.topic, stream, str(self._file))
        child.run(command, place.log("prepare"))

    def _replay(self) -> list[str]:
        return _bodies("replay", self._ground.elasticsearch_url, str(self._file), str(_IN_FLIGHT))


def _bodies(*words: str) -> list[str]:
    return [sys.executable, "-m", bodies.__name__, *words]


def load_of(runs: list[Spent], start: Spent, count: int, rates: list[float] | None = None) -> Load:
    """What runs that carried ``count`` lines each spent beyond their start; the rates where they were counted apart."""
    if rates is None:
        rates = [count / _more(one.seconds, start.seconds) for one in runs]
    cpu = [_more(one.cpu_seconds, start.cpu_seconds) * _MILLION / count for one in runs]
    return Load(
        per_second=max(rates),
        cpu_seconds_per_million=min(cpu),
        start_cpu_seconds=start.cpu_seconds,
        resident_mib=max(one.resident_mib for one in runs),
        runs=list(zip(rates, cpu, strict=True)),
    )


def _more(whole: float, start: float) -> float:
    """What a run took beyond its start; all of it where it was too short to tell."""
    return whole - start if whole > start else whole


def least(runs: list[Spent]) -> Spent:
    """Of several runs that do the same, what the machine disturbed least."""
    return Spent(*(min(values) for values in zip(*runs, strict=True)))


def loads_microseconds() -> float:
    """The yardstick of this machine now: what ``orjson.loads`` takes for a JSON line, at its best."""
    sample = list(lines(20_000, seed=1, start=int(time.time())))
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for line in sample:
            orjson.loads(line)
        best = min(best, time.process_time() - began)
    return best / len(sample) * _MILLION
