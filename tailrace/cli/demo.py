"""``tailrace demo``: the whole of it on this machine, on real input, with the proof at the end."""

import asyncio
import contextlib
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from rich.console import Console

from tailrace.cli.options import json_option
from tailrace.cli.reach_elastic import elasticsearch_client
from tailrace.cli.reach_kafka import kafka_errors
from tailrace.demo import report
from tailrace.demo.cast import Folder
from tailrace.demo.latency import Percentiles
from tailrace.demo.proof import Account
from tailrace.demo.run import Run
from tailrace.demo.show import Show
from tailrace.stack import Name, Running, Stack, State, default_folder


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
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=default_folder,
    metavar="FOLDER",
    help="The stack's folder; else $TAILRACE_STACK_DIR, ./.tailrace/stack.",
)
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
    with running_stack(Stack(folder), show, keep=keep) as running, _folder(keep=keep) as run_folder:
        run = Run(run_folder, Stack(folder), running, show)
        began = time.monotonic()
        accounts, times = asyncio.run(_perform(run, seconds))
        outcome = report.conclude(
            run_folder.run,
            time.monotonic() - began,
            accounts,
            times,
            stack=running.folder,
            settings_file=running.settings_file,
            folder=str(run_folder.path),
        )
        if outcome.is_exact and not keep:
            shutil.rmtree(run_folder.path)
            outcome = msgspec.structs.replace(outcome, folder="")
    if as_json:
        click.echo(msgspec.json.encode(outcome))
    else:
        _conclude(show, outcome, runs=keep or not running.started, folder=folder)
    return 0 if outcome.is_exact else 1


async def _perform(run: Run, seconds: float) -> tuple[list[Account], Percentiles]:
    async with kafka_errors(run.settings), elasticsearch_client(run.settings) as client:
        return await run.perform(client, seconds)


def _conclude(show: Show, outcome: report.Outcome, *, runs: bool, folder: Path) -> None:
    show.print()
    show.print(report.table(outcome))
    show.print()
    show.print(report.verdict(outcome))
    if outcome.folder:
        show.print(f"  The run's files are in {outcome.folder}.")
    options = "" if folder == default_folder() else f" --dir {shlex.quote(str(folder))}"
    show.print("\nTry next:")
    program = "tailrace" if shutil.which("tailrace") else shlex.quote(sys.argv[0])
    for step in report.next_steps(outcome, program, runs=runs, options=options):
        show.print(f"  {step}")


def forward_sigterm() -> None:
    """Let SIGTERM end us as Ctrl-C does; that works even where a shell had us ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda _number, _frame: signal.raise_signal(signal.SIGINT))


@contextlib.contextmanager
def running_stack(stack: Stack, show: Show, *, keep: bool) -> Iterator[Running]:
    """Run the stack; at the end stop what did not run before, unless it is to be kept and nobody interrupted us."""
    ran = {one.name for one in stack.status() if one.state not in {State.DIED, State.STOPPED}}
    try:
        with show.step("Starting Kafka and Elasticsearch") as say:
            running = stack.up(progress=lambda text, _done, _total: say(text[:1].upper() + text[1:]))
            say(f"Kafka at {running.bootstrap_servers} and Elasticsearch at {running.elasticsearch_url} answer")
        yield running
    except KeyboardInterrupt:
        keep = False
        click.echo("Interrupted; stopping what the demo started.", err=True)
        raise
    finally:
        if not keep and not ran:  # both at the same time
            with show.step("Stopping Kafka and Elasticsearch") as say:
                stack.down()
                say("Kafka and Elasticsearch have stopped; their data stay")
        elif not keep:
            for name in Name:
                if name not in ran:
                    stack.stop(name)


@contextlib.contextmanager
def _folder(*, keep: bool) -> Iterator[Folder]:
    """A folder for one run, kept if asked for or if the run failed; an interrupted run leaves nothing."""
    path = Path(tempfile.mkdtemp(prefix="tailrace-demo-"))
    try:
        yield Folder(path)
    except KeyboardInterrupt:
        if not keep:
            shutil.rmtree(path, ignore_errors=True)
        raise
