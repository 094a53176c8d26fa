"""What a running agent knows to whoever asks at the socket in its state folder, and the asking.

An answer is lines of JSON: first what the agent says of itself, then arrays of files. It is made piece by piece, so
that ten thousand files neither hold up the reading nor fill the memory.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path

from tailrace.errors import MendState

NAME = "status.sock"
_MODE = 0o660
"""Less what the umask takes away: under the shipped unit only the service's user and root may ask."""
_PATIENCE_SECONDS = 30.0
_MOST_AT_ONCE = 4


@contextlib.asynccontextmanager
async def answering(folder: Path, pieces: Callable[[], Iterable[bytes]]) -> AsyncIterator[None]:
    """Answer with these pieces, one a line, whoever connects while inside; a socket that cannot be is only said."""
    open_to: set[asyncio.StreamWriter] = set()

    async def answer(_asked: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(open_to) < _MOST_AT_ONCE:
            open_to.add(writer)
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    for piece in pieces():
                        writer.write(piece + b"\n")
                        await writer.drain()
                        await asyncio.sleep(0)
            open_to.discard(writer)
        writer.close()

    try:
        server = await asyncio.start_unix_server(answer, sock=_bound(folder))
    except OSError as error:
        import structlog  # noqa: PLC0415 - slow to load, and who only reads has nothing to log

        structlog.get_logger().warning("`tailrace status` cannot ask this agent", reason=error.strerror or str(error))
        yield
        return
    try:
        yield
    finally:
        server.close()
        for writer in open_to:
            writer.close()
        with contextlib.suppress(OSError):
            (folder / NAME).unlink()


def ask(folder: Path, seconds: float) -> Iterator[bytes] | None:
    """The pieces of the answer of the agent that runs on this folder; None if none does.

    Raises:
        MendState: it runs and may not be asked, or does not answer in these seconds.
    """
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    channel.settimeout(seconds)
    try:
        with _reachable(folder) as address:
            channel.connect(address)
    except OSError as error:
        channel.close()
        if isinstance(error, FileNotFoundError | ConnectionRefusedError | NotADirectoryError):
            return None
        if isinstance(error, PermissionError):
            raise MendState(
                f"This user may not ask the agent on {folder}; ask as root or as the agent's user (sudo -u tailrace)."
            ) from error
        raise MendState(f"The agent on {folder} does not answer: {error}; see its log.") from error
    return _pieces(channel, folder)


def _pieces(channel: socket.socket, folder: Path) -> Iterator[bytes]:
    with channel, channel.makefile("rb") as answer:
        try:
            yield from answer
        except OSError as error:
            raise MendState(f"The agent on {folder} does not answer: {error}; see its log.") from error


def _bound(folder: Path) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        (folder / NAME).unlink()
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Before it is bound, so that it is never open to more than it may be.
        os.fchmod(channel.fileno(), _MODE)
        with _reachable(folder) as address:
            channel.bind(address)
        channel.setblocking(False)  # noqa: FBT003 - the name of the method says it
    except BaseException:
        channel.close()
        raise
    return channel


@contextlib.contextmanager
def _reachable(folder: Path) -> Iterator[str]:
    """The socket's address; by the folder's descriptor, for an address has at most 107 bytes (unix(7))."""
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{handle}/{NAME}"
    finally:
        os.close(handle)
