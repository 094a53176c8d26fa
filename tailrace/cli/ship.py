"""``tailrace ship``: the agent."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tailrace import daemon, metrics
from tailrace.cli.options import config_option, settings_file
from tailrace.cli.programs import to_json
from tailrace.daemon import Life
from tailrace.errors import FixSettings, MendInputs, RunAgain
from tailrace.settings import Settings
from tailrace.topics import written
from tailrace.words import listed, several, spoken_bytes, spoken_seconds

if TYPE_CHECKING:
    from shipper.outcome import Shipped

_EPILOG = """\b
Examples:
  tailrace ship --config /etc/tailrace/tailrace.toml
  tailrace ship --once -c tailrace.toml     ship what is there now, wait for Kafka, exit
  tailrace ship --once --json | jq .records
  tailrace ship --repair plan.json          send again what `tailrace audit --json` says is missing of this host

\b
With --once it gives up when Kafka has not answered, or has acknowledged nothing, for
kafka.request_timeout_seconds (30); without, it waits for Kafka for ever.

\b
Exit codes: 0 stopped, or with --once all was shipped. 1 it cannot go on; with --once also: a file could not be
read, no pattern of an input matches anything, it was stopped before the end. The rest is shipped all the same.
With --repair: 0 all that is missing was sent again, 1 not all could be, and each range is named with the reason.
2 a mistake on the command line or in the settings file.
"""


@click.command(epilog=_EPILOG)
@click.option("--once", is_flag=True, help="Ship what is in the files now, wait until Kafka has it, and exit.")
@click.option(
    "--repair",
    "plan",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="PLAN",
    help="Send again what an audit found missing of this host (- reads stdin), also beside a running agent; and exit.",
)
@click.option("--json", "as_json", is_flag=True, help="With --once or --repair: print the totals as JSON.")
@config_option
def ship(settings: Settings, once: bool, plan: Path | None, as_json: bool) -> int:
    """Read the log files of the inputs and send every line to Kafka."""
    from shipper.agent import ship as run_agent  # noqa: PLC0415 - loaded only by the command that needs it

    if once and plan is not None:
        raise click.UsageError("--once ships what is new, --repair what is missing; do one after the other.")
    if as_json and not once and plan is None:
        raise click.UsageError("--json prints the totals of --once or --repair; a service tells its metrics.")
    if not settings.shipper.inputs:
        raise FixSettings("The settings name no files to ship; add a [[shipper.inputs]] with paths and a dataset.")
    if plan is not None:
        from tailrace.cli.repair import mend  # noqa: PLC0415 - as above

        return mend(settings, plan, as_json=as_json)
    if once:
        return daemon.run(lambda life: _ship_once(settings, life, as_json=as_json), settings.log)
    file = settings_file()

    async def serve(life: Life) -> None:
        _say_start(settings, file)
        await run_agent(settings, life, once=False)

    return daemon.run(serve, settings.log)


def _say_start(settings: Settings, file: str) -> None:
    from shipper import native  # noqa: PLC0415 - as above

    daemon.say_start(
        settings.host.name or socket.gethostname(),
        file,
        topic=", ".join(written(settings)),
        servers=", ".join(settings.kafka.bootstrap_servers),
        inputs=len(settings.shipper.inputs),
        compiled=native.compiled is not None,
    )


async def _ship_once(settings: Settings, life: Life, *, as_json: bool) -> None:
    from shipper.agent import ship as run_agent  # noqa: PLC0415 - as above
    from tailrace.cli.once import Telling  # noqa: PLC0415 - rich is for those who look on

    topic, servers = ", ".join(written(settings)), ", ".join(settings.kafka.bootstrap_servers)
    inputs = several(len(settings.shipper.inputs), "input")
    telling = Telling(settings.log, _look, _words)
    telling.say(
        f"Shipping what is in the files of {inputs} to {topic} at {servers}.",
        "shipping",
        inputs=len(settings.shipper.inputs),
        topic=topic,
        servers=servers,
    )
    async with telling:
        outcome = await run_agent(settings, life, once=True)
    counts = telling.counts
    totals = {
        "files": outcome.files,
        "records": counts["records"],
        "bytes": counts["bytes"],
        "repeated": outcome.repeated,
        "seconds": round(telling.seconds, 3),
        "complete": outcome.complete,
        "unread": [{"path": path, "reason": reason} for path, reason in outcome.unread.items()],
    }
    telling.say(_total_words(counts, outcome, telling.seconds), "shipped", **totals)
    if as_json:
        click.echo(to_json(totals))
    _judge(outcome)


def _look() -> dict[str, int]:
    from tailrace.cli.once import total  # noqa: PLC0415 - as above

    return {"records": total(metrics.LINES), "bytes": total(metrics.BYTES), "left_bytes": total(metrics.BEHIND)}


def _words(counts: Mapping[str, int], seconds: float) -> str:
    """The line that is shown while it works."""
    done, left = spoken_bytes(counts["bytes"]), spoken_bytes(counts["left_bytes"])
    rate = counts["records"] / max(seconds, 0.001)
    return f"{several(counts['records'], 'line')}, {done} ({left} left), {rate:,.0f} lines/s"


def _total_words(counts: Mapping[str, int], outcome: "Shipped", seconds: float) -> str:
    files = several(outcome.files, "file")
    if not counts["records"]:
        return f"Nothing new in {files}."
    again = f", {outcome.repeated:,} of them for a second time (the indexer stores them once)" * bool(outcome.repeated)
    size = spoken_bytes(counts["bytes"])
    return f"Shipped {several(counts['records'], 'line')} ({size}) of {files} in {spoken_seconds(seconds)}{again}."


def _judge(outcome: "Shipped") -> None:
    """Fail if not all that the settings name is shipped, in one sentence that names what."""
    if outcome.unread:
        what = listed(f"{path} ({reason})" for path, reason in outcome.unread.items())
        raise MendInputs(f"Not shipped: {what}; mend the path or the permission (`tailrace check`), and run it again.")
    if not outcome.complete:
        raise RunAgain("Stopped before all was shipped; nothing is lost, the next run goes on from here.")
