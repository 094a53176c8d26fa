"""Records to a record batch (Kafka protocol, record batch format v2), many in one call of compiled code."""

import struct
from collections.abc import Sequence

import zstandard
from aiokafka.record.util import calc_crc32c

from shipper import native
from shipper.rows import Record, Rows
from tailrace.record import HEADER

ZSTD = 4
"""zstd's number in the attributes of a batch."""
_HEAD = struct.Struct(">qiibIhiqqqhii")
_CHECKED = struct.Struct(">hiqqqhii")
"""The end of the head, on which the checksum begins."""
_UNCOUNTED_BYTES = 12
"""Of the head, those that the batch's length does not count."""
_NAME = HEADER.encode()
_compressor = zstandard.ZstdCompressor(
    compression_params=zstandard.ZstdCompressionParameters.from_level(1, window_log=20, hash_log=12, min_match=6)
)
"""Documents of log lines repeat what stood a line or two before: a table that fits the innermost cache finds it. Beside
zstd's level 1 that takes a third less time for as small a result, beside its usual 3 about half."""


class Packed:
    """What aiokafka asks of its ``BatchBuilder``, but that it takes many records in one call.

    A batch is at most so many bytes before it is compressed, but for one record that alone is larger.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._blob = bytearray()
        self._used = 0
        self._count = 0
        self._first_stamp = self._last_stamp = 0
        self._producer = (-1, -1, 0)
        self._closed = False
        self._built = b""

    def extend(self, key: bytes, stamp: int, records: Sequence[Record], first: int) -> tuple[int, int]:
        """Append records from the ``first`` on until the batch is full; how many, and the bytes of their values."""
        if not self._count:
            self._first_stamp = self._last_stamp = stamp
        given = records.parts if isinstance(records, Rows) else records
        delta, most = stamp - self._first_stamp, self._most_bytes - _HEAD.size
        taken, size, self._used = native.compiled.pack(
            given, first, self._count, delta, key, _NAME, most, self._blob, self._used
        )
        if taken:
            self._count += taken
            self._last_stamp = max(self._last_stamp, stamp)
        return taken, size

    def close(self) -> None:
        """Nothing more comes."""
        self._closed = True

    def closed(self) -> bool:
        """Whether nothing more comes."""
        return self._closed

    def record_count(self) -> int:
        """How many records it has."""
        return self._count

    def size(self) -> int:
        """Its bytes, before they are compressed until it is built."""
        return len(self._built) or _HEAD.size + self._used

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._producer = (producer_id, producer_epoch, base_sequence)

    def _build(self) -> bytes:
        """The batch as it goes over the wire; the same each time."""
        self._closed = True
        if not self._built:
            plain = memoryview(self._blob)[: self._used]
            body: bytes | memoryview = _compressor.compress(plain)
            attributes = ZSTD
            if len(body) >= len(plain):
                body, attributes = plain, 0
            checked = _CHECKED.pack(
                attributes, self._count - 1, self._first_stamp, self._last_stamp, *self._producer, self._count
            )
            length = _HEAD.size + len(body) - _UNCOUNTED_BYTES
            rest = checked + body
            self._built = struct.pack(">qiibI", 0, length, -1, 2, calc_crc32c(rest)) + rest
            self._blob = bytearray()
        return self._built
