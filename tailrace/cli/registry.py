"""``tailrace registry``: what is stored of each file on this host, and changing it while no agent runs."""

import asyncio
import fnmatch
import os
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import click
import msgspec

from shipper import registry_file
from shipper.identity import ANCHOR_BYTES, HEAD_BYTES, anchor_of, begins_with
from shipper.lines import is_blank
from shipper.names import is_packed
from shipper.registry import Registry
from shipper.registry_file import NAME
from shipper.registry_row import NO_MEMORY, Row
from shipper.scan import place_of, scan
from tailrace.audit.entry import RECOUNTED
from tailrace.cli.ask import agreed
from tailrace.cli.groups import Suggesting
from tailrace.cli.options import config_option, json_option, terminal_width
from tailrace.cli.programs import to_json
from tailrace.cli.table import fitted, joined, prefixes
from tailrace.errors import MendState
from tailrace.settings import Settings
from tailrace.show import in_line
from tailrace.words import age, listed, several, size

glob_option = click.option("--path", "glob", default="", metavar="GLOB", help="Only rows whose whole path matches.")
source_option = click.option(
    "--source",
    default="",
    metavar="NAME",
    help="Only this source; of its name a beginning will do that no other has.",
)
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


@click.group(
    cls=Suggesting,
    epilog="""\b
Examples:
  tailrace registry list --path '*/nginx/*'
  tailrace registry export > rows.jsonl
  tailrace registry reset --path /var/log/app.log

\b
Exit codes: 0 done, 1 there is no registry, it is in use, or it cannot be read, 2 usage or a mistake in the settings.
""",
)
def registry() -> None:
    """Show and change what is stored of each file.

    Changing needs the agent stopped (systemctl stop tailrace-ship); showing does not.
    """


@registry.command(
    "list",
    epilog="""\b
Examples:
  tailrace registry list
  tailrace registry list --path '*/nginx/*' --json | jq .position

\b
Exit codes: 0 done, 1 there is no registry or it cannot be read, 2 a mistake in the settings.
""",
)
@glob_option
@source_option
@json_option
@config_option
def list_rows(settings: Settings, *, glob: str, source: str, as_json: bool) -> None:
    """Print the rows as they are stored, by path; with --json whole rows, one a line.

    The table has as much of the sources' names as tells them apart, and fits the terminal.
    """
    stored = _stored(settings)
    rows = _chosen(stored, glob, source)
    if as_json:
        for row in rows:
            click.echo(to_json(row))
        return
    now = time.time()
    short = prefixes({row.source for row in stored})
    table = [("SOURCE", "POSITION", "REACH", "SIZE", "STORED", "", "PATH")] + [
        (
            short[row.source],
            f"{row.position:,}",
            f"{row.reach:,}",
            size(row.size),
            age(max(0.0, now - row.updated)),
            "ended" if row.ended else "",
            in_line(row.path),
        )
        for row in rows
    ]
    for cells in fitted(table, terminal_width(), right=table[0][1:5], spare=("REACH", "SIZE")):
        click.echo(joined(cells))


@registry.command(
    epilog="""\b
Examples:
  tailrace registry export > registry.jsonl

\b
Exit codes: 0 done, 1 there is no registry or it cannot be read, 2 a mistake in the settings.
"""
)
@glob_option
@source_option
@config_option
def export(settings: Settings, *, glob: str, source: str) -> None:
    """Print whole rows as JSON, one a line: a backup, for `registry import`."""
    for row in _chosen(_stored(settings), glob, source):
        click.echo(msgspec.json.encode(row))


@registry.command(
    "import",
    epilog="""\b
Examples:
  tailrace registry import registry.jsonl

\b
Exit codes: 0 done, 1 an agent runs or the file is no export, 2 a mistake in the settings.
""",
)
@click.argument("file", type=click.Path(path_type=Path))
@config_option
def import_rows(settings: Settings, file: Path) -> None:
    """Store the rows of an export; a source that is there is replaced.

    What was sent since the export of the files in it is sent again under the same ids, looked up, and not stored
    twice. Files that came after the export have new ids: what was sent of them is stored a second time. It says
    which files are there and not in it.
    """
    decoder = msgspec.json.Decoder(Row)
    try:
        rows = [decoder.decode(line) for line in file.read_bytes().splitlines() if line.strip()]
    except OSError as error:
        raise MendState(f"Cannot read {file}: {error.strerror}; name an export.") from error
    except msgspec.MsgspecError as error:
        raise MendState(f"{file} is no export of a registry: {error}; nothing was changed.") from error
    # Whatever was sent since the export stood in the file: all of it may repeat.
    rows = [
        msgspec.structs.replace(
            row, reach=max(row.reach, row.size, _present_size(row.path)), dropped=_recounted(row.dropped)
        )
        for row in rows
    ]
    _change(settings, lambda one: asyncio.run(one.save(rows)), create=True)
    click.echo(f"{several(len(rows), 'row')} stored.")
    known = {row.place for row in _stored(settings)}
    newer = sorted(one.path for place, one in scan(settings.shipper.inputs).found.items() if place not in known)
    if newer:
        click.echo(
            f"! Not in the export, and read from their start under new ids: {several(len(newer), 'file')} "
            f"({in_line(listed(newer, 3))}). What was sent of them before is stored a second time.",
            err=True,
        )


@registry.command(
    epilog="""\b
Examples:
  tailrace registry forget --gone               rows of files that are not there any more
  tailrace registry forget --path '*/old/*' -y

\b
Exit codes: 0 done, 1 an agent runs or there is no registry, 2 a mistake in the settings.
"""
)
@glob_option
@source_option
@click.option("--gone", is_flag=True, help="Only rows that have ended, or whose file is not where it was.")
@yes_option
@config_option
def forget(settings: Settings, *, glob: str, source: str, gone: bool, yes: bool) -> None:
    """Remove rows.

    A file that is there, or comes back, is then read again from its start under a new source: all its lines are
    stored in Elasticsearch a second time.
    """
    if not glob and not source and not gone:
        raise click.UsageError("Say which rows: --gone, --path GLOB, --source NAME, or several of them.")
    rows = [row for row in _chosen(_stored(settings), glob, source) if not gone or row.ended or _place(row) is None]
    there = sum(not row.ended and _place(row) is not None for row in rows)
    click.echo(
        f"{several(len(rows), 'row')} to forget; the files of {there} are there and would be stored a second time.",
        err=True,
    )
    if rows and (yes or agreed("Forget them?")):
        names = [row.source for row in rows]
        _change(settings, lambda one: asyncio.run(one.forget(names)))
        click.echo(f"{several(len(names), 'row')} forgotten.")


@registry.command(
    epilog="""\b
Examples:
  tailrace registry reset --path /var/log/app.log                  send it again; what is stored is not stored twice
  tailrace registry reset --source 7867bf22 --to-position 4096
  tailrace registry reset --path /var/log/app.log --new-source     store all of it a second time

\b
Exit codes: 0 done, 1 an agent runs or a file cannot be reset, 2 a mistake in the settings.
"""
)
@glob_option
@source_option
@click.option(
    "--to-position", "position", default=0, type=click.IntRange(0), help="From this byte on; it begins a line."
)
@click.option("--new-source", is_flag=True, help="Under a new source, so that every line is stored a second time.")
@yes_option
@config_option
def reset(settings: Settings, *, glob: str, source: str, position: int, new_source: bool, yes: bool) -> None:
    """Have files read again, from the start or from a position.

    Under the same source (the default) each line has the id it had: it is sent again, looked up, and stored only if it
    is missing. With --new-source it has another id, and all lines are stored a second time.
    """
    if not glob and not source:
        raise click.UsageError("Say which rows: --path GLOB, --source NAME, or both.")
    rows = [row for row in _chosen(_stored(settings), glob, source) if not row.ended]
    if not rows:
        raise MendState(f"No file in the registry matches {glob or source}; `tailrace registry list` shows them.")
    changed = [_reset(row, position, new_source=new_source) for row in rows]
    after = "stored A SECOND TIME, under new ids" if new_source else "stored only where they are missing (same ids)"
    total = sum(max(0, row.position - position) for row in rows)
    click.echo(f"{several(len(rows), 'file')}, {size(total)} to be sent again: their lines are {after}.", err=True)
    if yes or agreed("Reset them?"):
        ended = [msgspec.structs.replace(row, ended=True) for row in rows] if new_source else []
        _change(settings, lambda one: asyncio.run(one.save([*ended, *changed])))
        click.echo(f"{several(len(rows), 'file')} reset; the agent reads them when it starts.")


def _stored(settings: Settings) -> list[Row]:
    folder = Path(settings.shipper.state_dir)
    stored = registry_file.read(folder)
    if stored is None:
        raise MendState(f"There is no registry in {folder}: no agent has run with these settings; see --config.")
    return stored.rows


def _chosen(rows: Collection[Row], glob: str, source: str) -> list[Row]:
    """The rows whose path matches, and whose source is the one meant, where they are given."""
    if source:
        rows = [row for row in rows if row.source.startswith(source)]
        if not rows:
            raise MendState(f"No source in the registry begins with {source}; `tailrace registry list` shows them.")
        if len(rows) > 1:
            names = listed(sorted(prefixes([row.source for row in rows]).values()))
            raise click.UsageError(f"{source} begins the names of {several(len(rows), 'source')}, {names}: give more.")
    chosen = [row for row in rows if not glob or fnmatch.fnmatchcase(row.path, glob)]
    return sorted(chosen, key=lambda row: (row.path, row.updated, row.source))


def _change(settings: Settings, change: Callable[[Registry], None], *, create: bool = False) -> None:
    """Change the registry under its lock; it keeps the owner that it had, or the agent's user could not write it."""
    folder = Path(settings.shipper.state_dir)
    if not create and not (folder / NAME).exists():
        raise MendState(f"There is no registry in {folder}; see --config.")
    opened = Registry(folder)
    try:
        change(opened)
    finally:
        opened.close()
    owner = folder.stat()
    for name in (NAME, "lock"):
        file = folder / name
        if os.geteuid() == 0 and file.exists() and file.stat().st_uid != owner.st_uid:
            os.chown(file, owner.st_uid, owner.st_gid)


def _place(row: Row) -> object:
    return row.place if place_of(row.path) == row.place else None


def _present_size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _reset(row: Row, position: int, *, new_source: bool) -> Row:
    """The row of a file that is to be read again from ``position`` on, counted as if all before were read once."""
    if position > row.position:
        raise MendState(
            f"{row.path} is acknowledged up to {row.position} only: a reset to {position} would leave lines out."
        )
    records, blank, skipped, anchor = _counted(row, position) if position else (0, 0, 0, b"")
    fresh = msgspec.structs.replace(
        row,
        position=position,
        anchor=anchor_of(anchor),
        skipped=skipped,
        records=records,
        bytes=position - blank,
        blank=blank,
        reach=max(row.reach, row.position),
        updated=int(time.time()),
        dropped=_recounted((rule, 0, 0) for rule, *_ in row.dropped),
        memory=NO_MEMORY,
    )
    return (
        msgspec.structs.replace(fresh, source=registry_file.new_source(), reach=position, cuts=())
        if new_source
        else fresh
    )


def _recounted(dropped: Iterable[tuple[str, int, int]]) -> tuple[tuple[str, int, int], ...]:
    return (*(one for one in dropped if one[0] != RECOUNTED), (RECOUNTED, 0, 0))


def _counted(row: Row, position: int) -> tuple[int, int, int, bytes]:
    """Records, blank bytes, trailing blank bytes, and the bytes just before ``position``."""
    if is_packed(row.path):
        raise MendState(f"{row.path} is compressed: it can be reset to its start only.")
    records = blank = skipped = at = 0
    last = b""
    try:
        with Path(row.path).open("rb") as file:
            status = os.fstat(file.fileno())
            first = file.read(HEAD_BYTES)
            file.seek(0)
            if (status.st_dev, status.st_ino) != (row.place.device, row.place.inode) or not begins_with(
                first, row.head
            ):
                raise MendState(f"{row.path} is another file now; it can be reset only where it is.")
            while at < position:
                last = file.readline()
                at += len(last)
                if at > position or not last.endswith(b"\n"):
                    raise MendState(f"No line of {row.path} begins at {position}.")
                if is_blank(last.rstrip(b"\r\n")):
                    blank, skipped = blank + len(last), skipped + len(last)
                else:
                    records, skipped = records + 1, 0
            file.seek(max(0, position - ANCHOR_BYTES))
            return records, blank, skipped, file.read(min(position, ANCHOR_BYTES))
    except OSError as error:
        raise MendState(f"Cannot read {row.path}: {error.strerror}; reset it to its start instead.") from error
