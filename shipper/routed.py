"""The records of a step to those of each topic. No I/O."""

from collections.abc import Iterable

_Record = tuple[bytes, bytes]


class Routed(_Record):
    """A record (as of ``records.py``) that a rule sends to another topic than the shipper's own.

    Only these have a place for it: a record is made for every line, and most go where all go.
    """

    topic: str

    @classmethod
    def to(cls, topic: str, header: bytes, value: bytes) -> "Routed":
        """The record with this header and value, on its way to that topic."""
        made = cls((header, value))
        made.topic = topic
        return made


def topic_of(record: _Record, own: str) -> str:
    """Where a record goes; ``own`` is the topic of those which no rule sends elsewhere."""
    return record.topic if isinstance(record, Routed) else own


def by_topic(records: Iterable[_Record], own: str) -> dict[str, list[_Record]]:
    """The records for each topic, in their order; ``own`` as of ``topic_of``."""
    found: dict[str, list[_Record]] = {}
    for record in records:
        found.setdefault(topic_of(record, own), []).append(record)
    return found
