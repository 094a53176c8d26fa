"""Shipped lines into Elasticsearch, by our indexers and as a replay of the very bodies they must send, turn about."""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tailrace.bench import bodies, child
from tailrace.bench.child import Spent
from tailrace.bench.ground import Ground, Pace, Place
from tailrace.bench.loads import Load, least, load_of, more

_WARM = 3
"""So often are the lines stored before it counts: a JVM is at its full speed after half a million documents or so."""


class Case(NamedTuple):
    """So many indexer processes of one group, which share so many partitions."""

    partitions: int
    indexers: int


CASES = (Case(1, 1), Case(3, 1), Case(4, 2))


class Indexing(msgspec.Struct, frozen=True, kw_only=True):
    """One case beside its ceiling: the replay has as many requests in flight as all indexers together."""

    partitions: int
    indexers: int
    indexer: Load
    """Of all processes together, but for the memory, which is that of the largest."""
    ceiling: Load
    to_ceiling: float
    """The median over the rounds of the ratios of the rates."""


class _Runs:
    """What was spent in one case so far, and at which rates."""

    def __init__(self) -> None:
        self.ours: list[Spent] = []
        self.ceiling: list[Spent] = []
        self.ours_rates: list[float] = []
        self.ceiling_rates: list[float] = []


class Storing:
    """Rounds of all cases, of the lines in ``files``; a case's topic is filled anew for each."""

    def __init__(self, ground: Ground, files: Sequence[Path], lines: int, progress: Callable[[str], None]) -> None:
        self._ground = ground
        self._files = files
        self._lines = lines
        self._progress = progress
        self._file = ground.folder / "bodies.ndjson"
        self._runs = {case: _Runs() for case in CASES}
        progress("starting up an indexer that has nothing to do")
        place = ground.place("nothing", [ground.folder / "none.log"])
        self._start = least([child.run(place.command("index", "--once"), place.log("index")) for _ in range(3)])
        self._prepare(place, "none")
        self._ceiling_start = least([child.run(self._replay(1), place.log("replay")) for _ in range(3)])
        progress("warming Elasticsearch up")  # whoever came first would be compared with a cold one
        warm = ground.place("warm", files)
        child.run(warm.command("ship", "--once"), warm.log("ship"))
        for number in range(_WARM):
            self._prepare(warm, f"{warm.stream.removesuffix('-default')}{number}-default")
            child.run(self._replay(1), warm.log("replay"))
        child.run(warm.command("index", "--once"), warm.log("index"))

    def round(self, number: int) -> None:
        """One more run of each case and of its ceiling."""
        for case in CASES:
            place = self._ground.place(f"store{number}_{case.partitions}", self._files, partitions=case.partitions)
            stream = f"{place.stream.removesuffix('-default')}_replayed-default"
            self._progress(f"shipping {self._lines:,} lines to be stored, over {case.partitions} partitions")
            self._fill(place, stream)
            if number % 2:
                self._ceiling(case, place, stream)
            self._index(case, place)
            if not number % 2:
                self._ceiling(case, place, stream)

    def figures(self) -> list[Indexing]:
        """What came of it, by case."""
        found = []
        for case, runs in self._runs.items():
            start = self._start._replace(cpu_seconds=case.indexers * self._start.cpu_seconds)
            ratios = [one / max(1e-9, other) for one, other in zip(runs.ours_rates, runs.ceiling_rates, strict=True)]
            found.append(
                Indexing(
                    partitions=case.partitions,
                    indexers=case.indexers,
                    indexer=load_of(runs.ours, start, self._lines, runs.ours_rates),
                    ceiling=load_of(runs.ceiling, self._ceiling_start, self._lines, runs.ceiling_rates),
                    to_ceiling=statistics.median(ratios),
                )
            )
        return found

    def helper(self, count: int) -> Load:
        """What the client's own helper does with some of the last round's documents, into a stream of their own."""
        stream = f"logs-{self._ground.word}_helper-default"
        self._progress(f"storing {count:,} lines with async_bulk")
        self._ground.settle()
        pace = Pace(self._ground, stream, count)
        log = self._ground.folder / "helper.log"
        words = ["helper", self._ground.elasticsearch_url, str(self._file), stream]
        start = child.run(bodies.command(*words, "0"), log)
        spent = child.run(bodies.command(*words, str(count)), log, meanwhile=pace.look)
        rate = pace.per_second or count / more(spent.seconds, start.seconds)
        return load_of([spent], start, count, [rate])

    def _index(self, case: Case, place: Place) -> None:
        self._progress(f"indexing {self._lines:,} records: {case.partitions} partitions, {case.indexers} processes")
        self._ground.settle()
        pace = Pace(self._ground, place.stream, self._lines)
        commands = [place.command("index", "--once")] * case.indexers
        logs = [place.log(f"index{number}") for number in range(case.indexers)]
        runs = self._runs[case]
        runs.ours.append(child.run_together(commands, logs, pace.look))
        runs.ours_rates.append(pace.per_second)

    def _ceiling(self, case: Case, place: Place, stream: str) -> None:
        self._progress(f"replaying {self._lines:,} prepared bodies, {case.indexers * bodies.IN_FLIGHT} at a time")
        self._ground.settle()
        pace = Pace(self._ground, stream, self._lines)
        runs = self._runs[case]
        runs.ceiling.append(child.run(self._replay(case.indexers), place.log("replay"), meanwhile=pace.look))
        runs.ceiling_rates.append(pace.per_second)

    def _fill(self, place: Place, stream: str) -> None:
        child.run(place.command("ship", "--once"), place.log("ship"))
        self._prepare(place, stream)

    def _prepare(self, place: Place, stream: str) -> None:
        command = bodies.command("prepare", self._ground.bootstrap_servers, place.topic, stream, str(self._file))
        child.run(command, place.log("prepare"))

    def _replay(self, indexers: int) -> list[str]:
        in_flight = str(indexers * bodies.IN_FLIGHT)
        return bodies.command("replay", self._ground.elasticsearch_url, str(self._file), in_flight)
