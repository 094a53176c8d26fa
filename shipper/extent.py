"""An open file to where what was written into it ends: NULs from there to its end are room made for later lines.

Appenders that map their file into memory make room ahead, and so do services that preallocate. Whoever reads a file
takes what is written for all there is: then room is no line, nothing is behind, and giving it back is no truncation.
"""

import errno
import os

from shipper.clerk import goes_on
from shipper.lines import HOLE
from shipper.unpack import Handle, Unpacked, read_at

LEAST_ROOM = 16
"""So few NULs may be the end of the last character, in UTF-16 or UTF-32."""
_STEP = 1_048_576
_MOST_STRETCHES = 1000
_GLANCE = 4096


def written(handle: int, size: int, least: int = 0) -> int:
    """Where the text ends in a file of ``size`` bytes that is known to be text up to ``least``."""
    while size > least and not (last := os.pread(handle, 1, size - 1)):
        size = os.fstat(handle).st_size  # room was given back since
    if size <= least or last != HOLE:
        return size
    end = _stored(handle, size, least)
    while end > least:
        goes_on()  # much room is no disk that hangs
        start = max(least, end - _STEP)
        text = os.pread(handle, end - start, start).rstrip(HOLE)
        if text:
            return start + len(text)
        end = start
    return least


def text_end(handle: Handle) -> int:
    """How many bytes there are to be read in a file; of a compressed one, how many were decompressed so far."""
    return handle.made if isinstance(handle, Unpacked) else written(handle, os.fstat(handle).st_size)


def text_at(handle: Handle, length: int, offset: int) -> bytes:
    """As ``read_at``, but without the room of a file that is not compressed."""
    found = read_at(handle, length, offset)
    return found[: max(0, text_end(handle) - offset)] if found.endswith(HOLE) else found


def is_filled(handle: int, size: int, end: int) -> bool:
    """Whether something stands now where room began; a file that is mapped into memory keeps its size and its time."""
    return end < size and bool(os.pread(handle, _GLANCE, end).strip(HOLE))


def _stored(handle: int, size: int, least: int) -> int:
    """Where the last bytes end that are more than a hole, if the file system can say."""
    at = least
    try:
        for _ in range(_MOST_STRETCHES):
            at = os.lseek(handle, os.lseek(handle, at, os.SEEK_DATA), os.SEEK_HOLE)
            if at >= size:
                break
    except OSError as error:
        return at if error.errno == errno.ENXIO else size  # there is nothing but a hole, or it cannot say
    return size
