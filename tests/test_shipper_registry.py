"""Positions on disk, and what the files look like."""

import asyncio
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from world_files import Clock

from shipper import registry as registry_module
from shipper.disk import STILL, Disk, Look, Request, Wanted
from shipper.identity import Anchor, Head, Place, anchor_of, begins_with, head_of, same
from shipper.plan import Found, Snapshot, changes
from shipper.registry import Registry, new_source
from shipper.registry_file import read
from shipper.registry_row import Row
from shipper.scan import scan, siblings
from shipper.steps import Reading
from tailrace.errors import MendState
from tailrace.settings import Input

ROW = Row(
    source="a" * 20,
    path="/x",
    place=Place(2**64 - 1, 2**63),
    head=Head(3, b"abc"),
    anchor=Anchor(4, 2**32 - 1),
    position=10,
    skipped=1,
    reach=20,
    records=3,
    bytes=9,
    blank=1,
    ended=False,
    updated=7,
    cuts=(15, 18),
    size=30,
    modified=2**62,
    born=2**61,
    family="/y",
)


def test_a_row_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    """Cuts included; a second save replaces the first, and forgets the cuts that are behind it."""
    registry = Registry(tmp_path)
    asyncio.run(registry.save([ROW]))
    registry.close()
    registry = Registry(tmp_path)
    assert registry.load() == [ROW]
    later = msgspec.structs.replace(ROW, position=16, cuts=(18,))
    asyncio.run(registry.save([later, msgspec.structs.replace(ROW, source="b", cuts=())]))
    assert min(registry.load(), key=lambda row: row.source) == later
    asyncio.run(registry.forget(["b"]))
    assert registry.load() == [later]
    registry.close()


def test_a_second_agent_on_the_state_folder_is_refused(tmp_path: Path) -> None:
    """Two would send the same lines under the same ids."""
    registry = Registry(tmp_path)
    with pytest.raises(MendState, match="Another agent"):
        Registry(tmp_path)
    registry.close()
    Registry(tmp_path).close()


def test_all_that_is_stored_follows_a_step_of_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what is not stored again after it, and whenever the agent is started next."""
    second = msgspec.structs.replace(ROW, source="b" * 20, place=Place(1, 2))
    clock = Clock()
    monkeypatch.setattr(registry_module, "_reading", lambda: Reading(clock.time_ns(), int(clock.now * 1e9), "boot"))
    registry = Registry(tmp_path)
    asyncio.run(registry.save([msgspec.structs.replace(one, updated=int(clock.time())) for one in (ROW, second)]))
    clock.set -= 3600
    asyncio.run(registry.save([msgspec.structs.replace(ROW, updated=int(clock.time()))]))
    registry.close()
    clock.set += 7200
    registry = Registry(tmp_path)
    was = int(clock.time()) - 7200
    assert {row.source: row.updated for row in registry.load()} == {ROW.source: was, second.source: was - 1}
    registry.close()


def test_a_registry_of_a_newer_format_is_left_alone(tmp_path: Path) -> None:
    """The text says what to do."""
    Registry(tmp_path).close()
    database = sqlite3.connect(tmp_path / "registry.sqlite")
    database.execute("pragma user_version = 99")
    database.close()
    with pytest.raises(MendState, match="newer tailrace"):
        Registry(tmp_path)


OLD_FORMATS = pytest.mark.parametrize(
    ("version", "lacking"),
    [(1, {"size": 0, "modified": 0, "born": 0, "family": ""}), (2, {"born": 0, "family": ""}), (3, {"family": ""})],
)


@OLD_FORMATS
def test_a_registry_of_an_older_format_is_carried_over(tmp_path: Path, version: int, lacking: dict[str, Any]) -> None:
    """It lacks sizes and times; its positions stand."""
    make_old(tmp_path, version, lacking)
    for _ in range(2):
        registry = Registry(tmp_path)
        assert registry.load() == [msgspec.structs.replace(ROW, **lacking)]
        registry.close()


@OLD_FORMATS
def test_a_registry_of_an_older_format_can_be_read(tmp_path: Path, version: int, lacking: dict[str, Any]) -> None:
    """Before an agent has carried it over, too."""
    make_old(tmp_path, version, lacking)
    with sqlite3.connect(tmp_path / "registry.sqlite") as database:
        database.execute("drop table gone")
    database.close()
    stored = read(tmp_path)
    assert stored is not None
    assert stored == ([msgspec.structs.replace(ROW, **lacking)], {})


def make_old(folder: Path, version: int, lacking: Iterable[str]) -> None:
    """Make a registry as an older release would leave it."""
    registry = Registry(folder)
    asyncio.run(registry.save([ROW]))
    registry.close()
    database = sqlite3.connect(folder / "registry.sqlite")
    for column in lacking:
        database.execute(f"alter table sources drop column {column}")
    database.execute(f"pragma user_version = {version}")
    database.close()


def test_a_damaged_registry_is_said_in_one_sentence(tmp_path: Path) -> None:
    """And the folder is free again."""
    (tmp_path / "registry.sqlite").write_bytes(b"no database" * 100)
    for _ in range(2):
        with pytest.raises(MendState, match=r"is damaged.*registry import"):
            Registry(tmp_path)


def test_a_state_folder_that_cannot_be_made_is_said_in_one_sentence(tmp_path: Path) -> None:
    """With the key to change."""
    (tmp_path / "file").touch()
    with pytest.raises(MendState, match=r"shipper\.state_dir"):
        Registry(tmp_path / "file" / "state")


def test_on_another_machine_the_sources_get_other_names(tmp_path: Path) -> None:
    """A cloned image would otherwise send other lines under the same ids."""
    registry = Registry(tmp_path)
    asyncio.run(registry.save([ROW]))
    registry.close()
    database = sqlite3.connect(tmp_path / "registry.sqlite")
    database.execute("update meta set value = 'another' where key = 'machine'")
    database.commit()
    database.close()
    registry = Registry(tmp_path)
    (row,) = registry.load()
    registry.close()
    assert row.source != ROW.source
    assert msgspec.structs.replace(row, source=ROW.source) == ROW


def test_names_of_sources_are_random() -> None:
    """Twenty characters of hexadecimal, never the same."""
    names = {new_source() for _ in range(1000)}
    assert len(names) == 1000
    assert all(len(name) == 20 and int(name, 16) >= 0 for name in names)


def test_a_head_is_a_prefix_and_grows() -> None:
    """A longer file still begins with a shorter head; a shorter file does not."""
    assert begins_with(b"abcdef", head_of(b"abc"))
    assert not begins_with(b"ab", head_of(b"abc"))
    assert not begins_with(b"abX", head_of(b"abc"))
    assert begins_with(b"", head_of(b""))


def test_a_file_is_the_same_only_with_its_head_and_its_anchor() -> None:
    """A file that was truncated and began again alike has another anchor."""
    assert same(b"banner", b"line 1", head_of(b"banner"), anchor_of(b"line 1"))
    assert not same(b"banner", b"line 2", head_of(b"banner"), anchor_of(b"line 1"))
    assert not same(b"Banner", b"line 1", head_of(b"banner"), anchor_of(b"line 1"))
    assert not same(b"banner", b"li", head_of(b"banner"), anchor_of(b"line 1"))


def found(inode: int, path: str, modified: int = 0) -> Found:
    """A file in a snapshot."""
    return Found(Place(1, inode), path, 0, modified, 0)


def test_what_changed_between_two_looks() -> None:
    """Opened oldest first, renamed, gone; what stayed is in no list."""
    now = [found(1, "/a"), found(2, "/b.1"), found(4, "/new", 9), found(5, "/old", 1)]
    seen = changes(
        {Place(1, 1): "/a", Place(1, 2): "/b", Place(1, 3): "/c"}, Snapshot({one.place: one for one in now}, {}, [])
    )
    assert [one.path for one in seen.opened] == ["/old", "/new"]
    assert [one.path for one in seen.renamed] == ["/b.1"]
    assert seen.gone == [Place(1, 3)]


def test_a_scan_finds_files_once_and_names_what_is_none(tmp_path: Path) -> None:
    """Links and second patterns count once; folders, FIFOs and dangling links are refused with the reason."""
    (tmp_path / "a.log").write_text("x")
    (tmp_path / "b.log").hardlink_to(tmp_path / "a.log")
    (tmp_path / "c.log").symlink_to(tmp_path / "a.log")
    (tmp_path / "dir.log").mkdir()
    os.mkfifo(tmp_path / "fifo.log")
    (tmp_path / "gone.log").symlink_to(tmp_path / "nowhere")
    (tmp_path / "skip.log").write_text("x")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "d.log").write_text("x")
    entry = Input(
        paths=[f"{tmp_path}/*.log", f"{tmp_path}/**/*.log", f"{tmp_path}/none*"], exclude=["*/skip.log"], dataset="a"
    )
    snapshot = scan([entry])
    assert sorted(one.path for one in snapshot.found.values()) == [f"{tmp_path}/a.log", f"{tmp_path}/deep/er/d.log"]
    assert {path.rsplit("/", 1)[1]: refused.reason for path, refused in snapshot.refused.items()} == {
        "dir.log": "it is a directory",
        "fifo.log": "it is a FIFO",
        "gone.log": "its link points nowhere",
    }
    assert snapshot.empty == [f"{tmp_path}/none*"]
    assert f"{tmp_path}/a.log" in {one.path for one in siblings(str(tmp_path), 0)}
    assert siblings(str(tmp_path / "nowhere"), 0) == []


def test_the_disk_answers_each_file_by_itself(tmp_path: Path) -> None:
    """A bad handle does not keep the others from being read, and what did not change is not read again."""
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")

    async def look() -> None:
        disk = Disk()
        (opened, missing) = await disk.open([Wanted(str(path), 1, 4, 2), Wanted(str(tmp_path / "none"), 1)])
        assert (opened.size, opened.first, opened.refused) == (10, b"0123456789", "")
        assert opened.place.inode == path.stat().st_ino
        assert missing.refused == "No such file or directory"
        first, bad = await disk.look(1, [Request(opened.handle, 2, 3, None), Request(10**6, 0, 1, None)])
        assert isinstance(first, Look)
        assert (first.window, first.first, first.links) == (b"234", b"0123456789", 1)
        assert isinstance(bad, OSError)
        (again,) = await disk.look(1, [Request(opened.handle, 2, 3, first.stamp, end=first.seen[0])])
        assert again is STILL
        assert opened.before == b"23"
        disk.close(1, opened.handle)

    asyncio.run(look())
