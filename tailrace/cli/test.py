"""``tailrace test``: do lines become the documents that are expected of them; nothing is sent, and nothing stored."""

import socket
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from shipper.cases import Case, CaseFile, Judged, judge, unjudged
from shipper.constants import Surroundings
from shipper.filter_keys import filter_rules
from shipper.foreign import bring
from shipper.globs import input_of
from shipper.machine import surroundings
from shipper.rows import Record
from shipper.trial import source_of, steps_of
from tailrace import mistakes
from tailrace import settings as settings_module
from tailrace.cli.differences import told
from tailrace.cli.junit import junit
from tailrace.cli.margin import hung
from tailrace.cli.options import json_option, settings_file_option, terminal_width
from tailrace.cli.programs import to_json
from tailrace.errors import FixCases, TailraceError
from tailrace.settings import Input, Settings, Shipper
from tailrace.show import in_line, neutral
from tailrace.words import listed

_ENDING = ".test.toml"
_EPILOG = """\b
Examples:
  tailrace test shop.test.toml                  lines in, documents expected; what differs is shown
  tailrace test /etc/tailrace                   every *.test.toml in that folder
  tailrace test shop.test.toml -c tailrace.toml --junit report.xml
  tailrace test shop.test.toml --json | jq '.cases[] | select(.ok | not) | .differences'

\b
Exit codes: 0 all is as expected, 1 something is not, 2 a mistake on the command line, in a case or in the settings:
what has none is run all the same.
"""


@click.command("test", epilog=_EPILOG)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@settings_file_option("The settings file, whatever the cases say.")
@click.option(
    "--junit", "report", type=click.Path(path_type=Path), metavar="FILE", help="Also write JUnit's XML there."
)
@json_option
@click.pass_context
def test(
    context: click.Context, files: tuple[Path, ...], settings_file: str | None, report: Path | None, *, as_json: bool
) -> None:
    """Say whether lines become the documents that FILES, or the *.test.toml of folders, expect of them."""
    named = settings_module.load(settings_module.find(settings_file)) if settings_file else None
    judged = {str(file): list(_judged(file, named)) for file in _found(files)}
    every = [(file, one) for file, cases in judged.items() for one in cases]
    counts = Counter("passed" if one.ok else "errors" if one.error else "failed" for _, one in every)
    if as_json:
        cases = [{"file": file, **msgspec.to_builtins(one)} for file, one in every]
        totals = {name: counts[name] for name in ("passed", "failed", "errors")}
        click.echo(to_json({**totals, "cases": cases}))
    else:
        _show(judged, counts)
    if report is not None:
        _write(report, junit(judged, {id(one): "\n".join(map(click.unstyle, told(one))) for _, one in every}))
    context.exit(FixCases.exit_code if counts["errors"] else 1 if counts["failed"] else 0)


def _show(judged: dict[str, list[Judged]], counts: Counter[str]) -> None:
    width = terminal_width()
    if counts["failed"]:
        click.echo(f"{click.style('- expected', fg='red')}  {click.style('+ came out', fg='green')}")
    for file, cases in judged.items():
        click.secho(in_line(file), bold=True)
        for one in cases:
            sign = click.style("✓", fg="green") if one.ok else click.style("✗", fg="red")
            click.echo(hung(f"{sign} {neutral(one.name)}", width))
            # What is to be pasted is not broken: the terminal joins again what it broke itself, when it is copied.
            room = None if one.expects_nothing else width
            for line in told(one) if not one.ok else ():
                click.echo(hung(f"    {line}", room) if line else "")
    lame = f", {counts['errors']} could not be run" if counts["errors"] else ""
    colour = "red" if counts["failed"] or counts["errors"] else "green"
    click.secho(f"{counts['passed']} passed, {counts['failed']} failed{lame}.", fg=colour)


def _found(files: tuple[Path, ...]) -> Iterator[Path]:
    for file in files:
        inside = sorted(file.rglob(f"*{_ENDING}")) if file.is_dir() else [file]
        if not inside:
            raise FixCases(f"No *{_ENDING} is in {file}; name files of cases, or a folder that has some.")
        yield from inside


def _judged(file: Path, named: Settings | None) -> Iterator[Judged]:
    """Each case of a file; what cannot be run keeps no other from being run."""
    try:
        cases = _read(file)
        settings = named or _settings(file, cases)
    except TailraceError as error:
        yield unjudged("the whole file", str(error))
        return
    for number, case in enumerate(cases.cases):
        where = f"{file}: cases[{number}] ({case.name})"
        try:
            yield _run(case, file, settings, where)
        except TailraceError as error:
            yield unjudged(case.name, str(error), case.path)


def _run(case: Case, file: Path, settings: Settings, where: str) -> Judged:
    entry = _entry(case, settings.shipper.inputs, where)
    content = _content(case, file, where)
    bring([entry])
    path = case.path or entry.paths[0]
    return judge(case, path, content, _records(case, path, entry, settings, content), settings.shipper.topic)


def _records(case: Case, path: str, entry: Input, settings: Settings, content: bytes) -> list[Record]:
    """What the agent would send of a file that holds these bytes."""

    def read_at(most: int, offset: int) -> bytes:
        return content[offset : offset + most]

    source = source_of(
        entry,
        path,
        settings.host.name or socket.gethostname(),
        settings.shipper,
        filter_rules(entry),
        _around(settings),
    )
    now = time.time_ns() if case.read is None else round(case.read.timestamp() * 1000) * 10**6
    return [
        record
        for step in steps_of(source, read_at, settings.shipper.chunk_bytes, lambda: now)
        for record in step.records
    ]


def _around(settings: Settings) -> Surroundings:
    """What documents say of the host, but for what a server would have to be asked."""
    return surroundings(msgspec.structs.replace(settings.host, cloud="off"))


def _read(file: Path) -> CaseFile:
    try:
        tables = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise FixCases(f"Cannot read {file}: {reason}; name a file of cases.") from error
    except tomllib.TOMLDecodeError as error:
        raise FixCases(f"{file} is not valid TOML: {error}.") from error
    if unknown := mistakes.unknown_key(tables, CaseFile):
        raise FixCases(f"{file}: {unknown}")
    try:
        cases = msgspec.convert(tables, CaseFile)
    except msgspec.ValidationError as error:
        raise FixCases(f"{file}: {mistakes.wrong_type(str(error), CaseFile)}") from error
    if not cases.cases:
        raise FixCases(f"{file}: has no [[cases]]; give each a name, lines and the documents that are expected.")
    return cases


def _settings(file: Path, cases: CaseFile) -> Settings:
    if not cases.inputs:
        beside = str(file.parent / cases.settings) if cases.settings else None
        return settings_module.load(settings_module.find(beside))
    settings = Settings(shipper=Shipper(inputs=cases.inputs))
    settings_module.check(settings, str(file))
    return settings


def _entry(case: Case, inputs: list[Input], where: str) -> Input:
    """The input of a case, in the zone that the case says."""
    if case.path:
        entry = input_of(case.path, inputs)
        fits = [entry] if entry is not None else []
        wanted = f"names {case.path}"
    else:
        fits = [entry for entry in inputs if case.dataset in ("", entry.dataset)]
        wanted = f"has the dataset {case.dataset}" if case.dataset else "is there"
    datasets = listed(dict.fromkeys(entry.dataset for entry in inputs)) or "none"
    if not fits:
        raise FixCases(f"{where}: no input {wanted}; the settings have the datasets {datasets}.")
    if len(fits) > 1:
        raise FixCases(
            f"{where}: which of {len(fits)} inputs? Give path, or dataset where it is of one only: {datasets}."
        )
    zone = case.timezone if case.timezone and fits[0].timezone == "local" else fits[0].timezone
    entry = msgspec.structs.replace(fits[0], timezone=zone)
    if wrong := mistakes.wrong_value(Settings(shipper=Shipper(inputs=[entry]))):
        raise FixCases(f"{where}: {wrong}")
    return entry


def _content(case: Case, file: Path, where: str) -> bytes:
    """The lines of a case, each with its delimiter."""
    if bool(case.file) == bool(case.lines):
        raise FixCases(f"{where}: give lines, or a file that has them.")
    if case.file:
        try:
            content = (file.parent / case.file).read_bytes()
        except OSError as error:
            raise FixCases(f"{where}: cannot read {case.file}: {error.strerror}.") from error
    else:
        content = (case.lines if isinstance(case.lines, str) else "\n".join(case.lines)).encode()
    return content if content.endswith(b"\n") else content + b"\n"


def _write(report: Path, xml: bytes) -> None:
    try:
        report.write_bytes(xml)
    except OSError as error:
        raise FixCases(f"Cannot write {report}: {error.strerror}; name another file in --junit.") from error
