"""The options that choose dead letters and say how they are mended, for the commands about them."""

import datetime
import getpass
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from indexer.mend import Mend, parse_remove, parse_rename, parse_set
from indexer.mend_file import Rule, rules
from indexer.reasons import misspelt
from tailrace.cli.letter_replay import Choice
from tailrace.where import where
from tailrace.words import several

_WHERE_HELP = "Only letters for which this holds, as reason=mapping, field=labels.n or time>2h; all given must."


class _Conditions(click.ParamType[Any]):
    """A condition as somebody typed it, checked."""

    name = "condition"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        try:
            where([value], now())
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if fault := misspelt(str(value)):
            self.fail(fault, param, ctx)
        return str(value)


class _Parsed(click.ParamType[Any]):
    """A mend as somebody typed it, parsed."""

    def __init__(self, name: str, parse: Callable[[str], Mend]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        try:
            return self._parse(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(str(error), param, ctx)


where_option = click.option(
    "--where", "-w", "conditions", multiple=True, metavar="CONDITION", type=_Conditions(), help=_WHERE_HELP
)
settled_option = click.option("--settled", is_flag=True, help="Also those that were replayed or dropped.")
all_option = click.option("--all", "everything", is_flag=True, help="All open letters, where no --where chooses.")

set_option = click.option(
    "--set", "sets", multiple=True, metavar="FIELD=VALUE", type=_Parsed("set", parse_set), help="Set a field."
)
remove_option = click.option(
    "--remove", "removes", multiple=True, metavar="FIELD", type=_Parsed("remove", parse_remove), help="Remove a field."
)
rename_option = click.option(
    "--rename", "renames", multiple=True, metavar="OLD=NEW", type=_Parsed("rename", parse_rename), help="Move a field."
)


def choice_of(conditions: tuple[str, ...], *, everything: bool, again: bool) -> Choice:
    """What the conditions choose; without any, ``--all`` must say so."""
    if everything == bool(conditions):
        raise click.UsageError("Say which letters: --where CONDITION (as often as you like), or --all.")
    return Choice(where(conditions, now()), settled=again)


def rules_of(file: Path | None) -> list[Rule]:
    """The mends of a file; none if there is no file."""
    if file is None:
        return []
    try:
        return rules(file.read_text("utf-8"), now())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise click.UsageError(f"Cannot read {file}: {reason}.") from error
    except ValueError as error:
        raise click.UsageError(f"{file}: {error}") from error


def note_of(conditions: tuple[str, ...], *, mends: int, file: Path | None) -> str:
    """What a settlement says of its replay."""
    parts = ["where " + " and ".join(conditions) if conditions else "all"]
    parts += [several(mends, "mend")] if mends else []
    parts += [f"mends of {file.name}"] if file else []
    return ", ".join(parts)


def by_whom() -> str:
    """Who does it, as a settlement says."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user has no name
        name = "?"
    return f"{name}@{socket.gethostname()}"


def now() -> datetime.datetime:
    """The time, in this machine's zone."""
    return datetime.datetime.now().astimezone()
