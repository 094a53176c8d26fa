"""The lines of a file of mends to rules: which letters, and what is changed in them. No I/O."""

import datetime
from collections.abc import Callable, Sequence
from typing import NamedTuple

from indexer.mend import Mend, parse_remove, parse_rename, parse_set
from indexer.reasons import misspelt
from tailrace.letters import Letter
from tailrace.where import Where, where

_WORDS: dict[str, Callable[[str], Mend]] = {"set": parse_set, "remove": parse_remove, "rename": parse_rename}


class Rule(NamedTuple):
    """Mends, and the letters that they are for."""

    where: Where
    mends: tuple[Mend, ...]


def rules(text: str, now: datetime.datetime) -> list[Rule]:
    """``set``, ``remove`` and ``rename`` lines, each as on the command line; ``#`` begins a comment at a line's start.

    ``where`` lines say which letters the mends behind them are for, up to the next ``where``; several in a row must all
    hold. Mends before the first are for every letter.

    Raises:
        ValueError: a line cannot be read; the text names it.
    """
    found: list[Rule] = []
    conditions: list[str] = []
    mends: list[Mend] = []
    for number, line in enumerate(text.splitlines(), 1):
        word, _, rest = line.strip().partition(" ")
        if not word or word.startswith("#"):
            continue
        try:
            if word == "where":
                if mends:
                    found.append(Rule(where(conditions, now), tuple(mends)))
                    conditions, mends = [], []
                conditions.append(rest)
                where([rest], now)
                if fault := misspelt(rest):
                    raise ValueError(fault)  # noqa: TRY301 - to name its line as those of the others
            elif word in _WORDS:
                mends.append(_WORDS[word](rest))
            else:
                message = f"{word!r} is none of where, {', '.join(_WORDS)}"
                raise ValueError(message)  # noqa: TRY301 - to name its line as those of the others
        except ValueError as error:
            message = f"line {number}: {error}"
            raise ValueError(message) from None
    return [*found, Rule(where(conditions, now), tuple(mends))] if mends else found


def mends_for(letter: Letter, among: Sequence[Rule]) -> list[Mend]:
    """The mends of all rules that are for this letter, in their order."""
    return [mend for rule in among if rule.where.holds(letter) for mend in rule.mends]
