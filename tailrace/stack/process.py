"""A command to a detached child process that outlives us, and its recorded pid back to that very process."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from tailrace.errors import StackFailed

_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


class Child(msgspec.Struct, frozen=True):
    """A process we started; its start time and a word of its command tell it from a later one with the same pid."""

    pid: int
    started: int
    """Clock ticks from the boot of the machine to the start of the process: field 22 of ``/proc/PID/stat``."""
    mark: str
    """A word of the command line that nobody else's has."""


def spawn(command: Sequence[str], mark: str, console: Path) -> Child:
    """Start a command in a session of its own, its output appended to a file, so that it survives this process.

    Not ``subprocess.Popen``: that one wants its child to end before it does.
    """
    if mark not in command:
        raise ValueError(mark)
    output = os.open(console, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        pid = os.posix_spawn(
            command[0],
            list(command),
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
            ],
            setsid=True,
            setsigmask=[],
        )
    finally:
        os.close(output)
    stat = _stat(pid)
    if stat is None:
        raise StackFailed(f"{command[0]} could not be watched: /proc is not mounted; mount it")
    return Child(pid=pid, started=int(stat[19]), mark=mark)


def alive(child: Child) -> bool:
    """Whether this very process still runs: paused counts, and so does one that still gives back its ports."""
    with _handle(child) as handle:
        return handle is not None and not _ended(handle, 0)


def paused(child: Child) -> bool:
    """Whether the process is stopped by SIGSTOP."""
    stat = _stat(child.pid)
    return stat is not None and stat[0] == "T"


def becomes_paused(child: Child, deadline_seconds: float) -> bool:
    """Wait until a SIGSTOP that was sent has reached the process; whether it did before the deadline."""
    until = time.monotonic() + deadline_seconds
    while not paused(child) and time.monotonic() < until:
        time.sleep(0.005)
    return paused(child)


def resident_mib(child: Child) -> int:
    """Memory of the process that is in RAM now, in MiB."""
    stat = _stat(child.pid)
    return 0 if stat is None else int(stat[21]) * _PAGE_KIB // 1024


def send(child: Child, what: signal.Signals) -> bool:
    """Signal this very process, never another that has its pid; whether it was there."""
    with _handle(child) as handle:
        if handle is None or _ended(handle, 0):
            return False
        with contextlib.suppress(ProcessLookupError):  # it ended by itself just now
            signal.pidfd_send_signal(handle, what)
        return True


def end(child: Child, deadline_seconds: float) -> bool:
    """Ask the process to stop, and kill it if it still runs after the deadline; whether it stopped by itself."""
    send(child, signal.SIGTERM)
    send(child, signal.SIGCONT)  # a paused one does not hear SIGTERM
    if gone(child, deadline_seconds):
        return True
    send(child, signal.SIGKILL)
    if not gone(child, 10):
        raise StackFailed(f"process {child.pid} does not even end by SIGKILL: see what it hangs on with ps")
    return False


def gone(child: Child, deadline_seconds: float) -> bool:
    """Wait until the process has ended, all threads of it; whether it did before the deadline."""
    with _handle(child) as handle:
        return handle is None or _ended(handle, deadline_seconds)


@contextlib.contextmanager
def _handle(child: Child) -> Iterator[int | None]:
    """A handle of the process that no other can inherit with its pid, or None if the process is gone."""
    with contextlib.suppress(ChildProcessError):  # not our own child: some other process reaps it
        os.waitpid(child.pid, os.WNOHANG)
    try:
        handle = os.pidfd_open(child.pid)
    except ProcessLookupError:
        yield None
        return
    try:
        stat, command = _stat(child.pid), _command(child.pid)
        # An ending process has lost its command line already.
        ours = stat is not None and int(stat[19]) == child.started and (child.mark in command or command == [""])
        yield handle if ours else None
    finally:
        os.close(handle)


def _ended(handle: int, deadline_seconds: float) -> bool:
    """A pidfd is readable from the end of the last thread on; the main thread alone may end earlier."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(deadline_seconds * 1000))


def _stat(pid: int) -> list[str] | None:
    """The fields of ``/proc/PID/stat`` from the third on (see proc(5)); the second may hold spaces and brackets."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _command(pid: int) -> list[str]:
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []
