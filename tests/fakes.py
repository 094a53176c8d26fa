"""Stand-ins for the servers, kept honest by contract tests that run on the real ones too."""

import itertools
import struct
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import orjson
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from indexer import fetch, native
from indexer.documents import Polled
from indexer.rows import joined

STAMP = 1_795_000_000_000
Row = tuple[int, bytes | None, bytes | None, Sequence[tuple[str, bytes | None]]]
"""Milliseconds after ``STAMP``, key, value and headers of a record."""


def batch(records: Iterable[Row], codec: int = 0, base: int = 0) -> bytearray:
    """A batch as the client builds it, whose first record a broker gave the offset ``base``."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 24,
    )
    for number, (late, key, value, headers) in enumerate(records):
        assert builder.append(number, STAMP + late, key, value, list(headers)) is not None
    built = bytearray(builder.build())
    struct.pack_into(">q", built, 0, base)
    return built


class FakePolled(NamedTuple):
    """A polled record, as aiokafka decodes it."""

    value: bytes | None
    headers: Sequence[tuple[str, Any]] = ()
    key: bytes | None = None
    offset: int = 0
    timestamp: int = 1_795_459_038_138


def as_objects(records: Sequence[FakePolled]) -> Sequence[Polled]:
    """Polled records as they are handed on where nothing is compiled, or their offsets are not one after the other."""
    return list(records)


def as_rows(records: Sequence[FakePolled]) -> Sequence[Polled]:
    """The same as compiled code decodes them, two of successive offsets or less in a batch."""
    if native.compiled is None:
        return as_objects(records)
    found: list[Sequence[Polled]] = []
    for place in range(0, len(records), 2):
        pair = records[place : place + 2]
        split = len(pair) == 2 and pair[1].offset != pair[0].offset + 1
        for some in [[one] for one in pair] if split else [pair]:
            built = batch(
                [(one.timestamp - STAMP, one.key, one.value, one.headers) for one in some], base=some[0].offset
            )
            found += fetch.decode(memoryview(bytes(built)))
    return joined(found)


polled = as_objects
"""Either of them: the fixture ``both_forms`` has a module's tests run with the one, and again with the other."""


class FakeElasticsearch:
    """Data streams with several backing indices of which only the last checks ids, as the real one's.

    Documents with ``"bad": true`` are the document's own fault. An action without an id gets one of its own.
    """

    def __init__(self) -> None:
        self.streams: dict[str, list[dict[str, bytes]]] = {}
        self.requests = itertools.count()
        self._made = itertools.count()

    def rollover(self, stream: str) -> None:
        self.streams.setdefault(stream, [{}]).append({})

    def copies(self, stream: str) -> list[str]:
        """Every id as often as it is stored."""
        return [record_id for index in self.streams.get(stream, []) for record_id in index]

    def look_up(self, addresses: Sequence[tuple[str, str]]) -> list[bool]:
        return [any(record_id in index for index in self.streams.get(name, [])) for name, record_id in addresses]

    def bulk(self, body: bytes, *, full: frozenset[int] = frozenset()) -> tuple[int, bytes]:
        """Carry out a bulk request; the actions in ``full`` find no room (429)."""
        lines = body.split(b"\n")
        assert lines.pop() == b""
        items = [
            self._create(action, document, full=number in full)
            for number, (action, document) in enumerate(zip(lines[::2], lines[1::2], strict=True))
        ]
        errors = any("error" in item["create"] for item in items)
        return 200, orjson.dumps({"errors": errors, "items": items})

    def _create(self, action: bytes, document: bytes, *, full: bool) -> dict[str, Any]:
        (verb, target), *more = orjson.loads(action).items()
        assert verb == "create"
        assert not more
        index = self.streams.setdefault(target["_index"], [{}])[-1]
        if full:
            error = {"type": "es_rejected_execution_exception", "reason": "no room"}
            return {"create": {"status": 429, "error": error}}
        record_id = target.get("_id") or f"made-{next(self._made)}"
        if record_id in index:
            error = {"type": "version_conflict_engine_exception", "reason": "document already exists"}
            return {"create": {"status": 409, "error": error}}
        if orjson.loads(document).get("bad"):
            error = {"type": "document_parsing_exception", "reason": "[1:2] failed to parse field [bad] of type [long]"}
            return {"create": {"status": 400, "error": error}}
        index[record_id] = document
        return {"create": {"status": 201}}
