"""``tailrace audit``: what became of every byte that was shipped."""

import asyncio
import datetime
import tempfile
from collections.abc import Callable, Mapping
from contextlib import aclosing

import click

from tailrace import period
from tailrace.audit import topics
from tailrace.audit.entry import Entry
from tailrace.audit.run import Audit, chosen
from tailrace.audit.verdict import Tally
from tailrace.cli.audit_table import Json, Printer, Table
from tailrace.cli.once import Telling
from tailrace.cli.options import config_option, json_option
from tailrace.cli.reach_elastic import elasticsearch_client
from tailrace.cli.reach_kafka import kafka_errors
from tailrace.daemon import set_up_log
from tailrace.settings import Settings
from tailrace.words import several

_IN_MEMORY_BYTES = 4_194_304
_EPILOG = """\b
Examples:
  tailrace audit                              every source of every host
  tailrace audit --host web-1 --path '*/nginx/*'
  tailrace audit --since 1d --full            walk every chain of what moved in the last day
  tailrace audit --json > plan.json           what `tailrace ship --repair plan.json` takes, on the host
  tailrace audit > /dev/null || alert     for a monitor: the exit code

\b
Exit codes: 0 every byte is stored once, dead with its reason, or left out on purpose; or too old to be checked.
1 bytes are missing, stored twice, or still on their way; or no such source is known, or a server cannot be asked.
2 a mistake on the command line or in the settings.
"""


@click.command(epilog=_EPILOG)
@click.option("--host", "hosts", multiple=True, metavar="NAME", help="Only this host; * and ? may stand.")
@click.option("--path", "paths", multiple=True, metavar="GLOB", help="Only files whose whole path matches.")
@click.option("--since", default="", metavar="TIME", help="Only what the ledger told of since: 2026-11-23, 14:05, 7d.")
@click.option("--full", is_flag=True, help="Walk every chain, not only those whose sums leave a doubt.")
@click.option(
    "--wait",
    "wait_seconds",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Seconds for the indexers to finish what was shipped.",
)
@click.option("-n", "--number", default=20, type=click.IntRange(0), help="Show so many sources, 0 for all; default 20.")
@json_option
@config_option
@click.pass_context
def audit(
    context: click.Context,
    settings: Settings,
    *,
    hosts: tuple[str, ...],
    paths: tuple[str, ...],
    since: str,
    full: bool,
    wait_seconds: float,
    number: int,
    as_json: bool,
) -> None:
    """Prove that every byte the shippers sent is stored once, or name the bytes that are not.

    For each source in the ledger the sums of what was shipped and what is stored are compared; where they leave a
    doubt, the chain of its records is walked: each must begin where the one before it ended.
    """
    try:
        begin = period.moment(since, datetime.datetime.now().astimezone()) if since else None
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    set_up_log(settings.log)
    wanted = chosen(hosts, paths, begin)
    like = hosts[0] if hosts else ""
    is_whole = asyncio.run(_audit(settings, wanted, like, wait_seconds, number, full=full, as_json=as_json))
    context.exit(0 if is_whole else 1)


async def _audit(
    settings: Settings,
    wanted: Callable[[Entry], bool],
    like: str,
    wait_seconds: float,
    number: int,
    *,
    full: bool,
    as_json: bool,
) -> bool:
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as kept:
        printer: Printer = Json(kept) if as_json else Table(number)
        async with elasticsearch_client(settings) as client:
            one = Audit(settings, client, full=full)
            telling = Telling(settings.log, lambda: dict(one.counts), _words)
            tally = Tally()
            async with telling:
                async with kafka_errors(settings):
                    if not await one.begin(wanted, wait_seconds) and (near := await topics.hosts(settings, like)):
                        hosts = ", ".join(near)
                        one.notes.append(
                            f"The ledger tells of {hosts}: without --host, --path and --since all is audited."
                        )
                async with aclosing(one.verdicts()) as verdicts:
                    async for verdict in verdicts:
                        tally.add(verdict)
                        printer.add(verdict, await one.copies(verdict) if verdict.doubled else {})
            printer.end(tally, one)
    return tally.is_proved


def _words(counts: Mapping[str, int], seconds: float) -> str:
    """The line that is shown while it works."""
    if not counts["sources"]:
        return "Reading the ledger"
    if not counts["done"] and counts["unfinished"]:
        return f"Waiting for the indexers: {several(counts['unfinished'], 'record')} left"
    rate = counts["records"] / max(seconds, 0.001)
    records = several(counts["records"], "record")
    return f"{counts['done']:,} of {several(counts['sources'], 'source')}, {records}, {rate:,.0f}/s"
