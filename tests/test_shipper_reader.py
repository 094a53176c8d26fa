"""A round over files with much to read: what it holds in memory, and what must be durable before it sends."""

import asyncio
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from world_agent import Memory, WorldAgent, small_world
from world_files import Clock

from shipper import source
from shipper.records import Chunk, Encoder, Record

FILES = 5


class Watched(list[Record]):
    """Records of which one can be told whether somebody still holds them."""


class Broker:
    """Sees what is handed in, keeps nothing of it, and acknowledges when it is told to."""

    def __init__(self, registry: Memory) -> None:
        self.sendings: list[Any] = []
        self.sources: list[str] = []
        self.past_reach = self.headless = 0
        self.progress = asyncio.Event()
        self._registry = registry

    def room(self, _lane: int) -> bool:
        return True

    def full_lane(self, _source: str, _topics: Sequence[str]) -> int | None:
        return None

    def hand_in(self, name: str, _topics: Sequence[str], records: Sequence[Record], sending: Any) -> None:
        sending.joins()
        sending.complete()
        self.sendings.append(sending)
        self.sources.append(name)
        row = self._registry.rows.get(name)
        last = int(records[-1][0].rpartition(b"|")[2].split(b":")[1])
        self.past_reach += row is None or last >= row.reach
        self.headless += row is None or not row.head.length or not row.size


@contextmanager
def reading(folder: Path, *, empty: bool = False) -> Iterator[tuple[WorldAgent, Broker, list[int], asyncio.Runner]]:
    """An agent before files of many chunks; whenever records are made: of how many chunks some are held by then."""
    folder.mkdir()
    paths = [folder / f"{number}.log" for number in range(FILES)]
    for path in paths:
        path.write_text("".join(f"{path.stem} is line {number:02d}\n" for number in range(0 if empty else 100)))
    clock, chunks, held = Clock(), list[weakref.ref[Watched]](), list[int]()
    make = Encoder.chunk

    def watched(encoder: Encoder, *arguments: Any) -> Chunk:
        chunk = make(encoder, *arguments)
        held.append(sum(one() is not None for one in chunks))
        records = Watched(chunk.records)
        chunks.append(weakref.ref(records))
        return chunk._replace(records=records)

    with small_world(clock), mock.patch.object(Encoder, "chunk", watched), asyncio.Runner() as loop:
        registry = Memory(clock)
        agent = WorldAgent(folder, [str(folder / "*.log")], clock, registry, [])
        broker: Any = Broker(registry)
        agent.brokers = agent.reader._producer = broker
        loop.run(agent.start())
        yield agent, broker, held, loop
        loop.run(agent._close())


def test_the_records_of_one_chunk_at_a_time_are_in_memory(tmp_path: Path) -> None:
    """However many files have a turn in one round, and however long it takes until their records are acknowledged."""
    with reading(tmp_path / "logs") as (agent, broker, held, loop):
        for _ in range(4):
            loop.run(agent.look())
        assert len(broker.sendings) == len(held) == 4 * FILES
        assert set(held) == {0}, "of earlier chunks"
        for sending in broker.sendings:
            sending.acknowledged()
        assert {one.watermark.position for one in agent.follow.sources} == {4 * 52}, "four lines of a chunk"


def test_nothing_is_sent_past_a_reach_that_is_not_durable(tmp_path: Path) -> None:
    """From the first chunk of a file on: what an agent that is killed may have sent is known to the next."""
    small = mock.patch.multiple(source, _LEAST_WINDOW=1, _MOST_WINDOW=1)  # reaches no larger than they must be
    with small, reading(tmp_path / "logs") as (agent, broker, _held, loop):
        while loop.run(agent.look()):
            pass
        assert len(set(broker.sources)) == FILES < len(broker.sources)
        assert broker.past_reach == 0


def test_a_file_that_was_empty_is_known_by_its_beginning_before_a_line_of_it_is_sent(tmp_path: Path) -> None:
    """Else, after a crash, what is written after a truncation might be taken for what was sent of it before."""
    with reading(tmp_path / "logs", empty=True) as (agent, broker, _held, loop):
        loop.run(agent.look())
        assert not broker.sources
        for path in (tmp_path / "logs").iterdir():
            path.write_text("the first line\n")
        agent.clock.now += 5
        loop.run(agent.look())
        assert len(broker.sources) == FILES
        assert broker.headless == 0


def test_looks_that_bring_nothing_store_nothing(tmp_path: Path) -> None:
    """Idle files would be stored anew at each start, and their next lines looked up after a crash."""
    with reading(tmp_path / "logs", empty=True) as (agent, _broker, _held, loop):
        loop.run(agent.remember())
        for _ in range(3):
            agent.clock.now += 5
            loop.run(agent.look())
        assert {one.asked for one in agent.follow.sources} == {0}
