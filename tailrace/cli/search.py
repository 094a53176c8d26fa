"""``tailrace search``: lines out of Elasticsearch, for people or programs."""

import asyncio
import datetime
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, NamedTuple

import click
from elasticsearch import AsyncElasticsearch, BadRequestError

from tailrace import period as period_module
from tailrace.cli.lines import LineCommand, Printer, line_options, quiet_pipe
from tailrace.cli.options import config_option
from tailrace.cli.reach_elastic import FOR_NOW, cause, elasticsearch_client, innermost
from tailrace.errors import RunSetup
from tailrace.period import Period
from tailrace.query import SHORT_NAMES, Wanted, to_elasticsearch
from tailrace.settings import Settings

_PAGE = 1000
_TRIES = 3
_KEYS_PAGE = 10_000
"""The most that one request may ask for (``index.max_result_window``)."""

_EPILOG = f"""\b
Examples:
  tailrace search 'level:error' --last 1h
  tailrace search '"connection refused" -service:edge' --level warn -n 200
  tailrace search 'trace:4bf92f3577b34da6' --last 2d --field labels
  tailrace search -- -service:edge          a query that begins with -
  tailrace search --service playback --since 14:00 --until 14:05
  tailrace search 'level:error' --last 1h --json | jq .message

\b
Short names: {", ".join(SHORT_NAMES)}.
Exit codes: 0 also when nothing is found, 1 Elasticsearch cannot be asked, 2 a mistake in the query or the settings.
"""


class _Page(NamedTuple):
    """Documents, oldest first, and what the answer says of the whole search."""

    documents: list[dict[str, Any]]
    total: int
    exact: bool
    shards: int
    complaint: str


@click.command(cls=LineCommand, epilog=_EPILOG)
@click.argument("query", nargs=-1)
@config_option
@click.option("--last", metavar="TIME", help="So long back: 30s, 15m (the default), 1h30m, 7d.")
@click.option("--since", metavar="TIME", help="From here: 2026-11-23T14:05, 14:05 (today) or 15m (ago).")
@click.option("--until", metavar="TIME", help="Up to here, as --since; else open.")
@click.option("-n", "count", default=50, show_default=True, type=click.IntRange(1), help="The latest so many lines.")
@click.option("--stream", default="logs-*-*", show_default=True, metavar="NAME", help="Data streams to look in.")
@line_options
def search(
    query: tuple[str, ...],
    settings: Settings,
    last: str | None,
    since: str | None,
    until: str | None,
    count: int,
    stream: str,
    services: tuple[str, ...],
    hosts: tuple[str, ...],
    level: str,
    fields: tuple[str, ...],
    utc: bool,
    colour: bool | None,
    as_json: bool,
) -> None:
    """Find lines in Elasticsearch: the latest, printed oldest first.

    QUERY is a query string as in Kibana's Lucene mode: words (all must be there, in any case), "phrases", field:value,
    AND, OR, NOT, wildcards and /regular expressions/. Without it, all lines are found.
    """
    try:
        period = period_module.period(last, since, until, datetime.datetime.now().astimezone())
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    wanted = Wanted(" ".join(query), services, hosts, level)
    printer = Printer(as_json=as_json, colour=colour, utc=utc, fields=fields)
    with quiet_pipe():
        asyncio.run(_search(settings, stream, wanted, period, count, printer))


async def _search(
    settings: Settings, stream: str, wanted: Wanted, period: Period, count: int, printer: Printer
) -> None:
    shown, complaint, page = 0, "", _Page([], 0, exact=True, shards=0, complaint="")
    async with elasticsearch_client(settings) as connected:
        # A node short of memory for a moment refuses what it would answer a second later: reading may be asked again.
        client = connected.options(max_retries=_TRIES, retry_on_status=FOR_NOW)
        try:
            async with aclosing(_latest(client, stream, to_elasticsearch(wanted, period), count)) as pages:
                async for page in pages:
                    printer.show(page.documents)
                    shown += len(page.documents)
                    complaint = complaint or page.complaint
        except BadRequestError as error:
            raise _unreadable(cause(error)) from error
    if not page.shards:
        raise RunSetup(f"Elasticsearch has no data stream {stream} yet; run `tailrace setup`, then ship and index.")
    if complaint:
        click.secho(f"Lines may be missing: {complaint}.", fg="yellow", err=True)
    if not shown:
        when = period.words if period.words.startswith("since") else f"in {period.words}"
        click.echo(f"No lines {when}{_narrowed(wanted)}; {_advice(wanted)}.", err=True)
    elif page.total > shown:
        total = f"{page.total:,}" if page.exact else f"more than {page.total:,}"
        click.echo(f"These are the latest {shown:,} of {total} lines; -n shows more.", err=True)


async def _latest(
    client: AsyncElasticsearch, stream: str, query: dict[str, Any], count: int
) -> AsyncGenerator[_Page, None]:
    """The latest ``count`` documents in pages, oldest first, in the memory of one page.

    One request where that is enough. Else a point in time, so that lines which arrive meanwhile change nothing: first
    the sort keys are paged down to the oldest wanted one, then the documents are paged up from there.
    """
    if count <= _PAGE:
        answer = await client.search(
            index=stream, query=query, sort=_order("desc"), size=count, ignore_unavailable=True, allow_no_indices=True
        )
        yield _page(answer.body, newest_first=True)
        return
    opened = await client.open_point_in_time(index=stream, keep_alive="2m", ignore_unavailable=True)
    frozen = {"id": opened["id"], "keep_alive": "2m"}
    try:
        after = await _key_before(client, frozen, query, count)
        while True:
            answer = await client.search(
                pit=frozen,
                query=query,
                sort=[*_order("asc"), {"_shard_doc": "asc"}],
                size=min(_PAGE, count),
                search_after=after,
                track_total_hits=True,
            )
            page = _page(answer.body, newest_first=False)
            yield page
            count -= len(page.documents)
            if not page.documents or not count:
                return
            after = answer["hits"]["hits"][-1]["sort"]
    finally:
        await client.close_point_in_time(id=frozen["id"])


async def _key_before(
    client: AsyncElasticsearch, frozen: dict[str, Any], query: dict[str, Any], count: int
) -> list[Any] | None:
    """The sort key of the newest document that is too old to be among the latest ``count``; None if there is none."""
    after: list[Any] | None = None
    while count >= 0:
        answer = await client.search(
            pit=frozen,
            query=query,
            sort=[*_order("desc"), {"_shard_doc": "desc"}],
            size=min(_KEYS_PAGE, count + 1),
            search_after=after,
            source=False,
            track_total_hits=False,
        )
        hits = answer["hits"]["hits"]
        if not hits:
            return None
        after = hits[-1]["sort"]
        count -= len(hits)
    return after


def _order(direction: str) -> list[dict[str, Any]]:
    """By time, and within one time by the place in the file, in exactly opposite orders for ``asc`` and ``desc``."""
    return [
        {
            "@timestamp": {
                "order": direction,
                "numeric_type": "date_nanos",
                "format": "strict_date_optional_time_nanos",
                "unmapped_type": "date_nanos",
            }
        },
        {
            "log.offset": {
                "order": direction,
                "unmapped_type": "long",
                "missing": "_last" if direction == "desc" else "_first",
            }
        },
    ]


def _page(body: dict[str, Any], *, newest_first: bool) -> _Page:
    hits = [hit.get("_source") or {} for hit in body["hits"]["hits"]]
    total = body["hits"]["total"]
    shards = body["_shards"]
    complaint = ""
    if shards["failed"]:
        reason = (shards.get("failures") or [{}])[0].get("reason", {})
        if reason.get("type") in ("query_shard_exception", "parse_exception"):
            raise _unreadable(innermost(reason))
        complaint = f"{shards['failed']} of {shards['total']} shards did not answer ({innermost(reason)})"
    elif body["timed_out"]:
        complaint = "the search took too long"
    documents = hits[::-1] if newest_first else hits
    return _Page(documents, total["value"], total["relation"] == "eq", shards["total"], complaint)


def _unreadable(reason: str) -> click.UsageError:
    return click.UsageError(f"Elasticsearch cannot read the query: {reason}; put quotes around special characters.")


def _narrowed(wanted: Wanted) -> str:
    return " that match" if wanted != Wanted() else ""


def _advice(wanted: Wanted) -> str:
    if wanted != Wanted():
        return "look further back with --last, or with fewer conditions"
    return "look further back with --last, or see with `tailrace tail` whether lines arrive"
