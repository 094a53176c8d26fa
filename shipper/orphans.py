"""Sources whose files are not there any more to those that are given up, no copy having been found in time."""

import os
import time
from collections.abc import Collection

import structlog

from shipper.source import Source
from shipper.survey import Survey
from tailrace import metrics

ORPHAN_SECONDS = 30.0
"""How long the copy of a source is looked for whose file was truncated or has vanished."""


class Orphan:
    """A source whose file was truncated, or has vanished, with what we know of what was in it."""

    def __init__(self, source: Source, number: int, until: float, *, vanished: bool) -> None:
        self.source = source
        self.number = number
        self.until = until
        self.vanished = vanished

    @property
    def lost(self) -> int:
        """The bytes that were seen in it and not read."""
        return max(0, self.source.size - self.source.cursor)

    def report(self) -> None:
        """Say and count what is lost, now that no copy was found; it is no longer waited for."""
        lost, source = self.lost, self.source
        source.size = source.cursor
        if not lost:
            return
        what = "a known file vanished" if self.vanished else "a truncation took"
        (metrics.VANISHED if self.vanished else metrics.LOST).inc(lost)
        structlog.get_logger().error("unread bytes are lost: " + what, path=source.path, source=source.name, bytes=lost)


async def overdue(orphans: dict[str, Orphan], survey: Survey, waiting: Collection[str] | None) -> list[Orphan]:
    """Take out those looked for long enough, or at the end of a run (``waiting`` is None) all.

    ``waiting`` are the logs of which a rotated file cannot be judged yet: it may be what is looked for. An orphan of a
    file system that is not there yet is not overdue either.
    """
    now = time.monotonic()
    late: list[Orphan] = []
    for name, orphan in list(orphans.items()):
        source = orphan.source
        if waiting is not None and (now < orphan.until or any(family in waiting for family in source.families)):
            continue
        folder = os.path.dirname(source.path)  # noqa: PTH120 - a hundred times faster
        if not orphan.vanished or await survey.is_folder(folder):
            late.append(orphans.pop(name))
    return late
