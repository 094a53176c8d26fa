"""Rotation in all its ways, with the real agent, real files and the real Kafka: each line once, whatever happens."""

import gzip
import lzma
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from processes import Process, Shipped, Site, chain, until

pytestmark = pytest.mark.edge

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
    ".xz": lzma.compress,
}
COMMANDS = {".gz": ["gzip"], ".zst": ["zstd", "-q", "--rm"], ".xz": ["xz"]}


class Log:
    """A log file of numbered lines, written to and rotated as services and their rotators do."""

    def __init__(self, site: Site, name: str = "app.log") -> None:
        self.site = site
        self.path = site.logs / name
        self.written = 0

    def write(self, count: int, path: Path | None = None) -> None:
        """Append lines that nobody wrote before."""
        with (path or self.path).open("a", encoding="utf-8") as file:
            file.write("".join(f"line {number:06d}\n" for number in range(self.written, self.written + count)))
        self.written += count

    def sibling(self, suffix: str) -> Path:
        """The file beside it with something behind its name."""
        return self.path.with_name(self.path.name + suffix)

    def copytruncate(self, suffix: str, between: int = 0) -> Path:
        """As logrotate does it; ``between`` lines come after the last look and before the copy."""
        self.write(between)
        copy = self.sibling(suffix)
        shutil.copyfile(self.path, copy)
        os.truncate(self.path, 0)
        return copy

    def chain(self, most: int) -> None:
        """Rename app.log.N to app.log.N+1, and app.log to app.log.1; a new app.log is empty."""
        for number in range(most - 1, 0, -1):
            if self.sibling(f".{number}").exists():
                self.sibling(f".{number}").rename(self.sibling(f".{number + 1}"))
        self.path.rename(self.sibling(".1"))
        self.path.touch()

    def is_shipped(self) -> bool:
        """Whether as many records are in the topic as lines were written."""
        return len(self.site.shipped()) >= self.written

    def check(self) -> list[Shipped]:
        """Every line was shipped, each once, none flagged, and each source's chain is whole."""
        records = self.site.shipped()
        assert sorted(record.message for record in records) == [f"line {number:06d}" for number in range(self.written)]
        assert not any(record.may_repeat for record in records)
        assert chain(records)
        return records

    def sources(self) -> int:
        """How many sources there are in the topic."""
        return len({record.key for record in self.site.shipped()})


@pytest.fixture
def wide(site: Site) -> Site:
    """The same with a pattern that rotated files match too."""
    site.inputs = [{"paths": [f"{site.logs}/*.log*"], "dataset": site.name}]
    return site


def stop(agent: Process) -> None:
    """Stop it, in order."""
    assert agent.stop() == 0


def test_copytruncate_ships_what_only_the_copy_has(site: Site) -> None:
    """Lines written after the last look and before the copy are read from the copy, as the same source."""
    log = Log(site)
    log.write(200)
    site.finish("ship", "--once")
    log.copytruncate(".1", between=100)
    log.write(50)
    site.finish("ship", "--once")
    assert len(log.check()) == 350
    assert log.sources() == 2


def test_copytruncate_while_the_agent_runs(site: Site) -> None:
    """Time and again, the copy outside the patterns; small files too."""
    log = Log(site)
    log.write(10)
    agent = site.agent()
    until(log.is_shipped)
    for turn in range(4):
        log.copytruncate(f".{turn}", between=10 + 200 * (turn % 2))
        log.write(100)
        until(log.is_shipped)
    stop(agent)
    log.check()


def test_a_copy_that_was_seen_empty_is_not_shipped_again(wide: Site) -> None:
    """A file is made before anything is copied into it, and looked at in between."""
    log = Log(wide)
    log.write(300)
    agent = wide.agent()
    until(log.is_shipped)
    copy = log.sibling(".1")
    copy.touch()
    time.sleep(0.5)
    shutil.copyfile(log.path, copy)
    os.truncate(log.path, 0)
    log.write(100)
    until(log.is_shipped)
    stop(agent)
    wide.finish("ship", "--once")
    log.check()


def test_a_copy_that_matches_a_pattern_is_not_shipped_again(wide: Site) -> None:
    """Neither while it is made, nor after the truncation, nor after restarts."""
    log = Log(wide)
    log.write(300)
    agent = wide.agent()
    until(log.is_shipped)
    shutil.copyfile(log.path, log.sibling(".1"))
    log.write(100)
    until(log.is_shipped)
    shutil.copyfile(log.path, log.sibling(".1"))
    os.truncate(log.path, 0)
    log.write(100)
    until(log.is_shipped)
    stop(agent)
    for _ in range(2):
        wide.finish("ship", "--once")
    log.check()


def test_a_copy_that_diverges_is_a_source_of_its_own(wide: Site) -> None:
    """As long as it is a copy it waits; once it has other bytes it is shipped, all of it."""
    log = Log(wide)
    log.write(300)
    agent = wide.agent()
    until(log.is_shipped)
    copy = log.sibling(".copy")
    shutil.copyfile(log.path, copy)
    log.write(1)
    until(log.is_shipped)
    with copy.open("a") as file:
        file.write("another end\n" * 3)
    until(lambda: "another end" in wide.messages())
    stop(agent)
    messages = wide.messages()
    assert messages.count("another end") == 3
    assert len(messages) == 301 + 303


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_compressed_sibling_is_the_same_source(wide: Site, suffix: str) -> None:
    """Rotated with delaycompress, by the real program, with unread lines in it: the rest is shipped, and no more."""
    log = Log(wide)
    log.write(400)
    wide.finish("ship", "--once")
    log.write(300)
    log.chain(3)
    log.write(100)
    subprocess.run([*COMMANDS[suffix], log.sibling(".1")], check=True)
    assert not log.sibling(".1").exists()
    for _ in range(2):
        wide.finish("ship", "--once")
    log.check()
    assert log.sources() == 2


@pytest.mark.parametrize("suffix", PACKERS)
def test_compression_while_the_agent_runs(wide: Site, suffix: str) -> None:
    """The file is rotated, compressed and deleted under a running agent, large enough to be seen being written."""
    log = Log(wide)
    log.write(100)
    agent = wide.agent()
    for _ in range(3):
        log.write(20_000)
        for number in range(3, 0, -1):
            if log.sibling(f".{number}{suffix}").exists():
                log.sibling(f".{number}{suffix}").rename(log.sibling(f".{number + 1}{suffix}"))
        until(lambda: agent.has_open(log.path), every=0.005)
        log.path.rename(log.sibling(".1"))
        log.write(10)
        subprocess.run([*COMMANDS[suffix], log.sibling(".1")], check=True)
        until(log.is_shipped)
    stop(agent)
    wide.finish("ship", "--once")
    log.check()


def test_a_compressed_file_outside_the_patterns_is_finished(site: Site) -> None:
    """Rotated without delaycompress while the agent was down: found beside the live file by what is in it."""
    log = Log(site)
    log.write(400)
    site.finish("ship", "--once")
    log.write(300)
    log.chain(2)
    subprocess.run(["gzip", log.sibling(".1")], check=True)
    log.write(10)
    site.finish("ship", "--once")
    log.check()
    assert log.sources() == 2


def test_a_crash_within_a_compressed_file_resumes(wide: Site) -> None:
    """Killed while the rest of a large compressed file is shipped: what is sent again is flagged, none is lost."""
    log = Log(wide)
    log.write(1000)
    wide.finish("ship", "--once")
    before = wide.registered("position")
    log.write(300_000)
    subprocess.run(["gzip", log.path], check=True)
    agent = wide.agent()
    until(lambda: wide.registered("position") > before + 100_000, every=0.005)
    agent.kill()
    assert wide.registered("position") < 200_000 * 12
    wide.finish("ship", "--once")
    records = wide.shipped()
    assert {record.message for record in records} == {f"line {number:06d}" for number in range(log.written)}
    seen: set[str] = set()
    for record in records:
        assert record.record_id not in seen or record.may_repeat
        seen.add(record.record_id)
    assert len(seen) == log.written
    assert len(chain(records)) == 1


def test_a_compressed_file_that_is_being_written_is_waited_for(wide: Site) -> None:
    """Its first half holds nothing that was not read: no line is shipped twice, and the rest comes with the rest."""
    log = Log(wide)
    log.write(5_000)
    wide.finish("ship", "--once")
    log.write(5_000)
    packed = gzip.compress(log.path.read_bytes(), 1)
    log.path.unlink()
    gz = log.sibling(".1.gz")
    gz.write_bytes(packed[:1000])
    agent = wide.agent()
    with gz.open("ab") as file:
        file.write(packed[1000:20_000])
        file.flush()
        until(lambda: agent.has_open(gz) or len(wide.shipped()) > 5000, every=0.05)
        file.write(packed[20_000:])
    until(log.is_shipped)
    stop(agent)
    log.check()
    assert log.sources() == 1


def test_a_damaged_compressed_file_is_named_once_and_its_readable_part_shipped(wide: Site) -> None:
    """With the reason, and counted; the agent goes on."""
    log = Log(wide)
    log.write(20_000)
    packed = gzip.compress(log.path.read_bytes())
    log.path.unlink()
    gz = log.sibling(".1.gz")
    gz.write_bytes(packed[: len(packed) // 2] + b"\xff" * 2000)
    agent = wide.agent()
    until(lambda: any(line["message"] == "compressed file is damaged" for line in wide.said()))
    stop(agent)
    wide.finish("ship", "--once")
    said = [line for line in wide.said() if line["message"] == "compressed file is damaged"]
    assert len(said) == 1
    assert 5_000 < len(wide.shipped()) < 20_000
    assert len({record.record_id for record in wide.shipped()}) == len(wide.shipped())


def test_a_compressed_file_that_no_source_fits_is_read_from_its_start(wide: Site) -> None:
    """Matched by a pattern, seen for the first time: its lines are shipped, once."""
    log = Log(wide)
    log.write(1000)
    for suffix, pack in PACKERS.items():
        log.write(1000)
        log.sibling(suffix).write_bytes(pack(log.path.read_bytes()))
        log.path.unlink()
        log.path.touch()
    log.path.unlink()
    for _ in range(2):
        wide.finish("ship", "--once")
    log.check()


def test_rotation_while_the_agent_is_down(site: Site) -> None:
    """The rest of the file that was read, and files that were born and rotated away unseen: all shipped."""
    log = Log(site)
    log.write(100)
    site.finish("ship", "--once")
    for _ in range(4):
        log.write(50)
        log.chain(6)
    log.write(10)
    site.finish("ship", "--once")
    log.check()
    assert log.sources() == 5


def test_rotation_with_compression_while_the_agent_is_down(site: Site) -> None:
    """As before, all but the last of them compressed."""
    log = Log(site)
    log.write(200)
    site.finish("ship", "--once")
    for _ in range(3):
        log.write(50)
        for number in range(4, 1, -1):
            if log.sibling(f".{number}.gz").exists():
                log.sibling(f".{number}.gz").rename(log.sibling(f".{number + 1}.gz"))
        if log.sibling(".1").exists():
            subprocess.run(["gzip", log.sibling(".1")], check=True)
            log.sibling(".1.gz").rename(log.sibling(".2.gz"))
        log.path.rename(log.sibling(".1"))
        log.path.touch()
    log.write(10)
    site.finish("ship", "--once")
    log.check()


def test_what_was_rotated_before_the_first_start_is_left_alone(site: Site) -> None:
    """Old files beside the live one that no pattern matches are nobody's wish."""
    old = Log(site)
    old.write(100)
    old.chain(3)
    past = time.time() - 3600
    os.utime(old.sibling(".1"), (past, past))
    (site.logs / "app.log").write_text("new 1\n")
    site.finish("ship", "--once")
    (site.logs / "app.log").rename(site.logs / "app.log.2")
    (site.logs / "app.log").write_text("new 2\n")
    site.finish("ship", "--once")
    assert site.messages() == ["new 1", "new 2"]


def test_rotation_faster_than_a_scan(site: Site) -> None:
    """Files that were never seen under their live name are found beside it while the agent runs."""
    site.shipper["rescan_seconds"] = 2.0
    log = Log(site)
    log.write(10)
    agent = site.agent()
    until(log.is_shipped)
    for _ in range(3):
        for _ in range(5):
            log.write(20)
            log.chain(20)
        log.write(5)
        until(log.is_shipped)
    stop(agent)
    log.check()


def test_a_rename_chain_of_ten(wide: Site) -> None:
    """Within the patterns, while the agent runs and while it is down."""
    log = Log(wide)
    for _ in range(5):
        log.write(20)
        log.chain(11)
    agent = wide.agent()
    for _ in range(5):
        log.write(20)
        until(log.is_shipped)
        log.chain(11)
    stop(agent)
    log.write(20)
    log.chain(11)
    wide.finish("ship", "--once")
    log.check()


def test_delete_and_recreate_at_once(site: Site) -> None:
    """Whether or not the new file gets the old one's inode: what was read is not read again, what is new is."""
    log = Log(site)
    log.write(10)
    agent = site.agent()
    for _ in range(5):
        until(log.is_shipped)
        log.path.unlink()
        log.write(10)
    until(log.is_shipped)
    stop(agent)
    for _ in range(3):
        log.path.unlink()
        log.write(10)
        site.finish("ship", "--once")
    log.check()


def test_date_named_files(site: Site) -> None:
    """A new name each day, all matched by one pattern; the old ones are compressed later."""
    site.inputs = [{"paths": [f"{site.logs}/app-*"], "dataset": site.name}]
    log = Log(site)
    agent = site.agent()
    days = [site.logs / f"app-2026-11-{day}.log" for day in range(20, 24)]
    for number, day in enumerate(days):
        log.write(150, day)
        until(log.is_shipped)
        if number:
            subprocess.run(["gzip", days[number - 1]], check=True)
    stop(agent)
    for _ in range(2):
        site.finish("ship", "--once")
    log.check()


def test_a_symlink_that_is_switched(site: Site) -> None:
    """current.log points to today's file: yesterday's is read to its end, today's from its beginning."""
    site.inputs = [{"paths": [f"{site.logs}/current.log"], "dataset": site.name}]
    log = Log(site)
    link = site.logs / "current.log"
    agent = site.agent()
    for day in range(20, 24):
        today = site.logs / f"app-2026-11-{day}.log"
        log.write(50, today)
        fresh = site.logs / "link"
        fresh.symlink_to(today)
        fresh.rename(link)
        log.write(50, today)
        until(log.is_shipped)
    stop(agent)
    log.check()


def test_a_file_moved_to_another_folder(site: Site) -> None:
    """Within the file system by renaming, across file systems by copying: it is the same where a pattern matches."""
    archive = site.folder / "archive"
    archive.mkdir()
    site.inputs = [{"paths": [f"{site.logs}/*.log", f"{archive}/*"], "dataset": site.name}]
    log = Log(site)
    log.write(200)
    site.finish("ship", "--once")
    log.write(50)
    log.path.rename(archive / "app.log-1")
    log.write(200)
    site.finish("ship", "--once")
    log.write(50)
    shutil.copy2(log.path, archive / "app.log-2")
    log.path.unlink()
    log.write(10)
    site.finish("ship", "--once")
    log.check()
    assert log.sources() == 3


def test_an_inode_that_changes_under_a_file(site: Site) -> None:
    """As a layered file system does at the first write, or a restore: the name and the content stay."""
    log = Log(site)
    log.write(200)
    agent = site.agent()
    until(log.is_shipped)
    fresh = site.folder / "fresh"
    shutil.copyfile(log.path, fresh)
    fresh.rename(log.path)
    log.write(100)
    until(log.is_shipped)
    stop(agent)
    shutil.copyfile(log.path, fresh)
    fresh.rename(log.path)
    log.write(100)
    site.finish("ship", "--once")
    log.check()
    assert log.sources() == 1


def test_two_files_with_an_equal_first_kilobyte(wide: Site) -> None:
    """A banner that is longer than what heads compare: each of them is shipped whole."""
    banner = "".join(f"banner {number:04d}\n" for number in range(100))
    for name in ("one.log", "two.log", "one.log.1"):
        (wide.logs / name).write_text(banner + f"only in {name}\n")
    wide.finish("ship", "--once")
    (wide.logs / "three.log").write_text(banner + "only in three.log\n")
    wide.finish("ship", "--once")
    messages = wide.messages()
    assert len(messages) == 4 * 101
    assert len({message for message in messages if message.startswith("only")}) == 4


def test_a_service_that_writes_the_same_banner_at_each_start(wide: Site) -> None:
    """A new file that begins, or is, as the old one was: none of its lines is hidden."""
    path, fresh = wide.logs / "app.log", wide.folder / "fresh"
    for _ in range(3):
        fresh.write_text("starting\nlistening\n")
        fresh.rename(path)
        wide.finish("ship", "--once")
    assert wide.messages() == ["listening"] * 3 + ["starting"] * 3


@pytest.mark.parametrize("running", [False, True])
def test_a_file_made_anew_with_the_same_bytes_in_the_same_inode_is_a_new_one(site: Site, *, running: bool) -> None:
    """A file system gives the number of a deleted file to the next one: that was born later."""
    path = site.logs / "app.log"
    path.write_text("starting\n")
    status = path.stat()
    agent = site.agent() if running else None
    if agent is None:
        site.finish("ship", "--once")
    until(lambda: site.registered("position") == len("starting\n"))
    path.unlink()
    if agent is not None:
        until(lambda: not agent.has_open(status))
    made = make_with_inode(site.folder, status.st_ino, "starting\n")
    made.rename(path)
    if agent is None:
        site.finish("ship", "--once")
    else:
        until(lambda: len(site.messages()) == 2)
        stop(agent)
    assert site.messages() == ["starting"] * 2


@pytest.mark.parametrize(("name", "lines"), [("app.log.1.gz", 3), ("app.log.1.gz", 300), ("other.log", 300)])
def test_a_copy_that_is_seen_together_with_its_file_is_shipped_once(site: Site, name: str, lines: int) -> None:
    """Rotation was compressing, or somebody copying, when the agent first looked."""
    site.inputs = [{"paths": [f"{site.logs}/*.log*"], "dataset": site.name}]
    text = "".join(f"line {number}\n" for number in range(lines)).encode()
    (site.logs / "app.log.1").write_bytes(text)
    (site.logs / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    for _ in range(2):
        site.finish("ship", "--once")
    assert len(site.messages()) == lines


def make_with_inode(folder: Path, inode: int, text: str) -> Path:
    """A new file that has this inode."""
    for number in range(2_000):
        path = folder / f"made-{number}"
        path.write_text(text)
        if path.stat().st_ino == inode:
            return path
    pytest.skip("the file system does not give the inode again")


def test_hard_links_and_two_inputs_are_one_source(site: Site) -> None:
    """Of two names and of two inputs the first counts; the other name is nothing new when the first goes."""
    site.inputs = [
        {"paths": [f"{site.logs}/*.log"], "dataset": site.name},
        {"paths": [f"{site.logs}/app*", f"{site.logs}/other"], "dataset": f"{site.name}.two"},
    ]
    log = Log(site)
    log.write(100)
    (site.logs / "other").hardlink_to(log.path)
    site.finish("ship", "--once")
    log.path.unlink()
    log.write(10, site.logs / "other")
    site.finish("ship", "--once", expect=1)  # the first input has no file any more
    log.check()
    assert log.sources() == 1


def test_unread_bytes_that_vanish_are_said_once(site: Site) -> None:
    """The file is nowhere when the agent comes back: how many bytes are lost is said, loudly, and only once."""
    log = Log(site)
    log.write(120_000)
    agent = site.agent()
    until(lambda: site.registered("position") > 0, every=0.005)
    stop(agent)
    left = site.registered("size") - site.registered("position")
    assert left > 0
    log.path.unlink()
    for _ in range(2):
        site.finish("ship", "--once", expect=1)  # the input has no file any more
    (said,) = [line for line in site.said() if line["message"].startswith("unread bytes are lost")]
    assert said["bytes"] == left


def test_what_a_truncation_took_is_said_after_the_copy_was_looked_for(site: Site) -> None:
    """In no copy: counted, and said as an error."""
    log = Log(site)
    log.write(120_000)
    agent = site.agent()
    until(lambda: site.registered("position") > 0, every=0.005)
    stop(agent)
    left = site.registered("size") - site.registered("position")
    os.truncate(log.path, 0)
    site.finish("ship", "--once")
    (said,) = [line for line in site.said() if line["message"].startswith("unread bytes are lost")]
    assert said["bytes"] == left
