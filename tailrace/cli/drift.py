"""``tailrace drift``: what will conflict in the data streams, for people and for programs."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from itertools import groupby
from typing import Any

import click
import msgspec

from tailrace.cli.options import config_option, json_option
from tailrace.cli.programs import to_json
from tailrace.cli.reach_elastic import elasticsearch_client
from tailrace.drift.findings import CONFLICTS, Facts, Finding, What, findings
from tailrace.drift.look import facts
from tailrace.settings import Settings
from tailrace.show import neutral
from tailrace.words import several

_MOST_OF_A_KIND = 10
_MOST_SAMPLED = 10_000
_HELP = {
    What.DIFFERS: "searches over all of these indices fail or miss some; it ends when the older ones are deleted",
    What.CHANGES: "map it in tailrace@custom with the type that it has, and roll over if the newest index lacks it; "
    "or bear two types until the older are deleted",
    What.MIXED: "map it in tailrace@custom, or have the service write it under two names, one for each type",
    What.MALFORMED: "mend what writes it; these documents are there, but not found by this field",
    What.FULL: "raise index.mapping.total_fields.limit in tailrace@custom and roll over, or write fewer names",
}
"""The next step, said once a run."""


@click.command(
    epilog="""\b
Examples:
  tailrace drift
  tailrace drift --stream 'logs-orders-*' --sample 10000
  tailrace drift --json | jq -c '.streams[] | [.stream, .findings[].field]'
  tailrace drift > /dev/null || echo "a field will conflict"

\b
Exit codes: 0 nothing will conflict (a ! is no conflict), 1 something will, no data stream matches, or Elasticsearch
cannot be asked, 2 a mistake on the command line or in the settings file.
"""
)
@config_option
@click.option("--stream", "streams", multiple=True, metavar="NAME", help="Data streams to look at; else all allowed.")
@click.option(
    "--sample",
    default=1000,
    show_default=True,
    type=click.IntRange(0, _MOST_SAMPLED),
    help="So many of the latest documents of each stream are read.",
)
@json_option
def drift(settings: Settings, streams: tuple[str, ...], *, sample: int, as_json: bool) -> None:
    """Say which fields conflict, or will at the next rollover, and which streams run out of fields.

    The types in all indices of a data stream, those that its next index will have, and those that its latest
    documents bring are compared. Nothing is changed.
    """
    if not asyncio.run(_run(settings, streams, sample, as_json=as_json)):
        click.get_current_context().exit(1)


async def _run(settings: Settings, streams: tuple[str, ...], sample: int, *, as_json: bool) -> bool:
    """Print what is found; whether there are data streams, and nothing in them conflicts."""
    told: list[dict[str, Any]] = []
    conflicts = 0
    met: dict[What, None] = {}
    async with elasticsearch_client(settings) as client:
        patterns = streams or tuple(settings.indexer.allowed_streams)
        async with aclosing(facts(client, patterns, sample)) as found:
            async for one in found:
                here = findings(one)
                conflicts += sum(finding.is_conflict for finding in here)
                met |= dict.fromkeys(finding.what for finding in here)
                told.append(_for_programs(one, here))
                if not as_json:
                    for line in _for_people(one, here):
                        click.echo(line)
    if as_json:
        click.echo(to_json({"conflicts": conflicts, "streams": told}))
    else:
        for line in _summary(len(told), conflicts, met):
            click.echo(line)
    if not told:
        click.secho(_none(streams, patterns), fg="red", err=as_json)
    return bool(told) and not conflicts


def _for_programs(one: Facts, here: list[Finding]) -> dict[str, Any]:
    return {
        "stream": one.name,
        "indices": list(one.indices),
        "fields": one.newest.count,
        "limit": one.limit,
        "sampled": one.kinds.documents,
        "next_index_known": one.next_index is not None,
        "findings": [{**msgspec.to_builtins(finding), "conflict": finding.is_conflict} for finding in here],
    }


def _for_people(one: Facts, here: list[Finding]) -> Iterator[str]:
    counts = f"{_indices(len(one.indices))}, {one.newest.count:,} of {one.limit:,} fields"
    yield f"{click.style(one.name, bold=True)}  {counts}, {several(one.kinds.documents, 'document')} read"
    if one.next_index is None:
        yield click.style("  ! its next index is not known: we may not see the templates", fg="yellow")
    for what, group in groupby(here, key=lambda finding: finding.what):
        some = list(group)
        mark, colour = ("✗", "red") if what in CONFLICTS else ("!", "yellow")
        for finding in some[:_MOST_OF_A_KIND]:
            name = f"{neutral(finding.field)}: " if finding.field else ""
            yield f"  {click.style(f'{mark} {what.value}', fg=colour)}  {name}{neutral(finding.text)}"
        if len(some) > _MOST_OF_A_KIND:
            yield f"  … and {len(some) - _MOST_OF_A_KIND:,} more such (--json has all)"


def _none(named: tuple[str, ...], patterns: tuple[str, ...]) -> str:
    """That there is nothing to look at, which a monitor must not take for good, and the next step."""
    if named:
        return (
            f"✗ No data stream matches {neutral(', '.join(named))}; without --stream all that are allowed are looked at"
        )
    return f"✗ No data stream matches {', '.join(patterns)} yet; run `tailrace setup`, then ship and index"


def _summary(streams: int, conflicts: int, met: dict[What, None]) -> Iterator[str]:
    for what in What:
        if what in met and what in _HELP:
            yield click.wrap_text(f"{what.value}: {_HELP[what]}", subsequent_indent="  ")
    if conflicts:
        text = f"✗ {several(conflicts, 'conflict')} now or at the next rollover, of {several(streams, 'data stream')}"
        yield click.style(text, fg="red")
    elif streams:
        yield click.style(f"✓ nothing conflicts, or will, in {several(streams, 'data stream')}", fg="green")


def _indices(count: int) -> str:
    return "1 index" if count == 1 else f"{count:,} indices"
