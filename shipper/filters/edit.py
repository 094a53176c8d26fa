"""Fields to other names, other values, or to nothing. No I/O."""

from collections.abc import Mapping, Sequence
from typing import Any

from shipper import ecs
from shipper.filters.facts import Path, Values, walk
from shipper.times import Times

_TIMES = Times("UTC")
_NOTHING: dict[tuple[str, str], int] = {}


def paths_of(name: str) -> tuple[Path, ...]:
    """Where a field may stand that a person names: an ECS field, or else a label, of text or of number."""
    if name in ecs.CLAIMS or name == "event.original":
        return (tuple(name.split(".")),)
    bare = ecs.label_of(ecs.key_of(name))
    return (("labels", bare), ("numeric_labels", bare))


class Remove:
    """Takes fields away; objects that are left empty go too."""

    def __init__(self, names: Sequence[str]) -> None:
        self.paths = tuple(path for name in names for path in paths_of(name))

    def touches(self, values: Values, *, suspect: bool) -> bool:  # noqa: ARG002 - what patterns find is not asked
        """Whether one of them is there."""
        return any(value is not None for value in values)

    def change(self, fields: dict[str, Any]) -> dict[tuple[str, str], int]:
        """Take them away."""
        for path in self.paths:
            take(fields, path)
        return _NOTHING


class Rename:
    """Gives fields other names, and their values the types that these have.

    A field keeps its name if there is one of the new name already, or its value does not fit.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = [(path, new) for old, new in names.items() for path in paths_of(old)]
        self.paths = tuple(path for path, _new in self._names)

    def touches(self, values: Values, *, suspect: bool) -> bool:  # noqa: ARG002 - as above
        """Whether one of them is there."""
        return any(value is not None for value in values)

    def change(self, fields: dict[str, Any]) -> dict[tuple[str, str], int]:
        """Rename them, in order."""
        for path, new in self._names:
            value = take(fields, path)
            if value is not None and not _place(fields, new, value):
                _put_back(fields, path, value)
        return _NOTHING


class Set:
    """Gives fields a constant value, whatever was there."""

    paths: tuple[Path, ...] = ()

    def __init__(self, values: Mapping[str, str | int | float | bool]) -> None:
        self._values = dict(values)

    def touches(self, _values: Values, *, suspect: bool) -> bool:  # noqa: ARG002 - as above
        """Always."""
        return True

    def change(self, fields: dict[str, Any]) -> dict[tuple[str, str], int]:
        """Set them."""
        for name, value in self._values.items():
            for path in paths_of(name):
                take(fields, path)
            _place(fields, name, value)
        return _NOTHING


def fits(name: str, value: str | float | bool) -> bool:
    """Whether a field can have this value."""
    return _place({"log": {}}, name, value)


def take(fields: dict[str, Any], path: Path) -> Any:  # noqa: ANN401 - a JSON value
    """Take a field away, with the objects that are then empty; its value, None if it was not there."""
    place = walk(fields, path[:-1])
    if type(place) is not dict or path[-1] not in place:
        return None
    value = place.pop(path[-1])
    if not place and len(path) > 1:
        take(fields, path[:-1])
    return value


def label(fields: dict[str, Any], name: str, value: Any) -> None:  # noqa: ANN401 - a JSON value
    """Keep a value as a label, of text or number."""
    document = _document(fields)
    document.label(name, value)
    _settle(document)


def _place(fields: dict[str, Any], name: str, value: Any) -> bool:  # noqa: ANN401 - a JSON value
    """Set a field that is not there; False, with nothing changed, if it is, or the value does not fit."""
    document = _document(fields)
    claim = ecs.CLAIMS.get(name)
    if claim is not None:
        parents = {parent: None for parent in _parents(name) if walk(fields, parent) is None}
        done = claim(document, name, value)
        if not done:
            for parent in reversed(parents):
                if walk(fields, parent) == {}:
                    take(fields, parent)
        return done
    bare = ecs.label_of(ecs.key_of(name))
    if bare in document.labels or bare in document.numbers:
        return False
    document.label(bare, value)
    _settle(document)
    return True


def _parents(name: str) -> list[Path]:
    parts = tuple(name.split("."))
    return [parts[:length] for length in range(1, len(parts))]


def _put_back(fields: dict[str, Any], path: Path, value: Any) -> None:  # noqa: ANN401 - a JSON value
    place = fields
    for name in path[:-1]:
        place = place.setdefault(name, {})
    place[path[-1]] = value


def _document(fields: dict[str, Any]) -> ecs.Document:
    """A finished tree as a document that can be added to."""
    document = ecs.Document(_TIMES)
    document.fields = fields
    document.log = fields["log"]
    document.labels = fields.get("labels", {})
    document.numbers = fields.get("numeric_labels", {})
    return document


def _settle(document: ecs.Document) -> None:
    if document.labels:
        document.fields["labels"] = document.labels
    if document.numbers:
        document.fields["numeric_labels"] = document.numbers
