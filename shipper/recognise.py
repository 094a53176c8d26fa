"""A file's first bytes and name to the sources that it may be, or may be a copy of. No I/O."""

from collections.abc import Iterable
from typing import NamedTuple

from shipper.identity import HEAD_BYTES, Anchor, Head, Place, begins_with, head_of
from shipper.names import live_path, plain_name
from shipper.registry_row import Row


class Known(NamedTuple):
    """A source as far as a copy of it must agree: its head, and the anchor that stands at ``at``.

    What stands before ``reach`` may have been sent.
    """

    name: str
    path: str
    families: tuple[str, ...]
    head: Head
    at: int
    anchor: Anchor
    reach: int

    @property
    def is_strong(self) -> bool:
        """Whether content alone tells this source from another.

        The head must be whole, and the anchor must say something about bytes that are not in it: a service that writes
        the same first lines at each start must not have them hidden, nor a file that shares its first KiB be confused.
        """
        return self.head.length >= HEAD_BYTES and self.at > self.head.length


def known_of(row: Row) -> Known:
    """A source whose file is not open, as it was stored."""
    return Known(row.source, row.path, row.families, row.head, row.position, row.anchor, row.reach)


class Index:
    """Known sources by what a copy of them would begin with."""

    def __init__(self, known: Iterable[Known]) -> None:
        self._strong: dict[bytes, list[Known]] = {}
        self._families: dict[str, list[Known]] = {}
        self._beside: dict[str, Known] = {}
        for one in known:
            if one.is_strong:
                self._strong.setdefault(one.head.digest, []).append(one)
            elif one.head.length:  # also at position 0: a kill may have come between the sending and the position
                for family in one.families:
                    self._families.setdefault(family, []).append(one)

    def add(self, one: Known) -> None:
        """A source that was seen for the first time together with what is judged now.

        Of those that are small only what stands compressed beside it is its copy: a service that ends as soon as it has
        started leaves many files with the same few lines.
        """
        if one.is_strong:
            self._strong.setdefault(one.head.digest, []).append(one)
        elif one.head.length:
            self._beside[one.path] = one

    def matches(self, path: str, first: bytes) -> list[Known]:
        """Sources whose head a file has, those that were read, or at least sent, furthest first.

        A source of which little is known is only offered to a file that has the name rotation would give it.
        """
        found = list(self._strong.get(head_of(first).digest, ())) if len(first) >= HEAD_BYTES else []
        live = live_path(path)
        if live != path:
            found += [one for one in self._families.get(live, ()) if one.path != path and begins_with(first, one.head)]
        plain = plain_name(path)
        beside = self._beside.get(plain) if plain != path else None
        if beside is not None and begins_with(first, beside.head):
            found.append(beside)
        return sorted(found, key=lambda one: (one.at, one.reach), reverse=True)


class Memory:
    """The rows of sources whose files are not open: by their names, and by their places unless they have ended."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows: dict[str, Row] = {}
        self.places: dict[Place, Row] = {}
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> None:
        """Remember a source; of two at one place the one that was stored later counts."""
        self.rows[row.source] = row
        other = self.places.get(row.place)
        if not row.ended and (other is None or other.updated <= row.updated):
            self.places[row.place] = row

    def pop(self, name: str) -> None:
        """Forget a source: its file is open, or it is to be forgotten altogether."""
        row = self.rows.pop(name, None)
        if row is not None and self.places.get(row.place) == row:
            del self.places[row.place]

    def known(self) -> list[Known]:
        """All of them, for an index."""
        return [known_of(row) for row in self.rows.values()]
