"""The shipper's registry to how far each file is acknowledged, also while the shipper runs."""

from pathlib import Path
from typing import NamedTuple

from shipper import registry_file


class Position(NamedTuple):
    """Of the file with this device and inode, the shipper's ``source``, all before ``position`` is acknowledged."""

    source: str
    position: int


Place = tuple[int, int]
"""Device and inode."""


def positions(state: Path) -> dict[Place, Position]:
    """The newest source of each place; empty before the shipper has begun.

    Reads beside the running shipper, and writes nothing.
    """
    stored = registry_file.read(state)
    rows = [] if stored is None else [row for row in stored.rows if not row.ended]
    return {(row.place.device, row.place.inode): Position(row.source, row.position) for row in rows}


def place(file: Path) -> Place:
    """Where a file lives, whatever it is called now."""
    status = file.stat()
    return status.st_dev, status.st_ino
