"""A condition that a person wrote (CEL) to a compiled one, and the fields that it looks at. No I/O.

The language is the Common Expression Language, as its own C++ library has it (https://cel.dev): typed, without loops
that do not end, without side effects. Names that no field begins with are errors when it is compiled.
"""

import functools
import re
from collections.abc import Mapping
from typing import Any

from tailrace.condition_mistakes import explained
from tailrace.condition_words import FLAT, ROOTS, Path, fields_in
from tailrace.patterns import BadPattern, pattern_of

_OF_READING = (("event", "created"),)
_MOST_REMEMBERED = 4096
_MOST_CHARACTERS = 64

Value = Any
"""A field's value as JSON has it; None where the field is not there."""


class BadCondition(BadPattern):
    """A condition that cannot be compiled: the reason, and in ``place`` the first character that is at fault."""


class Condition:
    """Whether it holds depends on the values of the fields at ``paths`` alone, each None where there is none.

    What cannot be said (a comparison of text with a number, a field that is not there) does not hold. Answers for short
    texts and whole numbers are remembered: most conditions ask for a few levels or codes, again and again.
    """

    def __init__(self, names: tuple[Path, ...], compiled: Any) -> None:  # noqa: ANN401 - the library's own
        self.paths = tuple(_in_document(name) for name in names)
        self._names = names
        self._evaluate = compiled.eval
        self._known: dict[tuple[Value, ...], bool] = {}

    def holds(self, values: tuple[Value, ...]) -> bool:
        """Whether it holds for these values of its fields."""
        try:
            return self._known[values]
        except KeyError:
            answer = self._ask(values)
            if all(value is None or type(value) is int or _is_short(value) for value in values):
                if len(self._known) >= _MOST_REMEMBERED:
                    self._known.clear()
                self._known[values] = answer
            return answer
        except TypeError:  # an object or a list
            return self._ask(values)

    def _ask(self, values: tuple[Value, ...]) -> bool:
        try:
            return self._evaluate(data=_tree(self._names, values)).value() is True
        except RuntimeError:  # text that the library cannot take: then nothing can be said of it
            return False


def condition_of(text: str) -> Condition:
    """Compile a condition.

    Raises:
        BadCondition: it is wrong, names no field, or can be neither true nor false.
    """
    from cel_expr_python import cel  # noqa: PLC0415 - 14 MB that only inputs with conditions need

    found = {field.path: field.place for field in fields_in(text)}
    for name, place in found.items():
        if name in _OF_READING:
            raise BadCondition(text, place, f"{'.'.join(name)} differs when the line is read again")
        if name[0] in FLAT and len(name) > 2 and any(name != other and name[: len(other)] == other for other in found):
            raise BadCondition(text, place, f'write {name[0]}["{".".join(name[1:])}"] beside {name[0]}')
    try:
        compiled = _environment().compile(text)
    except RuntimeError as error:
        raise BadCondition(text, *explained(text, str(error))) from error
    _try_patterns(text)
    if compiled.return_type() not in (cel.Type.BOOL, cel.Type.DYN):
        raise BadCondition(text, 0, "it is neither true nor false")
    whole = tuple(name for name in found if not any(name[:length] in found for length in range(1, len(name))))
    return Condition(whole, compiled)


@functools.cache
def _environment() -> Any:  # noqa: ANN401 - the library's own
    from cel_expr_python import cel  # noqa: PLC0415 - as above

    return cel.NewEnv(variables=dict.fromkeys(ROOTS, cel.Type.DYN))


def _is_short(value: Value) -> bool:
    return type(value) is str and len(value) <= _MOST_CHARACTERS


def _in_document(name: Path) -> Path:
    """Where a field that a condition names stands: ``labels.a.b`` is the label ``a.b``."""
    return (name[0], ".".join(name[1:])) if name[0] in FLAT and len(name) > 1 else name


def _tree(names: tuple[Path, ...], values: tuple[Value, ...]) -> dict[str, Any]:
    """The fields as a condition sees them: every object on the way is there, so that ``has(a.b.c)`` can be said."""
    tree: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        place = tree
        for part in name[:-1]:
            place = place.setdefault(part, {})
        if value is not None:
            place[name[-1]] = _for_cel(name, value)
        elif len(name) == 1:
            place[name[0]] = {}
    return tree


def _for_cel(name: Path, value: Value) -> Value:
    """Numbers under ``numeric_labels`` are doubles, as they are mapped; the time of reading is nobody's."""
    if name[0] == "numeric_labels" and type(value) is int:
        return float(value)
    if name == ("numeric_labels",):
        return {key: float(one) if type(one) is int else one for key, one in value.items()}
    if name == ("event",) and isinstance(value, Mapping):
        return {key: one for key, one in value.items() if key != "created"}
    return value


def _try_patterns(text: str) -> None:
    """The library compiles what ``matches`` is given only when it is used, and would then say nothing but no."""
    for found in re.finditer(
        r"""\bmatches\s*\((?:[^"'(]*,)?\s*(?:([rR])(["'])(.*?)\2|(["'])([^"'\\]*)\4)\s*\)""", text
    ):
        number = 3 if found[1] else 5
        try:
            pattern_of(found[number])
        except BadPattern as error:
            raise BadCondition(text, found.start(number) + error.place, str(error)) from error
