"""Sources whose files have been gone for long to their leaving the registry and the memory."""

import asyncio
import os
import time
from collections.abc import Iterable
from functools import partial

import structlog

from shipper.absence import Absence, Changed, absent
from shipper.disk import Disk
from shipper.follow import Follow
from shipper.identity import Place
from shipper.registry import Registry
from shipper.registry_row import Row
from tailrace.errors import MendState

_MOST_SECONDS = 300.0
"""How often it is looked which files are missed, at the longest."""


class Forget:
    """Looks every few minutes which known files are gone; disks are asked only about those newly missed or due."""

    def __init__(self, registry: Registry, follow: Follow, seconds: float) -> None:
        self._registry = registry
        self._follow = follow
        self._seconds = seconds
        self._every = min(_MOST_SECONDS, seconds / 4)
        self._absence = Absence(registry.gone() if seconds else {}, seconds)
        self._ahead = time.time() - time.monotonic()
        self._look_at = time.monotonic() + self._every
        self._asking: asyncio.Task[set[str]] | None = None

    async def turn(self) -> list[str]:
        """Do what is due; the sources that are forgotten now."""
        if not self._seconds:
            return []
        now = time.monotonic()
        if self._asking is None:
            if now >= self._look_at:
                doubtful = self._absence.doubtful(self._missing(), now + self._ahead)
                self._asking = asyncio.create_task(_gone(self._follow.disk, doubtful))
            return []
        if not self._asking.done():
            return []
        asked, self._asking = self._asking, None
        self._look_at = now + self._every
        if self._follow.copies.is_unsure:
            return []  # one of those files may be a copy without which it would be shipped again
        changed = self._absence.note(self._missing(), asked.result(), now + self._ahead)
        return await self._write(changed)

    def stop(self) -> None:
        """End what runs."""
        if self._asking is not None:
            self._asking.cancel()

    def _missing(self) -> dict[str, Row]:
        copies = self._follow.copies
        return absent(self._follow.memory.rows.values(), copies.held, copies.needed())

    async def _write(self, changed: Changed) -> list[str]:
        names = [row.source for row in changed.due]
        try:
            if changed.missed or changed.back:
                await self._registry.miss(changed.missed, changed.back)
            if names:
                await self._registry.forget(names)
        except MendState as error:
            structlog.get_logger().warning("cannot forget files that are gone", reason=str(error))
            return []  # they are due at the next look, too
        for row in changed.due:
            if row.size > row.position:
                structlog.get_logger().error(
                    "a file is forgotten that was not read to its end",
                    path=row.path,
                    source=row.source,
                    bytes=row.size - row.position,
                )
        if names:
            structlog.get_logger().info("files that are gone are forgotten", files=len(names))
        self._follow.forget(names)
        self._absence.drop(names)
        return names


async def _gone(disk: Disk, rows: Iterable[Row]) -> set[str]:
    """Which of these files are not there; none of a disk that does not answer."""
    gone: set[str] = set()
    by_device: dict[int, list[Row]] = {}
    for row in rows:
        by_device.setdefault(row.place.device, []).append(row)
    for device, some in by_device.items():
        try:
            gone |= await disk.run(partial(_are_gone, some), device)
        except TimeoutError:
            continue
    return gone


def _are_gone(rows: list[Row]) -> set[str]:
    return {row.source for row in rows if row.ended or _is_gone(row)}


def _is_gone(row: Row) -> bool:
    """Whether a file is not at its path, and the nearest folder that is there is readable and on its device.

    Else its disk may only be away, or nobody may see it.
    """
    try:
        status = os.stat(row.path)  # noqa: PTH116 - names need not be text
    except FileNotFoundError:
        pass
    except OSError:
        return False
    else:
        if Place(status.st_dev, status.st_ino) == row.place:
            return False
    folder = row.path
    while folder != "/":
        folder = os.path.dirname(folder)  # noqa: PTH120 - a hundred times faster
        try:
            device = os.stat(folder).st_dev  # noqa: PTH116
        except FileNotFoundError:
            continue
        except OSError:
            return False
        return device == row.place.device and os.access(folder, os.R_OK | os.X_OK)
    return False
