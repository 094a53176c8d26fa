"""An agent to one that is killed, or stopped, while it works; and commands to their end."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from pathlib import Path

from tailrace.demo.children import ReadItsLog
from tailrace.stack import machine

_LAST_LINES = 8
_READY_SECONDS = 90.0


class Victim:
    """One agent after the other in a state folder; ``kill`` ends one as a power cut does, ``stop`` as systemd does.

    Should we ourselves be killed, the kernel asks it to stop.
    """

    def __init__(self, settings: Path, said: Path) -> None:
        self._settings = settings
        self._said = said
        self._child: asyncio.subprocess.Process | None = None
        self._name = f"tailrace-torture-{os.getpid()}-{time.monotonic_ns()}"
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._channel.bind(f"\0{self._name}")
        self._channel.setblocking(False)  # noqa: FBT003 - the standard library takes no name

    async def start(self) -> None:
        """Start an agent."""
        with contextlib.suppress(BlockingIOError):  # the last words of the one before
            while self._channel.recv(4096):
                pass
        with self._said.open("ab") as output:
            self._child = await _spawn(
                ("ship", "--config", str(self._settings)), output.fileno(), {"NOTIFY_SOCKET": f"@{self._name}"}
            )

    async def ready(self) -> None:
        """Wait until it says, as to systemd, that it follows what is there.

        Raises:
            ReadItsLog: it did not.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_READY_SECONDS):
                while b"READY=1" not in await loop.sock_recv(self._channel, 4096):
                    pass
        except TimeoutError:
            raise ReadItsLog(f"The agent was not ready in {_READY_SECONDS:g} s; it said:\n{self._last()}") from None

    async def kill(self) -> None:
        """End it as a power cut does.

        Raises:
            ReadItsLog: it had ended by itself.
        """
        child = self._running()
        child.kill()
        await child.wait()

    async def stop(self) -> float:
        """Ask it to end; how long that took, in seconds.

        Raises:
            ReadItsLog: it had ended by itself, or did not end with exit code 0.
        """
        child, began = self._running(), time.monotonic()
        child.send_signal(signal.SIGTERM)
        code = await child.wait()
        if code != 0:
            raise ReadItsLog(f"The agent ended with exit code {code} when it was stopped; it said:\n{self._last()}")
        return time.monotonic() - began

    async def close(self) -> None:
        """Leave nothing behind."""
        self._channel.close()
        if self._child is not None and self._child.returncode is None:
            self._child.kill()
            await self._child.wait()

    def _running(self) -> asyncio.subprocess.Process:
        child = self._child
        if child is None or child.returncode is not None:
            code = None if child is None else child.returncode
            raise ReadItsLog(f"The agent ended by itself (exit code {code}); it said:\n{self._last()}")
        return child

    def _last(self) -> str:
        return machine.tail(self._said, _LAST_LINES) or "nothing"


async def run_to_end(said: Path, *arguments: str) -> None:
    """Run a command of tailrace, however long it takes.

    Raises:
        ReadItsLog: its exit code is not 0.
    """
    with said.open("ab") as output:
        child = await _spawn(arguments, output.fileno(), {})
    try:
        code = await child.wait()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if code != 0:
        raise ReadItsLog(f"tailrace {arguments[0]} ended with exit code {code}; it said:\n{machine.tail(said, 8)}")


async def _spawn(arguments: tuple[str, ...], output: int, environment: dict[str, str]) -> asyncio.subprocess.Process:
    """In a process group of its own, so that Ctrl-C reaches only us."""
    leash = (sys.executable, "-m", "tailrace.demo.leash", str(os.getpid()))
    return await asyncio.create_subprocess_exec(
        *leash,
        *(sys.executable, "-m", "tailrace", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        process_group=0,
        env={**os.environ, **environment},
    )
