"""``tailrace bench``: how fast, for how much processor and memory, on this machine."""

import os
import platform
import tempfile
from pathlib import Path
from typing import Self

import click
import msgspec
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tailrace.bench.by_format import BARE, CASES, FormatFigures, measure_formats
from tailrace.bench.ground import Ground
from tailrace.bench.loads import Load
from tailrace.bench.measure import Figures, Plan, loads_microseconds, measure
from tailrace.bench.outage import LINES_PER_SECOND, Outage, measure_outage
from tailrace.bench.targets import Verdict, indexing_words, outage_verdicts, verdicts
from tailrace.cli.options import json_option
from tailrace.cli.programs import to_json
from tailrace.cli.runs import forward_sigterm
from tailrace.stack import Stack
from tailrace.words import several, spoken_seconds

_QUICK_LINES, _QUICK_ROUNDS = 300_000, 2


@click.command(
    epilog="""\b
Examples:
  tailrace bench --quick                    a first impression, in some five minutes
  tailrace bench --formats --quick          only what each format of lines costs the shipper
  tailrace bench --outage 600               only memory and catching up, ten minutes without Elasticsearch
  tailrace bench --json > figures.json      with every single run
  tailrace bench --dir ./.tailrace/stack    on a stack that runs already

\b
Exit codes: 0 measured, whether or not the targets are met; 1 something failed; 2 usage; 130 interrupted.
"""
)
@click.option("--quick", is_flag=True, help=f"{_QUICK_LINES:,} lines, {_QUICK_ROUNDS} rounds.")
@click.option("--formats", "only_formats", is_flag=True, help="Only the shipper, with lines of each format.")
@click.option(
    "--outage",
    type=click.FloatRange(1, 86_400),
    default=None,
    metavar="SECONDS",
    help=f"Only an outage, at {LINES_PER_SECOND:,} lines a second: Elasticsearch is stopped and started again, twice.",
)
@click.option("--lines", type=click.IntRange(3), default=None, help="Lines to ship and to store in each round.")
@click.option("--rounds", type=click.IntRange(1), default=None, help="How often; ratios are medians over the rounds.")
@click.option("--shared-cores", is_flag=True, help="Give Elasticsearch no cores of its own while storing is measured.")
@click.option("--seconds", type=click.FloatRange(0.1), default=None, help="Measure latency so long; default 20.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    default=None,
    help="The folder of a running stack; else one is started, and removed at the end.",
)
@json_option
def bench(
    *,
    quick: bool,
    only_formats: bool,
    outage: float | None,
    lines: int | None,
    rounds: int | None,
    shared_cores: bool,
    seconds: float | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Measure speed, processor time, memory and latency on real servers.

    The product's own processes run against a real Kafka and a real Elasticsearch on this machine, each next to what it
    is compared with: a bare trial of the shipper's shape, and a replay of prepared bulk requests, for indexers with one
    partition, with several, and two of one group. Meanwhile Elasticsearch has the upper half of the cores to itself, as
    if it were on hosts of its own. Other work on the machine makes rates low; ratios and processor seconds stand it
    better.
    """
    if outage is not None and (only_formats or quick or lines or rounds or shared_cores or seconds):
        others = "--quick, --formats, --lines, --rounds, --shared-cores and --seconds"
        raise click.UsageError(f"--outage is measured alone: leave out {others}")
    plan = Plan(
        lines=lines or (_QUICK_LINES if quick else Plan().lines),
        rounds=rounds or (_QUICK_ROUNDS if quick else Plan().rounds),
        latency_seconds=seconds or Plan().latency_seconds,
        is_apart=not shared_cores,
    )
    forward_sigterm()  # so that the stack we started does not outlive us
    with tempfile.TemporaryDirectory(prefix="tailrace-bench-") as made, _Steps() as steps:
        stack = Stack(folder or Path(made) / "stack")
        try:
            if folder is None:
                stack.up(progress=lambda text, _done, _total: steps.show(text))
            work = Path(made) / "work"
            work.mkdir()
            ground = Ground(stack, work)
            if outage is None:
                figures = None if only_formats else measure(ground, plan, steps.show)
                formats = measure_formats(ground, plan, steps.show)
            else:
                borne = measure_outage(ground, stack, outage, steps.show)
        finally:
            if folder is None:
                stack.down(wipe=True)
    if outage is not None:
        _tell_outage(borne, as_json=as_json)
        return
    found = [] if figures is None else verdicts(figures)
    if as_json:
        _tell_json(found, figures=figures, formats=formats)
        return
    console = Console()
    if figures is not None:
        console.print(_table(figures))
        console.print(_targets(found))
    console.print(_by_format(formats))
    if figures is not None:
        click.echo(_cores(figures))
    click.echo(
        f"{plan.lines:,} lines, {plan.rounds} rounds; orjson.loads takes {loads_microseconds():.2f} µs a line here."
    )


def _tell_outage(borne: Outage, *, as_json: bool) -> None:
    found = outage_verdicts(borne)
    if as_json:
        _tell_json(found, outage={**msgspec.to_builtins(borne), "to_ceiling": borne.to_ceiling})
        return
    console = Console()
    console.print(_held(borne))
    console.print(_targets(found))
    click.echo(
        f"All {borne.lines:,} lines are stored exactly once. {borne.waiting:,} waited when Elasticsearch was back; "
        f"it had so many {spoken_seconds(borne.caught_up_seconds)} later: "
        f"{borne.per_second:,.0f} documents/s, the replay {borne.ceiling_per_second:,.0f}."
    )


def _tell_json(found: list[Verdict], **figures: object) -> None:
    rows = [{**msgspec.to_builtins(one), "met": one.met} for one in found]
    click.echo(to_json({"machine": _machine(), **figures, "targets": rows}))


class _Steps:
    """Shows on stderr what is measured now: a spinner on a terminal, a line per step elsewhere."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._progress.stop()

    def show(self, text: str) -> None:
        """One step."""
        if self._console.is_terminal:
            self._progress.update(self._task, description=text)
        else:
            click.echo(text, err=True)


def _machine() -> dict[str, str | float]:
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _table(figures: Figures) -> Table:
    table = Table("", "per second", "CPU-s per million", "of it to start", "MiB", title="Throughput")
    for column in table.columns[1:]:
        column.justify = "right"
    rows: list[tuple[str, Load]] = [
        ("shipper, one core", figures.shipper),
        ("bare trial, one core", figures.bare),
    ]
    for one in figures.indexing:
        rows += [(indexing_words(one), one.indexer), ("  replay of the bodies", one.ceiling)]
    rows.append(("async_bulk of the client", figures.helper))
    for name, load in rows:
        table.add_row(
            name,
            f"{load.per_second:,.0f}",
            f"{load.cpu_seconds_per_million:.2f}",
            f"+{load.start_cpu_seconds:.2f}",
            f"{load.resident_mib:.0f}",
        )
    return table


def _cores(figures: Figures) -> str:
    if not figures.apart:
        return "While storing was measured, Elasticsearch shared all cores with the indexers and the broker."
    own = several(len(figures.apart), "core")
    return f"While storing was measured, Elasticsearch had {own} to itself; the indexers and the broker had the rest."


def _held(borne: Outage) -> Table:
    table = Table("", "before", "away", "growth", "catching up", title="MiB held at most")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, held in (("agent", borne.agent), ("indexer", borne.indexer)):
        table.add_row(name, *(f"{one:.0f}" for one in (held.before, held.away, held.growth, held.after)))
    table.caption = "Growth: the last quarter of the outage above the first."
    return table


def _targets(found: list[Verdict]) -> Table:
    table = Table("", "", "measured", "target", "", title="Targets")
    for one in found:
        sign = "≤" if one.most else "≥"
        mark = "[green]✓[/]" if one.met else "[red]✗[/]"
        digits = ".2f" if one.target < 10 else ",.0f"
        table.add_row(
            one.part, one.name, f"{one.value:{digits}} {one.unit}", f"{sign} {one.target:,.0f} {one.unit}", mark
        )
    return table


def _by_format(formats: list[FormatFigures]) -> Table:
    table = Table(
        "",
        "bytes",
        "CPU-s/M",
        "aim",
        "aim here",
        "bare",
        "ratio",
        "lines/s",
        "MiB",
        title="Shipper by format",
    )
    slowness = next((one.bare.cpu_seconds_per_million for one in formats if one.name == "json"), BARE) / BARE
    for column in table.columns[1:]:
        column.justify = "right"
    for one in formats:
        cost, aim = one.shipper.cpu_seconds_per_million, CASES[one.name].aim
        table.add_row(
            one.name,
            f"{one.line_bytes:.0f}",
            f"{cost:.2f}",
            _aim(cost, aim),
            _aim(cost, aim * slowness),
            f"{one.bare.cpu_seconds_per_million:.2f}",
            f"{one.cpu_to_bare:.2f}",
            f"{one.shipper.per_second:,.0f}",
            f"{one.shipper.resident_mib:.0f}",
        )
    table.caption = (
        "Bytes of a line; processor seconds per million lines, of the shipper and of the bare trial. "
        f"The aims are for a machine on which that takes {BARE} for JSON."
    )
    return table


def _aim(cost: float, aim: float) -> str:
    return f"[{'green' if cost <= aim else 'red'}]≤ {aim:.1f}[/]"
