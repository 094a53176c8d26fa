"""Documents to the kinds of values that each of their fields has. No I/O."""

import enum
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any


class Kind(enum.Enum):
    """What Elasticsearch tells apart when it meets a new field."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    """With a fraction."""
    BOOLEAN = "boolean"
    OBJECT = "object"


class Kinds:
    """How many documents have which kind of value in each field, by dotted name.

    ``flat`` are objects whose keys may have dots of their own, so that nothing in them is an object.
    """

    def __init__(self, flat: Collection[str] = ()) -> None:
        self.documents = 0
        self.fields: dict[str, Counter[Kind]] = {}
        self._flat = flat

    def add(self, document: Mapping[str, Any]) -> None:
        """Count the values of one document."""
        self.documents += 1
        found: set[tuple[str, Kind]] = set()
        self._object(document, "", found)
        for name, kind in found:
            self.fields.setdefault(name, Counter())[kind] += 1

    def _object(self, tree: Mapping[str, Any], above: str, found: set[tuple[str, Kind]]) -> None:
        is_flat = above[:-1] in self._flat
        for key, value in tree.items():
            name = above + key
            if not is_flat:  # a key with dots stands for objects, too
                for place, character in enumerate(key):
                    if character == ".":
                        found.add((above + key[:place], Kind.OBJECT))
            self._value(value, name, found)

    def _value(self, value: Any, name: str, found: set[tuple[str, Kind]]) -> None:  # noqa: ANN401 - any JSON value
        if isinstance(value, list):
            for one in value:
                self._value(one, name, found)
        elif isinstance(value, Mapping):
            if value:
                found.add((name, Kind.OBJECT))
                self._object(value, name + ".", found)
        elif (kind := _kind(value)) is not None:
            found.add((name, kind))


def _kind(value: object) -> Kind | None:
    if isinstance(value, str):
        return Kind.TEXT
    if isinstance(value, bool):
        return Kind.BOOLEAN
    if isinstance(value, int):
        return Kind.INTEGER
    return Kind.NUMBER if isinstance(value, float) else None
