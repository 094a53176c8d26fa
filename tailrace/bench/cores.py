"""Who may use which cores of this machine while it is measured."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from tailrace.errors import BenchFailed


@contextlib.contextmanager
def apart(pid: int, others: Iterable[int]) -> Iterator[list[int]]:
    """Leave the upper half of our cores to one process; we, our children and the others have the rest meanwhile.

    Gives the cores that it has to itself: none where we have only one, and then nothing is changed. Each process
    has afterwards the cores that it had before.

    Raises:
        BenchFailed: the processes are not ours to move.
    """
    cores = sorted(os.sched_getaffinity(0))
    lower, upper = cores[: len(cores) // 2], cores[len(cores) // 2 :]
    if not lower:
        yield []
        return
    wanted = {pid: upper, **dict.fromkeys(others, lower)}
    try:
        before = {one: os.sched_getaffinity(one) for one in wanted}
    except OSError as error:
        raise _cannot(error) from error
    try:
        os.sched_setaffinity(0, lower)
        for one, own in wanted.items():
            _hold(one, own)
        yield upper
    finally:
        os.sched_setaffinity(0, cores)
        for one, its in before.items():
            with contextlib.suppress(BenchFailed):  # it ended, or we were not allowed to move it
                _hold(one, its)


def _hold(pid: int, cores: Iterable[int]) -> None:
    """Give all threads of a process these cores; one that begins later has those of the thread that began it."""
    folder, held = Path(f"/proc/{pid}/task"), set[str]()
    try:
        while new := {thread.name for thread in folder.iterdir()} - held:
            for thread in new:
                with contextlib.suppress(ProcessLookupError):  # it ended in between
                    os.sched_setaffinity(int(thread), cores)
            held |= new
    except OSError as error:
        raise _cannot(error) from error


def _cannot(error: OSError) -> BenchFailed:
    return BenchFailed(f"the servers cannot be given cores of their own ({error.strerror}): try --shared-cores")
