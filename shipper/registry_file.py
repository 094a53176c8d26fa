"""Rows to the registry's SQLite file and back.

Whoever writes holds the lock of the state folder (``registry.py``); whoever only reads takes no lock and leaves no
trace.
"""

import contextlib
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from shipper.identity import Anchor, Head, Place
from shipper.registry_row import Row
from shipper.steps import Reading, seconds_back
from tailrace.errors import MendState

NAME = "registry.sqlite"
_VERSION = 4
_SCHEMA = """
create table if not exists meta (key text primary key, value text not null) without rowid;
create table if not exists sources (
    id text primary key, path text not null, device integer not null, inode integer not null,
    head_length integer not null, head_digest blob not null,
    anchor_length integer not null, anchor_checksum integer not null,
    position integer not null, skipped integer not null, reach integer not null,
    records integer not null, bytes integer not null, blank integer not null, ended integer not null,
    updated integer not null, size integer not null default 0, modified integer not null default 0,
    born integer not null default 0, family text not null default ''
) without rowid;
create table if not exists cuts (
    source text not null, offset integer not null, primary key (source, offset)
) without rowid;
create table if not exists dropped (
    source text not null, rule text not null, records integer not null, bytes integer not null,
    primary key (source, rule)
) without rowid;
create table if not exists memories (source text primary key, memory blob not null) without rowid;
create table if not exists gone (source text primary key, since integer not null) without rowid;
"""
_SINCE = {
    "size integer not null default 0": 2,
    "modified integer not null default 0": 2,
    "born integer not null default 0": 3,
    "family text not null default ''": 4,
}
"""Columns that a registry of an older format than this lacks."""
_COLUMNS = 20
_TRIES = 3
"""An agent that begins or ends may change the files while they are read."""
_NO_MACHINE = ("", "uninitialized")
"""What machine-id(5) says, or does not, before a machine has one."""


class Stored(NamedTuple):
    """All that the registry knows; ``gone`` says since when (seconds since 1970) a source's file is missed."""

    rows: list[Row]
    gone: dict[str, int]


def new_source() -> str:
    """A random name for a source; 80 bits, so that no two hosts ever choose the same."""
    return secrets.token_hex(10)


def open_to_write(folder: Path, machine: str) -> sqlite3.Connection:
    """Open or create the registry of a folder; on another machine than before the sources get new names.

    Raises:
        MendState: it is damaged, or of a newer format.
        sqlite3.Error: it cannot be used.
    """
    database = sqlite3.connect(folder / NAME, isolation_level=None)
    try:
        database.execute("pragma journal_mode = wal")
        database.execute("pragma synchronous = full")
        if version := _check(database, folder):
            with _transaction(database):
                for column in [column for column, since in _SINCE.items() if version < since]:
                    database.execute(f"alter table sources add column {column}")
                database.execute(f"pragma user_version = {_VERSION}")
        database.executescript(_SCHEMA)
        database.execute(f"pragma user_version = {_VERSION}")
        _recognise(database, machine)
    except BaseException:
        database.close()
        raise
    return database


def read(folder: Path) -> Stored | None:
    """What the registry of a folder says now, beside a running agent too; None if there is none.

    Takes no lock and writes nothing, so that anybody who may read the files may read the registry.

    Raises:
        MendState: it cannot be read, is damaged, or of a newer format.
    """
    try:
        for _ in range(_TRIES):
            if not (folder / NAME).exists():
                return None
            before = _log_bytes(folder)
            with (
                contextlib.suppress(sqlite3.DatabaseError),
                contextlib.closing(_open_to_read(folder, before)) as database,
            ):
                stored = _read(database, folder)
                if before or not _log_bytes(folder):
                    return stored
        return _read_copy(folder)
    except (sqlite3.Error, OSError) as error:
        raise MendState(
            f"Cannot read the registry in {folder}: {cause(error)}; ask as a user who may, or see what "
            "`tailrace ship` says of it."
        ) from error


def rows(database: sqlite3.Connection) -> list[Row]:
    """All sources."""
    cuts: dict[str, list[int]] = {}
    dropped: dict[str, list[tuple[str, int, int]]] = {}
    memories: dict[str, bytes] = {}
    if _has(database, "memories"):
        for source, *counts in database.execute("select source, rule, records, bytes from dropped"):
            dropped.setdefault(source, []).append((counts[0], counts[1], counts[2]))
        memories = dict(database.execute("select source, memory from memories").fetchall())
    for source, offset in database.execute("select source, offset from cuts order by source, offset"):
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
            size=row[16] if len(row) > 16 else 0,
            modified=row[17] if len(row) > 16 else 0,
            born=row[18] if len(row) > 18 else 0,
            family=row[19] if len(row) > 19 else "",
            dropped=tuple(dropped.get(row[0], ())),
            memory=memories.get(row[0], b""),
        )
        for row in database.execute("select * from sources")
    ]


def clock(database: sqlite3.Connection) -> Reading | None:
    """What the clocks said when they last changed in another way than time makes them."""
    found = database.execute("select value from meta where key = 'clock'").fetchone()
    return msgspec.json.decode(found[0], type=Reading) if found else None


def save(database: sqlite3.Connection, changed: Sequence[Row], reading: Reading | None = None) -> None:
    """Write these rows, and the clocks if they were set, all or nothing."""
    places = ", ".join("?" * _COLUMNS)
    with _transaction(database):
        if reading is not None:
            _set_clock(database, reading)
        database.executemany(f"insert or replace into sources values ({places})", map(_values, changed))  # noqa: S608 - question marks only
        database.executemany(
            "delete from cuts where source = ? and offset <= ?", [(row.source, row.position) for row in changed]
        )
        database.executemany(
            "insert or ignore into cuts values (?, ?)", [(row.source, cut) for row in changed for cut in row.cuts]
        )
        filtered = [row for row in changed if row.dropped or row.memory]
        if filtered:
            counts = [(row.source, *count) for row in filtered for count in row.dropped]
            database.executemany("insert or replace into dropped values (?, ?, ?, ?)", counts)
            memories = [(row.source, row.memory) for row in filtered if row.memory]
            database.executemany("insert or replace into memories values (?, ?)", memories)


def gone(database: sqlite3.Connection) -> dict[str, int]:
    """Since when (seconds since 1970) the files of which sources are missed."""
    return dict(database.execute("select source, since from gone").fetchall())


def begun(database: sqlite3.Connection) -> set[str]:
    """The inputs with which an agent has started before."""
    found = database.execute("select key from meta where key like 'input %'").fetchall()
    return {str(key).removeprefix("input ") for (key,) in found}


def begin(database: sqlite3.Connection, inputs: Sequence[str]) -> None:
    """Remember that an agent has started with these inputs."""
    with _transaction(database):
        database.executemany("insert or replace into meta values (?, 'begun')", [(f"input {one}",) for one in inputs])


def miss(database: sqlite3.Connection, missed: Mapping[str, int], back: Sequence[str]) -> None:
    """Remember since when files are missed, and which are back."""
    with _transaction(database):
        database.executemany("insert or replace into gone values (?, ?)", missed.items())
        database.executemany("delete from gone where source = ?", [(name,) for name in back])


def forget(database: sqlite3.Connection, names: Sequence[str]) -> None:
    """Remove sources with all that belongs to them."""
    with _transaction(database):
        for statement in (
            "delete from sources where id = ?",
            "delete from cuts where source = ?",
            "delete from dropped where source = ?",
            "delete from memories where source = ?",
            "delete from gone where source = ?",
        ):
            database.executemany(statement, [(name,) for name in names])


def _log_bytes(folder: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return (folder / f"{NAME}-wal").stat().st_size
    return 0


def _open_to_read(folder: Path, log_bytes: int) -> sqlite3.Connection:
    """Without a write-ahead log the file is whole, and SQLite need not look for one, let alone make one."""
    how = "readonly_shm=1" if log_bytes else "immutable=1"
    return sqlite3.connect(f"{(folder / NAME).absolute().as_uri()}?mode=ro&{how}", uri=True)


def _read_copy(folder: Path) -> Stored:
    """What an unclean end left behind may need mending before it can be read: a copy can be mended."""
    with tempfile.TemporaryDirectory(prefix="tailrace-") as copy:
        for name in (NAME, f"{NAME}-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(folder / name, Path(copy) / name)
        with contextlib.closing(sqlite3.connect(f"{copy}/{NAME}")) as database:
            return _read(database, folder)


def _read(database: sqlite3.Connection, folder: Path) -> Stored:
    database.execute("begin")
    _check(database, folder)
    known = {name for (name,) in database.execute("select name from sqlite_master")}
    return Stored(
        rows(database) if {"sources", "cuts"} <= known else [],  # else its tables are about to be made
        gone(database) if "gone" in known else {},
    )


def _has(database: sqlite3.Connection, table: str) -> bool:
    return database.execute("select 1 from sqlite_master where name = ?", (table,)).fetchone() is not None


def _check(database: sqlite3.Connection, folder: Path) -> int:
    """The format of a registry that is whole and that we know; 0 if it is new."""
    version = int(database.execute("pragma user_version").fetchone()[0])
    if version > _VERSION:
        raise MendState(
            f"The registry in {folder} is of a newer tailrace (format {version}, this one knows {_VERSION}); "
            "install that again."
        )
    found = database.execute("pragma quick_check(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(str(found).strip().splitlines()[-1])
    return version


def _recognise(database: sqlite3.Connection, machine: str) -> None:
    """On another machine (a cloned image) the same ids would be used twice: make them anew."""
    if machine in _NO_MACHINE:
        return
    known = database.execute("select value from meta where key = 'machine'").fetchone()
    if known is not None and known[0] == machine:
        return
    with _transaction(database):
        if known is not None and known[0] not in _NO_MACHINE:
            names = [name for (name,) in database.execute("select id from sources").fetchall()]
            for name in names:
                fresh = new_source()
                database.execute("update sources set id = ? where id = ?", (fresh, name))
                for table in ("cuts", "dropped", "memories", "gone"):
                    database.execute(f"update {table} set source = ? where source = ?", (fresh, name))  # noqa: S608 - our own names
            import structlog  # noqa: PLC0415 - slow to load, and who only reads has nothing to log

            structlog.get_logger().warning(
                "the state folder comes from another machine: its sources get new names", sources=len(names)
            )
        database.execute("insert or replace into meta values ('machine', ?)", (machine,))


def _set_clock(database: sqlite3.Connection, reading: Reading) -> None:
    """All times that are stored are on the clock that is."""
    if seconds := seconds_back(clock(database), reading):
        database.execute("update sources set updated = max(0, updated - ?)", (seconds,))
    text = msgspec.json.encode(reading).decode()
    database.execute("insert or replace into meta values ('clock', ?)", (text,))


@contextlib.contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("begin immediate")
    try:
        yield
        database.execute("commit")
    except BaseException:
        if database.in_transaction:
            database.execute("rollback")
        raise


def cause(error: sqlite3.Error | OSError) -> str:
    """Why, without the name of the class."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


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
        row.born,
        row.family,
    )
