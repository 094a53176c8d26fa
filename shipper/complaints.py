"""What is wrong with files and patterns to log lines, each said once."""

import errno
import os

import structlog

from shipper.outcome import NO_FILE
from shipper.plan import Found, Snapshot
from shipper.registry_row import Row
from shipper.source import Source
from shipper.unpack import Handle, Unpacked
from tailrace import metrics


class Complaints:
    """Says each thing once; ``reasons`` is what is wrong with a path or a pattern, as it was last said."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}
        self._said: set[str] = set()
        self._unmatched: set[str] | None = None
        """The patterns that never matched; None before the first look."""

    def report(self, snapshot: Snapshot) -> None:
        """Say what a look at the inputs found that is no log file, and which patterns match nothing."""
        for refused in snapshot.refused.values():
            self.say(refused.path, "not a log file, left alone", reason=refused.reason)
        self._unmatched = {*snapshot.empty} if self._unmatched is None else self._unmatched & {*snapshot.empty}
        for pattern in snapshot.empty:
            # What matched before was read, or its loss is said: there is nothing to mend in the settings.
            self.say(pattern, NO_FILE, mild=pattern not in self._unmatched)

    def unopened(self, found: Found, reason: str, row: Row | None) -> None:
        """A file could not be opened: no harm where it has gone and was read to its end."""
        gone = reason == os.strerror(errno.ENOENT)
        read = row is not None and row.position >= found.size
        self.say(found.path, "cannot read file", mild=gone and read, reason=reason)

    def truncated(self, source: Source, unread: int) -> None:
        """A file was truncated: no harm where all that was seen of it had been read."""
        log = structlog.get_logger()
        say = log.warning if unread else log.info
        say("file was truncated", path=source.path, source=source.name, unread_bytes=unread)

    def say(self, path: str, what: str, *, mild: bool = False, **fields: str) -> bool:
        """Each file and each reason once, at level info if it is ``mild``; whether it was news."""
        self.reasons[path] = fields.get("reason", what)
        key = f"{path}|{what}|{fields}"
        if key in self._said:
            return False
        self._said.add(key)
        log = structlog.get_logger()
        say = log.info if mild else log.warning
        say(what, path=path, **fields)
        return True

    def look_for_damage(self, path: str, handle: Handle) -> None:
        """A compressed file whose end cannot be read is said, and counted, once."""
        damaged = isinstance(handle, Unpacked) and handle.damage
        if damaged and self.say(path, "compressed file is damaged", reason=damaged):
            metrics.DAMAGED.inc()

    def once(self, what: str, **fields: int) -> None:
        """Something that is no file's fault; said once a run."""
        if what not in self._said:
            self._said.add(what)
            structlog.get_logger().warning(what, **fields)

    def forget(self, path: str) -> None:
        """Should the same be wrong with it again, it is said again."""
        self._said = {said for said in self._said if not said.startswith(f"{path}|")}
