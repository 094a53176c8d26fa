"""Disks that hang, kernels that refuse to watch, brokers that are away at the start: the other files go on."""

import contextlib
import gzip
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuse import HangingFolder
from processes import Site, append, chain, in_loop, until

from shipper import disk
from shipper.mounts import Mount, mount_of, mounts


def forward(door: socket.socket, broker: tuple[str, int]) -> None:
    """Let whoever knocks talk to the broker, until the door is closed."""

    def carry(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError), source, target:
            while piece := source.recv(65536):
                target.sendall(piece)

    with contextlib.suppress(OSError):
        while True:
            guest, _ = door.accept()
            inside = socket.create_connection(broker)
            for pair in ((guest, inside), (inside, guest)):
                threading.Thread(target=carry, args=pair, daemon=True).start()


def test_the_mount_table_is_read_without_touching_the_mounts(tmp_path: Path) -> None:
    """The longest folder counts, the last of two at one folder; names with blanks, and whose writes nobody tells of."""
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "30 22 0:40 / /mnt/a\\040b rw shared:1 - nfs4 server:/x rw\n"
        "31 22 0:41 / /mnt/over rw - tmpfs none rw\n"
        "32 31 0:42 / /mnt/over rw - fuse.sshfs host: rw\n"
    )
    found = mounts(table)
    assert mount_of("/var/log/x.log", found) == Mount(os.makedev(8, 1), "/", "ext4")
    assert mount_of("/mnt/a", found) == Mount(os.makedev(8, 1), "/", "ext4")
    far, over = mount_of("/mnt/a b/deep/x", found), mount_of("/mnt/over", found)
    assert far is not None
    assert (far.device, far.is_remote) == (os.makedev(0, 40), True)
    assert over is not None
    assert (over.kind, over.is_remote) == ("fuse.sshfs", True)
    assert [mount.is_remote for mount in found] == [False, True, False, True]
    assert mounts(tmp_path / "nowhere") == []


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[HangingFolder]:
    """A real file system of which every call can be made to hang."""
    behind = tmp_path / "behind"
    behind.write_text("remote 0\n")
    try:
        folder = HangingFolder(tmp_path / "mount", behind)
    except OSError as error:
        pytest.skip(f"needs /dev/fuse and the right to mount: {error}")
    yield folder
    folder.end()


@pytest.mark.edge
def test_a_disk_that_hangs_holds_up_only_its_own_files(site: Site, hanging: HangingFolder, tmp_path: Path) -> None:
    """Others are read and found meanwhile; it is said once, with the folder; then it goes on, and nothing is lost."""
    site.serve_metrics()
    site.inputs.append({"paths": [f"{hanging.folder}/*.log"], "dataset": site.name})
    local = site.logs / "local.log"
    append(local, "local 0\n")
    agent = site.agent()
    until(lambda: site.messages() == ["local 0", "remote 0"])
    hanging.hang()
    until(lambda: site.metric("tailrace_shipper_hung_disks") >= 1, 40)
    append(tmp_path / "behind", "remote 1\n")
    append(local, "local 1\n")
    append(site.logs / "later.log", "found meanwhile\n")
    until(lambda: len(site.messages()) == 4, 10)
    hanging.resume()
    until(lambda: "remote 1" in site.messages())
    until(lambda: site.metric("tailrace_shipper_hung_disks") == 0)
    said = [line for line in site.said() if line["message"] == "disk does not answer, its files wait"]
    assert len(said) == len({line["disk"] for line in said}), "each once"
    assert str(hanging.folder) in {line["disk"] for line in said}
    assert agent.stop() == 0
    assert chain(site.shipped())


@pytest.mark.edge
def test_neither_start_nor_stop_waits_for_a_disk_that_hangs(site: Site, hanging: HangingFolder) -> None:
    """An agent that starts while it hangs follows the rest; one that stops ends within seconds."""
    site.inputs.insert(0, {"paths": [f"{hanging.folder}/*.log"], "dataset": site.name})
    append(site.logs / "local.log", "local\n")
    hanging.hang()
    agent = site.agent()
    until(lambda: site.messages() == ["local"])
    began = time.monotonic()
    assert agent.stop() == 0
    assert time.monotonic() - began < 5
    agent = site.agent()
    hanging.resume()
    until(lambda: site.messages() == ["local", "remote 0"])
    hanging.hang()
    assert agent.stop() == 0


@pytest.mark.edge
@pytest.mark.parametrize("when", ["at the start", "while it is read"])
def test_a_read_error_is_said_once_and_again_when_it_is_mended(
    site: Site, hanging: HangingFolder, tmp_path: Path, when: str
) -> None:
    """However often it is tried; what could not be read is read then, whole."""
    site.inputs = [{"paths": [f"{hanging.folder}/*.log"], "dataset": site.name}]
    site.serve_metrics()
    broken = tmp_path / "behind.broken"
    if when == "at the start":
        broken.touch()
    agent = site.agent()
    if when != "at the start":
        until(lambda: site.messages() == ["remote 0"])
        broken.touch()
    append(tmp_path / "behind", "remote 1\n")
    until(lambda: any(line["message"] == "cannot read file" for line in site.said()))
    until(lambda: site.metric("tailrace_shipper_unreadable_files") == 1)
    until(lambda: (tmp_path / "behind.tries").stat().st_size >= 6)
    append(tmp_path / "behind", "remote 2\n")
    broken.unlink()
    until(lambda: site.messages() == ["remote 0", "remote 1", "remote 2"])
    assert agent.stop() == 0
    said = [line["message"] for line in site.said()]
    assert said.count("cannot read file") == 1
    assert said.count("file can be read again") == (when != "at the start")
    assert chain(site.shipped())


@pytest.mark.edge
def test_without_inotify_watches_the_rescan_finds_what_is_new(site: Site, tmp_path: Path) -> None:
    """The kernel's limit is reached: it is said once, counted, and new files and folders are still read."""
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("needs a user namespace of its own")
    site.serve_metrics()
    for number in range(4):
        (site.logs / f"{number}").mkdir()
    site.inputs[0]["paths"] = [f"{site.logs}/*/*.log"]
    lower = tmp_path / "lower.sh"
    lower.write_text('#!/bin/sh\necho 2 > /proc/sys/user/max_inotify_watches || exit 9\nexec "$@"\n')
    lower.chmod(0o755)
    agent = site.agent(prefix=["unshare", "-Ur", str(lower)])
    assert site.metric("tailrace_shipper_unwatched_folders") == 3
    (site.logs / "new").mkdir()
    for folder in ("0", "3", "new"):
        append(site.logs / folder / "a.log", f"in {folder}\n")
    until(lambda: site.messages() == ["in 0", "in 3", "in new"])
    assert agent.stop() == 0
    assert sum("no file system events" in line["message"] for line in site.said()) == 1


@pytest.mark.edge
def test_folders_that_appear_and_are_made_anew_are_watched(site: Site) -> None:
    """The event brings the new file, long before the next rescan."""
    site.shipper["rescan_seconds"] = 600.0
    base = site.logs / "not yet" / "deep"
    site.inputs[0]["paths"] = [f"{base}/*.log"]
    agent = site.agent()
    for turn in range(3):
        base.mkdir(parents=True)
        append(base / f"{turn}.log", f"turn {turn}\n")
        until(lambda turn=turn: f"turn {turn}" in site.messages(), 10)  # type: ignore[misc]
        shutil.rmtree(base.parent)
    assert agent.stop() == 0


@pytest.mark.edge
def test_files_are_held_open_while_kafka_is_away_at_the_start(site: Site) -> None:
    """What is rotated away and deleted before Kafka comes is read all the same."""
    path = site.logs / "a.log"
    append(path, "before\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    agent = site.agent(settings=site.write_settings(bootstrap_servers=f"127.0.0.1:{port}"))
    until(lambda: agent.has_open(path))
    append(path, "held\n")
    append(site.logs / "b.log", "appeared\n")
    until(lambda: agent.has_open(site.logs / "b.log"))
    path.unlink()
    (site.logs / "b.log").unlink()
    host, _, broker = site.bootstrap_servers.partition(":")
    door = socket.create_server(("127.0.0.1", port))
    threading.Thread(target=forward, args=(door, (host, int(broker))), daemon=True).start()
    until(lambda: site.messages() == ["appeared", "before", "held"])
    assert agent.stop() == 0
    door.close()


@in_loop
async def test_a_large_compressed_file_is_no_disk_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands before the position must be decompressed first, however long that takes: the file is waited for."""
    monkeypatch.setattr(disk, "HUNG_SECONDS", 0.3)
    member = b"line\n" * 2_000_000
    path = tmp_path / "app.log.1.gz"
    path.write_bytes(gzip.compress(member, 1) * 80)
    size, one = 80 * len(member), disk.Disk()
    device = path.stat().st_dev
    (opened,) = await one.open([disk.Wanted(str(path), device, size, 5)])
    assert opened.before == b"line\n"
    (fresh,) = await one.open([disk.Wanted(str(path), device)])
    assert await one.before(fresh.handle, size, device) == member[-256:]
