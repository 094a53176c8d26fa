"""``tailrace demo``: the whole of it on this machine, on real input, with the proof at the end."""

import asyncio
import shlex
import shutil
import sys
import time
from pathlib import Path

import click
import msgspec
from rich.console import Console

from tailrace.cli.options import json_option
from tailrace.cli.programs import to_json
from tailrace.cli.reach_elastic import elasticsearch_client
from tailrace.cli.reach_kafka import kafka_errors
from tailrace.cli.runs import dir_option, forward_sigterm, run_folder, running_stack, show_outcome
from tailrace.demo import report
from tailrace.demo.cast import Folder
from tailrace.demo.latency import Percentiles
from tailrace.demo.proof import Account
from tailrace.demo.run import Run
from tailrace.demo.show import Show
from tailrace.stack import Stack, default_folder


@click.command(
    epilog="""\b
Examples:
  tailrace demo
  tailrace demo --seconds 300 --keep       and look around while it runs, and afterwards
  tailrace demo --seconds 5 --json | jq .totals

\b
Exit codes: 0 every line is in Elasticsearch exactly once, 1 it is not, or something failed; 130 interrupted."""
)
@click.option(
    "--seconds", type=click.FloatRange(1, 86_400), default=30, show_default=True, help="How long the services write."
)
@click.option("--keep", is_flag=True, help="Leave the stack running and the run's files where they are.")
@dir_option
@json_option
def demo(*, seconds: float, keep: bool, folder: Path, as_json: bool) -> int:
    """Show the whole of tailrace on this machine, with a proof at the end.

    Starts a real Kafka and a real Elasticsearch, an agent, an indexer, and four services of a streaming company that
    write and rotate their logs. At the end each line of each file is looked for in Elasticsearch: it must be there,
    once.

    The stack is left running if it ran before. If even `kill -9` ends the demo, its processes stop by themselves, and
    `tailrace stack down` stops the stack.
    """
    forward_sigterm()
    show = Show(Console(), silent=as_json)
    with running_stack(Stack(folder), show, keep=keep) as running, run_folder("demo", keep=keep) as path:
        ground = Folder(path)
        run = Run(ground, Stack(folder), running, show)
        began = time.monotonic()
        accounts, times = asyncio.run(_perform(run, seconds))
        outcome = report.conclude(
            ground.run,
            time.monotonic() - began,
            accounts,
            times,
            stack=running.folder,
            settings_file=running.settings_file,
            folder=str(path),
        )
        if outcome.is_exact and not keep:
            shutil.rmtree(path)
            outcome = msgspec.structs.replace(outcome, folder="")
    if as_json:
        click.echo(to_json(outcome))
    else:
        _conclude(show, outcome, runs=keep or not running.started, folder=folder)
    return 0 if outcome.is_exact else 1


async def _perform(run: Run, seconds: float) -> tuple[list[Account], Percentiles]:
    async with kafka_errors(run.settings), elasticsearch_client(run.settings) as client:
        return await run.perform(client, seconds)


def _conclude(show: Show, outcome: report.Outcome, *, runs: bool, folder: Path) -> None:
    show_outcome(show, report.table(outcome), report.verdict(outcome), outcome.folder)
    options = "" if folder == default_folder() else f" --dir {shlex.quote(str(folder))}"
    show.print("\nTry next:")
    program = "tailrace" if shutil.which("tailrace") else shlex.quote(sys.argv[0])
    for step in report.next_steps(outcome, program, runs=runs, options=options):
        show.print(f"  {step}")
