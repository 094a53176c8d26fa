"""A mistake in what an input says of its format to one plain sentence that names the key."""

import difflib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tailrace.formats import GROUP
from tailrace.grok import check_definition, grok_of
from tailrace.patterns import BadPattern, pattern_of
from tailrace.plugins import names_of
from tailrace.time_forms import time_form_of

if TYPE_CHECKING:
    from tailrace.settings import Csv, Input

_TIMED = ("regex", "grok", "csv")


def wrong_format(entry: "Input", here: str) -> Iterator[str]:
    """What is wrong with the format of an input, its patterns, columns and times."""
    from tailrace.settings import FORMATS, WRAPPERS  # noqa: PLC0415 - settings import this

    yield from _unknown(entry.format, FORMATS, f"{here}.format")
    yield from _unknown(entry.inner, tuple(name for name in FORMATS if name not in WRAPPERS), f"{here}.inner")
    name = entry.inner if entry.format in WRAPPERS else entry.format
    if name == "grok":
        yield from _wrong_grok(entry, here)
    else:
        yield from wrong_pattern(entry.pattern, f"{here}.pattern")
        if entry.definitions:
            yield f'{here}.definitions: they are for format = "grok".'
    if (name in ("regex", "grok")) != bool(entry.pattern):
        needs = f'"{name}"' if name in ("regex", "grok") else '"regex" or "grok"'
        yield f"{here}.pattern: it is for format = {needs}, which needs one."
    yield from _wrong_csv(entry.csv, f"{here}.csv", used=name == "csv")
    if entry.time_format and name not in _TIMED:
        yield f"{here}.time_format: it is for the formats {', '.join(_TIMED)}."
    if entry.time_format:
        yield from _pointed(lambda: time_form_of(entry.time_format), f"{here}.time_format")


def wrong_pattern(pattern: str, here: str) -> Iterator[str]:
    """What is wrong with a pattern of RE2, with a caret under the place."""
    yield from _pointed(lambda: pattern_of(pattern), here)


def _pointed(compiled: Callable[[], object], here: str) -> Iterator[str]:
    try:
        compiled()
    except BadPattern as error:
        yield f"{here}: {f'{error}.'.replace('?.', '?')}\n{error.pointed()}"


def _unknown(name: str, ours: tuple[str, ...], here: str) -> Iterator[str]:
    if name in ours:
        return
    known = (*ours, *names_of(GROUP))
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        advice = f"; did you mean {near[0]}?" if near else "."
        yield f"{here}: {name!r} is not known; known are {', '.join(known)}{advice}"


def _wrong_grok(entry: "Input", here: str) -> Iterator[str]:
    for name in entry.definitions:
        if not (name.isascii() and name.isidentifier()):
            yield f"{here}.definitions: {name!r} cannot be a pattern's name; use letters, digits and _."
        yield from _pointed(lambda name=name: check_definition(name, entry.definitions), f"{here}.definitions.{name}")  # type: ignore[misc]
    yield from _pointed(lambda: grok_of(entry.pattern, entry.definitions), f"{here}.pattern")


def _wrong_csv(csv: "Csv", here: str, *, used: bool) -> Iterator[str]:
    if used != bool(csv.columns):
        yield f'{here}.columns: they are for format = "csv", which needs them.'
    for key, least in (("delimiter", 1), ("quote", 0)):
        value = getattr(csv, key)
        if not least <= len(value) <= 1 or value in ("\n", "\r"):
            yield f"{here}.{key}: must be one character, not {value!r}."
    if csv.delimiter == csv.quote:
        yield f"{here}.quote: {csv.quote!r} is the delimiter too."
    twice = next((name for name in csv.columns if name and csv.columns.count(name) > 1), None)
    if twice is not None:
        yield f"{here}.columns: {twice} is there twice; a column that is not to be kept is an empty text."
    for name in csv.types:
        if name not in csv.columns:
            near = difflib.get_close_matches(name, csv.columns, n=1, cutoff=0.5)
            yield f"{here}.types: no column is called {name}{f'; did you mean {near[0]}?' if near else '.'}"
