"""Lines of one source to the records that cross Kafka. No I/O.

This is the hot loop of the shipper: everything that is the same for a whole chunk is made once per chunk.
"""

import functools
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from shipper import ecs, native, traces
from shipper.constants import NOTHING, Constants, Surroundings
from shipper.filtered import Filtered
from shipper.filters.sieve import Rules
from shipper.formats import format_of, plain
from shipper.formats.auto import Auto
from shipper.formats.fill import NO_FORMAT
from shipper.lines import HOLE, Cut, is_blank
from shipper.multiline import Joiner
from shipper.quick import Quick
from shipper.rows import Record, Rows
from shipper.times import Times, from_nanoseconds
from tailrace import __version__
from tailrace.record import header_prefix
from tailrace.settings import Input

_FITTED_MARK = "…"
_LEAST_TEXT = 64


class Chunk(NamedTuple):
    """What became of the lines of a chunk.

    ``skipped`` are the bytes at its end that gave no record (they are counted with the next one); ``blank`` all bytes
    of the chunk that gave none; ``flagged`` says how many records carry which flag. ``dropped`` has the records and
    bytes that each rule left out (they are among the ``blank``), ``redacted`` the values made unreadable, by rule and
    kind.
    """

    records: Sequence[Record]
    skipped: int
    blank: int
    flagged: dict[str, int]
    dropped: dict[str, tuple[int, int]]
    redacted: dict[tuple[str, str], int]


class Encoder:
    """Makes the records of one source; lives as long as the source is read."""

    def __init__(
        self,
        entry: Input,
        source: str,
        path: str,
        host: Mapping[str, Any],
        most_bytes: int,
        most_line_bytes: int,
        joiner: Joiner | None = None,
        rules: Rules | None = None,
        around: Surroundings = NOTHING,
    ) -> None:
        if entry.filters and rules is None:
            raise TypeError("the input has filters: nothing may be made of its lines without them")
        self.dataset = entry.dataset
        self.joiner = joiner
        self.flush_seconds = entry.multiline.flush_seconds
        self.most_line_bytes = most_line_bytes
        self._format = format_of(entry)
        self._learn = getattr(self._format, "learn", None)
        self._times = Times(entry.timezone)
        self._source = source
        self.most_bytes = most_bytes
        self._keep_original = entry.keep_original
        self._service = entry.service or entry.dataset
        self._constants = Constants(entry, path, around, self._times)
        self.stream = entry.stream
        self._prefixes = [
            (header_prefix(self.stream, may_repeat=flag) + source + ":").encode() for flag in (False, True)
        ]
        self._host = {**host, **around.host}
        self._tail = self._tail_of(entry.dataset, entry.namespace)
        self._file = {"path": path}
        self._flagged: dict[str, int] = {}
        learnt = self._format if isinstance(self._format, Auto) else None
        self._quick = None if entry.keep_original else Quick(entry.format, learnt, self._times, self._value)
        self._filtered: Filtered | None = None
        if rules is not None:
            self._filtered = Filtered(rules, entry, source, self, self._tail_of, self._constant())
        self.topics = self._filtered.topics if self._filtered is not None else ()
        """The topics that filters may send records to, beside the shipper's own."""
        self.streams = self._filtered.streams if self._filtered is not None else ()
        """The same of data streams."""

    @property
    def memory(self) -> bytes:
        """What the filters remember of the records so far: it belongs to the position; empty if nothing."""
        return self._filtered.sieve.memory if self._filtered is not None else b""

    def remember(self, memory: bytes) -> None:
        """The next lines are those behind the position to which this memory belongs."""
        if self._filtered is not None:
            self._filtered.sieve.memory = memory

    def rename(self, path: str) -> None:
        """The file has another name now."""
        self._file = {"path": path}
        if self._quick is not None:
            self._quick.clear()

    def chunk(
        self,
        lines: list[bytes],
        start: int,
        skipped: int,
        repeat_until: int,
        now: int,
        pieces: frozenset[int] = frozenset(),
    ) -> Chunk:
        """The records of whole lines, or of lines that were joined, that start at byte ``start`` of the file.

        ``skipped`` bytes before ``start`` gave no record; lines that start before ``repeat_until`` may have been sent
        before; ``now`` is the time of reading in nanoseconds since 1970. ``pieces`` are the numbers of those that get
        the flag ``multiline``.
        """
        read = from_nanoseconds(now // 10**6 * 10**6)
        self._flagged = {}
        self._times.now = now
        if lines and self._learn is not None:
            self._learn(lines)
        # For most chunks nobody asks where each line begins.
        begins = functools.cache(lambda: native.begins(lines, start))
        repeats = bisect_left(begins(), repeat_until) if start < repeat_until else 0
        rows = None
        if self._quick is not None and self._filtered is None and not skipped:
            rows = self._quick.records(lines, start, read.encode(), repeats, self._prefixes, self.most_bytes)
            if rows is not None and self._complete(rows, lines, begins, read, pieces):
                return Chunk(rows, 0, 0, self._flagged, {}, {})
        values = self._quick_values(lines, start, read) if rows is None else [value or None for _, value in rows]
        if pieces:
            values = [None if number in pieces else value for number, value in enumerate(values)]
        headers = native.headers(lines, start, repeats, *self._prefixes)
        if self._filtered is not None:
            left = self._filtered.chunk(lines, values, pieces, begins(), headers, skipped, read)
            return Chunk(left.records, left.skipped, left.blank, self._flagged, *self._filtered.sieve.counted())
        if not skipped and all(values):
            return Chunk(list(zip(headers, filter(None, values), strict=True)), 0, 0, self._flagged, {}, {})
        records: list[Record] = []
        blank = 0
        for number, (line, offset, header, quick) in enumerate(zip(lines, begins(), headers, values, strict=True)):
            value = quick
            if value is None or skipped:
                size = len(line) + 1
                if is_blank(line):
                    skipped += size
                    blank += size
                    continue
                flags = ("multiline",) if number in pieces else ()
                value = self._value(line, offset, size, skipped, read, flags)
                skipped = 0
            records.append((header, value))
        return Chunk(records, skipped, blank, self._flagged, {}, {})

    def single(self, line: Cut, start: int, skipped: int, repeat_until: int, now: int) -> Chunk:
        """The record of one line that ended at a cut, or of which only the first bytes are kept."""
        self._flagged = {}
        if is_blank(line.kept) and len(line.kept) == line.length:
            return Chunk([], skipped + line.covered, line.covered, self._flagged, {}, {})
        self._times.now = now
        if self._learn is not None and len(line.kept) == line.length:
            self._learn([line.kept])
        read = from_nanoseconds(now // 10**6 * 10**6)
        flags = [] if len(line.kept) == line.length else ["truncated"]
        if line.covered > line.length + 1:
            flags.append("hole")
        fields = self.fields(line.kept, start, line.covered, skipped, read, flags)
        prefix = header_prefix(self.stream, may_repeat=start < repeat_until) + self._source
        header = f"{prefix}:{start:016d}:{line.checksum:08x}".encode()
        if self._filtered is None:
            return Chunk([(header, self.finished(fields, self._tail))], 0, 0, self._flagged, {}, {})
        record = self._filtered.single(header, fields, start, line.covered)
        counts = self._filtered.sieve.counted()
        if record is None:
            return Chunk([], skipped + line.covered, line.covered, self._flagged, *counts)
        return Chunk([record], 0, 0, self._flagged, *counts)

    def _complete(
        self, rows: Rows, lines: list[bytes], begins: Callable[[], list[int]], read: str, pieces: frozenset[int]
    ) -> bool:
        """Make the values that are missing in the ordinary way; False if a line is blank, and has no record."""
        left = sorted(pieces.union(rows.missing)) if pieces else rows.missing
        if any(is_blank(lines[row]) for row in left):
            return False
        for row in left:
            line = lines[row]
            flags = ("multiline",) if row in pieces else ()
            rows.others[row] = self._value(line, begins()[row], len(line) + 1, 0, read, flags)
        return True

    def _quick_values(self, lines: list[bytes], start: int, read: str) -> Sequence[bytes | None]:
        """The documents of the lines that need not go the ordinary way, None for each that must."""
        if self._quick is None:
            return [None] * len(lines)
        values = self._quick.documents(lines, start, read.encode())
        if max(map(len, filter(None, values)), default=0) > self.most_bytes:
            return [value if value is not None and len(value) <= self.most_bytes else None for value in values]
        return values

    def fields(
        self, line: bytes, offset: int, size: int, skipped: int, read: str, flags: Sequence[str]
    ) -> dict[str, Any]:
        """The tree of one line's document, but for what all documents end with."""
        document = self._parsed(line)
        fields = document.fields
        log = document.log
        if "log" in fields:
            log.update(fields["log"])
        log["offset"] = offset
        log["file"] = self._file
        if document.flags or flags:
            log["flags"] = [*dict.fromkeys((*flags, *document.flags))]
        fields["log"] = log
        if "@timestamp" not in fields:
            fields["@timestamp"] = read
        fields.setdefault("service", {}).setdefault("name", self._service)
        event = fields.setdefault("event", {})
        event["dataset"] = self.dataset
        event["created"] = read
        if self._keep_original:
            event["original"] = line.decode("utf-8", "replace")
        if document.labels:
            fields["labels"] = document.labels
        if document.numbers:
            fields["numeric_labels"] = document.numbers
        fields["tailrace"] = {"source": self._source, "bytes": size, "skipped": skipped}
        return fields

    def finished(self, fields: dict[str, Any], tail: bytes) -> bytes:
        """The document of a tree, fitted to the limit; ``tail`` is what all documents end with."""
        for flag in fields["log"].get("flags", ()):
            self._flag(flag)
        value = orjson.dumps(fields)[:-1] + tail
        return value if len(value) <= self.most_bytes else self._fit(fields, len(value), tail)

    def _value(self, line: bytes, offset: int, size: int, skipped: int, read: str, flags: Sequence[str] = ()) -> bytes:
        """The document of one line, the ordinary way."""
        return self.finished(self.fields(line, offset, size, skipped, read, flags), self._tail)

    def _tail_of(self, dataset: str, namespace: str) -> bytes:
        constant = {
            "ecs": {"version": ecs.VERSION},
            "host": self._host,
            "agent": {"type": "tailrace", "version": __version__},
            "data_stream": {"type": "logs", "dataset": dataset, "namespace": namespace},
        }
        return b"," + orjson.dumps(constant)[1:]

    def _constant(self) -> dict[str, Any]:
        """What is in every document for the settings' sake, and not of its line."""
        document = ecs.Document(self._times)
        self._constants.begin(document)
        labels = {**document.labels, **document.numbers, "service": self._service}
        return {**document.fields, "log": document.log, "labels": labels}

    def _parsed(self, line: bytes) -> ecs.Document:
        text = line.lstrip(HOLE) if line[:1] == HOLE else line
        document = self._begun(has_hole=text is not line)
        try:
            is_read = self._format(text, document)
        except NO_FORMAT:
            document, is_read = self._begun(has_hole=text is not line), False
        line = text
        if not is_read:
            plain.fields(line, document)
            document.flags.append("format")
        if b"\n" in line:
            _find_trace(document)
        return document

    def _begun(self, *, has_hole: bool) -> ecs.Document:
        document = ecs.Document(self._times)
        if self._constants.some:
            self._constants.begin(document)
        if has_hole:
            document.flags.append("hole")
        return document

    def _fit(self, fields: dict[str, Any], length: int, tail: bytes) -> bytes:
        """A document that is too large once encoded, with its longest texts cut until it is not."""
        log, dataset = fields["log"], fields["event"]["dataset"]
        log["file"] = dict(self._file)
        if "truncated" not in log.setdefault("flags", []):
            log["flags"].append("truncated")
            self._flag("truncated")
        is_bare, value = False, b""
        while True:
            if not _cut_texts(fields, length - self.most_bytes):
                if is_bare:
                    return value  # the settings allow less than its place takes; whoever refuses it says so
                # Not its texts but their number is too large: all but the essentials goes.
                is_bare = True
                fields = {name: fields[name] for name in ("@timestamp", "message", "tailrace") if name in fields}
                fields["log"] = log = {name: log[name] for name in ("offset", "file", "flags")}
                fields["event"] = {"dataset": dataset}
                fields["labels"] = {"tailrace.dropped": "its fields were too many for one record"}
            value = orjson.dumps(fields)[:-1] + tail
            if len(value) <= self.most_bytes:
                return value
            length = len(value)

    def _flag(self, flag: str) -> None:
        self._flagged[flag] = self._flagged.get(flag, 0) + 1


def _find_trace(document: ecs.Document) -> None:
    """Of a record of several lines: what is a stack trace in its message, apart; the message keeps what is before."""
    message = document.fields.get("message")
    if not isinstance(message, str) or "\n" not in message or "stack_trace" in document.fields.get("error", {}):
        return
    start = traces.begins(message)
    if start >= 0:
        traces.fill(document, message[start:])
        document.fields["message"] = message[:start].rstrip() or message.partition("\n")[0]


def _cut_texts(fields: dict[str, Any], excess: int) -> bool:
    """Cut the longest texts of a document, one after the other, until it is about so much shorter; False if none is."""
    texts = sorted(_texts(fields), key=lambda found: len(found[2]), reverse=True)
    if len(texts[0][2]) <= _LEAST_TEXT:
        return False
    for place, key, text in texts:
        if excess <= 0 or len(text) <= _LEAST_TEXT:
            break
        encoded = len(orjson.dumps(text))
        share = max(0.0, (encoded - excess - _LEAST_TEXT) / encoded)
        less = text[: max(_LEAST_TEXT - 1, int(len(text) * share))] + _FITTED_MARK
        excess -= encoded - len(orjson.dumps(less))
        if place is fields.get("numeric_labels"):
            del place[key]
            fields.setdefault("labels", {})[key] = less
        else:
            place[key] = less
    return True


def _texts(tree: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Every text in a document with the place it stands in; lists count as their JSON text."""
    for key, value in list(tree.items()):
        if isinstance(value, dict):
            yield from _texts(value)
        elif isinstance(value, list) and key != "flags":
            yield tree, key, ecs.as_text(value)
        elif isinstance(value, str):
            yield tree, key, value
