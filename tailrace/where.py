"""Conditions such as ``field=labels.n`` or ``time>2h`` to a yes or no about a dead letter. No I/O."""

import datetime
import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tailrace.letters import Letter, host, service
from tailrace.patterns import BadPattern, pattern_of
from tailrace.period import moment
from tailrace.show import lookup

Document = dict[str, Any] | None

_LETTER: dict[str, Callable[[Letter, Document], str]] = {
    "reason": lambda letter, _: letter.reason,
    "error": lambda letter, _: letter.error,
    "error_type": lambda letter, _: letter.error_type,
    "field": lambda letter, _: letter.field,
    "stream": lambda letter, _: letter.stream,
    "dataset": lambda letter, _: letter.dataset,
    "service": lambda _, document: service(document),
    "host": lambda _, document: host(document),
    "topic": lambda letter, _: letter.subject.topic,
    "partition": lambda letter, _: str(letter.subject.partition),
    "offset": lambda letter, _: str(letter.subject.offset),
    "id": lambda letter, _: letter.record_id,
    "settled": lambda letter, _: letter.settlement.how.value if letter.settlement else "",
}
NAMES = (*_LETTER, "time")
"""What a condition may name of the letter; any other name is a field of the document, as is one after a dot."""

_CONDITION = re.compile(r"\s*(?P<name>[^=!~<>\s][^=!~<>]*?)\s*(?P<sign>!=|!~|=|~|<|>)(?P<value>.*)", re.DOTALL)
_NEAR = 0.75
_MOST_NAMES = 2000
_FORM = "write name=value, name!=value, name~pattern, name!~pattern, name<value or name>value"


class Condition(NamedTuple):
    """One condition; ``value`` is a text, a pattern (``~``), a number (``<`` and ``>``) or milliseconds (``time``)."""

    name: str
    sign: str
    value: Any


class Unmet(NamedTuple):
    """A field that no letter has, and (one or none) the name that is nearest to it."""

    name: str
    near: list[str]

    def __str__(self) -> str:
        advice = f"; did you mean {self.near[0]}?" if self.near else "."
        return f"No letter has a field {self.name}{advice}"


class Where:
    """Conditions that must all hold. A field with several values fits if one of them does; a missing one is empty.

    It remembers which of the fields it asks for no letter had: often their names are misspelt.
    """

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self._conditions = conditions
        self._unmet = dict.fromkeys(one.name for one in conditions if one.name not in NAMES)
        self._met: set[str] = set()
        self._asked = False
        self._needs_document = any(one.name in ("service", "host") or one.name not in NAMES for one in conditions)

    def holds(self, letter: Letter) -> bool:
        """Whether a letter fits; its document is decoded only where a condition needs it."""
        document = letter.document() if self._needs_document else None
        if self._unmet:
            self._look(document or {})
        return all(_holds(one, letter, document) for one in self._conditions)

    @property
    def unmet(self) -> list[Unmet]:
        """The fields that no letter had of all those that were asked; none if none was."""
        known = sorted({*NAMES, *self._met})
        # Behind a dot stands what somebody insists on.
        near = [[] if name[0] == "." else difflib.get_close_matches(name, known, 1, _NEAR) for name in self._unmet]
        return list(map(Unmet, self._unmet, near)) if self._asked else []

    def _look(self, document: Mapping[str, Any]) -> None:
        self._asked = True
        self._unmet = {
            name: None for name in self._unmet if lookup(document, name.removeprefix(".")) is None
        }  # in the order in which they were typed
        if self._unmet and len(self._met) < _MOST_NAMES:
            self._met.update(_names(document))


def _names(tree: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for key, value in tree.items():
        yield f"{above}{key}"
        if isinstance(value, Mapping):
            yield from _names(value, f"{above}{key}.")


def value_of(name: str, letter: Letter, document: Document) -> str:
    """What a letter says under one of ``NAMES`` but ``time``; empty if nothing."""
    return _LETTER[name](letter, document)


def where(texts: Sequence[str], now: datetime.datetime) -> Where:
    """Conditions as somebody typed them; times are in the zone of ``now``.

    Raises:
        ValueError: one cannot be read; the text says why, and how it may be written.
    """
    return Where([_condition(text, now) for text in texts])


def _condition(text: str, now: datetime.datetime) -> Condition:
    found = _CONDITION.fullmatch(text)
    if found is None:
        message = f"{text!r} is no condition; {_FORM}."
        raise ValueError(message)
    name, sign, value = found["name"], found["sign"], found["value"].strip()
    if name == "time":
        if sign not in "<>":
            message = f"{text!r}: a time is before (time<…) or after (time>…), as time>2h or time<2026-11-23T14:05."
            raise ValueError(message)
        return Condition(name, sign, moment(value, now).timestamp() * 1000)
    if "~" in sign:
        try:
            return Condition(name, sign, pattern_of(value))
        except BadPattern as error:
            message = f"{text!r}: {error}.\n{error.pointed()}"
            raise ValueError(message) from None
    if sign in "<>":
        try:
            return Condition(name, sign, float(value))
        except ValueError:
            message = f"{text!r}: {value!r} is no number; {_FORM}."
            raise ValueError(message) from None
    return Condition(name, sign, value)


def _holds(condition: Condition, letter: Letter, document: Document) -> bool:
    if condition.name == "time":
        return bool(letter.time < condition.value if condition.sign == "<" else letter.time > condition.value)
    positive = condition.sign.removeprefix("!")
    fits = any(_fits(positive, condition.value, text) for text in _texts(condition.name, letter, document))
    return fits is not condition.sign.startswith("!")


def _fits(sign: str, value: Any, text: str) -> bool:  # noqa: ANN401 - as the condition has it
    if sign == "=":
        return bool(text == value)
    if sign == "~":
        return bool(value.search(text))
    try:
        number = float(text)
    except ValueError:
        return False
    return bool(number < value if sign == "<" else number > value)


def _texts(name: str, letter: Letter, document: Document) -> Iterator[str]:
    """What a letter or its document says under a name, as texts; one empty text if nothing."""
    known = _LETTER.get(name)
    if known is not None:
        yield known(letter, document)
        return
    found = lookup(document or {}, name.removeprefix("."))
    values = found if isinstance(found, list) and found else [found]
    for value in values:
        yield value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
