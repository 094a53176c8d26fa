"""A grok pattern to a compiled one of RE2 and the fields that its groups fill. No I/O.

``%{NAME}`` stands for a pattern with a name, ``%{NAME:field}`` also puts what it matched into a field, and
``%{NAME:field:int}`` says what it is. Fields are dotted, or in brackets as Logstash has them: ``[source][ip]``.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from tailrace.grok_patterns import PATTERNS
from tailrace.patterns import BadPattern, pattern_of

Kind = Literal["text", "integer", "number"]
_KINDS: dict[str, Kind] = {
    "int": "integer",
    "long": "integer",
    "integer": "integer",
    "float": "number",
    "double": "number",
    "number": "number",
    "string": "text",
    "keyword": "text",
    "text": "text",
}
_USE = re.compile(r"%\{(\w+)(?::([\w.@\-]+|(?:\[[\w.@\- ]+\])+))?(?::(\w+))?\}", re.ASCII)
_BEGINS = re.compile(r"%\{")
_OURS = "tlr_"
"""How the names of our groups begin; a person's own are fields, with ``__`` for a dot."""
_MOST_CHARACTERS = 100_000
_ATOMIC = "(?>"
"""RE2 never goes back, so such a group is a plain one to it."""


class Field(NamedTuple):
    """What a group of the pattern fills."""

    group: int
    name: str
    kind: Kind


class Grok(NamedTuple):
    """A compiled pattern, and its fields in the order of their groups."""

    pattern: Any
    fields: list[Field]


def grok_of(text: str, definitions: Mapping[str, str]) -> Grok:
    """Compile a pattern; ``definitions`` are named patterns beside the common ones, and win over them.

    Raises:
        BadPattern: the pattern is wrong.
    """
    known = {**PATTERNS, **definitions}
    _compiled(text, known)
    fields: list[tuple[str, Kind]] = []
    whole = _expand(text, known, fields, (), (text, 0))
    try:
        compiled = pattern_of(whole)
    except BadPattern as error:  # of a definition, or of all of it together
        raise BadPattern(text, 0, str(error)) from error
    found = [
        Field(group, *fields[int(name[len(_OURS) :])])
        if name.startswith(_OURS)
        else Field(group, name.replace("__", "."), "text")
        for name, group in compiled.groupindex.items()
    ]
    return Grok(compiled, sorted(found))


def check_definition(name: str, definitions: Mapping[str, str]) -> None:
    """See whether one of the definitions is right.

    Raises:
        BadPattern: it is not; or it stands for itself.
    """
    text = definitions[name]
    known = {**PATTERNS, **definitions}
    _compiled(text, known)
    _expand(text, known, [], (name,), (text, 0))


def _compiled(text: str, known: Mapping[str, str]) -> None:
    """Find a mistake in the text itself, at its place: each use of a name stands as something as long.

    Raises:
        BadPattern: there is one.
    """
    uses = {use.start(): use for use in _USE.finditer(text)}
    for begin in _BEGINS.finditer(text):
        use = uses.get(begin.start())
        if use is None:
            raise BadPattern(text, begin.start(), "write %{NAME}, %{NAME:field} or %{NAME:field:int}")
        if use[1] not in known:
            near = difflib.get_close_matches(use[1].upper(), known, n=1, cutoff=0.6)
            advice = f"; did you mean {near[0]}?" if near else ""
            raise BadPattern(text, use.start(1), f"no pattern is called {use[1]}{advice}")
        if use[3] and use[3] not in _KINDS:
            raise BadPattern(text, use.start(3), f"{use[3]} is no type; write int, float or string")
    skeleton = _USE.sub(lambda use: f"[{'x' * (len(use[0]) - 2)}]", text.replace(_ATOMIC, "(?:"))
    try:
        pattern_of(skeleton)
    except BadPattern as error:
        raise BadPattern(text, error.place, str(error)) from error


def _expand(
    text: str,
    known: Mapping[str, str],
    fields: list[tuple[str, Kind]],
    within: tuple[str, ...],
    outer: tuple[str, int],
) -> str:
    """The text with each name replaced; ``outer`` is the place a person wrote that led here."""
    made: list[str] = []
    at = 0
    for use in _USE.finditer(text):
        place = outer if within else (text, use.start())
        if use[1] in within:
            raise BadPattern(*place, f"{use[1]} stands for itself")
        if use[1] not in known:
            raise BadPattern(*place, f"{within[-1]} uses {use[1]}, which is not known")
        group = "(?:" if use[2] is None else f"(?P<{_OURS}{len(fields)}>"
        if use[2] is not None:
            fields.append((_field(use[2]), _KINDS[use[3] or "string"]))
        inner = _expand(known[use[1]], known, fields, (*within, use[1]), place)
        made += [text[at : use.start()], group, inner, ")"]
        at = use.end()
        if sum(map(len, made)) > _MOST_CHARACTERS:
            raise BadPattern(*place, "it stands for too long a pattern")
    return "".join([*made, text[at:]]).replace(_ATOMIC, "(?:")


def _field(written: str) -> str:
    return written if written[0] != "[" else ".".join(re.findall(r"\[([^\]]+)\]", written))
