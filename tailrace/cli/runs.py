"""What commands that run a stack and programs of their own share: signals, the stack, a folder for the run."""

import contextlib
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import RenderableType

from tailrace.demo.show import Show
from tailrace.stack import Name, Running, Stack, State, default_folder

dir_option = click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=default_folder,
    metavar="FOLDER",
    help="The stack's folder; else $TAILRACE_STACK_DIR, ./.tailrace/stack.",
)


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
        click.echo("Interrupted; stopping what this run started.", err=True)
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
def run_folder(name: str, *, keep: bool) -> Iterator[Path]:
    """A folder for one run, which stays unless an interrupt ends the run; ``keep`` it even then."""
    path = Path(tempfile.mkdtemp(prefix=f"tailrace-{name}-"))
    try:
        yield path
    except KeyboardInterrupt:
        if not keep:
            shutil.rmtree(path, ignore_errors=True)
        raise


def show_outcome(show: Show, table: RenderableType, verdict: RenderableType, folder: str) -> None:
    """Print what a run came to; ``folder`` is where its files are, empty if they were removed."""
    show.print()
    show.print(table)
    show.print()
    show.print(verdict)
    if folder:
        show.print(f"  The run's files are in {folder}.")
