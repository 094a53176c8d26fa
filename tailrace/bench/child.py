"""A command to what it took: seconds, processor seconds of the child, peak resident memory."""

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tailrace.errors import BenchFailed

_POLL_SECONDS = 0.02
_LAST_WORDS = 600


class Spent(NamedTuple):
    """What one run of a child took: wall and processor seconds, and MiB at its largest."""

    seconds: float
    cpu_seconds: float
    resident_mib: float


class Child:
    """A running command; ``core`` is the only processor it may use, or None.

    Hazard: ``ru_maxrss`` of a child is at least what its parent held when it was started (an exec does not reset it),
    so the peak is read from the kernel's own mark of the child's memory, while it runs.
    """

    def __init__(self, command: Sequence[str], log: Path, core: int | None = None) -> None:
        self._log = log
        self._command = " ".join(command[1:])
        self._began = time.monotonic()
        with log.open("wb") as opened:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=opened, stderr=opened)
        self._status = Path(f"/proc/{self._process.pid}/status")
        self._peak = 0
        if core is not None:
            os.sched_setaffinity(self._process.pid, {core})

    def wait(self, meanwhile: Callable[[], None] = lambda: None) -> Spent:
        """Wait for its end, calling ``meanwhile`` again and again.

        Raises:
            BenchFailed: it failed; the text holds its last words.
        """
        while True:
            pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
            if pid:
                break
            self.look()
            meanwhile()
            time.sleep(_POLL_SECONDS)
        seconds = time.monotonic() - self._began
        self._process.returncode = os.waitstatus_to_exitcode(status)
        if self._process.returncode:
            words = self._log.read_text("utf-8", "replace")[-_LAST_WORDS:]
            raise BenchFailed(f"`{self._command}` ended with {self._process.returncode}; its last words:\n{words}")
        return Spent(seconds, usage.ru_utime + usage.ru_stime, self._peak / 1024)

    def look(self) -> None:
        """See how much memory it held at most, while it runs."""
        self._peak = max(self._peak, self._kib("VmHWM:"))

    def held(self) -> float:
        """MiB of memory it holds now; 0 where the kernel does not say."""
        return self._kib("VmRSS:") / 1024

    def stop(self) -> Spent:
        """Ask it to end, and wait until it has."""
        self._process.terminate()
        return self.wait()

    def kill(self) -> None:
        """End it at once, if it still runs."""
        if self._process.returncode is None:
            self._process.kill()
            self._process.wait()

    def check(self) -> None:
        """Notice that it ended although nobody asked it to.

        Raises:
            BenchFailed: it did.
        """
        if os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            self.wait()
            raise BenchFailed(f"a process ended early; see {self._log}")

    def _kib(self, name: str) -> int:
        """A size of its memory, see proc(5); 0 where the kernel does not say."""
        try:
            found = [line for line in self._status.read_text().splitlines() if line.startswith(name)]
        except OSError:
            return 0
        return int(found[0].split()[1]) if found else 0


def run(
    command: Sequence[str], log: Path, core: int | None = None, meanwhile: Callable[[], None] = lambda: None
) -> Spent:
    """Run a command to its end.

    Raises:
        BenchFailed: it failed.
    """
    child = Child(command, log, core)
    try:
        return child.wait(meanwhile)
    finally:
        child.kill()


def run_together(commands: Sequence[Sequence[str]], logs: Sequence[Path], meanwhile: Callable[[], None]) -> Spent:
    """Run commands side by side to their ends: the seconds of all, the processor seconds of each, the largest of them.

    Raises:
        BenchFailed: one failed.
    """
    children = [Child(command, log) for command, log in zip(commands, logs, strict=True)]

    def look() -> None:
        for child in children:
            child.look()
        meanwhile()

    try:
        seconds, cpu_seconds, resident_mib = zip(*[child.wait(look) for child in children], strict=True)
    finally:
        for child in children:
            child.kill()
    return Spent(max(seconds), sum(cpu_seconds), max(resident_mib))
