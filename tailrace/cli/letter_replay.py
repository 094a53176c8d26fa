"""Chosen dead letters, sent again or dropped, to what came of them; a progress bar on stderr meanwhile."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from indexer.changes import Key, compare
from indexer.foreign import decode
from indexer.group import Group
from indexer.mend import Set
from indexer.mend_file import Rule, mends_for
from indexer.replay import Replay, fetch_whole
from indexer.revive import Revived, Unfit, Wish, revive
from tailrace.cli.letter_view import differences
from tailrace.daemon import Life
from tailrace.letter_topic import read_letters
from tailrace.letters import Letter, Settled, Subject
from tailrace.settings import Settings
from tailrace.show import neutral
from tailrace.where import Condition, Unmet, Where
from tailrace.words import several

_AT_ONCE = 500
"""So many letters are sent and settled together; a run that is killed sends at most these again."""
_MOST_SAMPLES = 5
_MOST_TROUBLES = 10
_LOOK_SECONDS = 0.3


class Choice(NamedTuple):
    """Which letters: those that fit, and unless ``settled`` only open ones.

    ``last`` are the last offsets of each partition, if letters that came after somebody counted them are not meant.
    """

    where: Where
    settled: bool
    last: Mapping[int, int] | None = None

    def of(self, letters: Iterable[Letter]) -> list[Letter]:
        """Those of these that are meant."""
        if self.last is not None:
            letters = [one for one in letters if one.offset <= self.last.get(one.partition, -1)]
        return [one for one in letters if (one.is_open or self.settled) and self.where.holds(one)]


class Trouble(msgspec.Struct, kw_only=True):
    """Letters that had to stay for the same reason."""

    text: str
    letters: int
    example: str


class Sample(NamedTuple):
    """What mends change in one letter."""

    subject: Subject
    keys: tuple[Key, ...]


class Outcome(msgspec.Struct, kw_only=True):
    """What a run came to. ``waited`` is None if nobody waited, else whether the indexers are through."""

    done: str
    """``replayed`` or ``dropped``."""
    dry_run: bool
    chosen: int = 0
    passed_over: int = 0
    """Letters that would fit, but were settled before; counted only where no open one does."""
    settled: int = 0
    troubles: dict[str, Trouble] = {}
    samples: list[Sample] = []
    last: dict[int, int] = {}
    """Of each partition of the dead letters the offset of the last that was chosen to be dropped."""
    waited: bool | None = None
    returned: int = 0
    """How many were refused again while we waited."""

    @property
    def is_partial(self) -> bool:
        """Whether something is left to do."""
        return bool(self.troubles) or bool(self.returned) or self.waited is False

    def stays(self, letter: Letter, text: str) -> None:
        """Note that a letter had to stay."""
        known = self.troubles.setdefault(text, Trouble(text=text, letters=0, example=str(letter.subject)))
        known.letters += 1

    def json(self) -> dict[str, Any]:
        """For programs."""
        found: dict[str, Any] = {
            "dry_run": self.dry_run,
            "chosen": self.chosen,
            self.done: self.settled,
            "passed_over": self.passed_over,
            "left": [msgspec.to_builtins(one) for one in self.troubles.values()],
        }
        return found if self.waited is None else {**found, "indexed": self.waited, "returned": self.returned}


async def replay_letters(
    settings: Settings,
    choice: Choice,
    mending: Sequence[Rule],
    wish: Wish,
    *,
    by: str,
    note: str,
    dry_run: bool,
    rate: int,
    wait_seconds: float,
) -> Outcome:
    """Send the chosen letters again and settle them.

    Raises:
        UsageError: no letter has a field that a condition names, and one of a like name is there.
        RunSetup: there is no dead letter topic.
        KafkaError: Kafka does not answer; what was not settled is still open.
    """
    outcome = Outcome(done="replayed", dry_run=dry_run)
    total = await _total(settings, choice, mending, outcome)
    if dry_run:
        async for letters in _chosen(settings, choice):
            records = await _revived(settings, letters, mending, wish, outcome)
            outcome.settled += len(records)
            _take_samples(outcome, records, wish)
        return outcome
    pace = _Pace(rate)
    sent: set[tuple[str, int, int]] = set()
    with _progress("replaying", total) as advance:
        async with Replay(settings.kafka, by) as replay:
            async for letters in _chosen(settings, choice):
                for some in _pieces(letters, min(_AT_ONCE, rate or _AT_ONCE)):
                    await pace.wait(len(some))
                    records = await _revived(settings, some, mending, wish, outcome)
                    for one in await replay.send(records, note):
                        if one.trouble:
                            outcome.stays(one.letter, one.trouble)
                        else:
                            outcome.settled += 1
                    advance(len(some))
            sent = replay.places
            ends = replay.ends
    if wait_seconds and ends:
        outcome.waited = await _until_indexed(settings, ends, wait_seconds)
        async with contextlib.aclosing(read_letters(settings.kafka)) as pieces:
            outcome.returned = sum([sum(one.subject[:3] in sent for one in letters) async for letters in pieces])
    return outcome


async def drop_letters(settings: Settings, choice: Choice, *, by: str, note: str, dry_run: bool) -> Outcome:
    """Settle the chosen letters as dropped.

    Raises:
        UsageError: no letter has a field that a condition names, and one of a like name is there.
        RunSetup: there is no dead letter topic.
        KafkaError: Kafka does not answer; what was not settled is still open.
    """
    outcome = Outcome(done="dropped", dry_run=dry_run)
    await _total(settings, choice, (), outcome)
    async with Replay(settings.kafka, by) as replay:
        async for letters in _chosen(settings, choice):
            outcome.chosen += len(letters)
            outcome.last |= {one.partition: one.offset for one in letters}  # in their order
            if not dry_run:
                await replay.settle(letters, Settled.DROPPED, note)
            outcome.settled += len(letters)
    return outcome


def tell(outcome: Outcome, console: Console) -> None:
    """What came of it, for people."""
    for sample in outcome.samples:
        console.print(Text(neutral(str(sample.subject)), style="bold"))
        for line in differences(sample.keys):
            console.print(line, no_wrap=True, overflow="ellipsis")
    if len(outcome.samples) == _MOST_SAMPLES < outcome.settled:
        console.print(f"… these are the first {_MOST_SAMPLES} that would change", style="dim")
    if not outcome.chosen:
        _tell_none(outcome, console)
        return
    letters = several(outcome.settled, "letter")
    if outcome.dry_run:
        console.print(f"{letters} would be {outcome.done}. Nothing was changed: this was a dry run.", style="bold")
    elif outcome.settled:
        console.print(f"✓ {letters} {outcome.done}.", style="bold green")
    _tell_troubles(outcome, console)
    if outcome.waited is False:
        console.print("✗ The indexers have not come so far yet; ask `tailrace dead-letters stats` later.", style="red")
    if outcome.returned:
        console.print(
            f"✗ {several(outcome.returned, 'letter')} came back, see `tailrace dead-letters show`.", style="red"
        )
    elif outcome.waited:
        console.print("✓ The indexers are through with them, and none came back.", style="green")


def _tell_none(outcome: Outcome, console: Console) -> None:
    console.print("No open dead letters fit; nothing to do.")
    if outcome.passed_over:
        again = "; --again sends them again" if outcome.done == "replayed" else ""
        console.print(f"Settled before: {several(outcome.passed_over, 'letter')} that would fit{again}.")


def _tell_troubles(outcome: Outcome, console: Console) -> None:
    troubles = sorted(outcome.troubles.values(), key=lambda one: -one.letters)
    for trouble in troubles[:_MOST_TROUBLES]:
        stay = f"{several(trouble.letters, 'letter')} {'would have' if outcome.dry_run else 'had'} to stay"
        text = f"✗ {stay}: {neutral(trouble.text)} (for example {neutral(trouble.example)})"
        console.print(text, style="red")
    if len(troubles) > _MOST_TROUBLES:
        console.print(f"✗ … and for {len(troubles) - _MOST_TROUBLES:,} more reasons (--json shows all)", style="red")


async def _total(settings: Settings, choice: Choice, mending: Sequence[Rule], outcome: Outcome) -> int:
    """How many letters are meant, found before any of them is touched: a misspelt name must not choose them all.

    Nor must one in a rule say which of them are mended, or what.
    """
    total = 0
    mends = [one for rule in mending for one in rule.mends if not isinstance(one, Set)]
    mended = Where([Condition(one.field, "=", "") for one in mends])
    async for letters in _chosen(settings, choice):
        total += len(letters)
        for letter in letters:
            mends_for(letter, mending)
            mended.holds(letter)
    for unmet in mended.unmet:
        if not any(name.startswith(f"{unmet.name}.") for name in unmet.near):  # else what is in it goes with it
            _tell_unmet(unmet)
    for where in (choice.where, *(rule.where for rule in mending)):
        for unmet in where.unmet:
            _tell_unmet(unmet, f"; with a dot before it, .{unmet.name}, it is taken as it is")
    if not total:
        outcome.passed_over = sum([len(some) async for some in _chosen(settings, choice._replace(settled=True))])
    return total


def _tell_unmet(unmet: Unmet, way_out: str = "") -> None:
    if unmet.near:
        raise click.UsageError(f"{unmet} Nothing was done{way_out}.")
    click.echo(str(unmet), err=True)


async def _chosen(settings: Settings, choice: Choice) -> AsyncIterator[list[Letter]]:
    async with contextlib.aclosing(read_letters(settings.kafka)) as pieces:
        async for letters in pieces:
            yield choice.of(letters)


async def _revived(
    settings: Settings, letters: Sequence[Letter], mending: Sequence[Rule], wish: Wish, outcome: Outcome
) -> list[tuple[Letter, Revived]]:
    """The records of these letters; those that can have none are noted."""
    outcome.chosen += len(letters)
    cut = [letter for letter in letters if letter.is_cut]
    whole = await fetch_whole(settings.kafka, cut) if cut else {}
    found = []
    for letter in letters:
        full = whole.get(letter.subject, letter)
        revived = revive(full, mends_for(full, mending), wish)
        if isinstance(revived, Unfit):
            outcome.stays(letter, revived.text)
        else:
            found.append((full, revived))
    return found


def _take_samples(outcome: Outcome, records: Sequence[tuple[Letter, Revived]], wish: Wish) -> None:
    """Note what the first few would change beside what is sent without mends, in which a record of others is whole."""
    for letter, revived in records:
        if len(outcome.samples) >= _MOST_SAMPLES:
            return
        as_is = revive(letter, (), msgspec.structs.replace(wish, as_text=False))
        unmended = letter.value if isinstance(as_is, Unfit) else as_is.value
        if revived.value != unmended:
            before, after = decode(unmended) or {}, decode(revived.value) or {}
            change = compare("letter", str(letter.subject), after, before, with_empty=True)
            outcome.samples.append(Sample(letter.subject, change.keys))


async def _until_indexed(settings: Settings, ends: dict[Any, int], seconds: float) -> bool:
    """Whether the group has finished all that was sent, in time."""
    group = Group(settings)
    until = time.monotonic() + seconds
    await group.start(Life(), once=True)
    try:
        while True:
            past = await group.past(list(ends))
            if all((past[partition].offset or 0) >= end for partition, end in ends.items()):
                return True
            if time.monotonic() >= until:
                return False
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        await group.close()


class _Pace:
    """Waits so that no more than ``rate`` a second go; 0 is no limit."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._next = time.monotonic()

    async def wait(self, count: int) -> None:
        """Wait until ``count`` more may go."""
        if self._rate:
            await asyncio.sleep(max(0.0, self._next - time.monotonic()))
            self._next = max(self._next, time.monotonic()) + count / self._rate


@contextlib.contextmanager
def _progress(doing: str, total: int) -> Iterator[Any]:
    """A bar on stderr for a person at a terminal; what is yielded moves it on."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(doing, total=total)
        yield lambda count: progress.advance(task, count)


def _pieces(letters: Sequence[Letter], size: int) -> Iterator[Sequence[Letter]]:
    for start in range(0, len(letters), size):
        yield letters[start : start + size]
