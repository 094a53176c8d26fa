"""A command to the same command that is asked to stop when the one who started it dies, even by SIGKILL.

``python -m tailrace.demo.leash PARENT_PID COMMAND…``: the wish survives the exec (see PR_SET_PDEATHSIG in prctl(2)).
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def tie(parent: int) -> None:
    """Let the kernel send us SIGTERM when ``parent`` ends; end at once if it is gone already. Linux only."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    tie(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - becoming the command is the point
