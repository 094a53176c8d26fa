"""The accounts of all files to the proof as people read it, and as programs do."""

import shlex
from typing import Any

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tailrace.demo.latency import Percentiles
from tailrace.demo.proof import Account, Totals, total
from tailrace.words import several, size

_FAULTS = ("repeated", "missing", "dead", "strange", "broken")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a run came to; ``is_exact`` decides over the exit code."""

    run: str
    is_exact: bool
    seconds: float
    """From the start of the fleet to the end of the proof."""
    totals: Totals
    files: list[Account]
    timed_lines: int
    p50_seconds: float
    p99_seconds: float
    """From the time a service wrote into its line to its being stored; see ``tailrace.demo.latency``."""
    stack: str
    settings_file: str
    folder: str
    """Where the files of the run are kept; empty if they were removed."""


def conclude(run: str, seconds: float, accounts: list[Account], times: Percentiles, **places: str) -> Outcome:
    """Add up and judge; a run that shipped nothing proves nothing, and is not exact."""
    totals = total(accounts)
    return Outcome(
        run=run,
        is_exact=totals.lines > 0 and all(account.is_exact for account in accounts),
        seconds=round(seconds, 3),
        totals=totals,
        files=accounts,
        timed_lines=times.lines,
        p50_seconds=round(times.p50, 4),
        p99_seconds=round(times.p99, 4),
        **places,
    )


def table(outcome: Outcome) -> RenderableType:
    """The proof, one row a file."""
    faults = [name for name in _FAULTS if name in _FAULTS[:3] or getattr(outcome.totals, name)]
    shown = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    shown.add_column("")
    shown.add_column("file")
    for title in ("bytes", "lines", "stored", *faults):
        shown.add_column(title, justify="right")
    for account in outcome.files:
        name = account.path.rsplit("/", 1)[-1]
        mark = Text("✓", style="green") if account.is_exact else Text("✗", style="bold red")
        shown.add_row(mark, name, *_cells(account, faults))
    shown.add_section()
    shown.add_row("", Text(several(outcome.totals.files, "file")), *_cells(outcome.totals, faults), style="bold")
    return shown


def verdict(outcome: Outcome) -> RenderableType:
    """What the proof says, in words, with the first faults."""
    totals = outcome.totals
    if outcome.is_exact:
        first = f"✓ {totals.stored:,} of {totals.lines:,} lines are in Elasticsearch exactly once"
        are = "is" if totals.dead == 1 else "are"
        dead = f", {totals.dead:,} {are} in the dead letters with the reason" if totals.dead else ""
        lines = [Text(f"{first}{dead}.", style="bold green")]
    else:
        found = [f"{getattr(totals, name):,} {name}" for name in _FAULTS if getattr(totals, name)]
        lines = [Text(f"✗ Not exact: {', '.join(found) or 'nothing was shipped'}.", style="bold red")]
        for account in outcome.files:
            lines += [Text(f"  {account.path}: {remark}", style="red") for remark in account.remarks]
    how = (
        "  How: each file was read again; byte offset and CRC-32 of each line that is not blank were compared"
        "\n  with the ids of its documents. Logs that others still write count up to where the shipper stopped."
    )
    lines.append(Text(how, style="dim"))
    if outcome.timed_lines:
        p50, p99 = outcome.p50_seconds * 1000, outcome.p99_seconds * 1000
        times = f"  From written to stored: p50 {p50:,.0f} ms, p99 {p99:,.0f} ms"
        lines.append(Text(f"{times} ({outcome.timed_lines:,} lines timed, those of the first seconds too)."))
    return Group(*lines)


def next_steps(outcome: Outcome, program: str, *, runs: bool, options: str) -> list[str]:
    """Commands to try next: ``program`` is how to call us, ``runs`` says whether the stack does.

    ``options`` name the stack's folder where that is needed.
    """
    return [
        *([] if runs else [f"{program} stack up{options}"]),
        f"export TAILRACE_CONFIG={shlex.quote(outcome.settings_file)}",
        f"{program} search 'level:error' --last 1h -n 5",
        f"{program} search 'message:seek' --service playback --field labels --last 1h -n 5",
        f"{program} search --service recommendations --level error --last 1h --json | jq .message",
        f"{program} tail      # and, elsewhere: {program} demo{options}",
        f"{program} stack down{options}",
    ]


def _cells(numbers: Account | Totals, faults: list[str]) -> list[Any]:
    cells: list[Any] = [size(numbers.bytes), f"{numbers.lines:,}", f"{numbers.stored:,}"]
    for name in faults:
        count = getattr(numbers, name)
        style = "dim" if not count else ("yellow" if name == "dead" else "bold red")
        cells.append(Text(f"{count:,}", style=style))
    return cells
