"""What several commands share: options, and how wide their lines may be."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from tailrace import settings as settings_module
from tailrace.settings import Settings

SETTINGS_FILE = "tailrace.settings_file"
"""Under this key the context's ``meta`` has the name of the file that was read."""


class _SettingsFile(click.ParamType[Settings]):
    """A settings file's name to the settings in it, found and checked before the command runs."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Settings:  # noqa: ANN401, ARG002
        if isinstance(value, Settings):
            return value
        path = settings_module.find(value or None)
        if ctx is not None:
            ctx.meta[SETTINGS_FILE] = str(path)
        return settings_module.load(path)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return click.Path().shell_complete(ctx, param, incomplete)


def config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--config FILE``; the command receives ``settings: Settings``."""
    return click.option(
        "--config",
        "-c",
        "settings",
        type=_SettingsFile(),
        default="",
        metavar="FILE",
        help="The settings file; else $TAILRACE_CONFIG, ./tailrace.toml, /etc/tailrace/tailrace.toml.",
    )(command)


def settings_file_option(text: str) -> Callable[..., Any]:
    """``--config FILE`` of a command that reads it itself, or none; it receives ``settings_file``, the name or None."""
    return click.option("--config", "-c", "settings_file", type=click.Path(), metavar="FILE", help=text)


def settings_file() -> str:
    """Where the settings file is that the command that runs has read; empty if it read none."""
    name = click.get_current_context().meta.get(SETTINGS_FILE, "")
    return str(Path(name).absolute()) if name else ""


def terminal_width() -> int | None:
    """How many characters a line on stdout may have; None where it goes into a file or a pipe, unless $COLUMNS says."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdecimal():
        return shutil.get_terminal_size().columns
    return None


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
