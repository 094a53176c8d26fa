"""How far one partition got in our hands, and what its next commit says. No I/O."""

from typing import NamedTuple

import msgspec

from tailrace.watermark import Watermark


class Origin(NamedTuple):
    """The partition that records were polled from."""

    topic: str
    partition: int


class Commit(NamedTuple):
    """What is stored for a partition: the next offset to read, and the offset that nothing is sent at or past."""

    offset: int
    reach: int


class _Metadata(msgspec.Struct, frozen=True):
    reach: int


_metadata = msgspec.json.Decoder(_Metadata)


class Owned:
    """One partition, from its assignment to us until it is taken away.

    Records at or past ``reach`` are not sent before a commit with a larger one is stored: so what we may have sent is
    never past what our successor reads there. Records below ``inherited`` may have been sent by the owner before us.
    """

    __slots__ = ("committed", "expected", "inherited", "leaving", "lost", "origin", "reach", "watermark")

    def __init__(self, topic: str, partition: int, offset: int, inherited: int) -> None:
        self.origin = Origin(topic, partition)
        self.watermark = Watermark(offset)
        self.inherited = inherited
        self.reach = 0
        self.expected = offset
        """The offset that may be polled next; what is below it is a late answer to an old question."""
        self.committed: Commit | None = None
        self.leaving = False
        """No longer ours, or about to be: what is in flight may end, nothing is tried again."""
        self.lost = False
        """Given up for good: others may have it, nothing more of it is sent."""

    def next_commit(self, reach_records: int) -> Commit | None:
        """What to commit now, or None if that is stored already."""
        position = self.watermark.position
        commit = Commit(position, max(self.inherited, self.reach, position + reach_records))
        if self.committed is None or commit.offset > self.committed.offset:
            return commit
        return None

    def is_short(self, reach_records: int) -> bool:
        """Whether the next commit is urgent, because what may be sent is nearly used up."""
        if self.committed is None:
            return True
        gain = self.watermark.position + reach_records - self.reach
        return gain > 0 and self.reach - self.watermark.begun < max(1, reach_records // 2)

    def last_commit(self, reach_records: int) -> Commit | None:
        """What to commit when we leave: with nothing in flight, all that we sent lies before the position."""
        if self.watermark.in_flight or self.committed is None:
            return self.next_commit(reach_records)
        position = self.watermark.position
        commit = Commit(position, max(self.inherited, position))
        return commit if commit != self.committed else None

    def stored(self, commit: Commit) -> None:
        """Kafka has this commit; what lies before its reach may be sent."""
        self.committed = commit
        self.reach = commit.reach


def encode_metadata(commit: Commit) -> str:
    """What stands beside the offset in Kafka."""
    return msgspec.json.encode(_Metadata(commit.reach)).decode()


def decode_metadata(metadata: str) -> int | None:
    """The reach of a commit, or None if the commit is not one of ours."""
    try:
        return _metadata.decode(metadata).reach
    except msgspec.DecodeError:
        return None
