"""The command line: one file per command group; the only place that may import both halves."""

import importlib
import io
import keyword
import sys
from functools import cache

import click

from tailrace import __version__
from tailrace.cli.epilog import fitted
from tailrace.cli.groups import Suggesting
from tailrace.errors import TailraceError
from tailrace.show import neutral

_COMMANDS = {
    "ship": "Read log files and send every line to Kafka.",
    "index": "Load the records of Kafka into Elasticsearch.",
    "setup": "Create topics, templates and dashboards, showing what changes.",
    "check": "Say whether the settings are right and everything they name answers.",
    "test": "Say whether lines become the documents that are expected of them.",
    "try": "Say how well a file would be understood, and show three documents.",
    "status": "Say how far each file of this host is shipped.",
    "registry": "Show and change what is stored of each file.",
    "dead-letters": "Look at what could not be stored, mend it and send it again.",
    "audit": "Say what became of every byte that was shipped, and name what is missing.",
    "trace": "Say where one line of a file is now.",
    "drift": "Say which fields conflict in Elasticsearch, or will at the next rollover.",
    "search": "Find lines in Elasticsearch.",
    "tail": "Follow the lines that pass through Kafka.",
    "stack": "Run a real Kafka and a real Elasticsearch on this machine.",
    "demo": "Show the whole of tailrace on this machine, with a proof at the end.",
    "bench": "Measure speed, processor time, memory and latency on this machine.",
    "torture": "Kill the agent while logrotate takes its files away, and count every line.",
    "install": "Write systemd units and a commented settings file.",
}


def python_name(name: str) -> str:
    """``try`` is a word of the language, and ``dead-letters`` is a subtraction."""
    return name + "_" if keyword.iskeyword(name) else name.replace("-", "_")


class _Lazy(Suggesting):
    """Loads a command's module only when it is used, so that ``tailrace --help`` is quick."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command = getattr(importlib.import_module(f"tailrace.cli.{python_name(name)}"), python_name(name))
        if not isinstance(command, click.Command):
            message = f"tailrace.cli.{name} has no command {name}"
            raise TypeError(message)
        return _fitted(command)

    def summary(self, name: str) -> str:
        """As the list above has it: to ask the command would load it."""
        return _COMMANDS[name]


@cache
def _fitted(command: click.Command) -> click.Command:
    """The command, its help and that of the commands in it no wider than 80 columns; done once to each."""
    command.epilog = fitted(command.epilog or "")
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        _fitted(inner)
    return command


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog=fitted("""\b
Examples:
  tailrace demo                             the whole of it on this machine, with the proof
  tailrace check --connect -c tailrace.toml
  eval "$(_TAILRACE_COMPLETE=bash_source tailrace)"   completion, here in bash; also zsh_source, fish_source

\b
Exit codes: 0 done, 1 failed, 2 a mistake on the command line or in the settings file, 130 interrupted.
"""),
)
@click.version_option(__version__, "--version", prog_name="tailrace")
def cli() -> None:
    """Ship every log line through Kafka into Elasticsearch, exactly once, and prove it."""


def main() -> None:
    """Run the command line; an error that we can explain is one sentence on stderr and an exit code."""
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except TailraceError as error:
        click.secho(f"Error: {neutral(str(error))}", fg="red", err=True)
        sys.exit(error.exit_code)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        said = io.StringIO()
        error.show(said)
        click.echo(neutral(said.getvalue()), err=True, nl=False)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
