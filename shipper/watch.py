"""The file system's events to "look again": a hint, never the truth.

Only creations, moves and deletions are asked for: an event for each write costs more than all the rest of the shipper.
Straight to inotify(7), for one handle and no thread; a library's observer has two threads for each folder.
"""

import asyncio
import contextlib
import ctypes
import errno
import os
from collections.abc import Callable, Iterable

import structlog

from shipper.mounts import mount_of, mounts
from tailrace import metrics

_CREATE, _MOVED, _DELETE, _SELF, _ONLY_FOLDERS = 0x100, 0xC0, 0x200, 0xC00, 0x01000000
_MASK = _CREATE | _MOVED | _DELETE | _SELF | _ONLY_FOLDERS
_READ_BYTES = 65_536
_FULL = (errno.ENOSPC, errno.ENOMEM)


class Watch:
    """Sets ``hint``, and calls ``wake``, when a file came, went or was renamed in a watched folder.

    Where the kernel refuses (its limits on watches or instances are reached, a file system of the network) nothing is
    lost: the rescan finds what is new, only later.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.hint = False
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._kernel = ctypes.CDLL(None, use_errno=True)
        self._folders: dict[str, dict[str, int]] = {}
        self._unwatched: dict[str, int] = {}
        self._said = False
        self._handle = int(self._kernel.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        if self._handle < 0:
            self._say(os.strerror(ctypes.get_errno()))
            return
        self._loop.add_reader(self._handle, self._drain)

    def follow(self, search: str, folders: Iterable[str]) -> None:
        """Watch these folders, and no longer those that this search named before and no search names now.

        Called again after every search, so a folder made anew is watched again. May block as long as a disk hangs:
        not for the event loop.
        """
        if self._handle < 0:
            return
        table = mounts()
        watched: dict[str, int] = {}
        refused, reason = 0, ""
        for folder in folders:
            mount = mount_of(folder, table)
            if mount is not None and mount.is_remote:
                continue
            number = int(self._kernel.inotify_add_watch(self._handle, os.fsencode(folder), _MASK))
            if number >= 0:
                watched[folder] = number
            elif ctypes.get_errno() in _FULL:
                refused += 1
                reason = os.strerror(ctypes.get_errno())
        self._loop.call_soon_threadsafe(self._followed, search, watched, refused, reason)

    def stop(self) -> None:
        """Let go of all of it."""
        if self._handle >= 0:
            self._loop.remove_reader(self._handle)
            os.close(self._handle)
            self._handle = -1

    def _followed(self, search: str, watched: dict[str, int], refused: int, reason: str) -> None:
        before = set(self._folders.get(search, {}).values())
        self._folders[search], self._unwatched[search] = watched, refused
        needed = {number for numbers in self._folders.values() for number in numbers.values()}
        for number in before - needed:
            if self._handle >= 0:
                self._kernel.inotify_rm_watch(self._handle, number)
        unwatched = sum(self._unwatched.values())
        metrics.UNWATCHED.set(unwatched)
        if unwatched and not self._said:
            self._say(reason)
        self._said = unwatched > 0

    def _say(self, reason: str) -> None:
        structlog.get_logger().warning(
            "no file system events for some folders, rescans find new files there; see sysctl fs.inotify", reason=reason
        )

    def _drain(self) -> None:
        """Something happened; what, the scan will see."""
        with contextlib.suppress(OSError):
            while os.read(self._handle, _READ_BYTES):
                pass
        self.hint = True
        self._wake()
