"""A question to the person at the terminal, to yes or no."""

import sys

import click

from tailrace.errors import SayYes


def agreed(question: str) -> bool:
    """What the person answers.

    Raises:
        SayYes: nobody can: standard input has ended and is no terminal.
    """
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        if sys.stdin is not None and sys.stdin.isatty():  # a person pressed Ctrl-C or Ctrl-D
            raise
        click.echo(err=True)
        raise SayYes("There is no terminal to ask, and nothing was changed; use --yes.") from None
