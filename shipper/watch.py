"""The file system's events to "look again": a hint, never the truth.

Only creations, moves and deletions are asked for: an event for each write costs more than all the rest of the shipper.
"""

import asyncio
import glob
import os
from collections.abc import Iterable

import structlog
from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from tailrace.settings import Input

_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirMovedEvent,
]


class Watch(FileSystemEventHandler):
    """Sets ``hint`` when a file came, went or was renamed in a folder that an input looks into."""

    def __init__(self, inputs: Iterable[Input]) -> None:
        self.hint = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._observer = Observer()
        try:
            for folder, recursive in _folders(inputs):
                self._observer.schedule(self, folder, recursive=recursive, event_filter=_EVENTS)
            self._observer.start()
        except OSError as error:
            # inotify's limits, or a file system without it: the rescan finds everything, only later.
            structlog.get_logger().warning("no file system events, rescans find new files", reason=str(error))

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called by watchdog's thread."""
        del event
        self._loop.call_soon_threadsafe(self.hint.set)

    def stop(self) -> None:
        """End watchdog's threads."""
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join(1)


def _folders(inputs: Iterable[Input]) -> list[tuple[str, bool]]:
    """The folders to watch, and whether with all below: the part of each pattern before its first wildcard."""
    folders: dict[str, bool] = {}
    for entry in inputs:
        for pattern in entry.paths:
            folder, deeper = os.path.dirname(pattern), False  # noqa: PTH120 - a pattern, not a path
            while glob.has_magic(folder):
                folder, deeper = os.path.dirname(folder), True  # noqa: PTH120
            if os.path.isdir(folder):  # noqa: PTH112
                folders[folder] = folders.get(folder, False) or deeper
    return sorted(folders.items())
