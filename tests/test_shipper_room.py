"""Room that a writer made ahead in its file, as memory-mapped appenders do: NULs behind the text that nobody ships."""

import gzip
import mmap
import os
import time
from pathlib import Path

import pytest
from processes import in_loop
from test_shipper_unlikely import Agent

from shipper import extent
from shipper.extent import is_filled, written
from shipper.file import GAP_SECONDS, behind

LARGE = 3_000_000
"""More than is read at once."""
BANNER = b"".join(b"banner line %03d %s\n" % (number, b"x" * 60) for number in range(20))
"""More than a head."""


class Log:
    """A file whose writer knows where its text ends."""

    def __init__(self, path: Path, room: int, text: bytes = b"") -> None:
        self.path = path
        self._end = 0
        path.touch()
        self.write(text)
        self.make_room(room)

    def make_room(self, size: int) -> None:
        """So many NULs behind the text."""
        os.truncate(self.path, self._end + size)

    def write(self, text: bytes) -> None:
        """Into the room, where it begins."""
        self.put(0, text)
        self._end += len(text)

    def put(self, gap: int, text: bytes) -> None:
        """Into the room, so far behind where it begins; the next text is written where it begins all the same."""
        with self.path.open("r+b") as file:
            file.seek(self._end + gap)
            file.write(text)

    def give_back(self) -> None:
        """The room that is left."""
        self.make_room(0)


async def settled(agent: Agent, seconds: float = 0.3) -> None:
    """Let the agent look for a while."""
    end = time.monotonic() + seconds
    await agent.until(lambda: time.monotonic() > end)


async def watching(folder: Path, **shipper: float) -> Agent:
    """An agent that has read what is in a folder."""
    agent = Agent(folder, poll_seconds=0.01, **shipper)
    await agent.agent.start()
    await settled(agent)
    return agent


def texts(agent: Agent) -> list[str]:
    """What was shipped, without the banner."""
    return [message for message in agent.messages if not message.startswith("banner")]


@pytest.mark.parametrize("text", [b"", b"first\n", BANNER + b"first\n"])
@pytest.mark.parametrize("room", [3, 500, 65_536, LARGE])
@in_loop
async def test_lines_are_read_as_they_come_into_the_room(tmp_path: Path, room: int, text: bytes) -> None:
    """However little there was before; what is left of the room is given back, or filled, or neither."""
    log = Log(tmp_path / "app.log", room, text)
    agent = await watching(tmp_path)
    (file,) = agent.agent.follow.files.values()
    assert (file.is_read(), behind([file]), file.source.row(1).size) == (True, 0, len(text))
    wanted = ["first"] * bool(text)
    for number in range(10):
        log.write(b"line %d\n" % number)
        wanted.append(f"line {number}")
        if number % 3:
            await agent.look()
    log.give_back()
    await settled(agent)
    log.make_room(room)
    await settled(agent)
    log.write(b"x" * room + b"\n")
    await agent.until(lambda: len(texts(agent)) > len(wanted))
    assert texts(agent)[:-1] == wanted
    assert len(agent.sources) == 1


@in_loop
async def test_a_line_without_its_end_is_waited_for_and_goes_no_further(tmp_path: Path) -> None:
    """What was cut there goes on where it ended, and nothing of the room is taken for a part of it."""
    log = Log(tmp_path / "app.log", LARGE, b"loading ... ")
    agent = Agent(tmp_path, poll_seconds=0.01, partial_line_seconds=0.2)
    await agent.agent.start()
    await agent.until(lambda: agent.messages == ["loading ... "])
    log.write(b"done\nnext\n")
    await agent.until(lambda: len(agent.messages) == 3)
    log.give_back()
    await settled(agent)
    assert agent.messages == ["loading ... ", "done", "next"]
    assert len(agent.sources) == 1


@in_loop
async def test_room_that_is_given_back_while_there_is_more_to_read_is_no_truncation(tmp_path: Path) -> None:
    """The agent is in the midst of it when the writer ends."""
    log = Log(tmp_path / "app.log", LARGE, BANNER * 2000)
    agent = Agent(tmp_path, chunk_bytes=65_536)
    await agent.agent.start()
    await agent.look()
    log.write(b"last, and no end")
    log.give_back()
    await agent.until(lambda: len(agent.topic) == 40_000)
    await settled(agent)
    assert len(agent.sources) == 1


@in_loop
async def test_what_is_mapped_into_memory_is_seen_though_its_file_seems_unchanged(tmp_path: Path) -> None:
    """Its size stays, and so does its time until the kernel comes to it."""
    log = Log(tmp_path / "app.log", LARGE, b"first\n")
    agent = await watching(tmp_path)
    before = log.path.stat()
    with log.path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        for number in range(10):
            start = 6 + 7 * number
            mapped[start : start + 7] = b"line %d\n" % number
            os.utime(log.path, ns=(before.st_atime_ns, before.st_mtime_ns))
            await agent.until(lambda count=number + 2: len(agent.messages) == count)  # type: ignore[misc]
    assert agent.messages == ["first", *(f"line {number}" for number in range(10))]


@pytest.mark.parametrize("room", [106, 120, 65_536])
@in_loop
async def test_a_line_behind_what_is_not_written_yet_waits_for_it(tmp_path: Path, room: int) -> None:
    """Two threads share the room, or a page shows before the one in front of it: no line is lost, or cut in two."""
    log = Log(tmp_path / "app.log", room, b"first\n")
    agent = Agent(tmp_path, poll_seconds=0.01)
    await agent.agent.start()
    await agent.until(lambda: len(agent.messages) == 1)
    log.put(100, b"third\n")
    await settled(agent, GAP_SECONDS / 4)
    log.put(0, b"%099d\n" % 2)
    await agent.until(lambda: len(agent.messages) == 3)
    assert agent.messages == ["first", f"{2:099}", "third"]


@in_loop
async def test_a_line_behind_what_nobody_ever_writes_waits_a_while(tmp_path: Path) -> None:
    """It is not held up for ever."""
    log = Log(tmp_path / "app.log", 65_536, b"first\n")
    agent = await watching(tmp_path)
    log.put(50, b"second\n")
    began = time.monotonic()
    await agent.until(lambda: len(agent.messages) == 2)
    assert time.monotonic() - began >= GAP_SECONDS * 0.9
    assert agent.messages == ["first", "second"]


@in_loop
async def test_a_file_that_begins_with_what_is_not_written_yet_waits_for_it(tmp_path: Path) -> None:
    """Its second line shows first."""
    log = Log(tmp_path / "app.log", 65_536)
    agent = Agent(tmp_path, poll_seconds=0.01)
    await agent.agent.start()
    log.put(6, b"second\n")
    await settled(agent, GAP_SECONDS / 4)
    log.put(0, b"first\n")
    await agent.until(lambda: len(agent.messages) == 2)
    assert agent.messages == ["first", "second"]


@in_loop
async def test_a_file_with_room_is_never_closed_for_being_still(tmp_path: Path) -> None:
    """Nobody could see what is written into it: its size and its time stay."""
    paths = [Log(tmp_path / "room.log", 65_536, b"first\n").path, tmp_path / "plain.log"]
    paths[1].write_text("first\n")
    agent = Agent(tmp_path, {"close_inactive_seconds": 0.2}, poll_seconds=0.01)
    await agent.agent.start()
    await agent.until(lambda: [file.path for file in agent.agent.follow.files.values()] == [str(paths[0])])
    await settled(agent)
    assert len(agent.agent.follow.files) == 1


@in_loop
async def test_two_logs_that_begin_alike_are_no_copies_for_their_room(tmp_path: Path) -> None:
    """Both end in NULs, and were made with the same size."""
    one = Log(tmp_path / "a.log", 100_000, BANNER)
    agent = Agent(tmp_path, poll_seconds=0.01)
    await agent.agent.start()
    one.write(b"one\n")
    await settled(agent)
    two = Log(tmp_path / "b.log", 100_000, BANNER)
    two.write(b"two\n")
    await agent.agent.scan()
    await agent.until(lambda: texts(agent) == ["one", "two"])
    one.write(b"one more\n")
    await agent.until(lambda: len(texts(agent)) == 3)
    assert len(agent.sources) == 2


@in_loop
async def test_a_copy_of_a_log_with_room_stays_a_copy(tmp_path: Path) -> None:
    """When the log goes on, and when its room is given back."""
    log = Log(tmp_path / "a.log", 100_000, BANNER + b"first\n")
    agent = await watching(tmp_path)
    (tmp_path / "b.log").write_bytes(log.path.read_bytes())
    await settled(agent)
    log.write(b"second\n")
    await settled(agent)
    log.give_back()
    await settled(agent)
    assert texts(agent) == ["first", "second"]


def test_room_costs_nothing_where_it_is_a_hole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file system says so; and where it cannot, the room is read."""
    with (tmp_path / "app.log").open("w+b", buffering=0) as file:
        file.write(b"text\n")
        file.truncate(2**34)
        handle = file.fileno()
        assert (written(handle, 2**34), written(handle, 2**34, 5), written(handle, 5, 9)) == (5, 5, 5)
        assert not is_filled(handle, 2**34, 5)
        file.seek(70_000)
        file.write(b"more")
        assert (written(handle, 2**34, 5), is_filled(handle, 2**34, 69_980)) == (70_004, True)
        file.truncate(LARGE)

        def cannot(*_arguments: int) -> int:
            raise OSError(22, "invalid argument")

        monkeypatch.setattr(extent.os, "lseek", cannot)
        assert (written(handle, LARGE, 5), written(handle, LARGE, 70_004)) == (70_004, 70_004)
        file.seek(0)
        file.write(bytes(70_004))
        assert (written(handle, LARGE), written(handle, 0)) == (0, 0)


@pytest.mark.parametrize("once", [False, True])
@in_loop
async def test_lines_with_nuls_in_them_stay_whole_and_are_no_burden(tmp_path: Path, once: bool) -> None:
    """They are waited for once, all together; nothing is cut where they begin, though a run to the end waits not."""
    lines = [f"key\0value {number:070d}" for number in range(20_000)]
    log = Log(tmp_path / "app.log", 65_536, "".join(f"{line}\n" for line in lines).encode())
    agent = Agent(tmp_path, poll_seconds=0.01, chunk_bytes=65_536, partial_line_seconds=0.05)
    agent.once = once
    await agent.agent.start()
    await agent.until(lambda: len(agent.topic) >= 20_000)
    assert agent.messages == lines
    log.write(b"last\n")
    await agent.until(lambda: len(agent.topic) > 20_000)
    assert len(agent.sources) == 1


@in_loop
async def test_text_that_its_writer_takes_back_is_no_truncation(tmp_path: Path) -> None:
    """A torn line that is zeroed when its writer starts again; and an older agent counted room as text."""
    log = Log(tmp_path / "app.log", 65_536, BANNER + b"first\n")
    agent = await watching(tmp_path)
    for text in (b"torn", bytes(4)):
        log.put(0, text)
        await settled(agent)
    (source,) = [file.source for file in agent.agent.follow.files.values()]
    source.size += 60_000
    log.write(b"second\n")
    await agent.until(lambda: len(texts(agent)) == 2)
    assert texts(agent) == ["first", "second"]
    assert len(agent.sources) == 1


@in_loop
async def test_a_line_with_a_nul_is_no_gap_once_it_was_the_end(tmp_path: Path) -> None:
    """It stood, without its end, where the file ended; then its writer made more room: the file is the same."""
    log = Log(tmp_path / "app.log", 0, b"first\nkey\0val")
    agent = await watching(tmp_path)
    log.make_room(65_536)
    await settled(agent)
    log.write(b"ue\nlast\n")
    await agent.until(lambda: len(agent.messages) == 3)
    assert (agent.messages, len(agent.sources)) == (["first", "key\0value", "last"], 1)


def test_room_that_is_given_back_during_a_look_is_no_text(tmp_path: Path) -> None:
    """Its size was asked for before."""
    with (tmp_path / "app.log").open("w+b", buffering=0) as file:
        file.write(b"text\n")
        assert written(file.fileno(), 65_536) == 5


@in_loop
async def test_a_log_with_room_is_no_copy_of_one_that_was_compressed_with_its_room(tmp_path: Path) -> None:
    """They begin alike, and NULs stand in both where the other was read to."""
    entry = {"paths": [f"{tmp_path}/app.log*"]}
    log = Log(tmp_path / "app.log", 5000, BANNER + b"one\n").path
    first = Agent(tmp_path, entry, poll_seconds=0.01)
    await first.agent.start()
    await settled(first)
    await first.agent.stop()
    packed = tmp_path / "app.log.2.gz"
    packed.write_bytes(gzip.compress(log.read_bytes()))
    os.utime(packed, ns=(log.stat().st_mtime_ns - 10**10,) * 2)  # so that it is the first to be looked at
    log.unlink()
    Log(tmp_path / "app.log.1", 5000, BANNER + b"two\n")
    log.write_bytes(BANNER + b"three\n")
    second = Agent(tmp_path, entry, first, poll_seconds=0.01)
    await second.agent.start()
    await second.until(lambda: sorted(texts(second)) == ["one", "three", "two"])


@pytest.mark.parametrize("room", [60_000, 70_000])
@in_loop
async def test_a_copy_with_text_of_its_own_is_a_file(tmp_path: Path, room: int) -> None:
    """However many NULs stand before it."""
    Log(tmp_path / "a.log", 100_000, BANNER)
    agent = await watching(tmp_path)
    Log(tmp_path / "b.log", room, BANNER).put(room, b"text of b\n")
    await agent.until(lambda: any("text of b" in text for text in texts(agent)))


@in_loop
async def test_what_is_mapped_into_the_room_of_a_copy_makes_it_a_file(tmp_path: Path) -> None:
    """Neither its size nor its time changes then."""
    Log(tmp_path / "a.log", 65_536, BANNER + b"a only\n")
    agent = await watching(tmp_path)
    copy = Log(tmp_path / "b.log", 65_536, BANNER)
    before = copy.path.stat()
    await settled(agent, 1)
    copy.write(b"b only\n")
    os.utime(copy.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    await agent.until(lambda: texts(agent) == ["a only", "b only"])


@in_loop
async def test_a_copy_that_is_made_large_first_is_a_copy(tmp_path: Path) -> None:
    """Its second half comes later."""
    log = Log(tmp_path / "a.log", 0, BANNER * 20)
    agent = await watching(tmp_path)
    half = Log(tmp_path / "b.log", len(BANNER) * 10, BANNER * 10)
    await settled(agent)
    half.write(BANNER * 10)
    await settled(agent)
    log.write(b"last\n")
    await agent.until(lambda: len(agent.topic) > 400)
    assert (len(agent.topic), len(agent.sources)) == (401, 1)
