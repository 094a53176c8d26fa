"""``tailrace torture``: log files rotated under load, an agent killed again and again, every line counted."""

import asyncio
import shutil
from pathlib import Path

import click
import msgspec
from rich.console import Console

from tailrace import settings as settings_module
from tailrace.cli.options import json_option
from tailrace.cli.programs import to_json
from tailrace.cli.reach_elastic import elasticsearch_client
from tailrace.cli.reach_kafka import kafka_errors
from tailrace.cli.runs import dir_option, forward_sigterm, run_folder, running_stack, show_outcome
from tailrace.demo.show import Show
from tailrace.errors import TailraceError, first_of
from tailrace.stack import Running, Stack
from tailrace.torture import report
from tailrace.torture.evidence import remove
from tailrace.torture.ground import Ground, Way, program
from tailrace.torture.run import Run

_TOOLS = {"logrotate": "logrotate", "gzip": "gzip"}
"""Programs we need, and Debian's names for what has them."""


class InstallTool(TailraceError):
    """A program that is not ours is missing."""


@click.command(
    epilog="""\b
Examples:
  tailrace torture
  tailrace torture --seconds 20 --rate 5000
  tailrace torture --way renamed --way dated --json | jq .totals

\b
Exit codes: 0 every line is in Kafka, and in Elasticsearch exactly once; 1 one is not, or something failed;
130 interrupted."""
)
@click.option(
    "--seconds", type=click.FloatRange(1, 86_400), default=120, show_default=True, help="How long lines are written."
)
@click.option(
    "--rate", type=click.FloatRange(1, 1_000_000), default=20_000, show_default=True, help="Lines a second, all files."
)
@click.option(
    "--way",
    "ways",
    type=click.Choice([str(way) for way in Way]),
    multiple=True,
    help="Rotate a file in this way only; may be given again. Default: all of them.",
)
@click.option("--keep", is_flag=True, help="Leave the run's files, topics and data stream where they are.")
@dir_option
@json_option
def torture(*, seconds: float, rate: float, ways: tuple[str, ...], keep: bool, folder: Path, as_json: bool) -> int:
    """Kill the agent while logrotate takes its files away, and count every line.

    Writes numbered lines to files that Debian's logrotate rotates every few seconds, each in another way, while the
    agent is ended by `kill -9` every few seconds, sometimes by SIGTERM. At the end each line is looked for in Kafka
    and in Elasticsearch.
    """
    forward_sigterm()
    for tool, package in _TOOLS.items():
        if program(tool) is None:
            raise InstallTool(f"The program {tool} is missing; install it with apt-get install {package}.")
    show = Show(Console(), silent=as_json)
    with running_stack(Stack(folder), show, keep=keep) as running, run_folder("torture", keep=keep) as path:
        ground = Ground(path)
        chosen = [Way(way) for way in dict.fromkeys(ways)] or list(Way)
        run = Run(ground, chosen, running, show)
        outcome = asyncio.run(_perform(run, ground, running, seconds, rate, keep=keep))
        if outcome.is_exact and not keep:
            shutil.rmtree(path)
            outcome = msgspec.structs.replace(outcome, folder="")
    if as_json:
        click.echo(to_json(outcome))
    else:
        show_outcome(show, report.table(outcome), report.verdict(outcome), outcome.folder)
    return 0 if outcome.is_exact else 1


async def _perform(
    run: Run, ground: Ground, running: Running, seconds: float, rate: float, *, keep: bool
) -> report.Outcome:
    settings = settings_module.load(ground.settings)
    async with kafka_errors(settings), elasticsearch_client(settings) as client:
        try:
            return report.conclude(await run.perform(client, seconds, rate), str(ground.path))
        except BaseExceptionGroup as error:
            raise first_of(error) from error
        finally:
            if not keep:
                await remove(ground, running.bootstrap_servers, client)
