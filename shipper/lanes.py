"""Records of many sources to the record batches of one partition, and their acknowledgements back to the steps."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from aiokafka.producer.message_accumulator import BatchBuilder

from shipper import native
from shipper.packed import ZSTD, Packed
from shipper.rows import Record
from tailrace.record import HEADER


class Sending:
    """The records of one step on their way; ``done`` is called once when all their batches are acknowledged."""

    __slots__ = ("_batches", "_complete", "_done")

    def __init__(self, done: Callable[[], None]) -> None:
        self._batches = 0
        self._complete = False
        self._done = done

    def joins(self) -> None:
        """Some of the records are in another batch."""
        self._batches += 1

    def complete(self) -> None:
        """All of the records are in batches."""
        self._complete = True
        self._settle()

    def acknowledged(self) -> None:
        """One of the batches is at the brokers."""
        self._batches -= 1
        self._settle()

    def _settle(self) -> None:
        if self._complete and not self._batches:
            self._done()


class Builder(BatchBuilder):  # type: ignore[misc]
    """A record batch where nothing was compiled: aiokafka's own encodes record by record."""

    def extend(self, key: bytes, stamp: int, records: Sequence[Record], first: int) -> tuple[int, int]:
        """Append records from the ``first`` on until the batch is full; how many, and the bytes of their values."""
        append = self._builder.append
        number = begin = self.record_count()
        size = 0
        for header, value in records[first:] if first else records:
            if append(number, stamp, key, value, [(HEADER, header)]) is None:
                break
            number += 1
            size += len(value)
        self._relative_offset = number
        return number - begin, size


class Filling:
    """A record batch being filled or sent, with the steps that have records in it."""

    __slots__ = ("builder", "bytes", "opened", "sendings")

    def __init__(self, most_bytes: int) -> None:
        compiled = native.compiled is not None
        self.builder = Packed(most_bytes) if compiled else Builder(most_bytes, ZSTD, is_transactional=0)
        self.bytes = 0
        self.opened = time.monotonic()
        self.sendings: list[Sending] = []


class Lane:
    """One partition: the batch being filled, those that wait for the producer's slot, the bytes of all in flight.

    ``progressed`` is when something was last acknowledged, or begun while nothing was in flight (monotonic seconds).
    """

    def __init__(self) -> None:
        self.open: Filling | None = None
        self.waiting: deque[Filling] = deque()
        self.wake = asyncio.Event()
        self.bytes = 0
        self.progressed = 0.0

    def add(self, key: bytes, records: Sequence[Record], sending: Sending, most_bytes: int) -> int:
        """Put the records of one step into batches of at most so many bytes; how many bytes their values have."""
        if not self.bytes:
            self.progressed = time.monotonic()
        stamp = int(time.time() * 1000)
        first = total = 0
        while first < len(records):
            filling = self.open or self._begin(most_bytes)
            taken, size = filling.builder.extend(key, stamp, records, first)
            if taken:
                filling.sendings.append(sending)
                sending.joins()
                filling.bytes += size
                total += size
                first += taken
            if first < len(records):
                self.close()
        self.bytes += total
        sending.complete()
        return total

    def close(self) -> None:
        """The open batch is full or due."""
        filling, self.open = self.open, None
        if filling is None:
            return
        filling.builder.close()
        self.waiting.append(filling)
        self.wake.set()

    def acknowledged(self, filling: Filling) -> None:
        """The brokers have this batch."""
        self.progressed = time.monotonic()
        self.bytes -= filling.bytes
        for sending in filling.sendings:
            sending.acknowledged()

    def _begin(self, most_bytes: int) -> Filling:
        self.open = Filling(most_bytes)
        return self.open
