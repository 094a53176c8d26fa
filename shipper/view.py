"""The running agent to the pieces of its answer at the socket."""

import os
import time
from collections.abc import Iterator

import msgspec

from shipper.disk import Disk
from shipper.file import behind
from shipper.follow import Follow
from shipper.producer import Producer
from shipper.reader import Reader
from shipper.report import Head, Slow, Troubles, line_of_ended, line_of_file
from shipper.road import Waiting
from shipper.source import Source

_PIECE = 250
"""Files to a piece: about a millisecond of the event loop."""


class View:
    """What an agent can say of its files at any moment; asks no disk."""

    def __init__(self, follow: Follow, reader: Reader, producer: Producer, disk: Disk) -> None:
        self._follow = follow
        self._reader = reader
        self._producer = producer
        self._disk = disk
        self._began = time.time()

    @property
    def behind_bytes(self) -> int:
        """Bytes written to the open files, as far as was seen, and not yet acknowledged."""
        return behind(list(self._follow.files.values()))

    def pieces(self) -> Iterator[bytes]:
        """The head, then the lines, some at a time; files that come or go meanwhile may or may not be there."""
        waiting = self._producer.waiting()
        head = Head(
            pid=os.getpid(),
            began=self._began,
            connected=self._producer.lanes > 0,
            refusal=self._reader.refusal,
            waiting=[Slow(one.topic, one.partition, one.seconds) for one in waiting],
        )
        yield msgspec.json.encode(head)
        slow = {one.lane: self._name(one) for one in waiting}
        troubles = Troubles(head, slow, self._lanes_of, self._disk.is_hung)
        files = list(self._follow.files.values())
        ended = list(self._follow.ended)
        for first in range(0, len(files), _PIECE):
            yield msgspec.json.encode([line_of_file(file, troubles) for file in files[first : first + _PIECE]])
        yield msgspec.json.encode([line_of_ended(source) for source in ended])

    def _lanes_of(self, source: Source) -> tuple[int, ...]:
        return self._producer.lanes_of(source.name, source.encoder.topics)

    @staticmethod
    def _name(waiting: Waiting) -> str:
        """A partition of the shipper's own topic has the number of its lane; that of another is called by both."""
        place = f"partition {waiting.partition}"
        return place if waiting.lane == waiting.partition else f"{place} of {waiting.topic}"
