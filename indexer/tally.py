"""How many records ended in which way. No I/O."""

from indexer.reasons import Reason


class Tally:
    """How many records of a load ended in which way; all of them together are the records polled."""

    __slots__ = ("already", "dead", "duplicates", "stored", "tombstones")

    def __init__(self) -> None:
        self.stored = 0
        self.already = 0
        self.duplicates = 0
        self.tombstones = 0
        self.dead: dict[Reason, int] = {}

    @property
    def finished(self) -> int:
        """All that came to an end."""
        return self.stored + self.already + self.duplicates + self.tombstones + sum(self.dead.values())
