"""``tailrace ship --repair``: what an audit found missing of this host, sent again, and what of it could not be."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from shipper.repair import Repaired, host_of, repair
from tailrace import daemon, metrics
from tailrace.audit.plan import Loss, losses
from tailrace.cli.once import Telling, total
from tailrace.cli.programs import to_json
from tailrace.daemon import Life
from tailrace.errors import MendInputs, MendPlan
from tailrace.settings import Settings
from tailrace.show import in_line, neutral
from tailrace.words import listed, several, size

_MOST_LINES = 50


def mend(settings: Settings, plan: Path, *, as_json: bool) -> int:
    """Repair what a plan (- is stdin) says is missing of this host; the exit code.

    Raises:
        MendPlan: it cannot be read, or is no plan.
        MendState: there is no registry, or it cannot be read.
    """
    try:
        text = sys.stdin.buffer.read() if str(plan) == "-" else plan.read_bytes()
    except OSError as error:
        raise MendPlan(f"Cannot read {plan}: {error.strerror}; name what `tailrace audit --json` printed.") from error
    host = host_of(settings)
    planned = losses(text)
    return daemon.run(lambda life: _mend(settings, host, planned, life, as_json=as_json), settings.log)


async def _mend(settings: Settings, host: str, planned: list[Loss], life: Life, *, as_json: bool) -> None:
    found = [loss for loss in planned if loss.host == host]
    ranges = sum(len(loss.missing) for loss in found)
    missing = sum(one.size for loss in found for one in loss.missing)
    telling = Telling(settings.log, _look, _words)
    sentence = f"Missing of {in_line(host)}: {size(missing)} in {several(ranges, 'range')} of {_sources(found)}."
    telling.say(sentence, "repairing", sources=len(found), ranges=ranges, bytes=missing)
    if others := sorted({loss.host for loss in planned} - {host}):
        telling.say(f"! Other bytes are missing of {listed(others)}: repair them there.", "others miss", hosts=others)
    done: list[Repaired] = []
    if found:
        async with telling:
            done = await repair(settings, found, life)
    left = [one for one in done if one.left_bytes]
    totals = {
        "host": host,
        "ranges": ranges,
        "records": sum(one.records for one in done),
        "bytes": missing - sum(one.left_bytes for one in left),
        "left_bytes": sum(one.left_bytes for one in left),
        "seconds": round(telling.seconds, 3),
    }
    telling.say(_total_words(totals), "repaired", **totals)
    if as_json:
        click.echo(to_json({**totals, "complete": not left, "done": done}))
    else:
        _show(done)
    if left:
        lost = f"{size(sum(one.left_bytes for one in left))} in {several(len(left), 'range')}"
        raise MendInputs(f"Not repaired: {lost}, first of {left[0].path}: {left[0].reason}.")


def _show(done: Sequence[Repaired]) -> None:
    for one in done[:_MOST_LINES]:
        what = f"{in_line(one.path)} bytes {one.start:,} to {one.end:,}:"
        records = several(one.records, "record")
        if not one.left_bytes:
            click.echo(f"{click.style('✓', fg='green')} {what} {records} sent again from {in_line(one.file)}")
        elif one.records:
            left = f"{size(one.left_bytes)} not ({neutral(one.reason)})"
            click.echo(f"{click.style('✗', fg='red')} {what} {records} sent again, {left}")
        else:
            click.echo(f"{click.style('✗', fg='red')} {what} {neutral(one.reason)}")
    if len(done) > _MOST_LINES:
        click.echo(f"… and {several(len(done) - _MOST_LINES, 'more range')} (--json tells of all)")


def _look() -> dict[str, int]:
    return {"records": total(metrics.LINES), "bytes": total(metrics.BYTES)}


def _words(counts: Mapping[str, int], seconds: float) -> str:
    """The line that is shown while it works."""
    return f"{several(counts['records'], 'record')}, {size(counts['bytes'])}, {seconds:.0f} s"


def _sources(found: Sequence[Loss]) -> str:
    return several(len(found), "source")


def _total_words(totals: Mapping[str, object]) -> str:
    records = totals["records"]
    return (
        f"Sent again: {several(records if isinstance(records, int) else 0, 'record')}; the indexers store what lacks."
    )
