"""Positions on disk: what each source is, how far it is acknowledged, and how far it may have been sent.

One SQLite file, written by one thread, many sources to a transaction, each transaction durable when it returns.
"""

import asyncio
import concurrent.futures
import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from shipper import registry_file
from shipper.clerk import PATIENCE_SECONDS, Clerk, answer_of
from shipper.registry_file import new_source
from shipper.registry_row import Row
from shipper.steps import Reading, corrected, drift
from tailrace import metrics
from tailrace.errors import MendState

__all__ = ["Registry", "new_source", "open_registry"]

_Result = TypeVar("_Result")
_SLACK_NANOSECONDS = 10**9
"""By how much the clock must be off what it was before that is stored."""


class Registry:
    """The open registry of one state folder.

    Hazard: only one agent may use a state folder, or two would send the same lines under the same ids; a lock on the
    folder refuses the second.
    """

    def __init__(self, folder: Path, stop: asyncio.Event | None = None) -> None:
        """Open or create it; a disk that does not answer is waited for until the ``stop``.

        Raises:
            MendState: the folder is in use, cannot be written, or holds a damaged or newer registry.
        """
        self.folder = folder
        self._stop = stop or asyncio.Event()
        self._lock = _lock(folder)
        self._clock: Reading | None = None
        self._clerk = Clerk("registry")
        try:
            self._database = self._clerk.begin(partial(registry_file.open_to_write, folder, _machine())).result()
        except sqlite3.Error as error:
            self._release()
            raise MendState(_unusable(folder, error)) from error
        except BaseException:
            self._release()
            raise

    def load(self) -> list[Row]:
        """All sources, their times as on the clock of now."""
        then = self._now(partial(registry_file.clock, self._database))
        return corrected(self._now(partial(registry_file.rows, self._database)), then, _reading())

    def gone(self) -> dict[str, int]:
        """Since when (seconds since 1970) the files of which sources are missed."""
        return self._now(partial(registry_file.gone, self._database))

    def begun(self) -> set[str]:
        """The inputs with which an agent has started before."""
        return self._now(partial(registry_file.begun, self._database))

    async def begin(self, inputs: Iterable[str]) -> None:
        """Remember that an agent has started with these inputs.

        Raises:
            MendState: as ``save``.
        """
        await self._write(partial(registry_file.begin, self._database, list(inputs)))

    async def save(self, rows: Sequence[Row]) -> None:
        """Make these rows durable, in one transaction.

        Raises:
            MendState: they could not be written (full or read-only disk, or one that does not answer, at the stop);
                nothing of them was, as far as is known.
        """
        reading = _reading()
        was_set = self._clock is None or abs(drift(self._clock, reading)) > _SLACK_NANOSECONDS
        await self._write(partial(registry_file.save, self._database, rows, reading if was_set else None))
        if was_set:
            self._clock = reading
        metrics.REGISTRY_COMMITS.inc()

    async def miss(self, missed: Mapping[str, int], back: Sequence[str]) -> None:
        """Remember since when the files of sources are missed, and which are back.

        Raises:
            MendState: as ``save``.
        """
        await self._write(partial(registry_file.miss, self._database, missed, back))

    async def forget(self, sources: Sequence[str]) -> None:
        """Remove sources.

        Raises:
            MendState: as ``save``.
        """
        await self._write(partial(registry_file.forget, self._database, sources))

    def close(self) -> None:
        """Write back and let go of the folder; a disk that does not answer is left alone."""
        closed = self._clerk.begin(self._database.close)
        try:
            closed.result(PATIENCE_SECONDS)
        except concurrent.futures.TimeoutError:
            return  # the lock stays with the hung thread until the process ends
        except sqlite3.Error as error:
            structlog.get_logger().error("cannot close the registry", reason=str(error))
        self._release()

    def _now(self, call: Callable[[], _Result]) -> _Result:
        try:
            return self._clerk.begin(call).result()
        except sqlite3.Error as error:
            raise MendState(_unusable(self.folder, error)) from error

    async def _write(self, call: Callable[[], _Result]) -> _Result:
        try:
            return await answer_of(self._clerk.begin(call), self._stop, partial(_hangs, self.folder))
        except sqlite3.Error as error:
            raise MendState(f"Cannot write the registry in {self.folder}: {error}; free or mend the disk.") from error
        except TimeoutError as error:
            raise MendState(
                f"The disk of the state folder {self.folder} does not answer; mend it. The lines in flight are sent "
                "again at the next start, and looked up."
            ) from error

    def _release(self) -> None:
        self._clerk.end()
        os.close(self._lock)


async def open_registry(folder: Path, stop: asyncio.Event) -> Registry:
    """As ``Registry``, without holding up the event loop.

    Raises:
        MendState: as ``Registry``, or the disk did not answer until the stop.
    """
    opener = Clerk("state folder")
    try:
        return await answer_of(opener.begin(partial(Registry, folder, stop)), stop, partial(_hangs, folder))
    except TimeoutError as error:
        raise MendState(f"The disk of the state folder {folder} does not answer; mend it.") from error
    finally:
        opener.end()


def _reading() -> Reading:
    return Reading(time.time_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME), _boot())


def _hangs(folder: Path) -> None:
    structlog.get_logger().error("the disk of the state folder does not answer, reading stops", path=str(folder))


def _lock(folder: Path) -> int:
    try:
        _make(folder)
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


def _make(folder: Path) -> None:
    """Make the folder so that a power cut cannot take it away again with the registry in it."""
    if folder.exists():
        return
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        parent = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)


def _machine() -> str:
    return _identity("/etc/machine-id")


def _boot() -> str:
    return _identity("/proc/sys/kernel/random/boot_id")


def _identity(path: str) -> str:
    try:
        return Path(path).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _unusable(folder: Path, error: sqlite3.Error) -> str:
    """What to do about a registry that cannot be used; a damaged one differs from a disk that refuses."""
    if isinstance(error, sqlite3.OperationalError):
        return f"The registry in {folder} cannot be used: {error}; free or mend the disk of the state folder."
    return (
        f"The registry in {folder} is damaged: {error}. Move {registry_file.NAME}* away, and take an earlier export of "
        "it back with `tailrace registry import`; without one all files are read again under new names, which repeats "
        "the lines that were shipped before."
    )
