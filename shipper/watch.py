"""The file system's events to "look again": a hint, never the truth.

Only creations, moves and deletions are asked for: an event for each write costs more than all the rest of the shipper.
One of watchdog's inotify handles with one thread serves all folders; its observers have two threads for each.
"""

import asyncio
import contextlib
import errno
import itertools
import os
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import structlog
from watchdog.observers.inotify_c import CallbackId, InotifyConstants, InotifyFD, Mask, WatchDescriptor
from watchdog.utils import UnsupportedLibcError

from shipper.mounts import mount_of, mounts
from tailrace import metrics

if TYPE_CHECKING:
    from watchdog.observers.inotify_c import InotifyEvent

_MASK = Mask(
    InotifyConstants.IN_CREATE
    | InotifyConstants.IN_MOVE
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_DELETE_SELF
    | InotifyConstants.IN_MOVE_SELF
    | InotifyConstants.IN_ONLYDIR
)
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
        self._numbers = itertools.count()
        self._asked: dict[str, list[tuple[WatchDescriptor, CallbackId]]] = {}
        """What each search asked watchdog for last: the kernel's number of a folder, and our own of the asking."""
        self._unwatched: dict[str, int] = {}
        self._said = False
        self._inotify: InotifyFD | None = None
        try:
            self._inotify = InotifyFD()
            self._inotify.start()
        except (OSError, UnsupportedLibcError) as error:
            self._say(str(error))

    def follow(self, search: str, folders: Iterable[str]) -> None:
        """Watch these folders, and no longer those that this search named before and no search names now.

        Called again after every search, so a folder made anew is watched again. May block as long as a disk hangs:
        not for the event loop.
        """
        if self._inotify is None:
            return
        table = mounts()
        asked: list[tuple[WatchDescriptor, CallbackId]] = []
        refused, reason = 0, ""
        for folder in folders:
            mount = mount_of(folder, table)
            if mount is not None and mount.is_remote:
                continue
            name = CallbackId(next(self._numbers))
            try:
                asked.append((self._inotify.add_callback(os.fsencode(folder), _MASK, self, name), name))
            except OSError as error:
                if error.errno in _FULL:
                    refused += 1
                    reason = error.strerror or str(error)
        self._inotify.remove_callbacks(self._asked.get(search, []))
        self._asked[search] = asked
        self._loop.call_soon_threadsafe(self._followed, search, refused, reason)

    def stop(self) -> None:
        """Let go of all of it, and wait for nothing: a folder on a disk that hangs may be being asked for."""
        if self._inotify is not None:
            threading.Thread(target=self._inotify.stop, daemon=True).start()
            self._inotify = None

    def on_event(self, event: "InotifyEvent") -> None:
        """Something happened; what, the scan will see. Called by watchdog's thread."""
        del event
        self._look_again()

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """A folder is gone; its search will say so. Called by watchdog's thread."""
        del wd

    def on_queue_overflow(self) -> None:
        """So much happened that the kernel forgot some of it. Called by watchdog's thread."""
        self._look_again()

    def _look_again(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._hinted)

    def _hinted(self) -> None:
        self.hint = True
        self._wake()

    def _followed(self, search: str, refused: int, reason: str) -> None:
        self._unwatched[search] = refused
        unwatched = sum(self._unwatched.values())
        metrics.UNWATCHED.set(unwatched)
        if unwatched and not self._said:
            self._say(reason)
        self._said = unwatched > 0

    def _say(self, reason: str) -> None:
        structlog.get_logger().warning(
            "no file system events for some folders, rescans find new files there; see sysctl fs.inotify", reason=reason
        )
