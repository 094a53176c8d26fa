"""Records for which a condition holds, or does not, to nothing. No I/O."""

from shipper.filters.facts import Path, Values
from shipper.filters.rule import Memory, Spot


class Drop:
    """Drops every record that the rule concerns."""

    paths: tuple[Path, ...] = ()

    def drops(self, _values: Values, _spot: Spot, _memory: Memory) -> bool:
        """Always."""
        return True
