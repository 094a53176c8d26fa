"""The shipper's registry to how far each file is acknowledged, also while the shipper runs."""

import sqlite3
from pathlib import Path
from typing import NamedTuple


class Position(NamedTuple):
    """Of the file with this device and inode, the shipper's ``source``, all before ``position`` is acknowledged."""

    source: str
    position: int


Place = tuple[int, int]
"""Device and inode."""


def positions(state: Path) -> dict[Place, Position]:
    """The newest source of each place; empty before the shipper has begun.

    Reads beside the running shipper, as SQLite allows (https://sqlite.org/wal.html), and writes nothing.
    """
    file = state / "registry.sqlite"
    if not file.exists():
        return {}
    database = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
    try:
        rows = database.execute("select device, inode, id, position from sources where not ended").fetchall()
    except sqlite3.OperationalError:  # its tables are about to be made
        return {}
    finally:
        database.close()
    return {(device, inode): Position(source, position) for device, inode, source, position in rows}


def place(file: Path) -> Place:
    """Where a file lives, whatever it is called now."""
    status = file.stat()
    return status.st_dev, status.st_ino
