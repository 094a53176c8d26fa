"""Dead letters to groups of the same kind: how many, first and last seen. No I/O."""

from collections.abc import Iterable, Sequence

import msgspec

from tailrace.letters import Letter
from tailrace.where import value_of

BY = ("reason", "field", "dataset", "service", "host", "error_type", "stream", "topic")
"""What letters may be grouped by."""
USUAL = BY[:5]


class Group(msgspec.Struct, kw_only=True):
    """Letters that have the same values under the names they are grouped by; times in milliseconds."""

    values: dict[str, str]
    letters: int
    first: int
    last: int
    example: str
    """What was said of the latest one."""


class Groups:
    """Adds letters up by the names that they are grouped by."""

    def __init__(self, by: Sequence[str]) -> None:
        self._by = tuple(dict.fromkeys(by))
        self._needs_document = bool({"service", "host"} & set(by))
        self._groups: dict[tuple[str, ...], Group] = {}
        self.oldest: int | None = None
        """When the oldest open letter was written, in milliseconds."""

    def add(self, letters: Iterable[Letter]) -> None:
        """Count some more."""
        for letter in letters:
            document = letter.document() if self._needs_document else None
            key = tuple(value_of(name, letter, document) for name in self._by)
            group = self._groups.get(key)
            if group is None:
                group = Group(
                    values=dict(zip(self._by, key, strict=True)),
                    letters=0,
                    first=letter.time,
                    last=letter.time,
                    example=letter.error,
                )
                self._groups[key] = group
            if letter.time >= group.last:
                group.last, group.example = letter.time, letter.error
            group.letters += 1
            group.first = min(group.first, letter.time)
            if letter.is_open:
                self.oldest = letter.time if self.oldest is None else min(self.oldest, letter.time)

    def all(self) -> list[Group]:
        """The groups, the largest first."""
        return sorted(self._groups.values(), key=lambda group: (-group.letters, *group.values.values()))


def by_names(text: str) -> tuple[str, ...]:
    """``reason,field`` to names to group by.

    Raises:
        ValueError: one is not known; the text names those that are.
    """
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in BY:
            message = f"{name!r} is nothing to group by; known are {', '.join(BY)}."
            raise ValueError(message)
    return names
