"""``tailrace setup``: the diff between what is there and what the settings want, for people and for programs."""

import asyncio
import json
from collections.abc import Iterator

import click

from indexer.changes import Act, Change, Key
from indexer.provision import provision
from tailrace.cli.options import config_option, json_option
from tailrace.cli.programs import to_json
from tailrace.daemon import set_up_log
from tailrace.errors import TailraceError
from tailrace.settings import Settings

_MARKS = {Act.CREATE: ("+", "green"), Act.CHANGE: ("~", "yellow"), Act.KEEP: ("=", None)}
_DONE = {Act.CREATE: "created", Act.CHANGE: "changed", Act.KEEP: "unchanged"}
_PLANNED = {Act.CREATE: "to create", Act.CHANGE: "to change", Act.KEEP: "unchanged"}
_MOST_KEYS = 8


@click.command(
    epilog="""\b
Examples:
  tailrace setup --dry-run          what would change?
  tailrace setup                    change it
  tailrace setup --json | jq '.changes[] | select(.act != "keep")'

\b
Exit codes: 0 done, with --dry-run whether or not something would change; 1 a server does not answer or refuses;
2 a mistake on the command line or in the settings file.
"""
)
@config_option
@click.option("--dry-run", is_flag=True, help="Only show what would change; exits 0 whether or not something would.")
@json_option
def setup(settings: Settings, *, dry_run: bool, as_json: bool) -> None:
    """Create topics, templates and dashboards, showing what changes.

    Safe to repeat: a second run finds nothing to do. What the settings file says is made so; partitions and replicas
    of topics that exist are left alone, and so are the template tailrace@custom, which is yours, and existing topics
    that only indexer.topics names, which are others'.
    """
    set_up_log(settings.log)
    done: list[Change] = []
    try:
        changes = asyncio.run(provision(settings, dry_run=dry_run, done=done))
    except TailraceError as error:
        if done:
            _tell_done(done, str(error), as_json=as_json)
        raise
    if as_json:
        click.echo(to_json({"dry_run": dry_run, "changes": changes}))
        return
    for change in changes:
        for line in describe(change, whole=dry_run):
            click.echo(line)
    click.echo(summarize(changes, dry_run=dry_run))


def _tell_done(done: list[Change], error: str, *, as_json: bool) -> None:
    """What was made before it failed: it stays, and the next run finds it."""
    if as_json:
        click.echo(to_json({"dry_run": False, "changes": done, "error": error}))
        return
    for change in done:
        for line in describe(change, whole=False):
            click.echo(line)
    made = [f"{count} {_DONE[act]}" for act in Act if (count := sum(change.act is act for change in done))]
    click.echo(f"{', '.join(made)}, which stays; then it failed.")


def describe(change: Change, *, whole: bool = True) -> Iterator[str]:
    """One change as lines for a person: what, then key by key, then the notes; click removes colours off a terminal.

    Without ``whole``, what is made anew and has many keys is told by their number: it was to be seen before.
    """
    mark, colour = _MARKS[change.act]
    yield click.style(f"{mark} {change.kind} {change.name}", fg=colour)
    brief = not whole and change.act is Act.CREATE and len(change.keys) > _MOST_KEYS
    if brief:
        yield f"    {len(change.keys)} keys (--dry-run shows them)"
    for key in () if brief else change.keys:
        yield f"    {_difference(key, change.act)}"
    for note in change.notes:
        yield click.style(f"    ! {note}", fg="cyan")


def summarize(changes: list[Change], *, dry_run: bool) -> str:
    """The last line: how many of each."""
    words = _PLANNED if dry_run else _DONE
    counts = {act: sum(change.act is act for change in changes) for act in Act}
    if counts[Act.KEEP] == len(changes):
        noted = any(change.notes for change in changes)
        return f"Nothing to do{'; see the notes (!)' if noted else f': all {len(changes)} are as the settings say'}."
    told = ", ".join(f"{counts[act]} {words[act]}" for act in Act)
    return f"{told}. Nothing was changed: this was a dry run." if dry_run else f"{told}."


def _difference(key: Key, act: Act) -> str:
    if act is Act.CREATE:
        return f"{key.name}: {_value(key.after)}"
    return f"{key.name}: {_value(key.before)} → {_value(key.after)}"


def _value(value: object) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)
