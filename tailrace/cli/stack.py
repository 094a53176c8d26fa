"""``tailrace stack``: a real Kafka and a real Elasticsearch on this machine, started, shown and stopped."""

import re
import shlex
from pathlib import Path
from typing import Any, Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tailrace.cli.groups import Suggesting
from tailrace.cli.options import json_option
from tailrace.cli.programs import to_json
from tailrace.cli.runs import dir_option
from tailrace.stack import Running, Server, Stack, State

_COLOURS = {
    State.RUNNING: "green",
    State.SILENT: "yellow",
    State.PAUSED: "yellow",
    State.DIED: "red",
    State.STOPPED: "dim",
}


class _Heap(click.ParamType[int]):
    """A size as Java writes it (``512m``, ``1g``) to MiB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        spoken = re.fullmatch(r"(\d+)([mg])", str(value), re.IGNORECASE)
        mib = int(spoken[1]) * (1024 if spoken[2].lower() == "g" else 1) if spoken else 0
        if isinstance(value, int):
            return value
        if mib < 256:
            self.fail(f"{value!r} is no heap: write 512m or 1g, and at least 256m", param, ctx)
        return mib


_CODES = """
\b
Exit codes: 0 done, 1 a server could not be made, started or stopped (the reason is told), 2 usage."""


@click.group(
    cls=Suggesting,
    epilog=f"""\b
Examples:
  tailrace stack up                 the first start downloads the servers
  tailrace stack status
  tailrace stack down
{_CODES}""",
)
def stack() -> None:
    """Run a real Kafka and a real Elasticsearch on this machine.

    Both come as jars (about 90 MiB, downloaded once with Maven) and run on your Java: no containers. For first steps,
    the demo and the tests, not for production: one node each, no security, loopback only.
    """


@stack.command(
    epilog=f"""\b
Examples:
  tailrace stack up                                      on free ports
  tailrace stack up --kafka-port 9092 --elasticsearch-port 9200
  tailrace stack up --json | jq -r .settings_file
{_CODES}""",
)
@dir_option
@click.option("--kafka-port", type=click.IntRange(1, 65535), default=None, help="Else a free one, kept from then on.")
@click.option("--elasticsearch-port", type=click.IntRange(1, 65535), default=None, help="Else a free one, likewise.")
@click.option(
    "--partitions", type=click.IntRange(1, 1000), default=None, help="Of topics made without a number; else 3."
)
@click.option("--heap", type=_Heap(), default=None, metavar="SIZE", help="Memory of Elasticsearch: 512m, 1g (default).")
@json_option
def up(
    *,
    folder: Path,
    kafka_port: int | None,
    elasticsearch_port: int | None,
    partitions: int | None,
    heap: int | None,
    as_json: bool,
) -> None:
    """Start both, or whichever does not run, and wait until they answer.

    Safe to repeat. A server that died is started again on its port with its data.
    """
    with _Steps() as steps:
        running = Stack(folder).up(
            kafka_port=kafka_port or 0,
            elasticsearch_port=elasticsearch_port or 0,
            partitions=partitions or 0,
            heap_mib=heap or 0,
            progress=steps.show,
        )
    if as_json:
        click.echo(to_json(running))
    else:
        _welcome(running)


@stack.command(
    epilog=f"""\b
Examples:
  tailrace stack down
  tailrace stack down --wipe        forget every topic and index too
{_CODES}""",
)
@dir_option
@click.option("--wipe", is_flag=True, help="Also remove the stack's data, logs and settings (not your own files).")
def down(folder: Path, wipe: bool) -> None:
    """Stop both. Their data stay for the next `up` unless --wipe is given."""
    there = Stack(folder)
    was = (there.folder / "stack.json").exists()
    ran = there.down(wipe=wipe)
    what = f"Stopped {' and '.join(name.spoken for name in ran)}" if ran else "Nothing was running"
    if was:
        click.echo(f"{what} in {there.folder}{'; the data are removed' if wipe else ''}.")
    else:
        click.echo(f"There is no stack in {there.folder}; --dir or $TAILRACE_STACK_DIR names another folder.")


@stack.command(
    epilog=f"""\b
Examples:
  tailrace stack status
  tailrace stack status --json | jq -r '.[] | .name, .state'
{_CODES}""",
)
@dir_option
@json_option
def status(folder: Path, as_json: bool) -> None:
    """Show both servers: state, process, port, memory."""
    servers = Stack(folder).status()
    if as_json:
        click.echo(to_json(servers))
    else:
        Console().print(_table(servers))
        click.echo(f"In {Stack(folder).folder}; logs: {Path(servers[0].log).parent}")


class _Steps:
    """Shows what is being done on stderr: a bar on a terminal, a line per step elsewhere."""

    def __init__(self) -> None:
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("", total=1)
        self._plain = not self._bar.console.is_terminal

    def __enter__(self) -> Self:
        if not self._plain:
            self._bar.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._bar.stop()

    def show(self, text: str, done: int, total: int) -> None:
        """One step: what, how many are done, of how many."""
        if self._plain:
            click.echo(text, err=True)
        else:
            self._bar.update(self._task, description=text, completed=done, total=total)


def _welcome(running: Running) -> None:
    if running.started:
        click.echo(f"Started {' and '.join(name.spoken for name in running.started)}.")
    else:
        click.echo("Both run already.")
    config = shlex.quote(running.settings_file)
    click.echo(f"  Kafka           {running.bootstrap_servers}")
    click.echo(f"  Elasticsearch   {running.elasticsearch_url}")
    click.echo(f"  settings        {running.settings_file}")
    click.echo(f"\nNext:\n  export TAILRACE_CONFIG={config}\n  tailrace setup")
    click.echo("  tailrace ship --once     # ships the servers' own logs")
    click.echo(f"  tailrace index --once\n  tailrace stack down --dir {shlex.quote(running.folder)}")


def _table(servers: list[Server]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("server", "state"):
        table.add_column(title)
    for title in ("pid", "port", "memory"):
        table.add_column(title, justify="right")
    for one in servers:
        table.add_row(
            one.name.spoken,
            f"[{_COLOURS[one.state]}]{one.state}[/]",
            str(one.pid or "-"),
            str(one.port or "-"),
            f"{one.resident_mib} MiB" if one.resident_mib else "-",
        )
    return table
