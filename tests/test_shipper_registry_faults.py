"""The registry on disks that fail: torn writes, damage, no room, no permission, no answer, another machine."""

import asyncio
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from processes import Site, chain, until
from structlog.testing import capture_logs

from shipper import registry_file
from shipper.clerk import Clerk, answer_of
from shipper.identity import Anchor, Head, Place
from shipper.registry import Registry, open_registry
from shipper.registry_row import Row
from tailrace.errors import MendState

ROW = Row(
    source="a" * 20, path="/x", place=Place(1, 2), head=Head(3, b"abc"), anchor=Anchor(4, 5), position=0, skipped=0,
    reach=0, records=0, bytes=0, blank=0, ended=False, updated=7, cuts=(),
)  # fmt: skip
LOG = f"{registry_file.NAME}-wal"


def commit(number: int) -> list[Row]:
    """Fifty rows, all of which say the number of their commit."""
    return [
        msgspec.structs.replace(
            ROW, source=f"{source:020x}", path=f"/{number}", position=number, reach=number + 1000, cuts=(number + 1,)
        )
        for source in range(50)
    ]


@pytest.fixture(scope="module")
def torn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """A registry as a power cut leaves it, and how long its log was when each commit returned."""
    live, left = tmp_path_factory.mktemp("live"), tmp_path_factory.mktemp("left")
    registry = Registry(live)
    ends = []
    for number in range(1, 9):
        asyncio.run(registry.save(commit(number)))
        ends.append((live / LOG).stat().st_size)
    for name in (registry_file.NAME, LOG):
        shutil.copy(live / name, left / name)
    registry.close()
    return left, ends


def recovered(left: Path, folder: Path, log: bytes) -> int:
    """The commit that a registry with this log begins with; it must be one commit, whole."""
    folder.mkdir()
    shutil.copy(left / registry_file.NAME, folder)
    (folder / LOG).write_bytes(log)
    read = registry_file.read(folder)
    registry = Registry(folder)
    rows = registry.load()
    registry.close()
    assert read is not None
    assert read.rows == rows, "who only reads sees what the agent will see"
    numbers = {row.position for row in rows}
    assert len(numbers) <= 1, "half a transaction"
    (number,) = numbers or {0}
    assert sorted(rows, key=lambda row: row.source) == (commit(number) if number else [])
    shutil.rmtree(folder)
    return number


def test_a_torn_log_loses_only_commits_that_never_returned(torn: tuple[Path, list[int]], tmp_path: Path) -> None:
    """Lines are sent after the commit of their reach returned, so what a torn tail takes was never sent past."""
    left, ends = torn
    log = (left / LOG).read_bytes()
    seen = set()
    for length in range(0, len(log) + 1, 997):
        number = recovered(left, tmp_path / "cut", log[:length])
        returned = sum(end <= length for end in ends)
        assert number >= returned
        seen.add(number)
    assert seen == set(range(len(ends))), "the cuts fell into every commit"


@pytest.mark.parametrize("garbage", [b"\0" * 512, b"\xff" * 512], ids=["zeros", "ones"])
def test_a_sector_that_was_never_written_hides_nothing_before_it(
    torn: tuple[Path, list[int]], tmp_path: Path, garbage: bytes
) -> None:
    """Whatever stands in the log's tail: all that was synced before it is there."""
    left, ends = torn
    log = (left / LOG).read_bytes()
    for offset in range(0, len(log), 3 * 1024):
        number = recovered(left, tmp_path / "torn", log[:offset] + garbage + log[offset + len(garbage) :])
        # The log's own header is synced with its first commit.
        assert number >= sum(end <= offset for end in ends)


def test_every_commit_is_synced(tmp_path: Path) -> None:
    """A commit returns when it would survive a power cut: the system calls say so."""
    if not shutil.which("strace"):
        pytest.skip("needs strace")
    program = (
        "import asyncio, pathlib, sys; sys.path.insert(0, 'tests')\n"
        "from shipper.registry import Registry; from test_shipper_registry_faults import commit\n"
        f"registry = Registry(pathlib.Path({str(tmp_path / 'state')!r}))\n"
        "for number in range(1, 6):\n"
        "    asyncio.run(registry.save(commit(number)))\n"
        f"    pathlib.Path({str(tmp_path)!r}, f'returned{{number}}').touch()\n"
    )
    trace = tmp_path / "trace"
    wanted = "trace=fsync,fdatasync,pwrite64,openat"
    subprocess.run(
        ["strace", "-f", "-y", "-e", wanted, "-o", trace, sys.executable, "-c", program],
        check=True, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    unsynced, returned = False, 0
    for line in trace.read_text("utf-8").splitlines():
        if "pwrite64" in line and LOG in line:
            unsynced = True
        elif "sync(" in line and LOG in line:
            unsynced = False
        elif "returned" in line and "openat" in line:
            returned += 1
            assert not unsynced, line
    assert returned == 5


def test_a_reader_needs_no_lock_and_leaves_no_trace(tmp_path: Path) -> None:
    """Beside the agent, after its clean end and after its crash; nothing in the folder is made, changed or removed."""
    state = tmp_path / "state"
    assert registry_file.read(state) is None
    registry = Registry(state)
    asyncio.run(registry.save(commit(1)))
    crashed = tmp_path / "crashed"
    shutil.copytree(state, crashed)

    def look(folder: Path) -> None:
        def contents() -> dict[str, bytes]:
            # What SQLite's processes share of their memory is no content; but it must not come or go.
            return {one.name: b"" if one.name.endswith("-shm") else one.read_bytes() for one in folder.iterdir()}

        before = contents()
        stored = registry_file.read(folder)
        assert stored is not None
        assert sorted(stored.rows, key=lambda row: row.source) == commit(1)
        assert contents() == before

    look(state)
    look(crashed)
    (crashed / f"{registry_file.NAME}-shm").unlink()
    look(crashed)
    registry.close()
    look(state)


def test_a_user_who_may_only_read_may_read(tmp_path: Path) -> None:
    """Another user than the agent's, in a folder that they cannot write to: beside the agent, and after a crash."""
    if os.geteuid():
        pytest.skip("only root can become another user")
    state = tmp_path / "state"
    registry = Registry(state)
    asyncio.run(registry.save(commit(3)))
    crashed = tmp_path / "crashed"
    shutil.copytree(state, crashed)
    for folder in (tmp_path, *tmp_path.parents):
        if folder != Path(folder.anchor) and not folder.stat().st_mode & stat.S_IXOTH:
            folder.chmod(0o755)
    for folder in (state, crashed):
        folder.chmod(0o755)
        for one in folder.iterdir():
            one.chmod(0o644)
    program = (
        "import os, sys; from pathlib import Path; from shipper import registry_file\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "print(*(len(registry_file.read(Path(one)).rows) for one in sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, state, crashed],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    registry.close()
    assert done.stdout == "50 50\n", done.stderr


def test_damage_in_the_middle_is_found_at_the_start(tmp_path: Path) -> None:
    """Not when the row is first needed; and reading it says so too."""
    registry = Registry(tmp_path)
    asyncio.run(registry.save(commit(1)))
    registry.close()
    file = tmp_path / registry_file.NAME
    pages = file.read_bytes()
    file.write_bytes(pages[:8192] + b"\xa5" * 4096 + pages[12288:])
    with pytest.raises(MendState, match=r"is damaged.*tailrace registry import"):
        Registry(tmp_path)
    with pytest.raises(MendState, match="Cannot read the registry"):
        registry_file.read(tmp_path)


def test_a_reader_leaves_a_newer_format_alone(tmp_path: Path) -> None:
    """What it does not know it does not guess."""
    Registry(tmp_path).close()
    database = sqlite3.connect(tmp_path / registry_file.NAME)
    database.execute("pragma user_version = 99")
    database.close()
    with pytest.raises(MendState, match="newer tailrace"):
        registry_file.read(tmp_path)


def test_a_cloned_machine_is_said(tmp_path: Path) -> None:
    """With how many sources got new names; a machine without an id keeps them."""
    database = registry_file.open_to_write(tmp_path, "one")
    registry_file.save(database, commit(1))
    registry_file.miss(database, {"0" * 20: 5}, [])
    database.close()
    for machine in ("", "uninitialized", "one"):
        with capture_logs() as said:
            registry_file.open_to_write(tmp_path, machine).close()
        assert said == []
    stored = registry_file.read(tmp_path)
    assert stored is not None
    assert sorted(stored.rows, key=lambda row: row.source) == commit(1)
    with capture_logs() as said:
        database = registry_file.open_to_write(tmp_path, "two")
    ((line),) = said
    assert (line["log_level"], line["sources"]) == ("warning", 50)
    assert "another machine" in line["event"]
    fresh = {row.source for row in registry_file.rows(database)}
    assert len(fresh) == 50
    assert not fresh & {row.source for row in commit(1)}
    (missed,) = registry_file.gone(database)
    assert missed in fresh
    assert all(row.cuts == (2,) for row in registry_file.rows(database))
    database.close()


def test_forgetting_takes_all_that_belongs_to_a_source(tmp_path: Path) -> None:
    """Row, cuts and since when it was missed; a second time is no fault."""
    registry = Registry(tmp_path)
    asyncio.run(registry.save(commit(1)))
    name = commit(1)[0].source
    asyncio.run(registry.miss({name: 5, commit(1)[1].source: 6}, []))
    assert registry.gone() == {name: 5, commit(1)[1].source: 6}
    asyncio.run(registry.miss({}, [commit(1)[1].source]))
    for _ in range(2):
        asyncio.run(registry.forget([name]))
    assert registry.gone() == {}
    assert {row.source for row in registry.load()} == {row.source for row in commit(1)[1:]}
    registry.close()
    database = sqlite3.connect(tmp_path / registry_file.NAME)
    assert database.execute("select count(*) from cuts").fetchone() == (49,)
    database.close()


def test_a_call_that_hangs_is_left_behind_after_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said once, waited for until the stop, and then no longer."""
    monkeypatch.setattr("shipper.clerk.PATIENCE_SECONDS", 0.05)
    back, forward = os.pipe()
    said: list[str] = []

    async def wait() -> None:
        stop = asyncio.Event()
        clerk = Clerk("test")
        asyncio.get_running_loop().call_later(0.2, stop.set)
        with pytest.raises(TimeoutError):
            await answer_of(clerk.begin(lambda: os.read(back, 1)), stop, lambda: said.append("slow"))
        assert stop.is_set()
        os.write(forward, b"x")
        clerk.end()

    asyncio.run(wait())
    os.close(back)
    os.close(forward)
    assert said == ["slow"]


def test_a_folder_that_is_opened_while_the_loop_runs_refuses_alike(tmp_path: Path) -> None:
    """The reason is the same sentence."""
    registry = Registry(tmp_path)

    async def second() -> None:
        with pytest.raises(MendState, match="Another agent"):
            await open_registry(tmp_path, asyncio.Event())

    asyncio.run(second())
    registry.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a disk, and not everywhere")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path) -> Path:
    """Leave no room on a disk."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return filler


def test_a_full_disk_takes_nothing_and_harms_nothing(small_disk: Path) -> None:
    """The rows are refused with the reason, those before them stay, and with room again all goes on."""
    registry = Registry(small_disk / "state")
    asyncio.run(registry.save(commit(1)))
    filler = fill(small_disk)
    stored = [1]

    def go_on() -> None:
        for number in range(2, 200):
            asyncio.run(registry.save(commit(number)))
            stored.append(number)

    with pytest.raises(MendState, match="free or mend the disk"):
        go_on()
    assert {row.position for row in registry.load()} == {stored[-1]}
    filler.unlink()
    asyncio.run(registry.save(commit(300)))
    registry.close()
    registry = Registry(small_disk / "state")
    assert {row.position for row in registry.load()} == {300}
    registry.close()


def test_a_state_folder_that_may_only_be_read_is_said_in_one_sentence(small_disk: Path) -> None:
    """With the folder and the next step, whether it is new or was used before."""
    Registry(small_disk / "used").close()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for name in ("used", "new"):
        with pytest.raises(MendState, match=r"Read-only file system; make it writable .* shipper\.state_dir"):
            Registry(small_disk / name)


def write(site: Site, first: int, last: int) -> list[str]:
    """Append a line for each of these numbers; what they say."""
    said = [f"line {number:06d} " + "x" * 500 for number in range(first, last)]
    with (site.logs / "a.log").open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in said)
    return said


def has_said(site: Site, text: str) -> bool:
    """Whether the agent's log has it."""
    return any(text in line["message"] for line in site.said())


@pytest.mark.edge
def test_a_full_disk_stops_reading_until_there_is_room(site: Site, small_disk: Path) -> None:
    """Nothing is sent past what is durable, it is said once, and nothing is lost or repeated."""
    site.state = small_disk / "state"
    said = write(site, 0, 10)
    agent = site.agent()
    until(lambda: len(site.shipped()) == 10)
    filler = fill(small_disk)
    said += write(site, 10, 6000)
    until(lambda: has_said(site, "cannot save positions"))
    durable = site.registered("reach")
    assert sum(record.document["tailrace"]["bytes"] for record in site.shipped()) <= durable < 3_000_000
    filler.unlink()
    until(lambda: has_said(site, "positions are saved again"))
    until(lambda: len(site.shipped()) >= len(said), 60)
    assert agent.stop() == 0
    assert site.messages() == said
    chain(site.shipped())
    assert sum("cannot save positions" in line["message"] for line in site.said()) == 1


@pytest.mark.edge
def test_a_stop_with_a_full_disk_is_quick_and_loses_nothing(site: Site, small_disk: Path) -> None:
    """Exit code 1 with the reason; the next start on a mended disk ships the rest, and repeats only with the flag."""
    site.state = small_disk / "state"
    said = write(site, 0, 10)
    agent = site.agent()
    until(lambda: len(site.shipped()) == 10)
    filler = fill(small_disk)
    said += write(site, 10, 6000)
    until(lambda: has_said(site, "cannot save positions"))
    began = time.monotonic()
    assert agent.stop() == 1
    assert time.monotonic() - began < 20
    assert has_said(site, "free or mend the disk")
    filler.unlink()
    site.finish("ship", "--once")
    records = site.shipped()
    assert sorted({record.message for record in records}) == said
    chain(records)


HANG = """
import pathlib
from shipper import registry_file
def hanging(call):
    def hang(*arguments):
        if pathlib.Path({flag!r}).exists():
            pathlib.Path({hung!r}).touch()
            open({fifo!r}).read()
        return call(*arguments)
    return hang
registry_file.save = hanging(registry_file.save)
registry_file.open_to_write = hanging(registry_file.open_to_write)
"""
"""Makes the process's own calls to the registry wait in the kernel, as on a dead disk, once a flag is there."""


@pytest.fixture
def hang(site: Site, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Touch the first, and the disk of the next agent's registry does not answer; the second says that it waited."""
    flag, hung, fifo = site.folder / "flag", site.folder / "hung", site.folder / "fifo"
    os.mkfifo(fifo)
    custom = site.folder / "custom"
    custom.mkdir()
    (custom / "sitecustomize.py").write_text(HANG.format(flag=str(flag), hung=str(hung), fifo=str(fifo)))
    root = Path(__file__).parent.parent
    monkeypatch.setenv("PYTHONPATH", f"{custom}:{root}:{os.environ.get('PYTHONPATH', '')}")
    return flag, hung


@pytest.mark.edge
def test_a_stop_with_a_disk_that_does_not_answer_is_bounded(site: Site, hang: tuple[Path, Path]) -> None:
    """It is said, a SIGTERM ends the process all the same, and the next start loses nothing."""
    flag, hung = hang
    said = write(site, 0, 10)
    agent = site.agent()
    until(lambda: len(site.shipped()) == 10)
    flag.touch()
    said += write(site, 10, 6000)
    until(hung.exists)
    until(lambda: has_said(site, "does not answer, reading stops"))
    began = time.monotonic()
    assert agent.stop() == 1
    assert time.monotonic() - began < 20
    assert has_said(site, "does not answer; mend it")
    flag.unlink()
    site.finish("ship", "--once")
    records = site.shipped()
    assert sorted({record.message for record in records}) == said
    chain(records)


@pytest.mark.edge
def test_a_start_on_a_disk_that_does_not_answer_can_be_stopped(site: Site, hang: tuple[Path, Path]) -> None:
    """The signal is heard while the folder is being opened."""
    flag, hung = hang
    flag.touch()
    agent = site.run("ship")
    until(hung.exists)
    until(lambda: has_said(site, "does not answer"))
    began = time.monotonic()
    agent._popen.send_signal(signal.SIGTERM)
    assert agent.wait() == 1
    assert time.monotonic() - began < 20
