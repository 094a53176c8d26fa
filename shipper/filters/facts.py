"""Finished documents, or the trees they are made of, to the values of the few fields that rules ask for. No I/O."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import msgspec
import orjson

from tailrace.causes import NO_JSON

Path = tuple[str, ...]
Values = tuple[Any, ...]
"""For each of some paths the value there, None where there is none."""


class Facts:
    """Looks up the values at some paths; in both forms of a document they are the same."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(dict.fromkeys(paths))
        self._numbers = {path: number for number, path in enumerate(self.paths)}
        whole = [
            path for path in self.paths if not any(path[:length] in self._numbers for length in range(1, len(path)))
        ]
        names: dict[Path, str] = {}
        self._decoder = msgspec.json.Decoder(_struct(whole, (), names)) if whole else None
        self._get = _getter([names[path] for path in whole]) if whole else None
        self._inner = [] if len(whole) == len(self.paths) else [_within(path, whole) for path in self.paths]

    def pick(self, paths: Sequence[Path]) -> Callable[[Values], Values]:
        """What takes the values at these of the paths out of all."""
        numbers = [self._numbers[path] for path in paths]
        if len(numbers) == 1:
            (only,) = numbers
            return lambda values: (values[only],)
        return lambda values: tuple([values[number] for number in numbers])

    def of_tree(self, fields: dict[str, Any]) -> Values:
        """The values in the tree of a document."""
        return tuple([walk(fields, path) for path in self.paths])

    def of_documents(self, documents: Sequence[bytes]) -> list[Values]:
        """The values in finished documents, each JSON on one line."""
        if self._decoder is None or self._get is None:
            return [()] * len(documents)
        try:
            found = self._decoder.decode_lines(b"\n".join(documents))
        except NO_JSON:  # something that is not an object stands where a path goes on
            return [self.of_tree(orjson.loads(document)) for document in documents]
        picked = list(map(self._get, found))
        if not self._inner:
            return picked
        return [tuple([walk({"": row[column]}, ("", *rest)) for column, rest in self._inner]) for row in picked]


def walk(tree: Any, path: Path) -> Any:  # noqa: ANN401 - a JSON tree
    """The value at a path; None if there is none."""
    for name in path:
        if type(tree) is not dict:
            return None
        tree = tree.get(name)
    return tree


def _struct(paths: Sequence[Path], at: Path, names: dict[Path, str]) -> Any:  # noqa: ANN401 - a type made here
    """A type with an attribute for each name behind ``at``; ``names`` gets the dotted attribute of each path."""
    here = dict.fromkeys(path[len(at)] for path in paths if path[: len(at)] == at)
    fields: list[Any] = []
    renamed: dict[str, str] = {}
    for number, key in enumerate(here):
        name, path = f"f{number}", (*at, key)
        renamed[name] = key
        dotted = f"{names[at]}.{name}" if at in names else name
        if path in paths:
            names[path] = dotted
            fields.append((name, Any, None))
        else:
            names[path] = dotted
            inner = _struct(paths, path, names)
            fields.append((name, inner, msgspec.field(default_factory=inner)))
    return msgspec.defstruct("Fields", fields, rename=renamed, frozen=True, gc=False)


def _getter(names: list[str]) -> Callable[[Any], Values]:
    """What takes these attributes of a decoded document, as a tuple also if it is one."""
    get = attrgetter(*names)
    return (lambda document: (get(document),)) if len(names) == 1 else get


def _within(path: Path, whole: list[Path]) -> tuple[int, Path]:
    """In which column of the decoded values a path's value stands, and how it goes on from there."""
    column = next(number for number, other in enumerate(whole) if path[: len(other)] == other)
    return column, path[len(whole[column]) :]
