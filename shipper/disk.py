"""What to read of open files to their bytes, off the event loop.

Every call that may block on a disk goes through here, many files to a call.
"""

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from shipper.identity import HEAD_BYTES, Place
from shipper.unpack import Handle, Unpacked, packing, read_at

_Result = TypeVar("_Result")


class Request(NamedTuple):
    """Look at an open file: if its size or time differ from what was last seen, read ``most`` bytes from ``offset`` on.

    ``seen`` is (size, time of change) as last seen, or None to read whatever they are; with ``head`` the file's first
    bytes are read too.
    """

    handle: Handle
    offset: int
    most: int
    seen: tuple[int, int] | None
    head: bool


class Look(NamedTuple):
    """What a file looks like now; ``window`` is None where nothing changed since it was last seen."""

    seen: tuple[int, int]
    links: int
    window: bytes | None
    first: bytes | None


class Opened(NamedTuple):
    """A newly opened file with its first bytes, or the reason why it cannot be read.

    Of a compressed file ``first`` are bytes that were compressed; ``early``: it is too early to tell whether it is one.
    """

    handle: Handle
    place: Place
    size: int
    first: bytes
    refused: str
    early: bool = False


class Disk:
    """A thread for blocking file calls; it is a daemon, so that a hung disk cannot hold up the end of the process."""

    def __init__(self) -> None:
        self._jobs: list[tuple[concurrent.futures.Future[object], Callable[[], object]]] = []
        self._there = threading.Semaphore(0)
        threading.Thread(target=self._work, name="disk", daemon=True).start()

    async def run(self, call: Callable[[], _Result]) -> _Result:
        """Run one blocking call on the disk's thread."""
        future: concurrent.futures.Future[_Result] = concurrent.futures.Future()
        self._jobs.append((future, call))  # type: ignore[arg-type]
        self._there.release()
        return await asyncio.wrap_future(future)

    async def look(self, requests: Sequence[Request]) -> list[Look | OSError]:
        """Look at many files; an error belongs to its own file only."""
        return await self.run(lambda: [_look(request) for request in requests])

    async def open(self, paths: Sequence[str]) -> list[Opened]:
        """Open many files."""
        return await self.run(lambda: [_open(path) for path in paths])

    async def bytes_before(self, handle: Handle, offset: int, length: int) -> bytes:
        """The ``length`` bytes of a file before ``offset``, or fewer if it ends earlier."""
        return await self.run(lambda: read_at(handle, length, offset - length))

    def _work(self) -> None:
        while self._there.acquire():
            future, call = self._jobs.pop(0)
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits for the result
                future.set_exception(error)


def _open(path: str) -> Opened:
    handle = -1
    try:
        # Not blocking: a FIFO that took a file's place since the scan must not hold up everything.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        status = os.fstat(handle)
        first = os.pread(handle, HEAD_BYTES, 0)
        place = Place(status.st_dev, status.st_ino)
        kind = packing(path, first)
        if not kind:
            return Opened(handle, place, status.st_size, first, "", early=kind is None)
        unpacked = Unpacked(handle, kind)
        unpacked.pread(HEAD_BYTES, 0)
        return Opened(unpacked, place, status.st_size, unpacked.first, "")
    except OSError as error:
        if handle >= 0:
            os.close(handle)
        return Opened(-1, Place(0, 0), 0, b"", error.strerror or str(error))


def _look(request: Request) -> Look | OSError:
    handle, offset, most, last_seen, head = request
    if isinstance(handle, Unpacked):
        return _look_into(handle, request)
    try:
        status = os.fstat(handle)
        seen = (status.st_size, status.st_mtime_ns)
        if seen == last_seen:
            return Look(seen, status.st_nlink, None, None)
        first = os.pread(handle, HEAD_BYTES, 0) if head else None
        return Look(seen, status.st_nlink, os.pread(handle, most, offset), first)
    except OSError as error:
        return error


def _look_into(handle: Unpacked, request: Request) -> Look | OSError:
    try:
        status = os.fstat(handle.handle)
        window = handle.pread(request.most, request.offset)
        seen = (handle.size, status.st_mtime_ns)
        return Look(seen, status.st_nlink, None if seen == request.seen else window, handle.first)
    except OSError as error:
        return error
