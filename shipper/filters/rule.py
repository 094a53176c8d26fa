"""What a rule is: on which records it acts, and what it does to them. No I/O."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from shipper.filters.facts import Facts, Path, Values
from tailrace.conditions import Condition


class Spot(NamedTuple):
    """Where a record stands; what a rule decides may depend on it, for it is the same when the file is read again."""

    source: str
    offset: int


class Window(NamedTuple):
    """How many records of one key were let through in one window of their own time."""

    number: int
    records: int


Memory = dict[str, Window]
"""What a rule remembers of the records before, by key. It belongs to the position, and is stored with it."""


@runtime_checkable
class Chooser(Protocol):
    """Drops some records.

    What it decides must follow from the values, the spot and the memory alone, so that it decides the same when the
    file is read again from a position, with the memory that was stored for it.
    """

    @property
    def paths(self) -> Sequence[Path]:
        """What it asks for."""

    def drops(self, values: Values, spot: Spot, memory: Memory, /) -> bool:
        """Whether to drop the record with these values at the paths."""


@runtime_checkable
class Changer(Protocol):
    """Changes some records."""

    @property
    def paths(self) -> Sequence[Path]:
        """What it asks for."""

    def touches(self, values: Values, /, *, suspect: bool) -> bool:
        """Whether it would change the record with these values at the paths; it may say so where it would not.

        ``suspect`` says that one of the patterns of the input's rules may be found in the record's line.
        """

    def change(self, fields: dict[str, Any]) -> dict[tuple[str, str], int]:
        """Change the tree of a document; returns what was made unreadable, by rule and kind."""


class Home(NamedTuple):
    """The data stream of a record and its topic; what is empty is the input's, or the shipper's."""

    dataset: str
    namespace: str
    topic: str


Action = Chooser | Changer | Home


class Rule:
    """One rule of an input: its name, for which records it is, and what it does with them.

    It is for those its condition holds for, or for the ``others``; it has one of ``chooser``, ``changer``, ``home``.
    """

    def __init__(self, name: str, condition: Condition | None, action: Action, *, others: bool = False) -> None:
        self.name = name
        self.condition = condition
        self.home = action if isinstance(action, Home) else None
        self.chooser = action if isinstance(action, Chooser) else None
        self.changer = action if isinstance(action, Changer) else None
        self._wanted = not others
        self._own = () if isinstance(action, Home) else tuple(action.paths)
        self.pick: Callable[[Values], Values] = _nothing
        self._pick_asked: Callable[[Values], Values] = _nothing

    @property
    def paths(self) -> list[Path]:
        """All that it looks at."""
        return [*self._own, *(self.condition.paths if self.condition is not None else ())]

    def bind(self, facts: Facts) -> None:
        """Learn where in all values those stand that it looks at."""
        self.pick = facts.pick(self._own)
        if self.condition is not None:
            self._pick_asked = facts.pick(self.condition.paths)

    def concerns(self, values: Values) -> bool:
        """Whether it is for a record with these values."""
        if self.condition is None:
            return True
        return self.condition.holds(self._pick_asked(values)) is self._wanted


def _nothing(_values: Values) -> Values:
    return ()
