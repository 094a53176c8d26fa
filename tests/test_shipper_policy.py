"""What the settings of an input mean for its files: where they begin, which are left alone, closed, take turns."""

import os
import time
from typing import NamedTuple

import pytest
from processes import Site, chain, until

from shipper.policy import end_of, input_name, is_inactive, is_too_old, to_close
from tailrace.settings import Input


class Open(NamedTuple):
    """As much of an open file as the choice needs."""

    name: str
    seen: tuple[int, int] | None
    may_rest: bool = True
    has_room: bool = False


def entry(**settings: float) -> Input:
    """An input with these settings."""
    return Input(paths=["/b", "/a"], dataset="x", **settings)  # type: ignore[arg-type]


def test_old_files_are_left_alone_only_if_that_was_asked_for() -> None:
    """0 reads all; else the age counts, in nanoseconds."""
    assert not is_too_old(entry(), 0, 10**18)
    assert is_too_old(entry(ignore_older_seconds=60), 10**18, 10**18 + 61 * 10**9)
    assert not is_too_old(entry(ignore_older_seconds=60), 10**18, 10**18 + 59 * 10**9)
    assert not is_too_old(entry(ignore_older_seconds=60), 10**18, 0), "a clock that was set back makes nothing old"


def test_still_files_are_closed_only_if_that_was_asked_for() -> None:
    """0 keeps them open."""
    assert not is_inactive(entry(), 1e9)
    assert is_inactive(entry(close_inactive_seconds=5), 5)
    assert not is_inactive(entry(close_inactive_seconds=5), 4)


def test_the_least_recently_written_files_are_closed_first() -> None:
    """As many as there is need of, and none that is still being read."""
    files = [Open("new", (1, 30)), Open("busy", (1, 1), may_rest=False), Open("old", (1, 10)), Open("older", (1, 5))]
    assert [file.name for file in to_close(files, 2)] == ["older", "old"]
    assert to_close(files, 0) == to_close(files, -3) == []
    files += [Open("oldest, with room", (1, 2), has_room=True)]
    assert [file.name for file in to_close(files, 4)] == ["older", "old", "new", "oldest, with room"]
    assert len(to_close(files, 9)) == 4


def test_the_end_is_behind_the_last_whole_line() -> None:
    """So that the line being written at the first look is read whole."""
    assert end_of(b"a\nb\n", 4) == 4
    assert end_of(b"a\nbc", 4) == 2
    assert end_of(b"bc\nd", 100) == 99
    assert end_of(b"abc", 3) == 3


def test_an_input_is_known_by_its_patterns() -> None:
    """Whatever their order, and whatever else is set."""
    assert input_name(entry(close_inactive_seconds=5)) == input_name(Input(paths=["/a", "/b"], dataset="y"))


@pytest.mark.edge
def test_the_end_is_where_the_first_start_finds_it(site: Site) -> None:
    """What was there is passed over and counted, once; files that come later, or while the agent is down, are whole."""
    site.inputs[0]["start"] = "end"
    old = site.logs / "old.log"
    old.write_text("passed over\n" * 100 + "half ")
    agent = site.agent()
    (site.logs / "new.log").write_text("from the beginning\n")
    until(lambda: site.messages() == ["from the beginning", "half "])
    assert agent.stop() == 0
    (site.logs / "while down.log").write_text("while down\n")
    with old.open("a") as file:
        file.write("and more\nwhole\n")
    agent = site.agent()
    until(lambda: len(site.shipped()) == 5)
    assert agent.stop() == 0
    records = site.shipped()
    assert sorted(record.message for record in records) == [
        "and more", "from the beginning", "half ", "while down", "whole"
    ]  # fmt: skip
    assert old.stat().st_size in chain(records).values(), "the bytes passed over are counted as skipped"


@pytest.mark.edge
def test_a_first_start_without_files_is_a_start_too(site: Site) -> None:
    """What appears after it is read from its beginning, though no agent has ever seen a file of the input."""
    site.inputs[0]["start"] = "end"
    assert site.agent().stop() == 0
    (site.logs / "a.log").write_text("first\n")
    agent = site.agent()
    until(lambda: site.messages() == ["first"])
    assert agent.stop() == 0


@pytest.mark.edge
def test_old_files_wait_until_they_are_written_again(site: Site) -> None:
    """Then they are read whole."""
    site.inputs[0]["ignore_older_seconds"] = 3600
    old, new = site.logs / "old.log", site.logs / "new.log"
    old.write_text("old\n")
    new.write_text("new\n")
    os.utime(old, (time.time() - 7200,) * 2)
    agent = site.agent()
    until(lambda: site.messages() == ["new"])
    with old.open("a") as file:
        file.write("again\n")
    until(lambda: site.messages() == ["again", "new", "old"])
    assert agent.stop() == 0


@pytest.mark.edge
def test_a_still_file_is_closed_and_opened_again(site: Site) -> None:
    """Nothing is lost or repeated, also when it was renamed out of sight while it was closed."""
    site.inputs[0]["close_inactive_seconds"] = 0.5
    path = site.logs / "a.log"
    path.write_text("one\n")
    agent = site.agent()
    until(lambda: site.messages() == ["one"] and not agent.has_open(path))
    with path.open("a") as file:
        file.write("two\n")
    until(lambda: site.messages() == ["one", "two"] and not agent.has_open(path))
    with path.open("a") as file:
        file.write("three\n")
    path.rename(site.logs / "a.log.1")
    until(lambda: site.messages() == ["one", "three", "two"])
    assert agent.stop() == 0
    records = site.shipped()
    assert len(chain(records)) == 1
    assert not any(record.may_repeat for record in records)


@pytest.mark.edge
def test_more_files_than_may_be_open_take_turns(site: Site) -> None:
    """With ``--once`` all are shipped; a running agent reads what is written to any of them."""
    site.shipper["open_files"] = 4
    for number in range(30):
        (site.logs / f"{number}.log").write_text(f"first {number}\n")
    site.finish("ship", "--once")
    assert len(site.messages()) == 30
    agent = site.agent()
    for number in range(30):
        with (site.logs / f"{number}.log").open("a") as file:
            file.write(f"second {number}\n")
    until(lambda: len(site.messages()) == 60)
    assert agent.stop() == 0
    said = [line for line in site.said() if line["message"] == "more files than may be open take turns"]
    assert len(said) == 2, "once for each run"
    records = site.shipped()
    assert len(records) == 60
    assert len(chain(records)) == 30
