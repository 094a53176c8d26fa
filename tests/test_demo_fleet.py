"""The demo's services write what they count, rotate by renaming, and lose no line of theirs."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tailrace.demo.fleet import RotatedFile, read_counts
from tailrace.demo.services import SERVICES


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_writes_whole_lines(name: str) -> None:
    """Each call gives lines with their ends; whatever happened left at least one."""
    happen = SERVICES[name](random.Random(7))
    for count in (1, 50, 400):
        written = happen(count)
        assert written.endswith(b"\n")
        assert written.count(b"\n") >= count


def test_rotation_shifts_every_generation(tmp_path: Path) -> None:
    """The newest is always without a number, the oldest has the highest, and none is overwritten."""
    path = tmp_path / "app.log"
    with RotatedFile(path, tmp_path / "counts") as file:
        for number in range(4):
            file.write(b"line of generation %d\n" % number)
            if number < 3:
                file.rotate()
    assert sorted(one.name for one in tmp_path.glob("app.log*")) == ["app.log", "app.log.1", "app.log.2", "app.log.3"]
    assert path.read_bytes() == b"line of generation 3\n"
    assert (tmp_path / "app.log.3").read_bytes() == b"line of generation 0\n"
    counts = read_counts(tmp_path / "counts")
    assert (counts.lines, counts.rotations) == (4, 3)


def test_counts_before_the_writer_began_are_zero(tmp_path: Path) -> None:
    """The screen may look earlier than the writer."""
    assert read_counts(tmp_path / "counts").lines == 0


@pytest.mark.crash
@pytest.mark.parametrize("name", SERVICES)
def test_a_stopped_writer_has_written_all_it_counted(name: str, tmp_path: Path) -> None:
    """A real process, rotating several times a second, ends with 0 at SIGTERM; its files hold what it counted."""
    path, counts = tmp_path / "app.log", tmp_path / "counts"
    command = [sys.executable, "-m", "tailrace.demo.fleet", name, str(path), str(counts), "2000", "0.15"]
    with subprocess.Popen(command) as writer:
        until = time.monotonic() + 30
        while read_counts(counts).rotations < 3 and time.monotonic() < until:
            time.sleep(0.02)
        writer.terminate()
        assert writer.wait(10) == 0
    written = [one.read_bytes() for one in tmp_path.glob("app.log*")]
    said = read_counts(counts)
    assert said.rotations >= 3
    assert len(written) == said.rotations + 1
    assert sum(bool(line.strip()) for content in written for line in content.split(b"\n")) == said.lines
    assert sum(map(len, written)) == said.bytes


@pytest.mark.crash
def test_a_signal_at_whatever_line_ends_a_writer(tmp_path: Path) -> None:
    """Wherever SIGTERM meets it, in the midst of its wait for the next tick too, it ends: that takes no lock."""
    script = (
        "import signal, sys\n"
        "from tailrace.demo import fleet\n"
        "def trace(frame, event, _argument):\n"
        "    global seen\n"
        "    if event == 'line' and (seen or frame.f_code is fleet.write.__code__):\n"
        "        seen += 1\n"
        "        if seen == at:\n"
        "            signal.raise_signal(signal.SIGTERM)\n"
        "    return trace\n"
        "for at in range(1, 100):\n"
        "    seen = 0\n"
        "    sys.settrace(trace)\n"
        "    fleet.main('recommendations', sys.argv[1], sys.argv[2], '1000', '60')\n"
        "    sys.settrace(None)\n"
        "    assert seen >= at\n"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "app.log", tmp_path / "counts"], check=True, timeout=20)


@pytest.mark.crash
def test_a_leashed_command_ends_with_its_starter(tmp_path: Path) -> None:
    """Even a starter that is killed with SIGKILL leaves no child behind."""
    note = tmp_path / "pid"
    script = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-m', 'tailrace.demo.leash', str(os.getpid()), 'sleep', '60'])\n"
        f"open({str(note)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script]) as starter:
        until = time.monotonic() + 20
        while not _runs(note, "sleep") and time.monotonic() < until:
            time.sleep(0.02)
        pid = int(note.read_text())
        starter.kill()
    while _runs(note, "sleep") and time.monotonic() < until:
        time.sleep(0.02)
    with pytest.raises(ProcessLookupError):
        _kill_if_there(pid)


def _runs(note: Path, command: str) -> bool:
    """Whether the noted process is this command by now, and no zombie."""
    try:
        stat = Path(f"/proc/{int(note.read_text())}/stat").read_text()
    except (OSError, ValueError):
        return False
    return f"({command})" in stat and ") Z " not in stat


def _kill_if_there(pid: int) -> None:
    if _zombie(pid):
        raise ProcessLookupError
    os.kill(pid, signal.SIGKILL)


def _zombie(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
