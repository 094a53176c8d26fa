"""A folder to what a run needs in it: logs, a configuration of logrotate for each, the settings of the agent."""

import enum
import glob
import json
import os
import shutil
from pathlib import Path

_ROTATIONS_KEPT = 10
"""A rotated file lives for so many rotations: much longer than any agent of ours is away."""


class Way(enum.StrEnum):
    """How a file is rotated, by logrotate's own words; each file has its name from it."""

    RENAMED = "renamed"
    """A chain of ten: ``renamed.log.1`` becomes ``.2``; a new file takes its name (``create``)."""
    DATED = "dated"
    """``dated.log-20261123-1795459038`` (``dateext``)."""
    DELAYED = "delayed"
    """Renamed, and compressed at the rotation after (``delaycompress``)."""
    COMPRESSED = "compressed"
    """Renamed and compressed at once (``compress``); its writer opens the new file before."""
    COPIED = "copied"
    """Copied, and truncated in place (``copytruncate``); its writer waits, for what is written in between is lost."""


_RULES = {
    Way.RENAMED: "create",
    Way.DATED: "create\n  dateext\n  dateformat -%Y%m%d-%s",
    Way.DELAYED: "create\n  compress\n  delaycompress",
    Way.COMPRESSED: "create\n  compress",
    Way.COPIED: "copytruncate",
}
_HELD = {Way.COMPRESSED, Way.COPIED}
"""The writers of these must not write to the old file once logrotate is at work: see ``man logrotate``."""


def program(name: str) -> str | None:
    """Where a program is, though the administrator's folders may not be on the path of this user."""
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin")))


class Ground:
    """The folder of one run. Its name marks topics, streams and group, so that no other run meets them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name.rpartition("-")[2].lower().replace("_", "0")
        self.topic = f"tailrace.torture.{self.name}"
        self.stream = f"logs-torture-{self.name}"
        self.logs = path / "logs"
        self.control = path / "control"
        self.state = path / "state"
        self.settings = path / "tailrace.toml"

    @property
    def topics(self) -> tuple[str, str, str]:
        """The topics of records, ledger and dead letters."""
        return self.topic, f"{self.topic}.ledger", f"{self.topic}.dead"

    def log(self, way: Way) -> Path:
        """The file that is written to."""
        return self.logs / f"{way}.log"

    def hold(self, way: Way) -> Path:
        """While this is there, the writer of the file does not write."""
        return self.control / f"{way}.hold"

    def held(self, way: Way) -> Path:
        """The writer's answer to it."""
        return self.control / f"{way}.held"

    def rotation(self, way: Way) -> tuple[str, ...]:
        """The command that rotates the file, now."""
        return (
            program("logrotate") or "logrotate",
            "--force",
            "--state",
            str(self.path / f"{way}.state"),
            str(self.path / f"{way}.conf"),
        )

    def said(self, name: str) -> Path:
        """Where a child's own output goes."""
        return self.path / f"{name}.out"

    def make(self, ways: list[Way], bootstrap_servers: str, elasticsearch_url: str) -> None:
        """Write everything that must be there."""
        self.logs.mkdir(mode=0o700)
        self.control.mkdir(mode=0o700)
        for way in ways:
            self.log(way).touch(0o600)
            conf = self.path / f"{way}.conf"
            conf.write_text(self._rules(way), "utf-8")
            conf.chmod(0o600)  # logrotate reads no configuration that others may write
        self.settings.write_text(self._settings(bootstrap_servers, elasticsearch_url), "utf-8")

    def _rules(self, way: Way) -> str:
        rules = [f"rotate {_ROTATIONS_KEPT}", "missingok", _RULES[way]]
        if way in _HELD:
            rules.append(f"prerotate\n    touch {self.hold(way)}; until [ -e {self.held(way)} ]; do sleep 0.01; done")
            rules.append("endscript")
            rules.append(f"postrotate\n    rm {self.held(way)} {self.hold(way)}\n  endscript")
        text = "\n  ".join(rules)
        return f'"{self.log(way)}" {{\n  {text}\n}}\n'

    def _settings(self, bootstrap_servers: str, elasticsearch_url: str) -> str:
        topic, ledger, dead = self.topics
        logs = glob.escape(str(self.logs))
        tables: dict[str, dict[str, object]] = {
            "kafka": {"bootstrap_servers": [bootstrap_servers], "ledger_topic": ledger, "dead_letter_topic": dead},
            "elasticsearch": {"hosts": [elasticsearch_url], "replicas": 0},
            # A writer that the machine holds up in the middle of a line must not make two of it.
            "shipper": {"state_dir": str(self.state), "topic": topic, "partial_line_seconds": 60.0},
            "[shipper.inputs]": {
                "paths": [f"{logs}/*.log", f"{logs}/*.log[.-]*"],
                "dataset": "torture",
                "namespace": self.name,
                "format": "json",
            },
            "indexer": {"topics": [topic], "group": f"tailrace-torture-{self.name}"},
            "log": {"format": "json"},
        }
        return "\n".join(
            f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
            for name, table in tables.items()
        )
