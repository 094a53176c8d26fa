"""One line every ten milliseconds to how long each took from its append to where Elasticsearch has it."""

import asyncio
import os
import sqlite3
import time
from collections import deque
from pathlib import Path
from zlib import crc32

import aiohttp
import msgspec
import orjson

from tailrace.bench.child import Child
from tailrace.bench.ground import Ground, Place
from tailrace.bench.lines import lines
from tailrace.errors import BenchFailed

EVERY_SECONDS = 0.01
_LOOK_SECONDS = 0.01
_PATIENCE_SECONDS = 60.0


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds from the append of a line until Elasticsearch could give it back, over so many lines."""

    lines: int
    p50: float
    p99: float
    most: float


def measure(ground: Ground, seconds: float) -> Latency:
    """Run an agent and an indexer, and write one line after another.

    Raises:
        BenchFailed: one of them ended, or a line was never stored.
    """
    file = ground.folder / "latency.log"
    file.touch()
    place = ground.place("latency", [file])
    children = [Child(place.command(word), place.log(word)) for word in ("ship", "index")]
    try:
        return asyncio.run(_Watch(ground, place, file, children).run(seconds))
    finally:
        for one in children:
            one.kill()


class _Watch:
    """The lines written and not yet found: id and time of their append, oldest first."""

    def __init__(self, ground: Ground, place: Place, file: Path, children: list[Child]) -> None:
        self._url = ground.elasticsearch_url
        self._place = place
        self._file = file
        self._children = children
        self._open: deque[tuple[str, float]] = deque()
        self._source = ""
        self._offset = 0
        self._spent: list[float] = []

    async def run(self, seconds: float) -> Latency:
        count = max(1, round(seconds / EVERY_SECONDS))
        first, *rest = lines(count + 1, seed=99, start=int(time.time()))
        async with aiohttp.ClientSession(self._url) as session:
            # The first line makes the data stream, which takes a second and happens once in its life.
            await self._append(first)
            indices = await self._indices(session)
            while self._open:
                await self._find(session, indices)
            self._spent.clear()
            async with asyncio.TaskGroup() as tasks:
                writing = tasks.create_task(self._write(rest))
                while not writing.done() or self._open:
                    await self._find(session, indices)
        spent = sorted(1000 * one for one in self._spent)
        count = len(spent)
        return Latency(lines=count, p50=spent[count // 2], p99=spent[int(count * 0.99)], most=spent[-1])

    async def _write(self, rest: list[bytes]) -> None:
        due = time.monotonic()
        for line in rest:
            await self._append(line)
            due += EVERY_SECONDS
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _append(self, line: bytes) -> None:
        handle = os.open(self._file, os.O_WRONLY | os.O_APPEND)
        try:
            began = time.monotonic()
            os.write(handle, line)
        finally:
            os.close(handle)
        until = began + _PATIENCE_SECONDS
        while not self._source:
            self._source = _source(self._place.registry, self._file)
            await self._wait(until)
        self._open.append((f"{self._source}:{self._offset:016d}:{crc32(line[:-1]):08x}", began))
        self._offset += len(line)

    async def _find(self, session: aiohttp.ClientSession, indices: list[str]) -> None:
        """Look once for all that is outstanding, in all backing indices."""
        asked = list(self._open)
        found: set[str] = set()
        for index in indices if asked else ():
            body = orjson.dumps({"ids": [name for name, _ in asked]})
            headers = {"content-type": "application/json"}
            path = f"/{index}/_mget?_source=false&filter_path=docs._id,docs.found"
            async with session.post(path, data=body, headers=headers) as answer:
                documents = orjson.loads(await answer.read()).get("docs", [])
            found |= {one["_id"] for one in documents if one.get("found")}
        now = time.monotonic()
        self._spent += [now - began for name, began in asked if name in found]
        self._open = deque(one for one in self._open if one[0] not in found)
        await self._wait(self._open[0][1] + _PATIENCE_SECONDS if self._open else now + _PATIENCE_SECONDS)

    async def _indices(self, session: aiohttp.ClientSession) -> list[str]:
        """The backing indices of the stream, once it is there; it will not roll over while we measure."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            async with session.get(f"/_resolve/index/{self._place.stream}") as answer:
                known = orjson.loads(await answer.read())
            streams = known.get("data_streams", []) if answer.status == 200 else []
            if streams:
                return [index for stream in streams for index in stream["backing_indices"]]
            await self._wait(until)

    async def _wait(self, until: float) -> None:
        """Give the processes a moment.

        Raises:
            BenchFailed: one of them ended, or it is too late.
        """
        for one in self._children:
            one.check()
        if time.monotonic() > until:
            raise BenchFailed(f"a line was not stored in a minute; see the logs in {self._place.folder}")
        await asyncio.sleep(_LOOK_SECONDS)


def _source(registry: Path, file: Path) -> str:
    """The agent's name for a file; empty until it has one."""
    try:
        database = sqlite3.connect(f"file:{registry}?mode=ro", uri=True)
    except sqlite3.Error:
        return ""
    try:
        found = database.execute("select id from sources where path = ?", (str(file),)).fetchone()
    except sqlite3.Error:
        return ""
    finally:
        database.close()
    return str(found[0]) if found else ""
