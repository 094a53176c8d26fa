"""A file system of one's own that can be made to hang: one folder with one file, over the kernel's FUSE protocol.

Needs /dev/fuse and the right to mount. The server is a child process; while it is stopped, every call on the mount
hangs in the kernel as on a dead network disk: no reply, no time-out. It stops itself, between two calls: whoever waits
for a call that the server has taken and not answered cannot even be killed.
"""

import ctypes
import errno
import os
import select
import signal
import stat
import struct
import sys
import time
from pathlib import Path

_IN = struct.Struct("=IIQQIIII")
_OUT = struct.Struct("=IiQ")
_LOOKUP, _GETATTR, _OPEN, _READ, _STATFS, _RELEASE = 1, 3, 14, 15, 17, 18
_INIT, _OPENDIR, _READDIR, _RELEASEDIR, _FORGET, _BATCH_FORGET, _INTERRUPT = 26, 27, 28, 29, 2, 42, 36
_NAME = b"remote.log"


class HangingFolder:
    """``folder`` holds ``remote.log``, whose bytes are those of ``behind``, a file elsewhere.

    While there is a file ``<behind>.broken``, every read of it fails and adds a byte to ``<behind>.tries``.
    """

    def __init__(self, folder: Path, behind: Path) -> None:
        self.folder = folder
        folder.mkdir()
        handle = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={handle},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        libc = ctypes.CDLL(None, use_errno=True)
        self._umount = libc.umount2
        if libc.mount(b"hanging", os.fsencode(folder), b"fuse.hanging", 0, options):
            os.close(handle)
            raise OSError(ctypes.get_errno(), "cannot mount")
        orders, self._orders = os.pipe()
        self._server = os.posix_spawn(
            sys.executable, [sys.executable, __file__, str(handle), str(orders), str(behind)], os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, handle, handle), (os.POSIX_SPAWN_DUP2, orders, orders)],
        )  # fmt: skip
        os.close(handle)
        os.close(orders)
        # One close, answered: the kernel learns that nothing is to be flushed, or every exit would wait for that.
        (folder / _NAME.decode()).read_bytes()

    def hang(self) -> None:
        """From now on no call returns."""
        os.write(self._orders, b"x")
        os.waitpid(self._server, os.WUNTRACED)

    def resume(self) -> None:
        """All of them are answered."""
        os.kill(self._server, signal.SIGCONT)

    def end(self) -> None:
        """Take it down; calls that hang fail."""
        self._umount(os.fsencode(self.folder), 2)
        os.kill(self._server, signal.SIGKILL)
        os.waitpid(self._server, 0)
        os.close(self._orders)


def _attributes(inode: int, behind: str) -> bytes:
    status = Path(behind).stat()
    size, mode = (status.st_size, stat.S_IFREG | 0o644) if inode == 2 else (0, stat.S_IFDIR | 0o755)
    seconds, nanoseconds = divmod(status.st_mtime_ns, 10**9)
    return struct.pack(
        "=QQQQQQIIIIIIIIII", inode, size, 1, seconds, seconds, seconds, nanoseconds, nanoseconds, nanoseconds,
        mode, 1, 0, 0, 0, 4096, 0,
    )  # fmt: skip


def _answer(code: int, inode: int, body: bytes, behind: str) -> bytes | int:  # noqa: C901, PLR0911 - one for each call
    """What the kernel asked to the reply's body, or an error number; entries and attributes are not cached."""
    if code == _INIT:
        return struct.pack("=IIIIHHIIHHI28x", 7, 31, 0, 0, 8, 6, 4096, 1, 0, 0, 0)
    if code == _LOOKUP:
        if body.rstrip(b"\0") != _NAME:
            return errno.ENOENT
        return struct.pack("=QQQQII", 2, 0, 0, 0, 0, 0) + _attributes(2, behind)
    if code == _GETATTR:
        return struct.pack("=QII", 0, 0, 0) + _attributes(inode, behind)
    if code in (_OPEN, _OPENDIR):
        return struct.pack("=QII", 0, 1, 0)  # direct I/O: no page of it is cached
    if code == _READ:
        if Path(f"{behind}.broken").exists():
            with Path(f"{behind}.tries").open("a") as tries:
                tries.write("x")
            return errno.EIO
        _handle, offset, size = struct.unpack_from("=QQI", body)
        with Path(behind).open("rb") as file:
            return os.pread(file.fileno(), size, offset)
    if code == _READDIR:
        offset = struct.unpack_from("=QQI", body)[1]
        return b"" if offset else struct.pack("=QQII", 2, 1, len(_NAME), 8) + _NAME.ljust(16, b"\0")
    if code in (_RELEASE, _RELEASEDIR):
        return b""
    if code == _STATFS:
        return struct.pack("=QQQQQIIII24x", 1, 1, 1, 1, 1, 4096, 255, 4096, 0)
    return errno.ENOSYS


def serve(handle: int, orders: int, behind: str) -> None:
    """Answer the kernel until the mount is gone; every byte of ``orders`` is the order to stop until SIGCONT."""
    while True:
        if orders in select.select((handle, orders), (), ())[0]:
            if not os.read(orders, 1):
                return
            os.kill(os.getpid(), signal.SIGSTOP)
            continue
        try:
            request = os.read(handle, 1_100_000)
        except OSError as error:
            if error.errno == errno.ENODEV:
                return
            time.sleep(0.01)
            continue
        _length, code, unique, inode, *_rest = _IN.unpack_from(request)
        if code in (_FORGET, _BATCH_FORGET, _INTERRUPT):
            continue
        answer = _answer(code, inode, request[_IN.size :], behind)
        body, error_number = (answer, 0) if isinstance(answer, bytes) else (b"", -answer)
        os.write(handle, _OUT.pack(_OUT.size + len(body), error_number, unique) + body)


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
