"""Verdicts to a table and a summary for people, or to one JSON document for programs."""

import datetime
from collections.abc import Iterator, Mapping
from typing import IO, NamedTuple, Protocol

import click
import msgspec

from tailrace.audit.chain import Amount, Double, Range
from tailrace.audit.plan import VERSION
from tailrace.audit.run import Audit
from tailrace.audit.verdict import Result, Tally, Verdict
from tailrace.cli.options import terminal_width
from tailrace.cli.programs import to_json
from tailrace.cli.table import fitted, joined
from tailrace.show import in_line, neutral
from tailrace.words import listed, several, size

_COLOURS = {
    Result.MISSING: "red",
    Result.DOUBLED: "red",
    Result.WAITING: "yellow",
    Result.EXPIRED: "cyan",
    Result.WHOLE: "green",
}
_ORDER = list(Result)
_MOST_RANGES = 5
_AT_ONCE = 65_536
_HEADINGS = ("RESULT", "SHIPPED", "RECORDS", "STORED", "DEAD", "DROPPED", "HOST", "PATH")
_DROPPED = _HEADINGS.index("DROPPED")
"""This column is left out where no rule dropped anything."""

Copies = Mapping[str, list[str]]
"""In which indices a document is, by its id."""


class Printer(Protocol):
    """Takes verdicts as they come, and the totals at the end."""

    def add(self, verdict: Verdict, copies: Copies) -> None: ...  # noqa: D102
    def end(self, tally: Tally, audit: Audit) -> None: ...  # noqa: D102


class _Row(NamedTuple):
    rank: int
    number: int
    verdict: Verdict
    copies: Copies


class Json:
    """One JSON document, a plan for ``tailrace ship --repair`` too.

    It is kept in a file until all is told: an audit that fails prints nothing.
    """

    def __init__(self, kept: IO[bytes]) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self._kept = kept
        self._between = f'{{"version":{VERSION},"time":"{now}","sources":[\n'.encode()

    def add(self, verdict: Verdict, copies: Copies) -> None:
        """One source more."""
        said = {**msgspec.to_builtins(verdict), "copies": copies}
        self._kept.write(self._between + to_json(said))
        self._between = b",\n"

    def end(self, tally: Tally, audit: Audit) -> None:
        """All were told: print them."""
        rest = {
            "totals": tally.totals,
            "unfinished_records": audit.unfinished,
            "notes": audit.notes,
            "whole": tally.is_proved,
        }
        begin = b"" if tally.totals.sources else self._between
        self._kept.write(begin + b"\n]," + to_json(rest)[1:] + b"\n")
        self._kept.seek(0)
        while some := self._kept.read(_AT_ONCE):
            click.echo(some, nl=False)


class Table:
    """The worst sources, at most so many (0: all), and a summary."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rows: list[_Row] = []
        self._count = 0

    def add(self, verdict: Verdict, copies: Copies) -> None:
        """One source more; in memory are those that may be shown."""
        self._rows.append(_Row(_ORDER.index(verdict.result), self._count, verdict, copies))
        self._count += 1
        if self._most and len(self._rows) > 2 * self._most + 1000:
            self._shorten()

    def end(self, tally: Tally, audit: Audit) -> None:
        """All were told: print them."""
        self._shorten()
        table = [_HEADINGS, *(_cells(row.verdict) for row in self._rows)]
        if all(cells[_DROPPED] == "0" for cells in table[1:]):
            table = [(*cells[:_DROPPED], *cells[_DROPPED + 1 :]) for cells in table]
        lines = fitted(table, terminal_width(), right=_HEADINGS[1:-2], spare=("RECORDS",))
        for shown, row in zip(lines, [None, *self._rows], strict=True):
            if row is None:
                click.secho(joined(shown), bold=True)
                continue
            shown[0] = click.style(shown[0], fg=_COLOURS[row.verdict.result])
            click.echo(joined(shown))
            for line in faults(row.verdict, row.copies):
                click.echo(f"  {neutral(line)}")
        if self._count > len(self._rows):
            click.echo(f"… and {self._count - len(self._rows):,} more (-n 0 shows all)")
        for line, colour in summary(tally, audit):
            click.secho(neutral(line), fg=colour)

    def _shorten(self) -> None:
        self._rows.sort(key=lambda row: row[:2])
        if self._most:
            del self._rows[self._most :]


def faults(verdict: Verdict, copies: Copies) -> Iterator[str]:
    """What is wrong with a source, a line each, the first few of a kind."""
    kinds = ((verdict.missing, "missing"), (verdict.waiting, "on their way, or missing"))
    for ranges, what in kinds:
        yield from (f"bytes {_range(one)}: {what}" for one in ranges[:_MOST_RANGES])
        yield from _more(len(ranges))
    if verdict.hidden_bytes:
        yield f"{size(verdict.hidden_bytes)} were sent in records, and what is stored says that they gave none"
    for one in verdict.expired[:_MOST_RANGES]:
        yield f"bytes {_range(one)}: too old to be checked"
    yield from _more(len(verdict.expired))
    for double in verdict.doubled[:_MOST_RANGES]:
        yield f"bytes {_range(double)}: stored twice"
        for name in double.records:
            yield from (f"  {index}/_doc/{name}" for index in sorted(copies.get(name, ["…"])))
    yield from _more(len(verdict.doubled))


def summary(tally: Tally, audit: Audit) -> Iterator[tuple[str, str | None]]:
    """The totals and what they mean, each line with its colour."""
    totals = tally.totals
    where = f"{several(totals.sources, 'source')} of {several(totals.hosts, 'host')}"
    dead = f"{totals.dead.records:,} dead{_counts(totals.dead_reasons)}"
    dropped = f"{sum(one.records for one in totals.dropped.values()):,} dropped by a rule{_amounts(totals.dropped)}"
    yield f"{where}: {several(totals.shipped.records, 'record')} of {size(totals.shipped.bytes)} shipped", None
    yield f"{totals.stored.records:,} stored, {dead}, {dropped}", None
    yield f"{size(totals.skipped_bytes)} in no record: blank, or dropped by a rule", None
    for note in audit.notes:
        yield f"! {note}", "yellow"
    if totals.expired_bytes:
        yield f"! {size(totals.expired_bytes)} are too old to be checked: their indices have been deleted", "cyan"
    if totals.waiting_bytes:
        late = f"on their way: the indexers have {several(audit.unfinished, 'record')} left"
        where = late if audit.unfinished else "in a closed index"
        yield f"✗ {size(totals.waiting_bytes)} are not seen: they may be {where}; ask again", "yellow"
    if totals.doubled_bytes:
        yield (
            f"✗ {size(totals.doubled_bytes)} are stored twice: of each record, delete all documents but one",
            "red",
        )
    if totals.missing_bytes:
        yield f"✗ {size(totals.missing_bytes)} are missing: tailrace audit --json > plan.json, and on the host:", "red"
        yield "  tailrace ship --repair plan.json", "red"
    if totals.hidden_bytes:
        yield f"✗ {size(totals.hidden_bytes)} are hidden: they were sent again with filters that left them out", "red"
    if not totals.sources:
        yield "✗ the ledger tells of no source that was asked for, so nothing is proved", "red"
    elif tally.is_proved:
        yield "✓ every byte is accounted for", "green"


def _cells(verdict: Verdict) -> tuple[str, ...]:
    dropped = sum(one.records for one in verdict.dropped.values())
    return (
        verdict.result.value,
        size(verdict.shipped.bytes),
        f"{verdict.shipped.records:,}",
        f"{verdict.stored.records:,}",
        f"{verdict.dead.records:,}",
        f"{dropped:,}",
        in_line(verdict.host),
        in_line(verdict.path),
    )


def _range(one: Range | Double) -> str:
    return f"{one.start:,} to {one.end:,} ({size(one.size)})"


def _more(count: int) -> Iterator[str]:
    if count > _MOST_RANGES:
        yield f"… and {several(count - _MOST_RANGES, 'more such range')}"


def _counts(counts: Mapping[str, int]) -> str:
    return f" ({listed(f'{name} {count:,}' for name, count in sorted(counts.items()))})" if counts else ""


def _amounts(amounts: Mapping[str, Amount]) -> str:
    return _counts({rule: amount.records for rule, amount in amounts.items()})
