"""``tailrace index``: an indexer."""

import socket
from collections.abc import Mapping

import click

from tailrace import daemon, metrics
from tailrace.cli.options import config_option, settings_file
from tailrace.cli.programs import to_json
from tailrace.daemon import Life
from tailrace.errors import RunAgain
from tailrace.settings import Settings
from tailrace.words import several, spoken_seconds

_EPILOG = """\b
Examples:
  tailrace index --config /etc/tailrace/tailrace.toml
  tailrace index --once -c tailrace.toml    store what is in Kafka now, and exit
  tailrace index --once --json | jq .stored

\b
With --once it gives up when Kafka has not answered for kafka.request_timeout_seconds (30), or Elasticsearch has taken
no record for elasticsearch.request_timeout_seconds (60); without, it waits for both for ever.

\b
Exit codes: 0 stopped, or with --once all was stored (dead letters are counted, and no failure). 1 it cannot go on;
with --once also: it was stopped before the end. 2 a mistake on the command line or in the settings file,
or another indexer has joined with our indexer.member.
"""


@click.command(epilog=_EPILOG)
@click.option("--once", is_flag=True, help="Store what is in the topics now, commit it, and exit.")
@click.option("--json", "as_json", is_flag=True, help="With --once: print the totals as JSON, for programs.")
@config_option
def index(settings: Settings, once: bool, as_json: bool) -> int:
    """Load the records of Kafka into Elasticsearch, each exactly once."""
    from indexer import native  # noqa: PLC0415 - loaded only by the command that needs it
    from indexer.service import index as run_indexer  # noqa: PLC0415 - as above

    if as_json and not once:
        raise click.UsageError("--json prints the totals of --once; a service tells its metrics.")
    if once:
        return daemon.run(lambda life: _index_once(settings, life, as_json=as_json), settings.log)
    file = settings_file()

    async def serve(life: Life) -> None:
        daemon.say_start(
            settings.host.name or socket.gethostname(),
            file,
            topics=settings.indexer.topics,
            servers=", ".join(settings.kafka.bootstrap_servers),
            group=settings.indexer.group,
            elasticsearch=", ".join(settings.elasticsearch.hosts),
            compiled=native.compiled is not None,
        )
        await run_indexer(settings, life, once=False)

    return daemon.run(serve, settings.log)


async def _index_once(settings: Settings, life: Life, *, as_json: bool) -> None:
    from indexer.service import index as run_indexer  # noqa: PLC0415 - as above
    from tailrace.cli.once import Telling  # noqa: PLC0415 - rich is for those who look on

    topics, hosts = ", ".join(settings.indexer.topics), ", ".join(settings.elasticsearch.hosts)
    left = 0

    def tell(records: int) -> None:
        nonlocal left
        left = records

    telling = Telling(settings.log, lambda: _look(left), _words)
    telling.say(
        f"Storing what is in {topics} in Elasticsearch at {hosts}, as group {settings.indexer.group}.",
        "indexing",
        topics=settings.indexer.topics,
        hosts=settings.elasticsearch.hosts,
        group=settings.indexer.group,
    )
    async with telling:
        complete = await run_indexer(settings, life, once=True, tell=tell)
    counts = telling.counts
    totals: dict[str, object] = {
        **{name: count for name, count in counts.items() if name != "left"},
        "seconds": round(telling.seconds, 3),
        "complete": complete,
    }
    if complete or counts["records"]:
        telling.say(_total_words(counts, telling.seconds), "indexed", **totals)
    if as_json:
        click.echo(to_json(totals))
    if not complete:
        raise RunAgain("Stopped before all was stored; nothing is lost, the next run goes on from here.")


def _look(left: int) -> dict[str, int]:
    from tailrace.cli.once import total  # noqa: PLC0415 - as above

    return {
        "records": total(metrics.POLLED),
        "stored": total(metrics.STORED),
        "already_stored": total(metrics.ALREADY) + total(metrics.DUPLICATES),
        "dead_letters": total(metrics.DEAD),
        "tombstones": total(metrics.TOMBSTONES),
        "left": left,
    }


def _words(counts: Mapping[str, int], seconds: float) -> str:
    """The line that is shown while it works."""
    rate = counts["stored"] / max(seconds, 0.001)
    dead = f", {several(counts['dead_letters'], 'dead letter')}" * bool(counts["dead_letters"])
    return f"{counts['stored']:,} stored{dead}, {counts['left']:,} left, {rate:,.0f} records/s"


def _total_words(counts: Mapping[str, int], seconds: float) -> str:
    if not counts["records"]:
        return "Nothing new in Kafka."
    parts = [f"Stored {several(counts['stored'], 'record')} in {spoken_seconds(seconds)}"]
    if counts["already_stored"]:
        parts.append(f"{counts['already_stored']:,} were stored already")
    if counts["tombstones"]:
        parts.append(f"{counts['tombstones']:,} had no value")
    if counts["dead_letters"]:
        parts.append(f"{several(counts['dead_letters'], 'dead letter')} (`tailrace dead-letters stats` says why)")
    return f"{'; '.join(parts)}."
