"""Fetched batches to records that fit ``documents.Polled``, thousands at a time.

aiokafka decodes record by record, makes of each another that also knows its topic and partition, and hands them out
one by one, which together costs more than all that we do with them. Here a batch is decoded in a few calls (of compiled
code, where there is some); what aiokafka knows of batches (transactions, control records, gaps) stays its own.
"""

import contextlib
import itertools
import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import cramjam
import zstandard
from aiokafka import TopicPartition, codec
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException, KafkaError, UnsupportedCodecError
from aiokafka.record.memory_records import _MemoryRecordsPy

from indexer import native, rows

if TYPE_CHECKING:
    from indexer.documents import Polled

_HEAD = struct.Struct(">qiibIhiqqqhii")
"""A batch's head: offset of the first record, length, epoch, magic, checksum, attributes, last offset, first and last
time, producer's id and epoch, sequence, count of records (Kafka protocol, record batch format v2)."""
_MAGIC = 16
"""Where the number of its format stands, in every format."""
_AT_ONCE = 5000
"""So many records are decoded in one call."""
_MOST_BYTES = 1 << 26
"""What a zstd frame may say of its own size to be believed."""
_CODEC = 0x07
_LOG_APPEND_TIME = 0x08
_SPOILED = (
    ValueError,
    RuntimeError,
    OSError,
    EOFError,
    struct.error,
    zlib.error,
    cramjam.DecompressionError,
    zstandard.ZstdError,
)
"""What those who read it say of bytes that are not what they should be."""
_BEWILDERED = (KafkaError, SystemError, TypeError, LookupError, ArithmeticError, *_SPOILED)
"""What aiokafka's decoders say besides, of a format that is another than the batch's head says."""
_unzstd = zstandard.ZstdDecompressor()


class UnreadableBatchError(KafkaError):  # type: ignore[misc]  # aiokafka is untyped
    """Where the next record should be are bytes that are no records; what is before them was handed out."""

    def __init__(self, partition: TopicPartition, offset: int, reason: str) -> None:
        super().__init__(f"{partition.topic}/{partition.partition} at offset {offset}: {reason}")
        self.partition = partition
        self.offset = offset
        self.reason = reason


def as_decoded(value: bytes) -> bytes:
    """The ``value_deserializer`` of a consumer that is to hand out records as they were decoded."""
    return value


def decode(held: memoryview) -> Iterator[Sequence["Polled"]]:
    """The records of a batch of format v2, some at a time: a batch that is well compressed may have millions.

    Raises:
        CorruptRecordException: its bytes are not those of its records.
        UnsupportedCodecError: it is compressed in a way that nobody knows.
    """
    base, _, _, _, _, attributes, last, first_stamp, last_stamp, _, _, _, left = _HEAD.unpack_from(held)
    body = held[_HEAD.size :]
    kind = attributes & _CODEC
    if kind and kind not in _CODECS:
        raise UnsupportedCodecError(f"compressed by codec {kind}, which nobody knows")
    stamp = last_stamp if attributes & _LOG_APPEND_TIME else -1
    # A broker looks at the offsets in a batch only if it is compressed: else those of a stranger may be any.
    numbered = left == last + 1
    try:
        plain = _CODECS[kind](body) if kind else bytes(body)
        end = 0
        while left > 0:
            begin = base + (last + 1 - left) * numbered
            found, end = rows.decode(plain, end, min(left, _AT_ONCE), begin, first_stamp, stamp, numbered=numbered)
            left -= len(found)
            yield found
    except _SPOILED as error:
        raise CorruptRecordException(f"the batch at offset {base}: {error}") from error
    if end != len(plain):
        raise CorruptRecordException(f"the batch at offset {base} has bytes that belong to no record")


def _zstd_decode(body: memoryview) -> bytes:
    """What aiokafka's own does in three times the time where the head says how large the result is, as ours do."""
    if 0 <= zstandard.frame_content_size(body) <= _MOST_BYTES:  # what a stranger says is not made room for
        with contextlib.suppress(zstandard.ZstdError):  # such as that another frame follows
            return _unzstd.decompress(body, allow_extra_data=False)
    return bytes(codec.zstd_decode(body))


_CODECS: Mapping[int, Callable[[memoryview], bytes]] = {
    1: codec.gzip_decode,
    2: lambda body: codec.snappy_decode(body.tobytes()),
    3: codec.lz4_decode,
    4: _zstd_decode,
}


class Batches(_MemoryRecordsPy):  # type: ignore[misc]  # final there, since aiokafka has a compiled one beside it
    """An answer's batches; ``latest`` are the bytes of the one that was handed out last."""

    latest: memoryview | None = None

    def next_batch(self, *arguments: int) -> Any:  # noqa: ANN401 - aiokafka is untyped
        """The next batch, as aiokafka has it."""
        self.latest = self._next_slice
        return super().next_batch(*arguments)


class _Piece(NamedTuple):
    """Some records of a batch: what aiokafka takes for one, at the offset of the last."""

    offset: int
    records: Sequence["Polled"]


class _Whole:
    """A batch that gives its records in pieces."""

    def __init__(self, batch: Any, held: memoryview) -> None:  # noqa: ANN401 - compiled, without a type
        self._batch = batch
        self._held = held

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as above
        return getattr(self._batch, name)

    def __next__(self) -> Any:  # noqa: ANN401 - as above
        return next(self._batch)  # of a control batch

    def __iter__(self) -> Iterator[_Piece]:
        for records in self._records():
            yield _Piece(records[-1].offset, records)

    def _records(self) -> Iterator[Sequence["Polled"]]:
        if native.compiled is None:
            # Of a header's name, for which aiokafka wants UTF-8; what else is wrong, we say in its own words.
            with contextlib.suppress(CorruptRecordException, *_SPOILED):
                records = (record for record in self._batch)  # whose own iterator wants to be asked but once
                while some := list(itertools.islice(records, _AT_ONCE)):
                    yield some
                return
        yield from decode(self._held)  # what was given already is left out where it is taken


class _WholeBatches:
    """What ``PartitionRecords`` asks of an answer's batches, but that those of format v2 stay whole."""

    def __init__(self, batches: Batches) -> None:
        self.has_next = batches.has_next
        self._batches = batches

    def next_batch(self) -> Any:  # noqa: ANN401 - as above
        batch = self._batches.next_batch()
        held = self._batches.latest
        return _Whole(batch, held) if held is not None and held[_MAGIC] >= 2 else batch


class DecodedRecords(PartitionRecords):  # type: ignore[misc]  # aiokafka is untyped
    """The records of one answer for one partition; with ``as_decoded`` each that it gives is a list of some."""

    def __init__(self, tp: object, records: Any, *rest: Any) -> None:  # noqa: ANN401 - as above
        self.listed = as_decoded in rest
        whole = self.listed and isinstance(records, Batches)
        super().__init__(tp, _WholeBatches(records) if whole else records, *rest)
        self._left: Sequence[Any] = []
        self._end = 0
        """The offset after those that are left."""
        self._error: UnreadableBatchError | None = None

    def _consumer_record(self, tp: object, record: Any) -> Any:  # noqa: ANN401 - as above
        if isinstance(record, _Piece):
            begun = record.records[0].offset < self.next_fetch_offset
            return [one for one in record.records if one.offset >= self.next_fetch_offset] if begun else record.records
        return [record] if self.listed else super()._consumer_record(tp, record)

    def take(self, most: int | None) -> tuple[Sequence[Any], bool]:
        """The next records, at most so many, and whether there may be more; ``next_fetch_offset`` is after them.

        Raises:
            UnreadableBatchError: the next batch is no records.
        """
        count = len(self._left)
        pieces, self._left = [self._left] if count else [], []
        if count:
            self.next_fetch_offset = self._end
        while self._error is None and (most is None or count < most):
            try:
                more = next(self, None)
            except _BEWILDERED as error:
                self._error = UnreadableBatchError(self._tp, self.next_fetch_offset, str(error))
                break
            if more is None:
                return rows.joined(pieces), False
            pieces.append(more)
            count += len(more)
        if self._error is not None and not count:
            raise self._error
        found = rows.joined(pieces)
        if most is not None and count > most:
            found, self._left = found[:most], found[most:]
            self._end = self.next_fetch_offset
            self.next_fetch_offset = self._left[0].offset
        return found, True


class ListedResult(FetchResult):  # type: ignore[misc]  # as above
    """What waits of one answer; records that come in lists are handed on in lists."""

    _partition_records: Any

    def getall(self, max_records: int | None = None) -> Sequence[Any]:
        """The next records, at most so many."""
        held = self._partition_records
        if held is not None and not held.listed:
            return super().getall(max_records)  # type: ignore[no-any-return]
        if not self.has_more() or not self.check_assignment(self._topic_partition):
            return []
        try:
            records, more = held.take(max_records)
        except UnreadableBatchError:
            self._partition_records = None  # whoever asks again wants it fetched again
            raise
        self._update_position()
        if not more:
            self._partition_records = None
        return records  # type: ignore[no-any-return]


# aiokafka has no settings for these; other consumers of the process get what they always got.
vars(sys.modules[PartitionRecords.__module__]).update(
    MemoryRecords=Batches, PartitionRecords=DecodedRecords, FetchResult=ListedResult
)
