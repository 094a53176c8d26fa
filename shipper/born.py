"""An open file's birth time, by which a file is told from one that got its inode later.

Python has no call for it: this is statx(2) of the C library.
"""

import ctypes
import struct

_EMPTY_PATH = 0x1000
_BIRTH = 0x800
_ANSWER = struct.Struct("=I76xqI164x")
"""``struct statx``: the mask of what is known, and behind the time of access that of birth, in s and ns."""

_statx = getattr(ctypes.CDLL(None), "statx", None)
"""None in a C library without it."""


def born(handle: int) -> int:
    """When the file was made, in nanoseconds since 1970; 0 if its file system or this system does not tell."""
    if _statx is None:
        return 0
    answer = ctypes.create_string_buffer(_ANSWER.size)
    if _statx(handle, b"", _EMPTY_PATH, _BIRTH, answer) != 0:
        return 0
    mask, seconds, nanoseconds = _ANSWER.unpack(answer.raw)
    return seconds * 10**9 + nanoseconds if mask & _BIRTH else 0
