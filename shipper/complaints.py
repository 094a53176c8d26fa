"""What is wrong with files and patterns to log lines, each said once."""

import structlog

from shipper.outcome import NO_FILE
from shipper.plan import Snapshot
from shipper.unpack import Handle, Unpacked
from tailrace import metrics


class Complaints:
    """Says each thing once; ``reasons`` is what is wrong with a path or a pattern, as it was last said."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}
        self._said: set[str] = set()

    def report(self, snapshot: Snapshot) -> None:
        """Say what a look at the inputs found that is no log file, and which patterns match nothing."""
        for refused in snapshot.refused.values():
            self.say(refused.path, "not a log file, left alone", reason=refused.reason)
        for pattern in snapshot.empty:
            self.say(pattern, NO_FILE)

    def say(self, path: str, what: str, **fields: str) -> bool:
        """Each file and each reason once; whether it was news."""
        self.reasons[path] = fields.get("reason", what)
        key = f"{path}|{what}|{fields}"
        if key in self._said:
            return False
        self._said.add(key)
        structlog.get_logger().warning(what, path=path, **fields)
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
