"""``tailrace try``: how would a file be read; nothing is sent, and nothing stored."""

import difflib
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from shipper.extent import text_end
from shipper.filter_keys import filter_rules
from shipper.foreign import bring
from shipper.globs import input_of
from shipper.identity import HEAD_BYTES
from shipper.leaves import is_everywhere, leaves
from shipper.trial import Fit, Report, Tally, advice, fits_of, source_of, steps_of
from shipper.unpack import Handle, Unpacked, close, packing, read_at
from tailrace import settings as settings_module
from tailrace.cli.options import json_option, settings_file_option
from tailrace.cli.programs import to_json
from tailrace.errors import MendInputs
from tailrace.formats import GROUP
from tailrace.plugins import names_of
from tailrace.record import is_stream_part
from tailrace.settings import FORMATS, Csv, Input, Settings, Shipper
from tailrace.show import in_line, neutral
from tailrace.words import several, spoken_bytes

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
Exit codes: 0 at least 99 % of the records were understood; 1 fewer were, there are none, or the file ends early;
2 a mistake on the command line.
"""


class _Known(click.Choice[str]):
    """A choice that names the nearest for one that is not there."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            near = difflib.get_close_matches(str(value).lower(), map(str, self.choices), n=1, cutoff=0.5)
            self.fail(f"{error.message}{f' Did you mean {near[0]}?' if near else ''}", param, ctx)


@click.command("try", epilog=_EPILOG)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "name",
    type=_Known([*FORMATS, *names_of(GROUP)]),
    metavar="NAME",
    help=f"One of {', '.join(FORMATS)}.",
)
@click.option("--pattern", default="", help="For the formats regex and grok.")
@click.option("--columns", default="", metavar="NAMES", help="For the format csv: the fields, between commas.")
@click.option("--delimiter", default="", metavar="CHARACTER", help="For the format csv, instead of a comma.")
@click.option("--timezone", default="", help="Zone of times that do not say theirs; else the host's.")
@click.option(
    "--most", type=click.IntRange(min=1), default=1_000_000, show_default=True, help="Stop after so many records."
)
@settings_file_option("Take the input of this settings file that names FILE.")
@json_option
@click.pass_context
def try_(context: click.Context, /, file: Path, name: str, *, most: int, as_json: bool, **options: str) -> None:
    """Say how well a file would be understood, and show three documents; nothing is sent or stored."""
    entry, topic = _entry(file, name, options)
    bring([entry])
    report = _tried(file, entry, topic, most, quiet=as_json)
    if as_json:
        click.echo(to_json(report))
    else:
        _show(report, file, entry, name, options["settings_file"])
    context.exit(0 if _is_good(report) and not report.damage else 1)


def _entry(file: Path, name: str | None, options: dict[str, str]) -> tuple[Input, str]:
    """The input, and the topic of records that no rule sends elsewhere."""
    topic = Shipper().topic
    if options["settings_file"]:
        known = settings_module.load(settings_module.find(options["settings_file"])).shipper
        entry, topic = input_of(str(file.absolute()), known.inputs), known.topic
        if entry is None:
            raise MendInputs(
                f"No input of {options['settings_file']} names {file.absolute()}; leave --config out to try it."
            )
    else:
        entry = Input(paths=[str(file.absolute())], dataset=_dataset(file))
    changes: dict[str, Any] = {"format": name} if name else {}
    changes |= {key: options[key] for key in ("pattern", "timezone") if options[key]}
    entry = msgspec.structs.replace(entry, **changes, csv=_csv(entry.csv, options))
    if entry.format == "csv" and not entry.csv.columns:
        raise click.UsageError(
            "the format csv needs the names of its values: --columns time,log.level,message. "
            "For types and quotes, write an input and take it with -c."
        )
    settings_module.check(Settings(shipper=Shipper(inputs=[entry])), "the command line")
    return entry, topic


def _csv(known: Csv, options: dict[str, str]) -> Csv:
    columns = [name.strip() for name in options["columns"].split(",")] if options["columns"] else known.columns
    return msgspec.structs.replace(known, columns=columns, delimiter=options["delimiter"] or known.delimiter)


def _tried(file: Path, entry: Input, topic: str, most: int, *, quiet: bool) -> Report:
    try:
        handle: Handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise MendInputs(f"Cannot read {file}: {error.strerror}.") from error
    try:
        kind = packing(str(file), os.pread(handle, HEAD_BYTES, 0))  # type: ignore[arg-type]
        if kind:
            handle = Unpacked(handle, kind)  # type: ignore[arg-type]
        lines = read_at(handle, Shipper().chunk_bytes, 0).split(b"\n")[:-1][:_FIRST_LINES]
        fits = fits_of(lines, str(file.absolute()))
        tally, size = _counted(handle, file, entry, topic, most, quiet=quiet)
        damage = _damage(handle) if tally.records < most else ""
        better = _better(fits, entry, tally)
        if better is not None:
            again = msgspec.structs.replace(entry, format=better.format)
            share = _counted(handle, file, again, topic, most, quiet=quiet)[0].parsed or 0.0
            better = msgspec.structs.replace(better, share=share) if share > (tally.parsed or 0.0) else None
        return tally.report(str(file.absolute()), entry, size, fits, better, damage)
    except OSError as error:
        raise MendInputs(f"Cannot read {file}: {error.strerror or error}.") from error
    finally:
        close(handle)


def _counted(handle: Handle, file: Path, entry: Input, topic: str, most: int, *, quiet: bool) -> tuple[Tally, int]:
    """The records of a file, and how many bytes were read."""
    tally, done = Tally(topic), 0
    size = file.stat().st_size if isinstance(handle, Unpacked) else text_end(handle)
    source = source_of(entry, str(file), socket.gethostname(), Shipper(), filter_rules(entry))
    hidden = quiet or size < _LONG_BYTES
    with click.progressbar(length=size, label=f"Reading as {entry.format}", hidden=hidden, file=sys.stderr) as bar:
        for step in steps_of(source, _read(handle, size), Shipper().chunk_bytes, time.time_ns):
            tally.add(step)
            bar.update(source.at - done)
            done = source.at
            if tally.records >= most:
                break
    return tally, source.at


def _read(handle: Handle, size: int) -> Callable[[int, int], bytes]:
    """Reads at most so many bytes from an offset on: of a file that is not compressed, only what is written."""
    if isinstance(handle, Unpacked):
        return handle.pread
    return lambda most, offset: os.pread(handle, max(0, min(most, size - offset)), offset)


def _damage(handle: Handle) -> str:
    """Why no more came out of a compressed file; one that is still being written ends early, too."""
    if not isinstance(handle, Unpacked):
        return ""
    return handle.damage or ("" if handle.ended else "it ends early, or is still being written")


def _better(fits: list[Fit], entry: Input, tally: Tally) -> Fit | None:
    """The format that fits more of the first lines than was understood of all, if there is one."""
    best = fits[0] if fits else None
    return best if best and best.format != entry.format and best.share > (tally.parsed or 0.0) else None


def _dataset(file: Path) -> str:
    """A name from the file's: ``nginx.access`` for ``/var/log/nginx/access.log``."""
    folder = file.absolute().parent.name
    parts = [part for part in (folder, file.name.partition(".")[0]) if part not in ("", "log", "logs", "tmp")]
    name = ".".join(dict.fromkeys(re.sub(r"[^a-z0-9_]+", "_", part.lower()).strip("_") for part in parts))
    return name if is_stream_part(name) else "app"


def _is_good(report: Report) -> bool:
    return report.parsed is not None and report.parsed >= _GOOD


def _show(report: Report, file: Path, entry: Input, name: str | None, known: str) -> None:
    said = f"{several(report.records, 'record')} in {spoken_bytes(report.bytes)}, read as {report.format}"
    click.echo(f"{click.style(in_line(str(file)), bold=True)}: {said}")
    if report.damage:
        rest = "what follows cannot be judged" if report.records else "nothing came out of it"
        click.secho(f"✗ damaged     {neutral(report.damage)}: {rest}", fg="red")
    if report.parsed is None:
        what = "only blank lines are in it" if report.bytes else "it is empty"
        if report.dropped:
            what = f"filters leave out {_by_rule(report.dropped)}"
        click.secho(f"✗ nothing to judge{'' if report.damage else f': {what}'}", fg="red")
        return
    good = _is_good(report)
    click.secho(f"{'✓' if good else '✗'} understood  {_percent(report.parsed)}", fg="green" if good else "red")
    click.echo(f"  time        {_times(report)}")
    click.echo(f"  levels      {_counts(report.levels)}")
    for line in _filtered(report, entry):
        click.echo(line)
    if report.flags:
        click.echo(click.style("! ", fg="yellow") + f"flags       {_counts(report.flags)}")
    for text in report.doubtful:
        click.secho("    " + neutral(text).partition("\n")[0][:_WIDTH], dim=True)
    for step in _next_steps(report):
        click.secho(f"→ {step}", fg="yellow")
    for document in report.documents:
        _show_document(document)
    click.echo("\n" + _advice(report, entry, name, known))


def _advice(report: Report, entry: Input, name: str | None, known: str) -> str:
    """What to write into the settings file; not a whole input where the file has one, for that may have filters."""
    fits = ", ".join(f"{one.format} {one.share:.0%}" for one in report.fits[:_SHOWN])
    said = f"The first lines fit: {fits or 'no format but plain'}."
    if not known:
        return f"{said} For the settings file:\n\n{neutral(advice(report, entry))}".removesuffix("\n")
    if report.suggested == entry.format and not name:
        return f"{said} The input in {in_line(known)} is right for it."
    return f'{said} In its input in {in_line(known)}:\n\nformat = "{report.suggested}"'


def _show_document(document: dict[str, Any]) -> None:
    """Each value as the JSON that is sent: a text of digits, or of a list, is told from a number, or a list."""
    click.echo()
    for key, value in leaves(document):
        if not is_everywhere(key):
            text = neutral(msgspec.json.encode(value).decode())
            click.echo(click.style(f"    {neutral(key)}: ", dim=True) + text)


def _percent(share: float) -> str:
    """With one digit, and never rounded up to all: that is what people look for."""
    return f"{share:.1%}" if share == 1 else f"{min(share, 0.999):.1%}"


def _times(report: Report) -> str:
    untimed = report.records - report.timed
    if not report.timed:
        return f"no time found in {several(untimed, 'record')}: that of reading is taken"
    none = f"; no time found in {untimed:,} of {several(report.records, 'record')}" if untimed else ""
    return f"{report.first} to {report.last}{none}"


def _by_rule(dropped: dict[str, int]) -> str:
    """How many records, and what left them out."""
    return f"{several(sum(dropped.values()), 'record')}: {_counts(dropped)}"


def _filtered(report: Report, entry: Input) -> Iterator[str]:
    """What filters do with the records: where they send them, what they leave out and make unreadable."""
    if any(one.route is not None for one in entry.filters):
        yield from _targets(report)
    if report.dropped:
        yield f"  left out    {_by_rule(report.dropped)}"
    for rule, kinds in report.redacted.items():
        yield f"  redacted    {_counts(kinds)} by {neutral(rule)}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{neutral(name)} {count:,}" for name, count in counts.items())


def _targets(report: Report) -> Iterator[str]:
    """Where the records go: how many of them to which data stream, by which topic."""
    rows = [
        (f"{one.records:,}", _percent(one.share), f"logs-{one.dataset}-{one.namespace}", one.topic)
        for one in report.targets
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, (count, share, stream, topic) in enumerate(rows):
        title = "" if number else "go to"
        where = f"{stream:{widths[2]}}  topic {topic}"
        yield f"  {title:12}{count:>{widths[0]}}  {share:>{widths[1]}}  {where}"


def _next_steps(report: Report) -> Iterator[str]:
    """What may be done about what was not understood."""
    if report.better is not None:
        yield f"--format {report.better.format} would understand {_percent(report.better.share)}"
    elif not _is_good(report) and not report.fits and report.format not in ("auto", "plain"):
        yield "no format fits: --format plain takes any line as text; regex and grok take a pattern of your own"
    if report.flags.get("encoding", 0) * 2 > report.records:
        yield "most of it is no UTF-8: is it text? What is in another encoding has to be converted before"
