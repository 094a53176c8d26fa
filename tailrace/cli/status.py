"""``tailrace status``: how far each file of this host is shipped, from the agent or else from its registry."""

import fnmatch
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from shipper import answers, registry_file
from shipper.ahead import ahead
from shipper.clerk import Clerk
from shipper.plan import Snapshot
from shipper.registry_file import Stored
from shipper.report import Head, Line, State, lines_of_rest
from shipper.scan import scan
from tailrace.cli.options import config_option, json_option, terminal_width
from tailrace.cli.programs import to_json
from tailrace.cli.table import fitted, joined, prefixes
from tailrace.errors import MendState
from tailrace.settings import Settings
from tailrace.show import in_line, neutral
from tailrace.words import age, several, size

_Result = TypeVar("_Result")
_DISK_SECONDS = 5.0
_LATE_SCANS = 3
"""A file that matches and is not read after so many rescans is a fault."""
_COLOURS = {
    State.IDLE: "green",
    State.READING: "cyan",
    State.KAFKA: "yellow",
    State.TRUNCATED: "yellow",
    State.REGISTRY: "red",
    State.HUNG: "red",
    State.UNREADABLE: "red",
}
_HEADINGS = ("STATE", "BEHIND", "SIZE", "POSITION", "READ", "ACKED", "SOURCE", "PATH")
_STUCK = {
    State.HUNG: "the disk of {files} does not answer",
    State.UNREADABLE: "{files} cannot be read",
    State.KAFKA: "{files} wait for Kafka",
    State.REGISTRY: "{files} wait for the state folder",
}

_EPILOG = """\b
Examples:
  tailrace status                             the files furthest behind, and what is wrong
  tailrace status -n 0 --path '*/nginx/*'     all that match
  tailrace status --json | jq '.files[] | select(.behind_bytes > 1000000) | .path'
  tailrace status > /dev/null || alert     for a monitor: the exit code

\b
Exit codes: 0 nothing is wrong (files may be behind, and are being read), 1 something is, and is said: bytes wait and no
agent runs, a disk or Kafka or the state folder does not take or give them, files cannot be read. 2 the settings.
"""


class Report(msgspec.Struct, frozen=True):
    """All of it, for programs; ``files`` are those that were asked for, furthest behind first."""

    running: bool
    pid: int
    files_total: int
    behind_bytes: int
    oldest_unread_seconds: float
    problems: list[str]
    files: list[Line]


@click.command(epilog=_EPILOG)
@click.option("--path", "glob", default="", metavar="GLOB", help="Only files whose whole path matches.")
@click.option("-n", "--number", default=20, type=click.IntRange(0), help="So many files, 0 for all; default 20.")
@json_option
@config_option
@click.pass_context
def status(context: click.Context, settings: Settings, *, glob: str, number: int, as_json: bool) -> None:
    """Say how far each file of this host is shipped.

    Asks the running agent; without one it compares the registry with the files. Writes nothing and takes no lock.
    """
    now = time.time()
    report = look(settings, glob, now)
    if as_json:
        click.echo(to_json(report))
    else:
        _show(report, number, now)
    context.exit(1 if report.problems else 0)


def look(settings: Settings, glob: str, now: float) -> Report:
    """What is to be said now (seconds since 1970) of the files whose paths match; an empty glob matches all.

    Raises:
        MendState: there is no state folder, it cannot be read, or the agent may not be asked.
    """
    folder = Path(settings.shipper.state_dir)
    if not folder.is_dir():
        raise MendState(
            f"There is no state folder {folder}: no agent has run with these settings; start one with `tailrace ship`, "
            "or name its settings with --config."
        )
    head, lines = _asked(folder)
    stored = registry_file.read(folder) or Stored([], {})
    snapshot = _scanned(settings)
    found = {} if snapshot is None else snapshot.found
    if snapshot is None:  # the files as they were when they were last seen
        stored = Stored([row for row in stored.rows if head is None or row.ended], stored.gone)
    rows = stored.rows
    if head is None and snapshot is not None:
        rows, found = _within(partial(ahead, rows, snapshot, settings.shipper.inputs)) or (rows, found)
    lines += lines_of_rest(lines, rows, stored.gone, found, running=head is not None)
    problems = _problems(head, lines, snapshot, settings, now)
    chosen = [line for line in lines if not glob or fnmatch.fnmatchcase(line.path, glob)]
    chosen.sort(key=lambda line: (-line.behind_bytes, line.state is State.ENDED, line.path, line.source))
    since = min((line.behind_since for line in chosen if line.behind_bytes and line.behind_since), default=now)
    return Report(
        running=head is not None,
        pid=head.pid if head else 0,
        files_total=sum(line.state is not State.ENDED for line in chosen),
        behind_bytes=sum(line.behind_bytes for line in chosen),
        oldest_unread_seconds=round(max(0.0, now - since), 1),
        problems=problems,
        files=chosen,
    )


def _asked(folder: Path) -> tuple[Head | None, list[Line]]:
    pieces = answers.ask(folder, _DISK_SECONDS)
    if pieces is None:
        return None, []
    first = next(pieces, b"")
    if not first:
        raise MendState(f"The agent on {folder} has no time to answer; ask again.")
    head = msgspec.json.decode(first, type=Head)
    decoder = msgspec.json.Decoder(list[Line])
    return head, list(itertools.chain.from_iterable(decoder.decode(piece) for piece in pieces))


def _scanned(settings: Settings) -> Snapshot | None:
    """What matches the inputs now; None if a disk does not answer."""
    return _within(partial(scan, settings.shipper.inputs))


def _within(look: Callable[[], _Result]) -> _Result | None:
    """What a look at the disks brings; None if one does not answer in time."""
    clerk = Clerk("scan")
    try:
        return clerk.begin(look).result(_DISK_SECONDS)
    except TimeoutError:
        return None
    finally:
        clerk.end()


def _problems(
    head: Head | None, lines: Sequence[Line], snapshot: Snapshot | None, settings: Settings, now: float
) -> list[str]:
    problems = []
    behind = sum(line.behind_bytes for line in lines)
    if head is None and behind:
        problems.append(f"no agent runs and {size(behind)} wait: start it (systemctl start tailrace-ship)")
    if snapshot is None:
        problems.append("a disk with files of the inputs does not answer")
    for path, refused in snapshot.refused.items() if snapshot else ():
        problems.append(f"{in_line(path)} is not read: {refused.reason}")
    if head is not None and head.refusal:
        problems.append(head.refusal)
    if head is not None and not head.connected:
        problems.append("the agent has not reached Kafka; see `tailrace check --connect`")
    problems += [
        f"partition {slow.partition} of {slow.topic} has not answered for {age(slow.seconds)}"
        for slow in (head.waiting if head else ())
    ]
    for state, sentence in _STUCK.items():
        stuck = [line for line in lines if line.state is state]
        if stuck:
            rest = f" and {several(len(stuck) - 1, 'more file')}" if len(stuck) > 1 else ""
            reason = f" ({stuck[0].detail})" if stuck[0].detail else ""
            problems.append(sentence.format(files=in_line(stuck[0].path) + rest) + reason)
    late = now - _LATE_SCANS * settings.shipper.rescan_seconds
    new = [line for line in lines if line.state is State.NEW and line.behind_bytes and line.behind_since < late]
    if head is not None and head.began < late and new:
        problems.append(
            f"{several(len(new), 'file')} {'matches and is' if len(new) == 1 else 'match and are'} not read, "
            f"{in_line(new[0].path)} for example: the agent's log says why"
        )
    return problems


def _show(report: Report, number: int, now: float) -> None:
    shown = report.files[: number or None]
    short = prefixes({line.source for line in report.files})
    rows = [_HEADINGS, *(_cells(line, short, now) for line in shown)]
    table = fitted(rows, terminal_width(), right=_HEADINGS[1:-2], spare=("SOURCE", "POSITION", "ACKED"))
    for cells, line in zip(table, [None, *shown], strict=True):
        if line is None:
            click.secho(joined(cells), bold=True)
        else:
            cells[0] = click.style(cells[0], fg=_COLOURS.get(line.state), dim=line.state not in _COLOURS)
            click.echo(joined(cells))
    if len(report.files) > len(shown):
        click.echo(f"… and {len(report.files) - len(shown):,} more (-n 0 shows all)")
    is_known = report.running and report.behind_bytes  # without an agent nobody saw when it was written
    oldest = f", the oldest unread for {age(report.oldest_unread_seconds)}" if is_known else ""
    agent = f"agent {report.pid} runs" if report.running else "no agent runs"
    click.echo(f"{several(report.files_total, 'file')}, {size(report.behind_bytes)} behind{oldest}; {agent}")
    for problem in report.problems:
        click.secho(f"✗ {neutral(problem)}", fg="red")


def _cells(line: Line, short: Mapping[str, str], now: float) -> tuple[str, ...]:
    def ago(moment: float) -> str:
        return age(max(0.0, now - moment)) if moment else "-"

    detail = f" ({neutral(line.detail)})" if line.detail and len(line.detail) <= 24 else ""
    return (
        line.state.value + detail,
        size(line.behind_bytes),
        size(line.size),
        f"{line.position:,}",
        ago(line.read_at),
        ago(line.acknowledged_at),
        short[line.source] or "-",
        in_line(line.path),
    )
