"""What to read of open files to their bytes, off the event loop.

Every call that may block on a disk goes through here, many files to a call.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import structlog

from shipper.born import born
from shipper.clerk import Clerk, goes_on
from shipper.extent import LEAST_ROOM, is_filled, written
from shipper.identity import ANCHOR_BYTES, HEAD_BYTES, Place
from shipper.lines import HOLE
from shipper.mounts import name_of
from shipper.policy import end_of
from shipper.unpack import Handle, Unpacked, close, packing, read_at
from tailrace import metrics

_Result = TypeVar("_Result")

_LOOK_BYTES = 4_194_304
"""Most bytes that one call of ``look`` reads; the files behind it wait for the next."""
_TAIL_BYTES = 1_048_576
HUNG_SECONDS = 5.0
"""A disk that does not answer for so long is not waited for."""
_MOST_SECONDS = 60.0
"""Nor is what goes on, but for longer than this: to decompress a very large file up to where we were."""

Device = int | str
"""Whose calls wait for each other: a device's number, or the name of a search."""


class Request(NamedTuple):
    """Look at an open file: if its stamp differs from what was last seen, read ``most`` bytes from ``offset`` on.

    And the first ones: a file that was truncated and begun anew may have the same text where we were.

    ``stamp`` is its size, room included, and its time of change as last seen, or None to read whatever they are;
    ``end`` is where its text ended then, and ``at`` up to where it was read. NULs before ``solid`` will not be written
    over; others may be, if there is room behind the text, or ``room``: there was. ``head`` bytes at its beginning are
    known to be text.
    """

    handle: Handle
    offset: int
    most: int
    stamp: tuple[int, int] | None
    at: int = 0
    end: int = 0
    solid: int = 0
    head: int = 0
    room: bool = False


class Look(NamedTuple):
    """What a changed file looks like now, with the bytes that were asked for; of room nothing.

    ``seen`` is where its text ends and its time of change. ``gap`` is where NULs begin that have text behind them and
    room behind that: its writer may not have written there yet, so nothing from there on is in the window. -1 if there
    are none, or they are solid.
    """

    seen: tuple[int, int]
    links: int
    window: bytes
    first: bytes
    stamp: tuple[int, int] = (-1, -1)
    gap: int = -1


class Nothing(NamedTuple):
    """Why a look brought nothing: the file is as it was last seen, or (``later``) enough was read of others."""

    later: bool


STILL, LATER = Nothing(later=False), Nothing(later=True)


class Wanted(NamedTuple):
    """A file to open, on which device it is, and how many bytes before which offset to read at once.

    With ``passed`` the bytes are those before the end of the last whole line in so many of its first.
    """

    path: str
    device: int
    offset: int = 0
    length: int = 0
    passed: int = 0


class Opened(NamedTuple):
    """A newly opened file with its first bytes and those before the offset, or the reason why it cannot be read.

    ``end`` is where its last whole line ends, if that was wanted.
    Of a compressed file ``first`` are bytes that were compressed; ``early``: it is too early to tell whether it is one.
    ``late``: its disk does not answer, try again later. ``born``: its time of birth (``shipper.born``).
    """

    handle: Handle
    place: Place
    size: int
    first: bytes
    refused: str
    before: bytes = b""
    end: int = 0
    early: bool = False
    late: bool = False
    born: int = 0


class _Thread(Clerk):
    """The thread of one device."""

    def __init__(self, device: Device) -> None:
        super().__init__(f"disk {device}")
        self.device = device
        self.said = False


class Disk:
    """Blocking file calls, each on the thread of its device: a disk that hangs holds up only its own files.

    The hazard: a call that hangs is never given up, only no longer waited for. Whoever submits must be ready for its
    answer hours later.
    """

    def __init__(self) -> None:
        self._threads: dict[Device, _Thread] = {}

    def submit(self, device: Device, call: Callable[[], _Result]) -> "asyncio.Future[_Result]":
        """Run one blocking call on the device's thread, behind those submitted before."""
        thread = self._threads.get(device)
        if thread is None:
            thread = self._threads[device] = _Thread(device)
        return asyncio.wrap_future(thread.begin(call))

    def look(self, device: Device, requests: Sequence[Request]) -> "asyncio.Future[list[Look | Nothing | OSError]]":
        """Look at many files of one device; an error belongs to its own file only."""
        return self.submit(device, partial(_looks, requests))

    async def open(self, files: Sequence[Wanted]) -> list[Opened]:
        """Open many files; those of a disk that does not answer within seconds come back as late."""
        by_device: dict[int, list[int]] = {}
        for number, one in enumerate(files):
            by_device.setdefault(one.device, []).append(number)
        opened = [Opened(-1, Place(0, 0), 0, b"", "", late=True)] * len(files)
        jobs = {
            self.submit(device, partial(_opens, [files[number] for number in numbers])): numbers
            for device, numbers in by_device.items()
            if not self.is_hung(device)
        }
        await self._wait({job: files[numbers[0]].device for job, numbers in jobs.items()})
        for job, numbers in jobs.items():
            if not job.done():
                job.add_done_callback(_close_all)
                continue
            for number, answer in zip(numbers, job.result(), strict=True):
                opened[number] = answer
        self.report()
        return opened

    async def run(self, call: Callable[[], _Result], device: Device) -> _Result:
        """Run one blocking call on the device's thread.

        Raises:
            TimeoutError: its disk does not answer.
        """
        job = None if self.is_hung(device) else self.submit(device, call)
        if job is not None:
            await self._wait({job: device})
        if job is None or not job.done():
            raise TimeoutError(0, "its disk does not answer")
        return job.result()

    async def _wait(self, jobs: "Mapping[asyncio.Future[_Result], Device]") -> None:
        """Until each has answered, or has not gone on for seconds, or takes so long that nobody can wait for it."""
        left, end = set(jobs), time.monotonic() + _MOST_SECONDS
        while left and time.monotonic() < end:
            _, left = await asyncio.wait(left, timeout=HUNG_SECONDS / 5)
            left = {job for job in left if not self.is_hung(jobs[job])}

    async def before(self, handle: Handle, at: int, device: Device) -> bytes:
        """The bytes before an offset of an open file, as many as an anchor has.

        Raises:
            TimeoutError: as ``run``.
        """
        length = min(ANCHOR_BYTES, at)
        return await self.run(partial(read_at, handle, length, at - length), device)

    def close(self, device: Device, handle: Handle) -> None:
        """Close a handle some time; even that can hang."""
        self.submit(device, partial(close, handle))

    def is_hung(self, device: Device) -> bool:
        """Whether a call on that device has been without an answer for seconds."""
        thread = self._threads.get(device)
        began = None if thread is None else thread.began
        return began is not None and time.monotonic() - began >= HUNG_SECONDS

    def report(self) -> None:
        """Say which disks began to hang or answer again, each once."""
        hung = 0
        for thread in self._threads.values():
            hangs = self.is_hung(thread.device)
            hung += hangs
            if hangs is not thread.said:
                thread.said = hangs
                log = structlog.get_logger()
                if hangs:
                    log.warning("disk does not answer, its files wait", disk=name_of(thread.device))
                else:
                    log.info("disk answers again", disk=name_of(thread.device))
        metrics.HUNG_DISKS.set(hung)


def _opens(files: Sequence[Wanted]) -> list[Opened]:
    found = []
    for one in files:
        goes_on()  # many files of a busy machine are no disk that hangs
        found.append(opened(one))
    return found


def opened(wanted: Wanted) -> Opened:
    """Open one file, and read what tells which it is; takes as long as its disk does."""
    handle = -1
    try:
        # Not blocking: a FIFO that took a file's place since the scan must not hold up everything.
        handle = os.open(wanted.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        status = os.fstat(handle)
        first = os.pread(handle, HEAD_BYTES, 0)
        place = Place(status.st_dev, status.st_ino)
        kind = packing(wanted.path, first)
        if not kind:
            size = written(handle, status.st_size, wanted.offset)
            end = _end(handle, min(wanted.passed, size)) if wanted.passed else 0
            if end:
                wanted = wanted._replace(offset=end, length=min(end, ANCHOR_BYTES))
            before = _before(handle, wanted)
            return Opened(handle, place, size, first[:size], "", before, end, early=kind is None, born=born(handle))
        unpacked = Unpacked(handle, kind)
        unpacked.pread(HEAD_BYTES, 0)
        before = _before(unpacked, wanted)
        return Opened(unpacked, place, status.st_size, unpacked.first, "", before, born=born(handle))
    except OSError as error:
        if handle >= 0:
            os.close(handle)
        return Opened(-1, Place(0, 0), 0, b"", error.strerror or str(error))


def _end(handle: int, size: int) -> int:
    tail = os.pread(handle, _TAIL_BYTES, max(0, size - _TAIL_BYTES))[: min(_TAIL_BYTES, size)]
    return end_of(tail, size)


def _before(handle: Handle, wanted: Wanted) -> bytes:
    return read_at(handle, wanted.length, wanted.offset - wanted.length) if wanted.length else b""


def _close_all(job: "asyncio.Future[list[Opened]]") -> None:
    """Nobody waits for these any more."""
    if not job.cancelled() and job.exception() is None:
        for one in job.result():
            if not one.refused:
                with contextlib.suppress(OSError):
                    close(one.handle)


def _looks(requests: Sequence[Request]) -> list[Look | Nothing | OSError]:
    looks: list[Look | Nothing | OSError] = []
    left = _LOOK_BYTES
    for request in requests:
        look = _look(request) if left > 0 else LATER
        looks.append(look)
        if isinstance(look, Look):
            left -= len(look.window)
    return looks


def _look(request: Request) -> Look | Nothing | OSError:
    handle, offset, most, last, at, last_end, solid, head, room = request
    if isinstance(handle, Unpacked):
        return _look_into(handle, request)
    try:
        status = os.fstat(handle)
        size, modified = stamp = (status.st_size, status.st_mtime_ns)
        if stamp == last and not is_filled(handle, size, last_end):
            return STILL
        window = os.pread(handle, most, offset)
        first = os.pread(handle, HEAD_BYTES, 0)
        end = written(handle, size, at)
        window = window[: max(0, end - offset)]
        found = window.find(HOLE, max(at, solid) - offset) if room or end + LEAST_ROOM < size else -1
        gap = -1 if found < 0 else offset + found
        sure = end if found < 0 else gap
        first = first[: max(sure, min(end, head))]
        return Look((end, modified), status.st_nlink, window[: max(0, sure - offset)], first, stamp, gap)
    except OSError as error:
        return error


def _look_into(handle: Unpacked, request: Request) -> Look | Nothing | OSError:
    try:
        status = os.fstat(handle.handle)
        window = handle.pread(request.most, request.offset)
        seen = (handle.size, status.st_mtime_ns)
        return STILL if seen == request.stamp else Look(seen, status.st_nlink, window, handle.first, seen)
    except OSError as error:
        return error
