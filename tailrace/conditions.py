"""A condition that a person wrote (CEL) to a compiled one, and the fields that it looks at. No I/O.

The language is the Common Expression Language, as its own C++ library has it (https://cel.dev): typed, without loops
that do not end, without side effects. Names that no field begins with are errors when it is compiled.
"""

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tailrace.patterns import BadPattern, pattern_of

ROOTS = (
    *("client", "cloud", "container", "destination", "error", "event", "file", "http", "kubernetes", "labels", "log"),
    "message",
    *("network", "numeric_labels", "orchestrator", "process", "server", "service", "source", "span", "tags", "trace"),
    *("transaction", "url", "user", "user_agent"),
)
"""What a field's name may begin with."""
FLAT = ("labels", "numeric_labels")
"""Objects whose keys are dotted names, kept flat."""
_OF_READING = (("event", "created"),)
_MOST_REMEMBERED = 4096
_MOST_CHARACTERS = 64

Path = tuple[str, ...]
Value = Any
"""A field's value as JSON has it; None where the field is not there."""

_TOKEN = re.compile(
    r"""(?P<text>[rRbB]{0,2}(?:\"\"\".*?\"\"\"|'''.*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))"""
    r"""|(?P<name>[A-Za-z_]\w*)|(?P<space>\s+|//[^\n]*)|(?P<other>\d[\w.]*|.)""",
    re.DOTALL | re.ASCII,
)
_PLAIN = re.compile(r"""(["'])([^"'\\]*)\1""")
_ERROR = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")


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

    found = dict(_names(text))
    for name, place in found.items():
        if name in _OF_READING:
            raise BadCondition(text, place, f"{'.'.join(name)} differs when the line is read again")
        if name[0] in FLAT and len(name) > 2 and any(name != other and name[: len(other)] == other for other in found):
            raise BadCondition(text, place, f'write {name[0]}["{".".join(name[1:])}"] beside {name[0]}')
    try:
        compiled = _environment().compile(text)
    except RuntimeError as error:
        raise _explained(text, str(error)) from error
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


def _names(text: str) -> Iterator[tuple[Path, int]]:
    """Every field that an expression names, as far as it can be told from its text, and where it stands.

    Where a name goes on in a way that is only known later (``labels[key]``), it is all that begins so.
    """
    tokens = [found for found in _TOKEN.finditer(text) if found.lastgroup != "space"]
    number = 0
    while number < len(tokens):
        first = tokens[number]
        number += 1
        before = tokens[number - 2].group() if number > 1 else ""
        if first.lastgroup != "name" or first.group() not in ROOTS or before == ".":
            continue
        path, place = [first.group()], first.start()
        while step := _step(tokens, number):
            name, number = step
            path.append(name)
        yield tuple(path), place


def _step(tokens: list[re.Match[str]], number: int) -> tuple[str, int] | None:
    """The next name of a field, and the token behind it; None if the field's name ends here."""
    shown = [token.group() for token in tokens[number : number + 3]]
    if len(shown) > 1 and shown[0] == "." and tokens[number + 1].lastgroup == "name":
        return None if shown[2:] == ["("] else (shown[1], number + 2)
    if len(shown) == 3 and shown[0] == "[" and shown[2] == "]" and (plain := _PLAIN.fullmatch(shown[1])):
        return plain[2], number + 3
    return None


def _explained(text: str, said: str) -> BadCondition:
    """The library's first complaint, in short words, at its place."""
    found = _ERROR.search(said)
    if not found:
        return BadCondition(text, 0, said.partition("\n")[0])
    before = sum(len(line) for line in text.splitlines(keepends=True)[: int(found[1]) - 1])
    place = min(before + int(found[2]) - 1, len(text))
    reason = found[3].removeprefix("Syntax error: ").partition(" (in container")[0].partition(" expecting ")[0]
    reason = reason.removesuffix(" [INVALID_ARGUMENT]")
    if "'<EOF>'" in reason:
        reason = "something is missing here"
    elif unknown := re.search(r"undeclared reference to '(.*)'", reason):
        place -= len(unknown[1]) * text[:place].endswith(unknown[1])  # of a function it points behind the name
        reason = f"there is no field or function {unknown[1]}"
    elif odd := re.search(r"(?:input|at:) '(.*)'", reason):
        reason = f"{odd[1].strip()!r} is not expected here"
    return BadCondition(text, place, reason)
