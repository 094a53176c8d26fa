"""The mount table to which file system a path or a device belongs to, without touching any of them.

A hung mount hangs whoever asks it, ``stat`` included; the kernel's own table answers always (proc(5), mountinfo).
"""

import os
from pathlib import Path
from typing import NamedTuple

_TABLE = Path("/proc/self/mountinfo")
_REMOTE = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "afs", "ncpfs", "glusterfs", "lustre", "gfs2", "ocfs2"),
        *("beegfs", "gpfs", "orangefs", "pvfs2", "coda", "davfs", "virtiofs", "vboxsf", "prl_fs"),
    }
)
"""File systems that others may write to: the kernel sends no events for what they do."""


class Mount(NamedTuple):
    """One line of the mount table."""

    device: int
    folder: str
    kind: str

    @property
    def is_remote(self) -> bool:
        """Whether others may write to it without this kernel's knowing: a network's, or any of a program's own."""
        return self.kind in _REMOTE or self.kind.startswith("fuse.") or self.kind == "fuse"


def mounts(table: Path = _TABLE) -> list[Mount]:
    """The mount table, in the order of mounting; empty where there is none."""
    try:
        text = table.read_text("utf-8", "surrogateescape")
    except OSError:
        return []
    return [_mount(line) for line in text.splitlines()]


def mount_of(path: str, table: list[Mount]) -> Mount | None:
    """The mount that an absolute path lies on by its name; links are not followed, for that could hang."""
    found = None
    for mount in table:
        folder = mount.folder.rstrip("/")
        inside = path == mount.folder or path.startswith(folder + "/")
        if inside and (found is None or len(mount.folder) >= len(found.folder)):
            found = mount
    return found


def name_of(device: int | str) -> str:
    """What people call a device: where it is mounted."""
    if isinstance(device, str):
        return device
    folders = [mount.folder for mount in mounts() if mount.device == device]
    return min(folders, key=len) if folders else f"device {os.major(device)}:{os.minor(device)}"


def _mount(line: str) -> Mount:
    before, _, after = line.partition(" - ")
    fields = before.split(" ")
    major, _, minor = fields[2].partition(":")
    return Mount(os.makedev(int(major), int(minor)), _unescape(fields[4]), after.split(" ")[0])


def _unescape(text: str) -> str:
    r"""The table writes blanks, tabs, line ends and backslashes as ``\040`` and so on."""
    first, *rest = text.split("\\")
    return first + "".join(chr(int(part[:3], 8)) + part[3:] for part in rest)
