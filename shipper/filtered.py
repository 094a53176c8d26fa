"""Lines of one source, and documents of some, to the records that its input's filters leave. No I/O."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple, Protocol

from shipper.filters.rule import Home
from shipper.filters.sieve import NOWHERE, Fate, Rules, Sieve
from shipper.lines import is_blank
from shipper.routed import Routed
from tailrace.settings import Input

_SKIPPED = b'"skipped":'
"""What stands before the count of skipped bytes, the last of a document but for what all have."""


class Maker(Protocol):
    """Makes documents, the ordinary way."""

    def fields(
        self, line: bytes, offset: int, size: int, skipped: int, read: str, flags: Sequence[str]
    ) -> dict[str, Any]:
        """The tree of a line's document."""

    def finished(self, fields: dict[str, Any], tail: bytes) -> bytes:
        """The document of a tree; ``tail`` is what all documents of a data stream end with."""


class Left(NamedTuple):
    """What is left of a chunk: the records, the skipped bytes behind the last, and all bytes that gave no record."""

    records: list[tuple[bytes, bytes]]
    skipped: int
    blank: int


class _Target(NamedTuple):
    """A data stream that records may be sent to, what its documents end with, and the topic if it is another."""

    dataset: str
    stream: bytes
    tail: bytes
    topic: str


class Filtered:
    """Makes the records of one source whose input has filters.

    ``topics`` and ``streams`` are those that rules send records to, beside the shipper's and the input's own.
    """

    def __init__(
        self,
        rules: Rules,
        entry: Input,
        source: str,
        make: Maker,
        tail_of: Callable[[str, str], bytes],
        constant: dict[str, Any],
    ) -> None:
        self.sieve = Sieve(rules, source, constant)
        self._make = make
        self._targets = {home: _target(home, entry, tail_of) for home in rules.homes}
        self.topics = tuple(dict.fromkeys(home.topic for home in rules.homes if home.topic))
        own = self._targets[NOWHERE]
        streams = dict.fromkeys(target.stream.decode() for target in self._targets.values())
        self.streams = tuple(one for one in streams if one != own.stream.decode())
        self._tail = _SKIPPED + b"0}" + own.tail
        self._stream = b"|%b|" % own.stream
        self._dataset = b'"dataset":"%b","created":"' % own.dataset.encode()

    def chunk(
        self,
        lines: list[bytes],
        documents: Sequence[bytes | None],
        pieces: Collection[int],
        ends: list[int],
        headers: list[bytes],
        skipped: int,
        read: str,
    ) -> Left:
        """The records of whole lines that begin at ``ends``; ``skipped`` bytes before the first gave no record.

        Where there is a document it is right if no bytes were skipped before its line.
        """
        records: list[tuple[bytes, bytes]] = []
        blank = 0
        known, suspects = self.sieve.look(lines, documents)
        for number, (line, offset, header, document) in enumerate(zip(lines, ends, headers, documents, strict=False)):
            size = len(line) + 1
            values = known[number]
            record = fate = None
            if document is not None and values is not None:
                fate = self.sieve.quick(values, offset, size, suspect=number in suspects)
                if fate.stopped < 0 and not fate.dropped:
                    record = self._adapted(header, document, skipped, fate.home)
            if record is None and (fate is None or not fate.dropped) and (fate is not None or not is_blank(line)):
                flags = ("multiline",) if number in pieces else ()
                fields = self._make.fields(line, offset, size, skipped, read, flags)
                record = self._whole(header, fields, offset, size, fate)
            if record is None:
                skipped += size
                blank += size
            else:
                records.append(record)
                skipped = 0
        return Left(records, skipped, blank)

    def single(self, header: bytes, fields: dict[str, Any], offset: int, size: int) -> tuple[bytes, bytes] | None:
        """The record of one line that covers ``size`` bytes; None if a rule drops it."""
        return self._whole(header, fields, offset, size, None)

    def _whole(
        self, header: bytes, fields: dict[str, Any], offset: int, size: int, fate: Fate | None
    ) -> tuple[bytes, bytes] | None:
        """The record of a tree, by all rules or by those that are left."""
        if fate is None or fate.stopped >= 0:
            fate = self.sieve.whole(fields, offset, size, fate)
        if fate.dropped:
            return None
        target = self._targets[fate.home]
        if fate.home is not NOWHERE:
            fields["event"]["dataset"] = target.dataset
        return self._addressed(header, self._make.finished(fields, target.tail), fate.home)

    def _adapted(self, header: bytes, document: bytes, skipped: int, home: Home) -> tuple[bytes, bytes] | None:
        """A finished document with its skipped bytes, and at home in its data stream; None if it must be made anew."""
        if home is NOWHERE and not skipped:
            return header, document
        if not document.endswith(self._tail):
            return None
        body = document[: -len(self._tail)]
        target = self._targets[home]
        if home is not NOWHERE:
            if body.count(self._dataset) != 1:
                return None
            body = body.replace(self._dataset, b'"dataset":"%b","created":"' % target.dataset.encode())
        return self._addressed(header, b'%b"skipped":%d}%b' % (body, skipped, target.tail), home)

    def _addressed(self, header: bytes, value: bytes, home: Home) -> tuple[bytes, bytes]:
        """The record, on its way to its data stream and topic."""
        if home is NOWHERE:
            return header, value
        target = self._targets[home]
        header = header.replace(self._stream, b"|%b|" % target.stream, 1)
        return Routed.to(target.topic, header, value) if target.topic else (header, value)


def _target(home: Home, entry: Input, tail_of: Callable[[str, str], bytes]) -> _Target:
    dataset, namespace = home.dataset or entry.dataset, home.namespace or entry.namespace
    return _Target(dataset, f"logs-{dataset}-{namespace}".encode(), tail_of(dataset, namespace), home.topic)
