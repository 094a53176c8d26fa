"""What we knew of a file and what we see of one to whether they are the same source. No I/O."""

import hashlib
import zlib

import msgspec

HEAD_BYTES = 1024
"""A head grows with its file up to so many bytes."""
ANCHOR_BYTES = 256


class Head(msgspec.Struct, frozen=True):
    """The first ``length`` bytes of a file, as a digest."""

    length: int
    digest: bytes


class Anchor(msgspec.Struct, frozen=True):
    """The ``length`` bytes just before a position, as their CRC-32: is the file behind us still the one we read?"""

    length: int
    checksum: int


class Place(msgspec.Struct, frozen=True):
    """Where a file lives: device and inode numbers."""

    device: int
    inode: int


NO_HEAD = Head(0, b"")


def head_of(first_bytes: bytes) -> Head:
    """The head of a file that begins with these bytes."""
    first = first_bytes[:HEAD_BYTES]
    return Head(len(first), hashlib.blake2b(first, digest_size=16).digest() if first else b"")


def anchor_of(bytes_before: bytes) -> Anchor:
    """The anchor of a position, from the bytes just before it."""
    last = bytes_before[-ANCHOR_BYTES:]
    return Anchor(len(last), zlib.crc32(last))


def begins_with(first_bytes: bytes, head: Head) -> bool:
    """Whether a file with these first bytes has that head; heads are prefixes, so a longer file may still match."""
    return len(first_bytes) >= head.length and head_of(first_bytes[: head.length]) == head


def same(first_bytes: bytes, bytes_before: bytes, head: Head, anchor: Anchor) -> bool:
    """Whether a file is the source we know: it has its head, and its anchor stands where the position is.

    ``first_bytes`` are the file's first ``HEAD_BYTES`` or fewer, ``bytes_before`` the ``anchor.length`` bytes before
    the position (fewer if the file is shorter, which then is not the same).
    """
    return begins_with(first_bytes, head) and anchor_of(bytes_before) == anchor
