"""What search and tail share: the options that choose lines, and the printing of documents."""

import contextlib
import datetime
import io
import os
import re
import select
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import click

from tailrace import levels, show
from tailrace.cli.programs import to_json


def _known_level(_context: click.Context, _option: click.Parameter, value: str) -> str:
    if value and levels.rank(value) is None:
        raise click.BadParameter(f"{value!r} is no level; known are {', '.join(levels.NAMES)}.")
    return value


_OPTIONS = (
    click.option("--service", "services", multiple=True, metavar="NAME", help="Only this service; * and ? may stand."),
    click.option("--host", "hosts", multiple=True, metavar="NAME", help="Only this host; * and ? may stand."),
    click.option(
        "--level",
        default="",
        metavar="LEVEL",
        callback=_known_level,
        shell_complete=lambda _context, _option, begun: [name for name in levels.NAMES if name.startswith(begun)],
        help="This level and worse.",
    ),
    click.option("--field", "-f", "fields", multiple=True, metavar="NAME", help="Show this field too; labels: all."),
    click.option("--utc", is_flag=True, help="Times in UTC instead of this machine's zone."),
    click.option("--color/--no-color", "colour", default=None, help="Colours; else as the terminal and $NO_COLOR say."),
    click.option("--json", "as_json", is_flag=True, help="Print whole documents, one per line, for programs."),
)


def line_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose lines and say how they look: services, hosts, level; fields, utc, colour, as_json."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


class LineCommand(click.Command):
    """A command whose argument is a text that may begin with ``-``, which then would be read as an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, but for a short option with letters right behind it, which nobody means."""
        words = iter(args)
        valued = {name for one in self.params if isinstance(one, click.Option) and not one.is_flag for name in one.opts}
        for word in words:
            if word == "--":
                break
            if word in valued:
                next(words, None)
            elif not ctx.resilient_parsing and re.match(r"-[^\W\d_]{2}", word):
                raise click.UsageError(
                    f"{word} looks like an option. A text that begins with - stands after --, as in: "
                    f"{ctx.command_path} -- {shlex.quote(word)}",
                    ctx,
                )
        return super().parse_args(ctx, args)


class _ReaderGone(Exception):
    """Nobody reads stdout any more; not an OSError, so that nobody takes it for trouble with a server."""


class Printer:
    """Prints documents to stdout: lines for people, or whole documents as JSON, one per line."""

    def __init__(self, *, as_json: bool, colour: bool | None, utc: bool, fields: tuple[str, ...]) -> None:
        self._as_json = as_json
        if colour is None:
            colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._look = show.Look(colour=colour, zone=datetime.UTC if utc else None, fields=fields)

    def show(self, documents: Iterable[Mapping[str, Any]]) -> None:
        """Print documents, in this order, and flush; ``quiet_pipe`` ends the work if nobody reads them."""
        if self._as_json:
            lines = [to_json(document) for document in documents]
        else:
            lines = [show.line(document, self._look).encode("utf-8", "backslashreplace") for document in documents]
        if lines:
            try:
                click.echo(b"\n".join(lines), color=self._look.colour)
            except BrokenPipeError as error:
                raise _ReaderGone from error

    @staticmethod
    def check() -> None:
        """Notice a reader that went away while there was nothing to print, as ``show`` does."""
        with contextlib.suppress(io.UnsupportedOperation):
            watch = select.poll()
            watch.register(sys.stdout.fileno(), 0)
            if any(state & (select.POLLERR | select.POLLHUP) for _number, state in watch.poll(0)):
                raise _ReaderGone


@contextlib.contextmanager
def quiet_pipe() -> Iterator[None]:
    """A reader that goes away (``| head``) ends the work inside, quietly."""
    try:
        yield
    except _ReaderGone:
        with contextlib.suppress(io.UnsupportedOperation):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
