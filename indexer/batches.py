"""The bytes of a record batch (Kafka protocol, record batch format v2), uncompressed, to its records. No I/O.

What compiled code does (``c/records.c``), in Python, the same way: many times slower than the client's own, but it
takes any bytes for a header's name, at which the client fails.
"""

from typing import NamedTuple


class Decoded(NamedTuple):
    """A record of a batch; fits ``documents.Polled``."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


def decode(
    batch: bytes, start: int, count: int, base: int, first_stamp: int, stamp: int, *, numbered: bool
) -> tuple[list[Decoded], int]:
    """The ``count`` records from the byte ``start`` on, and where they end.

    Times count from ``first_stamp`` unless all have the same ``stamp`` (else -1), and offsets from ``base``: as each
    record says or, if they are ``numbered``, one after the other.

    Raises:
        ValueError: these are not the bytes of so many records.
    """
    found = []
    reading = _Reading(batch, start, len(batch))
    for row in range(count):
        record = reading.within(reading.number())
        record.skip(1)  # attributes, of which there are none
        late, place = record.number(), record.number()
        key, value = record.sized(), record.sized()
        headers = [record.header() for _ in range(record.count())]
        if not record.ended:
            raise ValueError("a record that is longer than what is in it")
        offset = base + (row if numbered else place)
        found.append(Decoded(offset, stamp if stamp >= 0 else _wrapped(first_stamp + late), key, value, headers))
    return found, reading.at


def _wrapped(number: int) -> int:
    """As 64 bits hold it."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


class _Reading:
    """Bytes that are read from ``at`` to ``until``."""

    def __init__(self, batch: bytes, at: int, until: int) -> None:
        self._batch = batch
        self.at = at
        self._until = until

    def number(self) -> int:
        """A number of up to 64 bits, zigzag, seven bits a byte."""
        value = 0
        for shift in range(0, 64, 7):
            self.skip(1)
            byte = self._batch[self.at - 1]
            value |= (byte & 127) << shift
            if not byte & 128:
                value &= (1 << 64) - 1
                return (value >> 1) ^ -(value & 1)
        raise ValueError("a number without an end")

    def count(self) -> int:
        """A number that is not negative."""
        number = self.number()
        if number < 0:
            raise ValueError("a negative number of headers")
        return number

    def sized(self) -> bytes | None:
        """So many bytes that begin with their number, or none at all."""
        size = self.number()
        if size < 0:
            return None
        self.skip(size)
        return self._batch[self.at - size : self.at]

    def header(self) -> tuple[str, bytes | None]:
        """A header's name and value."""
        name = self.sized()
        if name is None:
            raise ValueError("a header without a name")
        return name.decode("utf-8", "replace"), self.sized()

    def skip(self, size: int) -> None:
        """Go on by so many bytes."""
        self.at += size
        if self.at > self._until:
            raise ValueError("a record that is cut off")

    def within(self, size: int) -> "_Reading":
        """A reading of the next so many bytes, which are done with here."""
        if size < 0:
            raise ValueError("a record of a negative size")
        start = self.at
        self.skip(size)
        return _Reading(self._batch, start, self.at)

    @property
    def ended(self) -> bool:
        """Whether there is nothing more."""
        return self.at == self._until
