"""The counts of a run to the proof as people read it, and as programs do."""

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tailrace.torture.count import Count, Totals
from tailrace.torture.run import Result
from tailrace.words import several


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a run came to; ``is_exact`` decides over the exit code."""

    is_exact: bool
    seconds: float
    """How long was written."""
    lines_per_second: int
    """That were written."""
    kills: int
    stops: int
    slowest_stop_seconds: float
    records: int
    """In the topic, repetitions included."""
    strange: int
    totals: Totals
    files: list[Count]
    remarks: list[str]
    folder: str
    """Where the files of the run are kept; empty if they were removed."""


def conclude(result: Result, folder: str) -> Outcome:
    """Add up and judge; a run that wrote nothing proves nothing, and is not exact."""
    sums = {name: sum(getattr(one, name) for one in result.counts) for name in Totals.__struct_fields__}
    totals = Totals(**sums)
    deeds = result.deeds
    return Outcome(
        is_exact=totals.written > 0 and not result.strange and all(count.is_exact for count in result.counts),
        seconds=round(deeds.written_seconds, 1),
        lines_per_second=round(totals.written / max(deeds.written_seconds, 0.1)),
        kills=deeds.kills,
        stops=deeds.stops,
        slowest_stop_seconds=round(deeds.slowest_stop_seconds, 2),
        records=result.records,
        strange=result.strange,
        totals=totals,
        files=result.counts,
        remarks=result.remarks,
        folder=folder,
    )


def table(outcome: Outcome) -> RenderableType:
    """One row a file."""
    shown = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    shown.add_column("")
    shown.add_column("files", no_wrap=True)
    for title in ("rotated", "written", "in Kafka", "sent again", "stored", "missing", "twice"):
        shown.add_column(title, justify="right")
    for count in outcome.files:
        mark = Text("✓", style="green") if count.is_exact else Text("✗", style="bold red")
        shown.add_row(mark, count.way, *_cells(count))
    shown.add_section()
    shown.add_row("", Text(several(len(outcome.files), "file")), *_cells(outcome.totals), style="bold")
    return shown


def verdict(outcome: Outcome) -> RenderableType:
    """What the counts say, in words."""
    totals = outcome.totals
    deeds = (
        f"  {outcome.lines_per_second:,} lines/s for {outcome.seconds:.0f} s, {several(totals.rotations, 'rotation')}, "
        f"{several(outcome.kills, 'time')} kill -9, {several(outcome.stops, 'time')} SIGTERM (the slowest took "
        f"{outcome.slowest_stop_seconds:.1f} s)."
    )
    if outcome.is_exact:
        lines = [
            Text(
                f"✓ All {totals.written:,} lines are in Kafka, and in Elasticsearch exactly once.", style="bold green"
            ),
            Text(f"  {totals.repeated:,} were sent again, and each of them says so."),
        ]
    else:
        faults = {
            "not in Kafka": totals.written - totals.shipped,
            "not in Elasticsearch": totals.written - totals.stored,
            "sent again without saying so": totals.silent,
            "sent again under another id": totals.renamed,
            "more than once in Elasticsearch": totals.doubled,
            "that nobody wrote": outcome.strange,
        }
        found = [f"{count:,} {what}" for what, count in faults.items() if count]
        lines = [Text(f"✗ Not exact, lines: {', '.join(found) or 'none was written'}.", style="bold red")]
        lines += [Text(f"  {remark}", style="red") for remark in outcome.remarks]
    return Group(*lines, Text(deeds, style="dim"))


def _cells(numbers: Count | Totals) -> list[Text]:
    faults = (
        numbers.written - min(numbers.shipped, numbers.stored),
        numbers.doubled + numbers.renamed + numbers.silent,
    )
    figures = (numbers.rotations, numbers.written, numbers.shipped, numbers.repeated, numbers.stored)
    return [
        *(Text(f"{figure:,}") for figure in figures),
        *(Text(f"{fault:,}", style="bold red" if fault else "dim") for fault in faults),
    ]
