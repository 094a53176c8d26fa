"""Polled records to the lines of a bulk request, without decoding the documents of our own shipper. No I/O.

Header, key and value are untrusted: a raw newline that were passed through would be a bulk action of a stranger. So an
action line is only ever built of checked parts, and a document is one line of JSON or it is refused.
"""

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import orjson

from indexer import native
from indexer.foreign import Fault, decode, foreign, is_event_alone, why_no_object
from indexer.ownership import Origin
from indexer.reasons import Reason
from indexer.rows import Rows
from tailrace import letters
from tailrace.record import HEADER, is_record_id, is_stream, parse_header

_ONE_LINE = bytes.maketrans(b"\n\r", b"  ")
_MOST_TARGETS = 10_000
_MOST_VALUE_BYTES = 100_000_000
"""To decode a value takes several times its memory, and Elasticsearch takes no larger request, unless it is told to."""
_MOST_STREAM_BYTES = 220
"""Elasticsearch's limit of 255 bytes for an index name, less ``.ds-`` and the date and number of a backing index."""


class Polled(letters.Polled, Protocol):
    """What we need of a record of Kafka's, as aiokafka decodes it from a batch. Values are not changed."""

    @property
    def timestamp(self) -> int: ...  # noqa: D102


class Refusal(NamedTuple):
    """A record that can never be stored as it is; ``error_type`` and ``field`` are Elasticsearch's, or empty."""

    record: Polled
    origin: Origin
    reason: Reason
    text: str
    error_type: str = ""
    field: str = ""
    stream: str = ""
    record_id: str = ""


class Documents(NamedTuple):
    """What became of some records: each is one of ``lines``, one of ``refusals``, or one of ``tombstones``.

    ``records``, ``lines`` (action lines), ``documents`` (without their newline) and ``repeats`` (may the record have
    been stored before?) run in parallel.
    """

    records: list[Polled]
    lines: list[bytes]
    documents: list[bytes]
    repeats: list[bool]
    refusals: list[Refusal]
    tombstones: int


class _Target(NamedTuple):
    """What the header's part before the id says: the beginning of the action line, or why there is none."""

    line: bytes
    may_repeat: bool
    stream: str
    fault: Fault | None


class Translator:
    """Records to bulk lines; remembers what it found out of each distinct stream.

    ``allowed`` are globs that a stream must match, ``streams`` names the stream of foreign records per topic.
    Without ``own_ids`` Elasticsearch makes the ids of documents; what is refused is the same, so that the setting may
    be changed back.
    """

    def __init__(self, allowed: Iterable[str], streams: Mapping[str, str], *, own_ids: bool = True) -> None:
        self.own_ids = own_ids
        self._allowed = tuple(allowed)
        self._streams = streams
        self._targets: dict[bytes, _Target] = {}
        self._plain: dict[bytes, bytes] = {}
        """The beginnings of the action lines of the targets without a fault or a doubt, for the hot loop."""

    def body(self, rows: Sequence[Rows]) -> bytes | None:
        """The request that stores all these, if each is plainly our shipper's, of a known stream and in no doubt."""
        return native.body(rows, self._plain, own_ids=self.own_ids)

    def translate(self, records: Sequence[Polled], origin: Origin, repeat_before: int = 0) -> Documents:
        """The lines of one partition's records, in their order; those before offset ``repeat_before`` may repeat."""
        ours = native.plain(records, self._plain, own_ids=self.own_ids)
        plain = Documents(ours.records, ours.lines, ours.documents, [False] * len(ours.lines), [], 0)
        for record in ours.rest:
            if record.value is None and not is_event_alone(record.headers):
                continue
            found = self._slowly(record, record.value or b"", origin)
            if isinstance(found, Refusal):
                plain.refusals.append(found)
                continue
            line, document, may_repeat = found
            plain.records.append(record)
            plain.lines.append(line)
            plain.documents.append(document)
            plain.repeats.append(may_repeat)
        if ours.records and ours.rest:
            plain = _in_order(plain)
        if records and records[0].offset < repeat_before:
            old = [record.offset < repeat_before for record in plain.records]
            plain.repeats[:] = [one or other for one, other in zip(plain.repeats, old, strict=True)]
        return plain._replace(tombstones=len(records) - len(plain.records) - len(plain.refusals))

    def _slowly(self, record: Polled, value: bytes, origin: Origin) -> tuple[bytes, bytes, bool] | Refusal:
        """Any record that is not plainly one of ours."""
        ours = [header or b"" for name, header in record.headers if name == HEADER]  # a header may be null
        if not ours:
            return self._foreign(record, value, origin)
        prefix, _, record_id = ours[0].rpartition(b"|")
        header = parse_header(ours[0])
        if len(ours) > 1 or header is None:
            return Refusal(record, origin, Reason.HEADER, "the header t is not one that this version understands")
        target = self._target(prefix)
        if target.fault is not None:
            return Refusal(record, origin, *target.fault, stream=header.stream, record_id=header.record_id)
        document = value if _is_one_line(value) else one_line(value)
        if document is None:
            text = why_no_object(value)
            return Refusal(record, origin, Reason.JSON, text, stream=header.stream, record_id=header.record_id)
        return self._line(target.line, record_id), document, target.may_repeat

    def _target(self, prefix: bytes) -> _Target:
        found = self._targets.get(prefix)
        if found is None:
            if len(self._targets) >= _MOST_TARGETS:
                self._targets.clear()
                self._plain.clear()
            header = parse_header(prefix + b"|x")
            if header is None:
                return _Target(
                    b"", may_repeat=False, stream="", fault=Fault(Reason.HEADER, "the header t is malformed")
                )
            line = self._start(header.stream)
            found = _Target(line, header.may_repeat, header.stream, self._stream_fault(header.stream))
            self._targets[prefix] = found
            if found.fault is None and not found.may_repeat:
                self._plain[prefix] = line
        return found

    def _stream_fault(self, stream: str) -> Fault | None:
        if not is_stream(stream) or len(stream.encode()) > _MOST_STREAM_BYTES:
            return Fault(Reason.STREAM, f"{stream[:300]!r} is no data stream's name")
        if not any(fnmatch.fnmatchcase(stream, pattern) for pattern in self._allowed):
            return Fault(Reason.STREAM, f"the stream {stream} is not one of indexer.allowed_streams")
        return None

    def _foreign(self, record: Polled, value: bytes, origin: Origin) -> tuple[bytes, bytes, bool] | Refusal:
        """A record that another program sent."""
        record_id = _place(record, origin)
        if len(value) > _MOST_VALUE_BYTES:
            text = f"it has {len(value):,} bytes, more than are decoded"
            return Refusal(record, origin, Reason.TOO_LARGE, text, record_id=record_id)
        found = foreign(value, record.headers, record.timestamp, origin.topic, self._streams)
        fault = self._stream_fault(found.stream) or found.fault
        if not is_record_id(record_id):
            fault = Fault(Reason.HEADER, f"{record_id[:300]!r} cannot be a document's id")
        if fault is not None:
            return Refusal(record, origin, *fault, stream=found.stream, record_id=record_id)
        return self._line(self._start(found.stream), record_id.encode()), found.document, False

    def _start(self, stream: str) -> bytes:
        """The beginning of an action line, or all of it."""
        return b'{"create":{"_index":"' + stream.encode() + (b'","_id":"' if self.own_ids else b'"}}\n')

    def _line(self, start: bytes, record_id: bytes) -> bytes:
        return start + record_id + native.ACTION_END if self.own_ids else start


def _in_order(found: Documents) -> Documents:
    """By offset: an answer is to the records as a request has them, which may have been written in another way."""
    order = sorted(range(len(found.records)), key=lambda number: found.records[number].offset)
    return found._replace(
        records=[found.records[number] for number in order],
        lines=[found.lines[number] for number in order],
        documents=[found.documents[number] for number in order],
        repeats=[found.repeats[number] for number in order],
    )


def one_line(value: bytes) -> bytes | None:
    """One JSON object as one line, or None if it is not one.

    In valid JSON a raw line break can only stand between tokens, so a space in its place changes nothing; nothing is
    encoded anew, and numbers stay as they were written.
    """
    return value.strip().translate(_ONE_LINE) if decode(value) is not None else None


def _is_one_line(value: bytes) -> bool:
    """Whether a value may pass undecoded: what is wrong inside its braces can only be its own fault."""
    braced = value[:1] == b"{" and value[-1:] == b"}"
    return braced and b"\n" not in value and b"\r" not in value and native.is_utf8(value)


def address(line: bytes) -> tuple[str, str]:
    """The stream and the id in an action line of ours; no id if Elasticsearch is to make it."""
    target = orjson.loads(line)["create"]
    return target["_index"], target.get("_id", "")


def name(record: Polled, origin: Origin) -> str:
    """The id of a record that has an action line, whether or not its document gets that one."""
    header = next((parse_header(value or b"") for key, value in record.headers if key == HEADER), None)
    return header.record_id if header is not None else _place(record, origin)


def _place(record: Polled, origin: Origin) -> str:
    """The id of a record that another program sent."""
    return f"{origin.topic}-{origin.partition}-{record.offset}"
