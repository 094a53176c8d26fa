"""``tailrace try``: how would a file be read; nothing is sent, and nothing stored."""

import os
import re
import socket
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec

from shipper.filter_keys import filter_rules
from shipper.foreign import bring
from shipper.globs import input_of
from shipper.identity import HEAD_BYTES
from shipper.leaves import is_everywhere, leaves
from shipper.trial import Report, Tally, advice, fits_of, records_of, source_of
from shipper.unpack import Handle, Unpacked, close, packing, read_at
from tailrace import settings as settings_module
from tailrace.cli.options import json_option
from tailrace.cli.words import several, spoken_bytes
from tailrace.errors import MendInputs
from tailrace.formats import GROUP
from tailrace.plugins import names_of
from tailrace.record import is_stream_part
from tailrace.settings import FORMATS, Input, Settings, Shipper
from tailrace.show import neutral

_FIRST_LINES = 1000
_LONG_BYTES = 8_388_608
"""A file that is larger gets a progress bar."""
_WIDTH = 200
_GOOD = 0.99
_SHOWN = 4

_EPILOG = """\b
Examples:
  tailrace try /var/log/nginx/access.log                  which format is it, and what comes out
  tailrace try app.log --format java                      as if the input said so
  tailrace try app.log -c tailrace.toml                   as the input of the settings file that has this path
  tailrace try app.log --json | jq '.documents[0]'

\b
Exit codes: 0 at least 99 % of the records were understood, 1 fewer were, 2 a mistake on the command line.
"""


@click.command("try", epilog=_EPILOG)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "name",
    type=click.Choice([*FORMATS, *names_of(GROUP)]),
    metavar="NAME",
    help=f"One of {', '.join(FORMATS)}.",
)
@click.option("--pattern", default="", help="For the formats regex and grok.")
@click.option("--timezone", default="", help="Zone of times that do not say theirs; else the host's.")
@click.option(
    "--most", type=click.IntRange(min=1), default=1_000_000, show_default=True, help="Stop after so many records."
)
@click.option(
    "--config", "-c", "settings_file", metavar="FILE", help="Take the input of this settings file that names FILE."
)
@json_option
@click.pass_context
def try_(context: click.Context, /, file: Path, name: str, *, most: int, as_json: bool, **options: str) -> None:
    """Say how well a file would be understood, and show three documents; nothing is sent or stored."""
    entry = _entry(file, name, options)
    bring([entry])
    report = _tried(file, entry, most, quiet=as_json)
    if as_json:
        click.echo(neutral(msgspec.json.encode(report).decode()))
    else:
        _show(report, file, entry.pattern)
    context.exit(0 if report.parsed >= _GOOD else 1)


def _entry(file: Path, name: str | None, options: dict[str, str]) -> Input:
    if options["settings_file"]:
        known = settings_module.load(settings_module.find(options["settings_file"])).shipper.inputs
        entry = input_of(str(file.absolute()), known)
        if entry is None:
            raise MendInputs(
                f"No input of {options['settings_file']} names {file.absolute()}; leave --config out to try it."
            )
    else:
        entry = Input(paths=[str(file.absolute())], dataset=_dataset(file))
    changes: dict[str, Any] = {"format": name} if name else {}
    changes |= {key: options[key] for key in ("pattern", "timezone") if options[key]}
    entry = msgspec.structs.replace(entry, **changes)
    settings_module.check(Settings(shipper=Shipper(inputs=[entry])), "the command line")
    return entry


def _tried(file: Path, entry: Input, most: int, *, quiet: bool) -> Report:
    try:
        handle: Handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise MendInputs(f"Cannot read {file}: {error.strerror}.") from error
    try:
        kind = packing(str(file), os.pread(handle, HEAD_BYTES, 0))  # type: ignore[arg-type]
        size = file.stat().st_size
        if kind:
            handle = Unpacked(handle, kind)  # type: ignore[arg-type]
        fits = fits_of(read_at(handle, Shipper().chunk_bytes, 0).split(b"\n")[:-1][:_FIRST_LINES])
        tally = Tally()
        source = source_of(entry, str(file), socket.gethostname(), Shipper(), filter_rules(entry))
        hidden = quiet or size < _LONG_BYTES
        done = 0
        with click.progressbar(length=size, label="Reading", hidden=hidden, file=sys.stderr) as bar:
            for records in records_of(source, partial(read_at, handle), Shipper().chunk_bytes, time.time_ns):
                tally.add(records)
                bar.update(source.at - done)
                done = source.at
                if tally.records >= most:
                    break
        return tally.report(str(file.absolute()), entry, source.at, fits)
    except OSError as error:
        raise MendInputs(f"Cannot read {file}: {error.strerror or error}.") from error
    finally:
        close(handle)


def _dataset(file: Path) -> str:
    """A name from the file's: ``nginx.access`` for ``/var/log/nginx/access.log``."""
    folder = file.absolute().parent.name
    parts = [part for part in (folder, file.name.partition(".")[0]) if part not in ("", "log", "logs", "tmp")]
    name = ".".join(dict.fromkeys(re.sub(r"[^a-z0-9_]+", "_", part.lower()).strip("_") for part in parts))
    return name if is_stream_part(name) else "app"


def _show(report: Report, file: Path, pattern: str) -> None:
    said = f"{several(report.records, 'record')} in {spoken_bytes(report.bytes)}, read as {report.format}"
    click.echo(f"{click.style(neutral(str(file)), bold=True)}: {said}")
    good = report.parsed >= _GOOD
    click.secho(f"{'✓' if good else '✗'} understood  {report.parsed:.1%}", fg="green" if good else "red")
    if report.first:
        click.echo(f"  time        {report.first} to {report.last}")
        click.echo(
            "  levels      " + ", ".join(f"{neutral(level)} {count:,}" for level, count in report.levels.items())
        )
    if report.flags:
        flags = ", ".join(f"{flag} {count:,}" for flag, count in report.flags.items())
        click.echo(click.style("! ", fg="yellow") + f"flags       {flags}")
    for text in report.doubtful:
        click.secho(f"    {neutral(text).partition(chr(10))[0][:_WIDTH]}", dim=True)
    for document in report.documents:
        click.echo()
        for key, value in leaves(document):
            if not is_everywhere(key):
                text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
                click.echo(click.style(f"    {neutral(key)}: ", dim=True) + neutral(text).replace("\n", "\n      "))
    fits = ", ".join(f"{one.format} {one.share:.0%}" for one in report.fits[:_SHOWN])
    click.echo(f"\nThe first lines fit: {fits or 'no format but plain'}. For the settings file:\n")
    click.echo(neutral(advice(report, _dataset(file), pattern)), nl=False)
