"""A condition that can be compiled, and the types of fields, to what can hardly be meant by it. No I/O."""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tailrace.condition_words import FLAT, Field, fields_in, words_of

_COMPARISONS = ("==", "<", ">", "<=", ">=")
_MIRRORED = {"==": "==", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
_JOINED = (None, "&&", "||")
_ARITHMETIC = ("+", "-", "*", "/", "%")
_NEAR = 0.8
_OF_OTHERS = (*FLAT, "cloud", "container", "kubernetes", "orchestrator")
"""What is not only filled from lines, but by whatever a service or its surroundings say."""

Word = re.Match[str]


class Doubt(NamedTuple):
    """What is odd, and what to write instead."""

    text: str
    next_step: str


def doubts(condition: str, kinds: Mapping[str, str]) -> Iterator[Doubt]:
    """Names that look misspelt, comparisons that never hold, and fields where a yes or no should be.

    ``kinds`` are the fields that a line may fill, by dotted name: ``long``, or any other word for text.
    """
    words = words_of(condition)
    for field in fields_in(condition):
        name = ".".join(field.path)
        yield from _misspelt(name, field, kinds)
        kind = _kind(field, kinds)
        if _is_bare(words, field):
            ask = f"has({name})" if len(field.path) > 1 else f'{name} != ""'
            yield Doubt(f"{name} is neither true nor false, so this never holds", f"compare it, or write {ask}")
        elif kind:
            yield from _impossible(words, field, name, kind)


def _misspelt(name: str, field: Field, kinds: Mapping[str, str]) -> Iterator[Doubt]:
    root = field.path[0]
    if root in _OF_OTHERS or name in kinds or any(one.startswith(f"{name}.") for one in kinds):
        return
    family = [one for one in kinds if one.partition(".")[0] == root]
    near = difflib.get_close_matches(name, family, n=1, cutoff=_NEAR)
    if near:
        yield Doubt(f"no line fills a field {name}", f"did you mean {near[0]}?")


def _kind(field: Field, kinds: Mapping[str, str]) -> str:
    """``number`` or ``text``; empty where it is not known, or can be several."""
    if field.path[0] in FLAT:
        return "" if len(field.path) == 1 else "number" if field.path[0] == "numeric_labels" else "text"
    kind = kinds.get(".".join(field.path), "")
    return "" if not kind or field.path == ("tags",) else "number" if kind == "long" else "text"


def _is_bare(words: list[Word], field: Field) -> bool:
    """Whether it is all of a condition, or all of one side of ``&&`` or ``||``."""
    before, after = _shown(words, field.first - 1), _shown(words, field.behind)
    return before in (*_JOINED, "!") and after in _JOINED


def _impossible(words: list[Word], field: Field, name: str, kind: str) -> Iterator[Doubt]:
    sign, literals = _compared(words, field)
    if literals and all(_is_text(one) is (kind == "number") for one in literals):
        shown = ", ".join(one.group() for one in literals)
        value = f"[{shown}]" if sign == "in" else shown
        yield Doubt(
            f"{name} is {'a number' if kind == 'number' else 'text'} and never {sign} {value}", _mend(name, kind)
        )


def _mend(name: str, kind: str) -> str:
    if kind == "number":
        return "write the number without quotes"
    if name.startswith("labels."):
        return f"put it in quotes, or ask for numeric_{name}, where numbers are"
    return "put it in quotes"


def _compared(words: list[Word], field: Field) -> tuple[str, list[Word]]:
    """With what a field is compared, and how; no values if it is not, or not with constants."""
    sign, before = _shown(words, field.behind), _shown(words, field.first - 1)
    if before in _ARITHMETIC:
        return "", []
    if sign in _COMPARISONS:
        return sign, _literal(words, field.behind + 1)
    if sign == "in" and _shown(words, field.behind + 1) == "[":
        return sign, _listed(words, field.behind + 2)
    if before in _COMPARISONS:
        number = field.first - 2
        return _MIRRORED[before], _literal(words, number) if _shown(words, number - 1) in (*_JOINED, "(") else []
    return "", []


def _listed(words: list[Word], number: int) -> list[Word]:
    found: list[Word] = []
    while one := _literal(words, number):
        found += one
        if _shown(words, number + 1) == "]":
            return found
        number += 2
    return []


def _literal(words: list[Word], number: int) -> list[Word]:
    """The constant at a place, if it is one and nothing is done to it."""
    if number < 0 or _shown(words, number + 1) in (*_ARITHMETIC, ".", "["):
        return []
    return [word for word in words[number : number + 1] if word.lastgroup in ("text", "number")]


def _is_text(word: Word) -> bool:
    return word.lastgroup == "text"


def _shown(words: list[Word], number: int) -> str | None:
    return words[number].group() if 0 <= number < len(words) else None
