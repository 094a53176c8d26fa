"""A run that ends by itself to what is said of it on stderr: at its start, while it works, at its end."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Self

import click
import structlog
from prometheus_client import Counter, Gauge
from rich.console import Console
from rich.live import Live
from rich.text import Text

from tailrace.daemon import for_people
from tailrace.settings import Log
from tailrace.show import neutral

SAY_SECONDS = 10.0
"""So often a log gets a line while the run lasts; at a terminal one line is written anew all the time."""
_LOOK_SECONDS = 0.2

Counts = Mapping[str, int]


class Telling:
    """What a run says of itself: sentences for people, log lines with the same numbers for programs.

    ``look`` takes the numbers, ``words`` makes a phrase of them and the seconds so far.
    """

    def __init__(self, log: Log, look: Callable[[], Counts], words: Callable[[Counts, float], str]) -> None:
        self._people = for_people(log)
        self._look = look
        self._words = words
        self._began = time.monotonic()
        self._before = dict(look())
        self._task: asyncio.Task[None] | None = None

    @property
    def counts(self) -> dict[str, int]:
        """What this run counted until now."""
        return {name: count - self._before[name] for name, count in self._look().items()}

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return time.monotonic() - self._began

    def say(self, sentence: str, what: str, **fields: object) -> None:
        """A sentence for people; what happened, and its numbers, for programs."""
        if self._people:
            click.echo(neutral(sentence), err=True)
        else:
            structlog.get_logger().info(what, **fields)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._go_on())
        return self

    async def __aexit__(self, *_exception: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _go_on(self) -> None:
        console = Console(stderr=True)
        if not (self._people and console.is_terminal):
            while True:
                await asyncio.sleep(SAY_SECONDS)
                self.say(self._phrase(), "working", **self.counts, seconds=round(self.seconds, 1))
        with Live(console=console, transient=True, auto_refresh=False, redirect_stdout=False) as live:
            while True:
                live.update(Text(self._phrase(), style="dim", no_wrap=True, overflow="ellipsis"), refresh=True)
                await asyncio.sleep(_LOOK_SECONDS)

    def _phrase(self) -> str:
        return self._words(self.counts, self.seconds)


def total(metric: Counter | Gauge) -> int:
    """The sum over all labels of a metric."""
    samples = (sample for family in metric.collect() for sample in family.samples)
    return int(sum(sample.value for sample in samples if not sample.name.endswith("_created")))
