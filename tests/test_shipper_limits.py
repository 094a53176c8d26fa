"""Few open files, old files, files that begin at their end, names that are no text: each line once all the same."""

import gzip
import json
import os
import subprocess
import time

import pytest
from processes import Site, chain, until

from shipper.multiline import joiner_of
from shipper.names import is_named_after, live_path, origins, shown
from shipper.outcome import shipped
from shipper.sources import Sources
from tailrace.settings import Input, Settings, Shipper

BANNER = "".join(f"banner {number:04d}\n" for number in range(100))


def lines(first: int, last: int) -> str:
    """Numbered lines."""
    return "".join(f"line {number:06d}\n" for number in range(first, last))


def numbered(last: int) -> list[str]:
    """What these lines say."""
    return lines(0, last).splitlines()


def test_all_files_of_an_input_share_what_joins_their_lines() -> None:
    """Its patterns are compiled once, not for each of ten thousand files that are opened at a start."""
    entry = Input(paths=["/a/*"], dataset="a")
    sources = Sources(Settings(shipper=Shipper(inputs=[entry])), {})
    row = sources.fresh("/a/1", 1, 0).row(0)  # type: ignore[arg-type]
    one, two = (sources.known(row, 0, b"").encoder.joiner for _ in range(2))
    assert joiner_of(entry, 262_144) is not None
    assert one is two is not None


def test_names_that_are_no_text_are_compared_as_they_are_shown() -> None:
    """A rotated file is known by its name, whether that comes from the disk or from the registry."""
    raw = os.fsdecode(b"/a/\xff.log.1")
    assert shown(raw) == "/a/\ufffd.log.1"
    assert live_path(raw) == live_path(shown(raw)) == "/a/\ufffd.log"
    assert is_named_after(raw, live_path(raw))


@pytest.mark.parametrize("name", ["app.log", "app.log.3", "app.log-20261123.gz", "app-2026-11-23.log", "app-7.log.xz"])
def test_the_log_is_among_the_names_that_a_rotated_file_may_have_had(name: str) -> None:
    """Whatever is named after it says so the other way round too."""
    assert is_named_after(f"/a/{name}", "/a/app.log")
    assert "app.log" in origins(f"/a/{name}")


def test_the_totals_count_files_that_were_closed_meanwhile() -> None:
    """Each source once, and all that was sent twice."""

    class Followed:
        complaints: dict[str, str] = {}  # noqa: RUF012 - read only
        sources: list[object] = []  # noqa: RUF012 - read only
        past = {"a": 0, "b": 7}  # noqa: RUF012 - read only

    account = shipped(Followed(), [], complete=True)  # type: ignore[arg-type]
    assert (account.files, account.repeated) == (2, 7)


@pytest.mark.edge
def test_files_of_any_name_are_shipped_rotated_and_shown(site: Site) -> None:
    """Line ends, bytes that are no UTF-8, 250 bytes: none stops the agent, or is lost when it is rotated."""
    site.inputs = [{"paths": [f"{site.logs}/*"], "dataset": site.name}]
    base = os.fsencode(site.logs) + b"/"
    names = [b"a\nb.log", b"\xff\xfe.log", b"x" * 246 + b".log", b"[br].log", b"\xff.log.1"]
    for number, name in enumerate(names):
        with open(base + name, "w") as file:  # noqa: PTH123 - bytes
            file.write(lines(number * 10, number * 10 + 10))
    os.mkfifo(base + b"\xfffifo")
    agent = site.agent()
    until(lambda: len(site.shipped()) == 50)
    assert agent.stop() == 0
    log, rotated = base + b"\xff\xfe.log", base + b"\xff\xfe.log.1"
    with open(log, "a") as file:  # noqa: PTH123
        file.write(lines(50, 60))
    os.rename(log, rotated)  # noqa: PTH104
    subprocess.run([b"gzip", rotated], check=True)
    with open(log, "w") as file:  # noqa: PTH123
        file.write(lines(60, 70))
    site.finish("ship", "--once")
    assert site.messages() == numbered(70)
    assert len(chain(site.shipped())) == 6
    told = json.loads(site.finish("status", "--json", expect=1))
    assert sum("\ufffd" in file["path"] for file in told["files"]) == 3
    assert "\ufffd" in site.finish("registry", "export")


@pytest.mark.edge
def test_files_that_begin_alike_are_all_read_though_few_may_be_open(site: Site) -> None:
    """A closed file's handle is soon another's: nothing is held against a handle that was closed."""
    site.shipper["open_files"] = 1
    for name in ("one", "two", "three"):
        (site.logs / f"{name}.log").write_text(BANNER + f"only in {name}\n")
    assert '"files": 3' in site.finish("ship", "--once")
    assert len(site.shipped()) == 3 * 101


@pytest.mark.edge
def test_the_rest_of_a_source_is_read_however_old_the_file_that_rotation_made_of_it(site: Site) -> None:
    """``ignore_older_seconds`` is for what was never read; old files that carry on no source are left alone."""
    site.inputs = [{"paths": [f"{site.logs}/*.log*"], "dataset": site.name, "ignore_older_seconds": 3600}]
    log, old = site.logs / "app.log", time.time() - 7200
    for name in ("app.log.2", "other.log"):
        (site.logs / name).write_text(f"never read, {name}\n")
        os.utime(site.logs / name, (old, old))
    log.write_text(lines(0, 400))
    site.finish("ship", "--once")
    with log.open("a") as file:
        file.write(lines(400, 700))
    os.utime(log, (old, old))
    subprocess.run(["gzip", log], check=True)
    log.with_name("app.log.gz").rename(log.with_name("app.log.1.gz"))
    log.write_text(lines(700, 710))
    for _ in range(2):
        site.finish("ship", "--once")
    assert site.messages() == numbered(710)


@pytest.mark.edge
def test_old_files_do_not_keep_the_registry_from_forgetting(site: Site) -> None:
    """A file that is left alone for its age is no copy of one that is gone and has another name."""
    site.inputs[0]["ignore_older_seconds"] = 3600
    site.shipper["forget_seconds"] = 2.0
    old, gone = site.logs / "old.log", site.logs / "gone.log"
    old.write_text("never read\n")
    os.utime(old, (time.time() - 7200,) * 2)
    gone.write_text("gone\n")
    site.finish("ship", "--once")
    (site.logs / "new.log").write_text("new\n")  # before: else it may get the inode
    gone.unlink()
    agent = site.agent()
    until(lambda: any(line["message"] == "files that are gone are forgotten" for line in site.said()))
    assert agent.stop() == 0


@pytest.mark.edge
def test_a_compressed_file_that_is_there_at_the_first_start_is_passed_over(site: Site) -> None:
    """As any other where ``start`` is ``end``, however large; what is appended to it later is read."""
    site.inputs = [{"paths": [f"{site.logs}/*.log*"], "dataset": site.name, "start": "end"}]
    packed = site.logs / "app.log.1.gz"
    packed.write_bytes(gzip.compress(b"old\n" * 2_000_000))
    (site.logs / "app.log").write_text("old\n" * 100)
    for _ in range(2):
        site.finish("ship", "--once")
    assert site.messages() == []
    with packed.open("ab") as file:
        file.write(gzip.compress(b"another member\n"))
    site.finish("ship", "--once")
    assert site.messages() == ["another member"]


@pytest.mark.edge
def test_more_files_than_may_be_open_begin_at_their_end(site: Site) -> None:
    """Also those that are opened long after the first look."""
    site.shipper["open_files"] = 4
    site.inputs[0]["start"] = "end"
    names = [f"{number}.log" for number in range(12)]
    for name in names:
        (site.logs / name).write_text("old\n")
    agent = site.agent()
    until(lambda: site.registered("position") == 4 * len(names))
    for name in names:
        with (site.logs / name).open("a") as file:
            file.write(f"new {name}\n")
    until(lambda: len(site.messages()) >= len(names))
    assert agent.stop() == 0
    assert site.messages() == sorted(f"new {name}" for name in names)


@pytest.mark.edge
def test_a_file_that_is_opened_late_begins_where_it_ended_at_the_first_look(site: Site) -> None:
    """It was left alone for its age: what is written to it afterwards is read, and nothing before."""
    site.inputs[0] |= {"start": "end", "ignore_older_seconds": 3600}
    log = site.logs / "app.log"
    log.write_text("old\n" * 10)
    os.utime(log, (time.time() - 7200,) * 2)
    agent = site.agent()
    with log.open("a") as file:
        file.write(lines(0, 10))
    until(lambda: len(site.messages()) >= 10)
    assert agent.stop() == 0
    assert site.messages() == numbered(10)


@pytest.mark.edge
def test_what_was_rotated_away_unseen_is_read_though_few_may_be_open(site: Site) -> None:
    """Files beside a log for which there was no room at the first look are as new at the next."""
    site.shipper["open_files"] = 2
    log = site.logs / "app.log"
    log.write_text(lines(0, 100))
    site.finish("ship", "--once")
    for turn in range(4):
        with log.open("a") as file:
            file.write(lines(100 + turn * 50, 150 + turn * 50))
        packed = site.logs / f"app.log.{4 - turn}.gz"
        packed.write_bytes(gzip.compress(log.read_bytes()))
        log.unlink()
        log.touch()
    log.write_text(lines(300, 310))
    site.finish("ship", "--once")
    assert site.messages() == numbered(310)
