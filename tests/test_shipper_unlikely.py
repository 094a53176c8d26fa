"""What no log should hold, and some do: none of it ends the agent, stalls a file or repeats a line."""

import asyncio
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from processes import in_loop
from world_agent import DISK, Memory, WorldAgent

from shipper import ecs
from shipper.books import Books
from shipper.follow import Follow
from shipper.formats import format_of, java, plain
from shipper.formats.auto import Fits
from shipper.identity import Place
from shipper.reader import Reader
from shipper.records import Encoder
from shipper.source import Source, fresh_row
from shipper.sources import Sources
from shipper.times import Times
from tailrace.settings import Input, Settings, Shipper

ODD = [
    b'{"time":1%s,"message":"x"}' % (b"0" * 400),
    b'{"ts":-1%s,"event":{"start":1%s}}' % (b"0" * 400, b"0" * 30),
    b"2026-01-01 00:00:00.000 UTC [12] LOG:  duration: 99999999999999999999.5 ms",
    b"2026-01-01 00:00:00.000 UTC [12] LOG:  duration: 1%s.5 ms" % (b"0" * 400),
]


def encoder(entry_format: str = "plain", *, most_bytes: int = 900_000, **more: Any) -> Encoder:
    """What makes records of an input's lines."""
    entry = Input(paths=["/x"], dataset="d", format=entry_format, **more)  # type: ignore[arg-type]
    return Encoder(entry, "s", "/x", {"name": "h"}, most_bytes, 1_048_576)


@pytest.mark.parametrize("name", ["json", "postgresql", "auto", "plain"])
@pytest.mark.parametrize("line", ODD)
def test_a_number_that_nothing_holds_ends_nobody(name: str, line: bytes) -> None:
    """It would be met again after each restart, and no file of the host be read any more."""
    (record,) = encoder(name).chunk([line], 0, 0, 0, time.time_ns()).records
    assert json.loads(record[1])["tailrace"]["bytes"] == len(line) + 1
    fits = Fits({one: format_of(Input(paths=["/x"], dataset="d", format=one)) for one in ("json", "postgresql")})  # type: ignore[arg-type]
    fits.add([line])
    assert fits.lines == 1


@pytest.mark.parametrize("error", [OverflowError, TypeError, KeyError, RecursionError, UnicodeError])
def test_a_format_that_fails_leaves_the_line_as_text(error: type[Exception]) -> None:
    """With the flag of a line that is not of its format, and nothing of what the format had begun."""

    def fails(_line: bytes, document: ecs.Document) -> bool:
        document.fields["message"] = "half"
        document.labels["half"] = "done"
        raise error

    one = encoder()
    one._format, one._quick = fails, None
    (record,) = one.chunk([b"a line"], 0, 0, 0, time.time_ns()).records
    found = json.loads(record[1])
    assert (found["message"], found["log"]["flags"]) == ("a line", ["format"])
    assert "labels" not in found
    fits = Fits({"fails": fails, "plain": lambda line, document: plain.fields(line, document) is not False})
    fits.add([b"a line"])
    assert fits.share("fails") == 0


def test_a_great_many_texts_are_fitted_at_once() -> None:
    """And where the settings leave less than the essentials need, they are sent all the same."""
    line = orjson.dumps({f"{number:x}": "x" * 65 for number in range(13_900)})
    (record,) = encoder("json").chunk([line], 0, 0, 0, time.time_ns()).records
    assert len(record[1]) < 900_000
    long = orjson.dumps({"a": "x" * 600_000, "b": "y" * 700_000, "message": "short"})
    (record,) = encoder("json").chunk([long], 0, 0, 0, time.time_ns()).records
    found = json.loads(record[1])
    assert 890_000 < len(record[1]) <= 900_000
    assert (found["message"], len(found["labels"]["a"])) == ("short", 600_000)
    (record,) = encoder(most_bytes=300).chunk([b"hello"], 0, 0, 0, time.time_ns()).records
    assert json.loads(record[1])["message"] == "hello"


def test_a_logger_behind_the_text_is_found_in_a_line_of_any_length() -> None:
    """In one pass from its end."""
    for name, logger in (("kafka.server.X", "kafka.server.X"), ("a." * 200_000, None), ("a..b", "a..b"), ("x", None)):
        document = ecs.Document(Times("UTC"))
        assert java.fields(f"[2026-01-01 00:00:00,000] INFO a (b) text ({name})".encode(), document)
        assert document.log.get("logger") == logger
        assert document.fields["message"].startswith("a (b) text")


def test_a_record_that_may_go_on_is_no_larger_than_a_read() -> None:
    """Else the same bytes would be read for ever."""
    entry = Input(paths=["/x"], dataset="d", format="java")
    sources = Sources(Settings(shipper=Shipper(max_line_bytes=16_384, inputs=[entry])), {"name": "h"})
    source = Source(fresh_row("s", "/x", Place(1, 1)), encoder("java"), b"")
    source.encoder.joiner = sources._joiners[0]
    trace = b"    at com.example.Very.longMethod(Very.java:123)\n" * 400
    content = b"2026-01-01 00:00:00,000 ERROR boom\n" + trace + b"2026-01-01 00:00:01,000 INFO next\n" * 2
    for _ in range(20):
        back = len(source.anchor)
        window = content[source.at - back : source.at + 16_384]
        source.read(window, time.time_ns(), full=len(window) == 16_384 + back)
    assert source.cursor + source.open_bytes == len(content)
    assert source.cursor > len(content) - 200


class Agent:
    """The reader and what it follows over a real file, with brokers that take all at once.

    With ``after`` it goes on where that one was stopped.
    """

    def __init__(
        self, folder: Path, entry: Mapping[str, Any] | None = None, after: "Agent | None" = None, **shipper: Any
    ) -> None:
        self.topic: list[Any] = after.topic if after else []
        self.once = False
        paths = [str(folder / "*.log")]
        one = self.agent = WorldAgent(folder, paths, time, after.agent.registry if after else Memory(time), self.topic)  # type: ignore[arg-type]
        usual = {"paths": paths, "dataset": "app", "format": "plain", "timezone": "UTC"}
        inputs = [Input(**usual | dict(entry or {}))]
        one.settings = Settings(shipper=Shipper(state_dir=str(folder), inputs=inputs, **shipper))
        one.follow = Follow(one.settings, DISK, one.registry.load() if after else [], {"name": "h"})
        one.reader = Reader(one.settings.shipper, one.follow, DISK, one.registry, one.brokers)  # type: ignore[arg-type]

    async def look(self) -> None:
        """Look once, and have arrive what was sent."""
        await self.agent.reader.round(self.agent.life, once=self.once)
        while self.agent.brokers.flying:
            self.agent.brokers.acknowledge(0)

    async def until(self, is_so: Callable[[], bool], seconds: float = 20) -> None:
        """Look until something is so."""
        end = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < end, f"not within {seconds} s: {self.messages[-3:]}"
            await self.look()
            await self.agent.scan()
            await asyncio.sleep(0.01)

    @property
    def messages(self) -> list[str]:
        """All that is in the topic."""
        return [json.loads(value)["message"] for _, value in self.topic]

    @property
    def sources(self) -> set[bytes]:
        """The sources of what is in the topic."""
        return {header.rpartition(b"|")[2].partition(b":")[0] for header, _ in self.topic}


@in_loop
async def test_a_copy_without_what_was_written_behind_it_goes_on_where_the_log_was(tmp_path: Path) -> None:
    """A rotation that copies and truncates loses what comes in between; nothing else, and nothing twice."""
    log = tmp_path / "app.log"
    lines = [f"line number {number:06d} of some text" for number in range(800)]
    log.write_text("".join(line + "\n" for line in lines))
    agent = Agent(tmp_path, chunk_bytes=4096)
    await agent.agent.start()
    await agent.look()
    await agent.look()
    shutil.copyfile(log, tmp_path / "app.log.1")
    with log.open("ab") as file:
        file.write(b"written in between\n" * 10)
    await agent.look()
    os.truncate(log, 0)
    with log.open("ab") as file:
        file.write(b"a new life\n")
    await agent.until(lambda: len(agent.topic) >= 801)
    assert sorted(agent.messages) == sorted([*lines, "a new life"])


@in_loop
async def test_what_is_acknowledged_after_it_was_given_up_is_known_when_its_copy_comes(tmp_path: Path) -> None:
    """Else the copy would be a new file."""
    agent = Agent(tmp_path)
    await agent.agent.start()
    follow = agent.agent.follow
    source = Source(fresh_row("gone", str(tmp_path / "a.log"), Place(1, 2)), encoder(), b"")
    follow.ended.append(source)
    follow.unsettled.add(source)
    nothing: Any = SimpleNamespace(farewell=lambda _done: None)
    books = object.__new__(Books)
    books._follow, books._ledger, books._reader = follow, nothing, agent.agent.reader
    life: Any = SimpleNamespace(stop=asyncio.Event())
    await books.remember(life)
    assert follow.memory.rows["gone"].ended
    assert not follow.unsettled
