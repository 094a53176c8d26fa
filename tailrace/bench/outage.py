"""Elasticsearch away under load: what is held in memory meanwhile, and how soon what waited is stored.

The rate at which it is stored stands beside that of a replay of the same bodies. Both begin with a node that has just
started, while lines are written and shipped as before.
"""

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from tailrace.bench import bodies, child
from tailrace.bench.child import Child
from tailrace.bench.ground import Ground
from tailrace.bench.lines import lines
from tailrace.errors import BenchFailed
from tailrace.stack import Name, Stack
from tailrace.words import spoken_seconds

LINES_PER_SECOND = 2_000
_TICK_SECONDS = 0.1
_LOOK_SECONDS = 0.02
_BEFORE_SECONDS = 5.0
_PATIENCE_SECONDS = 120.0
"""So long nothing may be stored before something is wrong."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """MiB that a process held at most."""

    before: float
    away: float
    """While Elasticsearch was away."""
    growth: float
    """By how much the last quarter of that was above the first."""
    after: float
    """While it caught up."""


class Outage(msgspec.Struct, frozen=True, kw_only=True):
    """One outage; rates are documents a second."""

    seconds: float
    lines: int
    """All that were written, each of which is stored once."""
    waiting: int
    """When Elasticsearch answered again."""
    agent: Held
    indexer: Held
    first_seconds: float
    """From its answer until the last look at which there were no new documents."""
    caught_up_seconds: float
    """From its answer until all that had waited then was stored."""
    per_second: float
    """From the first documents on."""
    ceiling_per_second: float
    """Of the replay, likewise."""

    @property
    def to_ceiling(self) -> float:
        """The rate as a share of that of the replay."""
        return self.per_second / self.ceiling_per_second


def measure_outage(ground: Ground, stack: Stack, seconds: float, progress: Callable[[str], None]) -> Outage:
    """Stop Elasticsearch for so long, start it again, and wait until all is stored.

    Raises:
        BenchFailed: a process ended, or not every line is stored exactly once.
    """
    return _Trial(ground, stack, progress).run(seconds)


class _Rate(NamedTuple):
    """When there were no documents yet, and when there were all, by the monotonic clock; how many a second between."""

    began: float
    ended: float
    per_second: float


class _Trial:
    """A topic of its own, which an agent fills and an indexer empties."""

    def __init__(self, ground: Ground, stack: Stack, progress: Callable[[str], None]) -> None:
        self._ground = ground
        self._stack = stack
        self._progress = progress
        self._file = ground.folder / "outage.log"
        self._file.touch()
        self._place = ground.place("outage", [self._file])
        self._children: dict[str, Child] = {}

    def run(self, seconds: float) -> Outage:
        try:
            return self._run(seconds)
        finally:
            for one in self._children.values():
                one.kill()

    def _run(self, seconds: float) -> Outage:
        place = self._place
        for word in ("ship", "index"):
            self._children[word] = Child(place.command(word), place.log(word))
        with _writing(self._file) as load:
            self._progress(f"writing {LINES_PER_SECOND:,} lines a second")
            self._rate(place.stream, 1)
            before = self._watch(_BEFORE_SECONDS)
            with self._away():
                self._progress(f"Elasticsearch is away for {spoken_seconds(seconds)}")
                away = self._watch(seconds)
                self._progress("starting Elasticsearch")
            answered = time.monotonic()
            waiting = load.lines - self._stored_before(place.stream)
            self._progress(f"catching up on {waiting:,} records")
            after = {word: [one.held()] for word, one in self._children.items()}
            caught_up = self._rate(place.stream, waiting, lambda: self._look(after))
        self._progress("waiting for the last lines")
        self._all_stored(load.lines)
        self._end("index")
        ceiling = self._ceiling(waiting)
        self._end("ship")
        held = {
            word: Held(
                before=max(before[word]), away=max(away[word]), growth=_growth(away[word]), after=max(after[word])
            )
            for word in before
        }
        return Outage(
            seconds=seconds,
            lines=load.lines,
            waiting=waiting,
            agent=held["ship"],
            indexer=held["index"],
            first_seconds=caught_up.began - answered,
            caught_up_seconds=caught_up.ended - answered,
            per_second=caught_up.per_second,
            ceiling_per_second=ceiling,
        )

    def _ceiling(self, count: int) -> float:
        """Documents a second of a replay, of so many, on a node that has just started."""
        file, stream = self._ground.folder / "outage.ndjson", f"logs-{self._place.dataset}_replayed-default"
        servers = self._ground.bootstrap_servers
        self._progress("preparing the same bodies for the ceiling")
        child.run(bodies.command("prepare", servers, self._place.topic, stream, str(file)), self._place.log("prepare"))
        with self._away():
            self._progress("starting Elasticsearch once more")
        with _writing(self._file):
            self._progress(f"replaying {count:,} prepared bodies")
            words = ("replay", self._ground.elasticsearch_url, str(file), str(bodies.IN_FLIGHT))
            replay = Child(bodies.command(*words), self._place.log("replay"))
            try:
                return self._rate(stream, count).per_second
            finally:
                replay.kill()

    def _end(self, word: str) -> None:
        self._children[word].stop()
        del self._children[word]

    def _stored_before(self, stream: str) -> int:
        """How many documents there were when Elasticsearch started: it has counted since."""
        since = self._ground.stored(stream)
        return self._documents() - since

    @contextlib.contextmanager
    def _away(self) -> Iterator[None]:
        """Elasticsearch stopped; started again even after a failure, for the stack may be somebody's."""
        try:
            self._stack.stop(Name.ELASTICSEARCH)
            yield
        finally:
            self._stack.start(Name.ELASTICSEARCH)

    def _watch(self, seconds: float) -> dict[str, list[float]]:
        """What each child holds in these seconds, again and again."""
        seen: dict[str, list[float]] = {word: [] for word in self._children}
        until = time.monotonic() + seconds
        while True:
            self._look(seen)
            left = until - time.monotonic()
            if left <= 0:
                return seen
            time.sleep(min(left, _TICK_SECONDS))

    def _look(self, seen: dict[str, list[float]]) -> None:
        self._check()
        for word, one in self._children.items():
            seen[word].append(one.held())

    def _check(self) -> None:
        """Notice a child that ended although nobody asked it to."""
        for one in self._children.values():
            one.check()

    def _rate(self, stream: str, count: int, look: Callable[[], None] | None = None) -> _Rate:
        """How soon so many documents are stored since Elasticsearch started."""
        began = moved = time.monotonic()
        first = last = self._ground.stored(stream)
        while last < count:
            (look or self._check)()
            time.sleep(_LOOK_SECONDS)
            stored, now = self._ground.stored(stream), time.monotonic()
            if stored != last:
                last, moved = stored, now
            elif now - moved > _PATIENCE_SECONDS:
                raise BenchFailed(f"{last:,} of {count:,} documents arrived in {stream}; see {self._place.folder}")
            if not last:
                began = now
        return _Rate(began, moved, (last - first) / max(_LOOK_SECONDS, moved - began))

    def _all_stored(self, count: int) -> None:
        """Wait until there are so many documents, and then see that there are no more.

        Raises:
            BenchFailed: there are fewer after a while, or more.
        """
        found = before = self._documents()
        until = time.monotonic() + _PATIENCE_SECONDS
        while found < count and time.monotonic() < until:
            time.sleep(1)
            self._check()
            if (found := self._documents()) != before:
                before, until = found, time.monotonic() + _PATIENCE_SECONDS
        if found != count:
            raise BenchFailed(f"{count:,} lines were written and {found:,} documents are in {self._place.stream}")

    def _documents(self) -> int:
        self._ground.ask("POST", f"/{self._place.stream}/_refresh")
        return int(json.loads(self._ground.ask("GET", f"/{self._place.stream}/_count")[1])["count"])


class _Load:
    """Lines that a thread appends to a file; ``lines`` is how many so far."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.lines = 0
        self.error: OSError | None = None

    def write(self, ended: threading.Event) -> None:
        """Append at a steady rate until it is ended, or cannot."""
        try:
            self._write(ended)
        except OSError as error:
            self.error = error

    def _write(self, ended: threading.Event) -> None:
        source = lines(1 << 62, seed=7, start=int(time.time()) - 3600)
        due = time.monotonic()
        with self._file.open("ab", buffering=0) as opened:
            while not ended.wait(max(0.0, due - time.monotonic())):
                some = list(itertools.islice(source, round(LINES_PER_SECOND * _TICK_SECONDS)))
                opened.write(b"".join(some))
                self.lines += len(some)
                due += _TICK_SECONDS


@contextlib.contextmanager
def _writing(file: Path) -> Iterator[_Load]:
    """A load on the file while it is entered."""
    load, ended = _Load(file), threading.Event()
    thread = threading.Thread(target=load.write, args=[ended], daemon=True)
    thread.start()
    try:
        yield load
    finally:
        ended.set()
        thread.join()
    if load.error is not None:
        raise BenchFailed(f"{file} cannot be written to: {load.error.strerror}")


def _growth(seen: list[float]) -> float:
    """By how much the most of the last quarter is above that of the first."""
    quarter = max(1, len(seen) // 4)
    return max(seen[-quarter:]) - max(seen[:quarter])
