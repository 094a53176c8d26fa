"""Commands to child processes that end with us, and are never left behind."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from tailrace.errors import TailraceError
from tailrace.stack import machine

_END_SECONDS = 40.0
"""Longer than an agent or an indexer takes to drain."""
_LAST_LINES = 8


class ReadItsLog(TailraceError):
    """A part of the demo ended by itself or did not end well; what it said is in its log."""


class Children:
    """Child processes by name; each is in a process group of its own, so that Ctrl-C reaches only us.

    Hazard: ``stop_all`` must be awaited at the end, whatever happens. If even we are killed, the kernel asks each
    child to stop (see ``leash``).
    """

    def __init__(self) -> None:
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._said: dict[str, Path] = {}

    async def start(self, name: str, said: Path, *module: str) -> None:
        """Run a Python module with arguments; its output goes to the file ``said``."""
        leash = (sys.executable, "-m", "tailrace.demo.leash", str(os.getpid()))
        with said.open("ab") as output:
            self._running[name] = await asyncio.create_subprocess_exec(
                *leash,
                sys.executable,
                "-m",
                *module,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
            )
        self._said[name] = said

    def check(self) -> None:
        """Raise ReadItsLog if one has ended that should not have."""
        for name, child in self._running.items():
            if child.returncode is not None:
                raise ReadItsLog(f"{name} ended by itself (exit code {child.returncode}); it said:\n{self._last(name)}")

    async def stop(self, *names: str) -> None:
        """Ask these to stop, all at once, and wait for them.

        Raises:
            ReadItsLog: one of them did not end in order, with exit code 0.
        """
        for name in names:
            self._signal(name, signal.SIGTERM)
        for name in names:
            await self.wait(name)

    async def wait(self, name: str) -> None:
        """Wait until one has ended, which it should do by itself or was asked to.

        Raises:
            ReadItsLog: it did not end in order, with exit code 0.
        """
        try:
            code = await asyncio.wait_for(self._running[name].wait(), _END_SECONDS)
        except TimeoutError:
            raise ReadItsLog(f"{name} did not end within {_END_SECONDS:g} s; it said:\n{self._last(name)}") from None
        del self._running[name]
        if code != 0:
            raise ReadItsLog(f"{name} ended with exit code {code}; it said:\n{self._last(name)}")

    async def stop_all(self) -> None:
        """Stop whatever still runs, by force if it must be."""
        for name in self._running:
            self._signal(name, signal.SIGTERM)
        for name, child in self._running.items():
            try:
                await asyncio.wait_for(child.wait(), _END_SECONDS)
            except TimeoutError:
                self._signal(name, signal.SIGKILL)
                await child.wait()
        self._running.clear()

    def _signal(self, name: str, what: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._running[name].send_signal(what)

    def _last(self, name: str) -> str:
        return machine.tail(self._said[name], _LAST_LINES) or "nothing"
