"""``tailrace dead-letters``: what could not be stored, looked at, mended and sent again, or dropped with a reason."""

import asyncio
import contextlib
import heapq
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import click

from indexer.mend import Mend
from indexer.mend_file import Rule
from indexer.revive import Wish
from tailrace.cli.ask import agreed
from tailrace.cli.groups import Suggesting
from tailrace.cli.letter_options import (
    all_option,
    by_whom,
    choice_of,
    note_of,
    now,
    remove_option,
    rename_option,
    rules_of,
    set_option,
    settled_option,
    where_option,
)
from tailrace.cli.letter_replay import Outcome, drop_letters, replay_letters, tell
from tailrace.cli.letter_view import console, group_json, group_table, letter_block, letter_json
from tailrace.cli.lines import quiet_pipe
from tailrace.cli.options import config_option, json_option
from tailrace.cli.programs import to_json
from tailrace.cli.reach_kafka import kafka_errors
from tailrace.daemon import set_up_log
from tailrace.letter_groups import BY, USUAL, Groups, by_names
from tailrace.letter_topic import read_letters
from tailrace.letters import Letter
from tailrace.settings import Settings
from tailrace.where import Where, where
from tailrace.words import age, several


def _more_names(_context: click.Context, _option: click.Parameter, begun: str) -> list[str]:
    """The words that may come next in a list of what to group by."""
    before, comma, last = begun.rpartition(",")
    taken = before.split(",")
    return [before + comma + name for name in BY if name.startswith(last) and name not in taken]


@click.group(
    "dead-letters",
    cls=Suggesting,
    epilog="""\b
Examples:
  tailrace dead-letters stats
  tailrace dead-letters show --where field=labels.n
  tailrace dead-letters replay --where field=labels.n --remove labels.n
  tailrace dead-letters drop --where service=test --note 'load test'

\b
Exit codes: 0 done, 1 Kafka does not answer or letters had to stay,
2 a mistake on the command line or in the settings.
""",
)
def dead_letters() -> None:
    """Look at what could not be stored, mend it and send it again.

    A letter is open until it was replayed or dropped; both are written beside it in the topic, with the time, who did
    it and why.
    """


@dead_letters.command(
    epilog="""\b
Examples:
  tailrace dead-letters stats
  tailrace dead-letters stats --by reason,field --where 'time>1d'
  tailrace dead-letters stats --json | jq '.groups[].example'

\b
Conditions: name=value, name!=value, name~pattern, name!~pattern,
name<number, name>number, time<TIME, time>TIME.
Names: reason, error, error_type, field, stream, dataset, service, host, time,
topic, partition, offset, id, settled, or any field of the document; after a
dot always one of the document, as .topic=x.
Exit codes: 0 also when there are none, 1 Kafka does not answer, 2 a mistake
in a condition or the settings.
"""
)
@where_option
@click.option(
    "--by",
    default=",".join(USUAL),
    show_default=True,
    metavar="NAMES",
    shell_complete=_more_names,
    help="What to group by, with commas.",
)
@settled_option
@json_option
@config_option
def stats(settings: Settings, *, conditions: tuple[str, ...], by: str, settled: bool, as_json: bool) -> None:
    """Count open letters by what is wrong with them, with the first and last time each was seen."""
    try:
        names = by_names(by)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    set_up_log(settings.log)
    groups, ended = Groups(names), Counter[str]()
    chosen = where(conditions, now())

    async def read() -> None:
        async for letters in _letters(settings, chosen):
            ended.update(letter.settlement.how.value if letter.settlement else "open" for letter in letters)
            groups.add(letters if settled else [letter for letter in letters if letter.is_open])

    asyncio.run(read())
    _say_unmet(chosen)
    moment = time.time()
    counts = {name: ended[name] for name in ("open", "replayed", "dropped")}
    expires = _expires_in(settings, groups.oldest, moment)
    if as_json:
        found = [group_json(group) for group in groups.all()]
        click.echo(to_json({**counts, "oldest_open_expires_in_seconds": expires and round(expires), "groups": found}))
        return
    with quiet_pipe():
        if found_groups := groups.all():
            console().print(group_table(found_groups, names, moment))
        told = [f"{counts['open']:,} open", *(f"{counts[name]:,} {name}" for name in ("replayed", "dropped"))]
        oldest = f"; retention may delete the oldest open one in {age(expires)}" if expires is not None else ""
        click.echo(f"{', '.join(told)}{oldest}")


@dead_letters.command(
    epilog="""\b
Examples:
  tailrace dead-letters show
  tailrace dead-letters show --where reason=mapping --where service~^play
  tailrace dead-letters show --where settled=dropped
  tailrace dead-letters show --json -n 0 | jq -r .error

\b
Exit codes: 0 also when there are none, 1 Kafka does not answer, 2 a mistake
in a condition or the settings.
"""
)
@where_option
@click.option("-n", "count", default=10, show_default=True, type=click.IntRange(0), help="The latest so many; 0: all.")
@settled_option
@json_option
@config_option
def show(settings: Settings, *, conditions: tuple[str, ...], count: int, settled: bool, as_json: bool) -> None:
    """Print letters with what was said of them and all their fields, the offending one marked; the latest last."""
    set_up_log(settings.log)
    settled = settled or any(text.startswith("settled") for text in conditions)
    kept: list[tuple[int, int, int, Letter]] = []
    total = 0
    chosen = where(conditions, now())

    async def read() -> None:
        nonlocal total
        async for letters in _letters(settings, chosen):
            for letter in letters:
                if letter.is_open or settled:
                    total += 1
                    _keep_latest(kept, (letter.time, letter.partition, letter.offset, letter), count)

    asyncio.run(read())
    _say_unmet(chosen)
    letters = [entry[-1] for entry in sorted(kept)]
    with quiet_pipe():
        if as_json:
            for letter in letters:
                click.echo(to_json(letter_json(letter)))
            return
        screen, moment = console(), time.time()
        for letter in letters:
            screen.print(letter_block(letter, moment))
    if not letters:
        click.echo("No such dead letters.", err=True)
    elif total > len(letters):
        click.echo(f"These are the latest {len(letters):,} of {total:,}; -n shows more.", err=True)


@dead_letters.command(
    epilog="""\b
Examples:
  tailrace dead-letters replay --where field=n --remove n --dry-run
  tailrace dead-letters replay --where field=n --set n=0 --wait 60
  tailrace dead-letters replay --all --filter-file mends.txt
  tailrace dead-letters replay --where 'time>1d' --rate 500

\b
--set takes JSON (5, true, "5"), all else is text. Mends are carried out in
this order: those of the file, --rename, --remove, --set. A line of the file
is `where CONDITION`, `set FIELD=VALUE`, `remove FIELD` or `rename OLD=NEW`.
Exit codes: 0 all were sent, or there are none; 1 some had to stay, came back
or were not indexed within --wait, or Kafka does not answer; 2 a mistake on
the command line or in the settings.
"""
)
@where_option
@all_option
@set_option
@remove_option
@rename_option
@click.option("--filter-file", "file", type=click.Path(path_type=Path), metavar="FILE", help="Mends from a file.")
@click.option("--dry-run", is_flag=True, help="Show what would change and send nothing.")
@click.option("--again", is_flag=True, help="Also letters that were settled before.")
@click.option(
    "--as-text", is_flag=True, help="What is no JSON object becomes the message of one; bad bytes are replaced."
)
@click.option("--rate", default=0, type=click.IntRange(0), metavar="N", help="At most so many a second; 0: no limit.")
@click.option(
    "--wait",
    default=0.0,
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="Wait for the indexers, and say what came back.",
)
@json_option
@config_option
def replay(
    settings: Settings,
    *,
    conditions: tuple[str, ...],
    everything: bool,
    sets: tuple[Mend, ...],
    removes: tuple[Mend, ...],
    renames: tuple[Mend, ...],
    file: Path | None,
    dry_run: bool,
    again: bool,
    as_text: bool,
    rate: int,
    wait: float,
    as_json: bool,
) -> None:
    """Send letters again to where they came from, mended or as they are, and settle them.

    Each keeps its id and is looked up before it is stored, so that it is stored once, however often this is
    interrupted and run again. What is refused again is a new letter.
    """
    choice = choice_of(conditions, everything=everything, again=again)
    mending = [*rules_of(file), Rule(where((), now()), (*renames, *removes, *sets))]
    note = note_of(conditions, mends=len(renames) + len(removes) + len(sets), file=file)
    set_up_log(settings.log)
    wish = Wish(streams=settings.indexer.streams, as_text=as_text)
    outcome = _run(
        settings,
        replay_letters(
            settings, choice, mending, wish, by=by_whom(), note=note, dry_run=dry_run, rate=rate, wait_seconds=wait
        ),
    )
    _finish(outcome, as_json=as_json)


@dead_letters.command(
    epilog="""\b
Examples:
  tailrace dead-letters drop --where service=test --note 'load test' --dry-run
  tailrace dead-letters drop --where topic=clicks --note 'Avro' --yes
  tailrace dead-letters show --where settled=dropped

\b
Exit codes: 0 done, there are none, or the answer was no; 1 Kafka does not
answer; 2 a mistake on the command line or in the settings.
"""
)
@where_option
@all_option
@click.option("--note", required=True, metavar="TEXT", help="Why they are not to be stored; it is kept with each.")
@click.option("--dry-run", is_flag=True, help="Only count them.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
@config_option
def drop(
    settings: Settings,
    *,
    conditions: tuple[str, ...],
    everything: bool,
    note: str,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Settle letters that are not to be stored, saying why.

    They stay in the topic until retention deletes it; `replay --again` still sends them.
    """
    if not note.strip():
        raise click.UsageError("--note is empty; say why they are not to be stored.")
    choice = choice_of(conditions, everything=everything, again=False)
    set_up_log(settings.log)
    if not (dry_run or yes):
        outcome = _run(settings, drop_letters(settings, choice, by=by_whom(), note=note, dry_run=True))
        if outcome.chosen and not agreed(f"Drop {several(outcome.chosen, 'letter')}?"):
            return
        choice = choice._replace(last=outcome.last)
    outcome = _run(settings, drop_letters(settings, choice, by=by_whom(), note=note, dry_run=dry_run))
    _finish(outcome, as_json=as_json)


async def _letters(settings: Settings, chosen: Where) -> AsyncIterator[list[Letter]]:
    async with kafka_errors(settings), contextlib.aclosing(read_letters(settings.kafka)) as pieces:
        async for letters in pieces:
            yield [letter for letter in letters if chosen.holds(letter)]


def _say_unmet(chosen: Where) -> None:
    for unmet in chosen.unmet:
        click.echo(str(unmet), err=True)


def _keep_latest(kept: list[tuple[int, int, int, Letter]], entry: tuple[int, int, int, Letter], count: int) -> None:
    """A heap of the latest ``count`` entries; all of them if it is 0."""
    if count and len(kept) >= count:
        heapq.heappushpop(kept, entry)
    else:
        heapq.heappush(kept, entry)


def _run(settings: Settings, work: Any) -> Outcome:  # noqa: ANN401 - a coroutine
    async def run() -> Outcome:
        async with kafka_errors(settings):
            outcome: Outcome = await work
            return outcome

    try:
        return asyncio.run(run())
    except KeyboardInterrupt:
        click.echo("Interrupted: what is not settled is still open; run it again, nothing is stored twice.", err=True)
        raise


def _finish(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        click.echo(to_json(outcome.json()))
    else:
        tell(outcome, console())
    if outcome.is_partial:
        click.get_current_context().exit(1)


def _expires_in(settings: Settings, oldest: int | None, moment: float) -> float | None:
    """Seconds until retention may delete the oldest open letter; None if there is none, or no retention."""
    hours = settings.kafka.dead_letter_retention_hours
    return None if oldest is None or hours <= 0 else max(0.0, oldest / 1000 + hours * 3600 - moment)
