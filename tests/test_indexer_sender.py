"""A span ends when all of its records came to their end, and not before: the offset behind it may be committed then."""

import asyncio
from unittest import mock

import pytest
from fakes import FakePolled
from processes import in_loop
from test_indexer_edge import reached

from indexer import sender as sender_module
from indexer.load import Load
from indexer.ownership import Commit, Owned
from indexer.pace import Pace
from indexer.sender import Sender
from indexer.slices import Waiting
from indexer.writer import Writer
from tailrace.settings import Indexer


class Slow(Writer):
    """Takes a load, and is done with it when it is told to be, or leaves it to the next owner."""

    def __init__(self, *, leaves: bool) -> None:
        self.loads: list[Load] = []
        self.done = asyncio.Event()
        self._leaves = leaves
        self.doubtful = 0

    async def write(self, load: Load) -> None:
        self.loads.append(load)
        await self.done.wait()
        if self._leaves:
            load.abandoned |= {part.owned for part in load.parts}

    def moved(self) -> None:
        pass

    def is_doubted(self, load: Load) -> bool:
        return load in self.loads[: self.doubtful]


@pytest.mark.parametrize("leaves", [False, True])
@in_loop
async def test_an_offset_may_be_committed_when_what_is_before_it_is_stored(leaves: bool) -> None:
    """Not while its request is on its way, and never if the rest was left to the next owner."""
    owned = Owned("t", 0, 0, 0)
    owned.stored(Commit(0, 100))
    waiting, pace = Waiting(100_000, 100), Pace(100_000, 1, 5.0)
    waiting.add(owned, [FakePolled(b"{}")], 1)
    writer, ended = Slow(leaves=leaves), asyncio.Event()
    sender = Sender(Indexer(linger_seconds=0.0), waiting, writer, pace, ended.set)
    running = asyncio.create_task(sender.run())
    sender.wake()
    await reached(lambda: writer.loads)
    assert owned.watermark.position == 0
    writer.done.set()
    await asyncio.wait_for(ended.wait(), 10)
    assert owned.watermark.position == (0 if leaves else 1)
    running.cancel()


@in_loop
async def test_slices_that_wait_for_what_others_show_do_not_keep_them_from_being_sent() -> None:
    """Else three of them, whose records are refused for an unknown reason, would stop all for ever."""
    owned = Owned("t", 0, 0, 0)
    owned.stored(Commit(0, 1000))
    waiting, pace = Waiting(100_000, 1), Pace(100_000, 1, 5.0)
    waiting.add(owned, [FakePolled(b"{}", offset=number) for number in range(9)], 9)
    writer = Slow(leaves=False)
    sender = Sender(Indexer(linger_seconds=0.0, in_flight=3), waiting, writer, pace, lambda: None)
    running = asyncio.create_task(sender.run())
    sender.wake()
    await reached(lambda: len(writer.loads) == 3)
    await asyncio.sleep(0.05)
    assert len(writer.loads) == 3
    writer.doubtful = 2
    writer.doubted()
    await reached(lambda: len(writer.loads) == 5)
    with mock.patch.object(sender_module, "_MOST_DOUBTED_BYTES", 0), mock.patch.object(Load, "left_bytes", 1):
        writer.doubtful = 5
        writer.doubted()
        await asyncio.sleep(0.05)
    assert len(writer.loads) == 5, "what waits is in memory"
    running.cancel()
