"""What a format is that another package brings: the contract for its author. No I/O.

An entry point of the group ``tailrace.formats`` names a ``LineFormat`` or a ``ChunkFormat``; see docs/plugins.md.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

GROUP = "tailrace.formats"
"""The group of entry points."""

Fields = Mapping[str, Any]
"""What a line says: by dotted ECS names, or others, which become labels; ``@timestamp`` is text (ISO 8601), a number of
seconds, milliseconds, … since 1970, or a ``datetime``. Values are what JSON has."""


class LineFormat(Protocol):
    """A function from a line to its fields."""

    def __call__(self, line: str, /) -> Fields | None:
        """The fields of a line, without its end (in a record of several there are some); None if it is no such line.

        It is called for every line, from one thread: it must be quick, and must not wait for anything.
        """


@runtime_checkable
class ChunkFormat(Protocol):
    """An object that takes many lines at once, where that is quicker."""

    def chunk(self, lines: Sequence[str], /) -> Sequence[Fields | None]:
        """For each line its fields, or None, in the same order."""
