"""A compressed file to the bytes that were compressed, at any offset, a window of them in memory."""

import lzma
import os
import time
import zlib

import zstandard

from shipper.clerk import goes_on
from shipper.identity import HEAD_BYTES
from shipper.names import is_packed

PATIENCE_SECONDS = 10.0
"""A compressed file that ends early is still being written as long as it grew within so many seconds."""
_READ_BYTES = 65_536
_ZSTD_READ_BYTES = 1024
"""zstd has no limit on what comes out of so many bytes that go in; most is 32 MB, for a file made to do harm."""
_MOST_WINDOW = 2**27
"""Memory that decompressing may take, bytes; what wants more is called damaged."""
_STEP = 262_144
_KEPT = 1_048_576
"""Bytes already handed out that are kept, so that a reader may go back a little."""
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\x00": "xz"}


class _Gzip:
    """Decompresses one member of a file.

    ``feed`` takes the next bytes (none, unless it is ``hungry``) and returns what comes out, about ``_STEP`` at most.
    """

    def __init__(self) -> None:
        self._object = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self.hungry = True

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data

    def feed(self, piece: bytes) -> bytes:
        made = self._object.decompress(self._object.unconsumed_tail + piece, _STEP)
        self.hungry = len(made) < _STEP and not self._object.unconsumed_tail
        return made


class _Xz:
    """As ``_Gzip``."""

    def __init__(self) -> None:
        self._object = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_WINDOW)

    @property
    def hungry(self) -> bool:
        return self._object.needs_input

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data

    def feed(self, piece: bytes) -> bytes:
        return self._object.decompress(piece, _STEP)


class _Zstd:
    """As ``_Gzip``."""

    def __init__(self) -> None:
        self._object = zstandard.ZstdDecompressor(max_window_size=_MOST_WINDOW).decompressobj()
        self._left = b""

    @property
    def hungry(self) -> bool:
        return not self._left

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data + self._left

    def feed(self, piece: bytes) -> bytes:
        taken = self._left + piece
        self._left = taken[_ZSTD_READ_BYTES:]
        return self._object.decompress(taken[:_ZSTD_READ_BYTES])


_DECODERS: dict[str, type[_Gzip | _Xz | _Zstd]] = {"gzip": _Gzip, "zstd": _Zstd, "xz": _Xz}
_DAMAGES = (zlib.error, lzma.LZMAError, zstandard.ZstdError, EOFError, MemoryError)


def packing(path: str, first: bytes) -> str | None:
    """How a file with these first bytes is compressed; empty if it is not, None if it is too early to tell."""
    for magic, name in _MAGIC.items():
        if first.startswith(magic):
            return name
    unclear = is_packed(path) and any(magic.startswith(first) for magic in _MAGIC)
    return None if unclear else ""


class Unpacked:
    """An open compressed file, read as if it were not compressed.

    ``ended`` says that no more will come: its end was reached, or it is damaged, and ``damage`` is the reason. Reading
    forwards is cheap; to go back further than ``_KEPT`` bytes it begins again from its first byte. Hazard: every call
    may take long; for the disk's thread only.
    """

    def __init__(self, handle: int, kind: str) -> None:
        self.handle = handle
        self.ended = False
        self.damage = ""
        self._kind = kind
        self._raw_size = -1
        self._since = time.monotonic()
        self._begin()

    @property
    def made(self) -> int:
        """How many bytes have come out so far; all of them once ``ended``."""
        return self._start + len(self._window)

    @property
    def size(self) -> int:
        """The bytes of it that can be read now; one more than have come out while more may come at once."""
        return self.made + (not self._dry)

    def pread(self, length: int, offset: int) -> bytes:
        """As ``os.pread``; shorter at the end, or where the rest has not been written yet."""
        self._notice()
        if offset < self._start:
            self._begin()
        while self.made < offset + length and self._more():
            surplus = min(self.made - _KEPT, offset) - self._start
            if surplus > _KEPT:
                del self._window[:surplus]
                self._start += surplus
        return bytes(self._window[offset - self._start : offset - self._start + length])

    def close(self) -> None:
        """Let go of the file."""
        os.close(self.handle)

    def _begin(self) -> None:
        self._decoder = _DECODERS[self._kind]()
        self.first = b""
        self._window = bytearray()
        self._start = self._taken = 0
        self._between = True
        self._dry = self.ended = False
        self.damage = ""

    def _notice(self) -> None:
        """Whether the file grew, or was written anew."""
        size = os.fstat(self.handle).st_size
        if size != self._raw_size:
            self._since = time.monotonic()
            if size < self._raw_size or self.damage:
                self._begin()
            self._raw_size = size
            self._dry = self.ended = False

    def _more(self) -> bool:
        """Decompress a little more; False if there is no more."""
        if self.ended:
            return False
        goes_on()
        try:
            return self._step()
        except _DAMAGES as error:
            self._end(str(error) or type(error).__name__)
            return False

    def _step(self) -> bool:
        piece = b""
        if self._decoder.eof:
            self._taken -= len(self._decoder.unused_data)
            self._decoder = _DECODERS[self._kind]()
            self._between = True
        if self._decoder.hungry:
            piece = os.pread(self.handle, _READ_BYTES, self._taken)
            if self._between and self._taken:
                zeros = len(piece) - len(piece.lstrip(b"\0"))  # padding between members
                self._taken += zeros
                piece = piece[zeros:]
            if not piece:
                return self._stop()
        self._taken += len(piece)
        self._between = False
        self._window += self._decoder.feed(piece)
        if len(self.first) < HEAD_BYTES and not self._start:
            self.first = bytes(self._window[:HEAD_BYTES])
        return True

    def _stop(self) -> bool:
        """There are no more bytes in the file, now."""
        self._dry = True
        if self._between and self._taken:
            self._end("")
        elif time.monotonic() - self._since >= PATIENCE_SECONDS:
            self._end("it ends early")
        return False

    def _end(self, damage: str) -> None:
        self.damage = damage
        self._dry = self.ended = True


Handle = int | Unpacked
"""An open file as the rest of the shipper holds it."""


def read_at(handle: Handle, length: int, offset: int) -> bytes:
    """``length`` bytes of an open file from ``offset`` on, fewer at its end."""
    return handle.pread(length, offset) if isinstance(handle, Unpacked) else os.pread(handle, length, offset)


def close(handle: Handle) -> None:
    """Let go of an open file."""
    if isinstance(handle, Unpacked):
        handle.close()
    else:
        os.close(handle)
