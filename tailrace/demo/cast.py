"""A run's folder and a stack to who takes part (services, logs that are there anyway) and the settings for it.

The files that the fleet writes match under their live and their rotated names (``*.log`` and ``*.log.*``), so that the
shipper sees the same file under one name after the other and must not take it for a new one.
"""

import glob
import json
from pathlib import Path
from typing import Any

import msgspec

NAMESPACE = "demo"
_MOST_BYTES = 33_554_432
"""A log that is there anyway and is larger than this is left out: the demo is about now."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One service, or one log that is there anyway (``per_second`` is 0), whose files stand in ``folder``."""

    name: str
    folder: Path
    file: str
    """The live file's name."""
    format: str = "plain"
    per_second: float = 0
    rotations: int = 0
    """How often its file is rotated while the demo runs."""
    is_timed: bool = False
    """Whether its lines say when they were written, to the millisecond."""

    @property
    def dataset(self) -> str:
        """The name as a part of a data stream's, where a hyphen separates."""
        return self.name.replace("-", "_")

    @property
    def stream(self) -> str:
        """The data stream its lines go to."""
        return f"logs-{self.dataset}-{NAMESPACE}"

    @property
    def is_ours(self) -> bool:
        """Whether the demo writes it, and can end the writing."""
        return self.per_second > 0

    @property
    def live(self) -> Path:
        """The file that is written to."""
        return self.folder / self.file

    def files(self) -> list[Path]:
        """All generations on disk, the live one first; of a log that is not ours only the live one."""
        found = [self.live] if self.live.exists() else []
        if self.is_ours:
            rotated = self.folder.glob(f"{glob.escape(self.file)}.*")
            found += sorted(rotated, key=lambda path: int(path.suffix[1:]))
        return found


_FLEET: dict[str, dict[str, Any]] = {
    "playback": {"per_second": 900, "rotations": 7, "format": "json", "is_timed": True},
    "edge-proxy": {"per_second": 600, "rotations": 5},
    "catalogue": {"per_second": 250, "rotations": 4, "is_timed": True},
    "recommendations": {"per_second": 250, "rotations": 3, "is_timed": True},
}


class Folder:
    """The folder of one run: logs, counts, the shipper's state, the settings, and what the processes say."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run = path.name
        """Marks this run's documents: ``labels.demo``."""
        self.logs = path / "logs"
        self.state = path / "state"
        self.settings = path / "tailrace.toml"

    def said(self, name: str) -> Path:
        """Where a child's own output goes."""
        return self.path / f"{name}.out"

    def counts(self, name: str) -> Path:
        """Where a writer counts."""
        return self.path / f"{name}.counts"

    def make(self, members: list[Member]) -> None:
        """Create the folders, those of the logs too: the shipper watches them from its start."""
        for member in members:
            if member.is_ours:
                member.folder.mkdir(parents=True)


def members(folder: Folder, stack_logs: Path, machine_logs: Path) -> list[Member]:
    """Everyone who takes part: the fleet, the stack's two servers, the machine's package log where it can be read."""
    ours = [Member(name=name, folder=folder.logs / name, file=f"{name}.log", **about) for name, about in _FLEET.items()]
    others = [Member(name=name, folder=stack_logs, file=f"{name}.log") for name in ("kafka", "elasticsearch")]
    others.append(Member(name="dpkg", folder=machine_logs, file="dpkg.log"))
    return ours + [member for member in others if _is_small(member.live)]


def settings_text(
    folder: Folder, cast: list[Member], bootstrap_servers: str, elasticsearch_url: str, ports: tuple[int, int]
) -> str:
    """The settings file for the agent and the indexer of a run; ``ports`` are those of their metrics."""
    parts = [
        f"[kafka]\nbootstrap_servers = [{_text(bootstrap_servers)}]\n",
        f"[elasticsearch]\nhosts = [{_text(elasticsearch_url)}]\n",
        f"[shipper]\nstate_dir = {_text(str(folder.state))}\n",
        f'[metrics]\nshipper_listen = "127.0.0.1:{ports[0]}"\nindexer_listen = "127.0.0.1:{ports[1]}"\n',
    ]
    parts += [_input(member, folder.run) for member in cast]
    return "\n".join(parts)


def _input(member: Member, run: str) -> str:
    name = f"{glob.escape(str(member.folder))}/{member.file}"
    paths = [f"{glob.escape(str(member.folder))}/*.log", f"{glob.escape(str(member.folder))}/*.log.*"]
    return (
        "[[shipper.inputs]]\n"
        f"paths = [{', '.join(map(_text, paths if member.is_ours else [name]))}]\n"
        f"dataset = {_text(member.dataset)}\n"
        f"namespace = {_text(NAMESPACE)}\n"
        f"service = {_text(member.name)}\n"
        f"format = {_text(member.format)}\n"
        f"fields = {{ demo = {_text(run)} }}\n"
    )


def _is_small(path: Path) -> bool:
    try:
        with path.open("rb"):
            return path.stat().st_size <= _MOST_BYTES
    except OSError:
        return False


def _text(value: str) -> str:
    """A basic string of TOML, which is one of JSON too."""
    return json.dumps(value, ensure_ascii=False)
