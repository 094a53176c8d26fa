"""The text of a condition to its words and the fields that it names. No I/O."""

import re
from collections.abc import Iterator
from typing import NamedTuple

ROOTS = (
    *("client", "cloud", "container", "destination", "error", "event", "file", "http", "kubernetes", "labels", "log"),
    "message",
    *("network", "numeric_labels", "orchestrator", "process", "server", "service", "source", "span", "tags", "trace"),
    *("transaction", "url", "user", "user_agent"),
)
"""What a field's name may begin with."""
FLAT = ("labels", "numeric_labels")
"""Objects whose keys are dotted names, kept flat."""
FUNCTIONS = (
    *("all", "bool", "bytes", "contains", "double", "duration", "endsWith", "exists", "exists_one", "filter", "has"),
    *("int", "map", "matches", "size", "startsWith", "string", "timestamp", "type", "uint"),
)
"""What the language brings."""

Path = tuple[str, ...]

_WORD = re.compile(
    r"""(?P<text>[rRbB]{0,2}(?:\"\"\".*?\"\"\"|'''.*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))"""
    r"""|(?P<name>[A-Za-z_]\w*)|(?P<space>\s+|//[^\n]*)|(?P<number>\d[\w.]*)|(?P<other>[=!<>]=|&&|\|\||.)""",
    re.DOTALL | re.ASCII,
)
_PLAIN = re.compile(r"""(["'])([^"'\\]*)\1""")


class Field(NamedTuple):
    """A field that a condition names: its path, its place in the text, and its words ``[first, behind)``."""

    path: Path
    place: int
    first: int
    behind: int


def words_of(text: str) -> list[re.Match[str]]:
    """The words of a condition, without the space between them; ``lastgroup`` is text, name, number or other."""
    return [found for found in _WORD.finditer(text) if found.lastgroup != "space"]


def fields_in(text: str) -> Iterator[Field]:
    """Every field that an expression names, as far as it can be told from its text.

    Where a name goes on in a way that is only known later (``labels[key]``), it is all that begins so.
    """
    words = words_of(text)
    number = 0
    while number < len(words):
        first = words[number]
        start, number = number, number + 1
        before = words[start - 1].group() if start else ""
        if first.lastgroup != "name" or first.group() not in ROOTS or before == ".":
            continue
        path = [first.group()]
        while step := _step(words, number):
            name, number = step
            path.append(name)
        yield Field(tuple(path), first.start(), start, number)


def _step(words: list[re.Match[str]], number: int) -> tuple[str, int] | None:
    """The next name of a field, and the word behind it; None if the field's name ends here."""
    shown = [word.group() for word in words[number : number + 3]]
    if len(shown) > 1 and shown[0] == "." and words[number + 1].lastgroup == "name":
        return None if shown[2:] == ["("] else (shown[1], number + 2)
    if len(shown) == 3 and shown[0] == "[" and shown[2] == "]" and (plain := _PLAIN.fullmatch(shown[1])):
        return plain[2], number + 3
    return None
