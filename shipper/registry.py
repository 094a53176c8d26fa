"""Positions on disk: what each source is, how far it is acknowledged, and how far it may have been sent.

One SQLite file, written by one thread, many sources to a transaction, each transaction durable when it returns.
"""

import asyncio
import concurrent.futures
import fcntl
import os
import secrets
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from shipper.identity import Anchor, Head, Place
from shipper.registry_row import Row
from tailrace import metrics
from tailrace.errors import MendState

_VERSION = 2
_SCHEMA = """
create table if not exists meta (key text primary key, value text not null) without rowid;
create table if not exists sources (
    id text primary key, path text not null, device integer not null, inode integer not null,
    head_length integer not null, head_digest blob not null,
    anchor_length integer not null, anchor_checksum integer not null,
    position integer not null, skipped integer not null, reach integer not null,
    records integer not null, bytes integer not null, blank integer not null, ended integer not null,
    updated integer not null, size integer not null default 0, modified integer not null default 0
) without rowid;
create table if not exists cuts (
    source text not null, offset integer not null, primary key (source, offset)
) without rowid;
"""
_SECOND = ("size", "modified")
"""Columns that a registry of format 1 lacks."""
_COLUMNS = 18


def new_source() -> str:
    """A random name for a source; 80 bits, so that no two hosts ever choose the same."""
    return secrets.token_hex(10)


class Registry:
    """The open registry of one state folder.

    Hazard: only one agent may use a state folder, or two would send the same lines under the same ids; a lock on the
    folder refuses the second.
    """

    def __init__(self, folder: Path) -> None:
        """Open or create it.

        Raises:
            MendState: the folder is in use, cannot be written, or holds a damaged or newer registry.
        """
        self._folder = folder
        self._lock = _lock(folder)
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "registry")
        try:
            self._database = self._thread.submit(self._open).result()
        except sqlite3.Error as error:
            self._release()
            raise MendState(
                f"The registry in {folder} cannot be used: {error}; restore it from a backup, or move it away "
                "to read all files again (which repeats the lines that were shipped before)."
            ) from error
        except BaseException:
            self._release()
            raise

    def load(self) -> list[Row]:
        """All sources."""
        return self._thread.submit(self._load).result()

    async def save(self, rows: Sequence[Row]) -> None:
        """Make these rows durable, in one transaction.

        Raises:
            MendState: they could not be written (full or read-only disk); nothing of them was.
        """
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._save, rows)
        except sqlite3.Error as error:
            raise MendState(f"Cannot write the registry in {self._folder}: {error}; free or mend the disk.") from error
        metrics.REGISTRY_COMMITS.inc()

    async def forget(self, sources: Sequence[str]) -> None:
        """Remove sources."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._forget, sources)

    def close(self) -> None:
        """Write back and let go of the folder."""
        self._thread.submit(self._database.close).result()
        self._release()

    def _release(self) -> None:
        self._thread.shutdown()
        os.close(self._lock)

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._folder / "registry.sqlite", isolation_level=None)
        database.execute("pragma journal_mode = wal")
        database.execute("pragma synchronous = full")
        version = int(database.execute("pragma user_version").fetchone()[0])
        if version > _VERSION:
            database.close()
            raise MendState(
                f"The registry in {self._folder} is of a newer tailrace (format {version}); install that again."
            )
        if version == 1:
            database.execute("begin immediate")
            for column in _SECOND:
                database.execute(f"alter table sources add column {column} integer not null default 0")
            database.execute(f"pragma user_version = {_VERSION}")
            database.execute("commit")
        database.executescript(_SCHEMA)
        database.execute(f"pragma user_version = {_VERSION}")
        _recognise_machine(database)
        return database

    def _load(self) -> list[Row]:
        cuts: dict[str, list[int]] = {}
        for source, offset in self._database.execute("select source, offset from cuts order by offset"):
            cuts.setdefault(source, []).append(offset)
        return [
            Row(
                source=row[0],
                path=row[1],
                place=Place(row[2] % 2**64, row[3] % 2**64),
                head=Head(row[4], row[5]),
                anchor=Anchor(row[6], row[7]),
                position=row[8],
                skipped=row[9],
                reach=row[10],
                records=row[11],
                bytes=row[12],
                blank=row[13],
                ended=bool(row[14]),
                updated=row[15],
                cuts=tuple(cuts.get(row[0], ())),
                size=row[16],
                modified=row[17],
            )
            for row in self._database.execute("select * from sources")
        ]

    def _save(self, rows: Sequence[Row]) -> None:
        places = ", ".join("?" * _COLUMNS)
        database = self._database
        database.execute("begin immediate")
        try:
            database.executemany(f"insert or replace into sources values ({places})", map(_values, rows))  # noqa: S608 - question marks only
            database.executemany(
                "delete from cuts where source = ? and offset <= ?", [(row.source, row.position) for row in rows]
            )
            database.executemany(
                "insert or ignore into cuts values (?, ?)", [(row.source, cut) for row in rows for cut in row.cuts]
            )
            database.execute("commit")
        except BaseException:
            if database.in_transaction:
                database.execute("rollback")
            raise

    def _forget(self, sources: Sequence[str]) -> None:
        names = [(source,) for source in sources]
        self._database.execute("begin immediate")
        self._database.executemany("delete from sources where id = ?", names)
        self._database.executemany("delete from cuts where source = ?", names)
        self._database.execute("commit")


def _lock(folder: Path) -> int:
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise MendState(
            f"Cannot use the state folder {folder}: {error.strerror}; make it writable for this user, or name "
            "another as shipper.state_dir."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise MendState(
            f"Another agent uses the state folder {folder}; stop it, or give this one another shipper.state_dir."
        ) from error
    return lock


def _recognise_machine(database: sqlite3.Connection) -> None:
    """On another machine (a cloned image) the same ids would be used twice: make them anew."""
    try:
        machine = Path("/etc/machine-id").read_text("ascii").strip()
    except OSError:
        machine = ""
    known = database.execute("select value from meta where key = 'machine'").fetchone()
    if known is not None and known[0] != machine:
        database.execute("begin immediate")
        for (source,) in database.execute("select id from sources").fetchall():
            fresh = new_source()
            database.execute("update sources set id = ? where id = ?", (fresh, source))
            database.execute("update cuts set source = ? where source = ?", (fresh, source))
        database.execute("commit")
    database.execute("insert or replace into meta values ('machine', ?)", (machine,))


def _signed(number: int) -> int:
    """64 bits as SQLite keeps them: an inode may use the highest."""
    return number - 2**64 if number >= 2**63 else number


def _values(row: Row) -> tuple[object, ...]:
    return (
        row.source,
        row.path,
        _signed(row.place.device),
        _signed(row.place.inode),
        row.head.length,
        row.head.digest,
        row.anchor.length,
        row.anchor.checksum,
        row.position,
        row.skipped,
        row.reach,
        row.records,
        row.bytes,
        row.blank,
        int(row.ended),
        row.updated,
        row.size,
        row.modified,
    )
