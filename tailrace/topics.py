"""The settings and the topics of a cluster to those that hold records: written by us, read by us. No I/O."""

from collections.abc import Iterable

from tailrace.patterns import pattern_of
from tailrace.settings import Settings

PATTERN = "^"
"""What an entry of ``indexer.topics`` begins with that is a pattern (RE2) and no name."""


def written(settings: Settings) -> list[str]:
    """The topics that the shipper sends records to: its own first, then those that routes of filters name."""
    routes = (one.route for entry in settings.shipper.inputs for one in entry.filters)
    topics = [settings.shipper.topic, *(route.topic for route in routes if route is not None and route.topic)]
    return [*dict.fromkeys(topics)]


class Topics:
    """Which topics an indexer reads: those that are named, and those that a pattern matches from its beginning.

    A pattern never matches the ledger, the dead letters, or what Kafka keeps for itself.
    """

    def __init__(self, settings: Settings) -> None:
        entries = settings.indexer.topics
        self.named = tuple(entry for entry in entries if not entry.startswith(PATTERN))
        self._patterns = [pattern_of(entry) for entry in entries if entry.startswith(PATTERN)]
        self._never = (settings.kafka.ledger_topic, settings.kafka.dead_letter_topic)

    @property
    def has_patterns(self) -> bool:
        """Whether topics may come that nobody has named."""
        return bool(self._patterns)

    def match(self, topic: str) -> bool:
        """Whether this topic is one of them."""
        if topic in self.named:
            return True
        if topic in self._never or topic.startswith("__"):
            return False
        return any(pattern.match(topic) for pattern in self._patterns)

    def among(self, known: Iterable[str]) -> list[str]:
        """Those of a cluster's topics that we read, the named ones first, whether they are known or not."""
        return [*self.named, *sorted(topic for topic in known if topic not in self.named and self.match(topic))]
