"""``tailrace status``: what it says of files, from the agent and without one, and how it ends."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from processes import Site, until

from shipper import answers
from shipper.identity import Anchor, Head, Place
from shipper.plan import Found
from shipper.registry import Registry
from shipper.registry_row import Row
from shipper.report import State, line_of_row
from tailrace.cli import cli
from tailrace.errors import MendState
from tailrace.words import age, size, spoken_bytes


class Host:
    """Files, a registry and a settings file, without any server."""

    def __init__(self, folder: Path) -> None:
        self.logs, self.state = folder / "logs", folder / "state"
        self.logs.mkdir()
        self.settings = folder / "tailrace.toml"
        self.settings.write_text(
            f'[shipper]\nstate_dir = "{self.state}"\n'
            f'[[shipper.inputs]]\npaths = ["{self.logs}/**/*.log"]\ndataset = "a"\n'
        )

    def write(self, name: str, length: int, position: int | None = None, **more: Any) -> Row:
        """A file of so many bytes, of which so many are acknowledged; its row."""
        path = self.logs / name
        path.write_bytes(b"x" * length)
        status = path.stat()
        row = Row(
            source=f"{status.st_ino:020x}", path=str(path), place=Place(status.st_dev, status.st_ino),
            head=Head(0, b""), anchor=Anchor(0, 0), position=position or 0, skipped=0, reach=position or 0, records=1,
            bytes=0, blank=0, ended=False, updated=int(time.time()) - 500, cuts=(), size=length,
        )  # fmt: skip
        row = msgspec.structs.replace(row, **more)
        if position is not None:
            self.save([row])
        return row

    def save(self, rows: list[Row]) -> None:
        registry = Registry(self.state)
        asyncio.run(registry.save(rows))
        registry.close()

    def status(self, *arguments: str, expect: int = 0) -> Any:
        """What ``tailrace status --json`` says."""
        result = self.run("--json", *arguments)
        assert result.exit_code == expect, result.output
        return json.loads(result.stdout)

    def run(self, *arguments: str) -> Result:
        """``tailrace status``."""
        return CliRunner().invoke(cli, ["status", "-c", str(self.settings), *arguments])


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """One of one's own."""
    return Host(tmp_path)


def test_without_a_state_folder_it_says_what_to_do(host: Host) -> None:
    """Nothing is made by asking."""
    result = host.run()
    assert isinstance(result.exception, MendState)
    assert "tailrace ship" in str(result.exception)
    assert not host.state.exists()


def test_without_an_agent_the_registry_is_compared_with_the_files(host: Host) -> None:
    """Sorted by bytes behind, with every state that can be told from outside; bytes that wait are a fault."""
    host.write("idle.log", 100, 100)
    host.write("behind.log", 5000, 1000)
    host.write("new.log", 300)
    host.write("truncated.log", 10, 100)
    host.write("gone.log", 100, 100)
    (host.logs / "gone.log").unlink()
    host.write("old.log", 100, 50, ended=True, source="e" * 20)
    (host.logs / "old.log").unlink()
    said = host.status(expect=1)
    assert [(Path(one["path"]).name, one["behind_bytes"], one["state"]) for one in said["files"]] == [
        ("behind.log", 4000, "closed"),
        ("new.log", 300, "not begun"),
        ("truncated.log", 10, "truncated"),
        ("gone.log", 0, "gone"),
        ("idle.log", 0, "idle"),
        ("old.log", 0, "ended"),
    ]
    assert (said["running"], said["files_total"], said["behind_bytes"]) == (False, 5, 4310)
    assert 499 <= said["oldest_unread_seconds"] < 600
    assert said["problems"] == ["no agent runs and 4.2 KiB wait: start it (systemctl start tailrace-ship)"]
    table = host.run("-n", "2")
    assert table.exit_code == 1
    lines = table.stdout.splitlines()
    assert lines[0].split() == ["STATE", "BEHIND", "SIZE", "POSITION", "READ", "ACKED", "SOURCE", "PATH"]
    assert lines[1].split()[:8] == ["closed", "3.9", "KiB", "4.9", "KiB", "1,000", "-", "8"]
    assert lines[3] == "… and 4 more (-n 0 shows all)"
    assert lines[4] == "5 files, 4.2 KiB behind; no agent runs"
    assert lines[5].startswith("✗ no agent runs")


def test_all_read_is_no_fault_though_no_agent_runs(host: Host) -> None:
    """As after ``ship --once``; and a path that is chosen is looked for whole."""
    host.write("idle.log", 100, 100)
    host.write("other.txt.log", 7, 7)
    assert host.status()["problems"] == []
    assert [Path(one["path"]).name for one in host.status("--path", "*/idle*")["files"]] == ["idle.log"]
    assert host.status("--path", "idle.log")["files"] == []


def test_a_file_that_was_renamed_is_found_by_its_place(host: Host) -> None:
    """Its path is the one it has now."""
    host.write("a.log", 100, 60)
    (host.logs / "a.log").rename(host.logs / "b.log")
    (one,) = host.status(expect=1)["files"]
    assert (Path(one["path"]).name, one["behind_bytes"], one["state"]) == ("b.log", 40, "closed")


def test_names_cannot_take_over_the_terminal(host: Host) -> None:
    """Control characters in a file's name are shown, never sent; a line feed makes no line."""
    host.write("\x1b]0;owned\x07\n✓ all.log", 10, 10)
    said = host.run().stdout
    assert "\x1b" not in said
    assert "\\u001b]0;owned\\u0007\\n✓ all.log\n" in said


def test_the_table_fits_a_terminal_of_80_columns(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """It leaves out what people need least, and shortens paths; --json has all of it."""
    name = "a-very-long-name-of-a-service-in-some-cluster-" * 3 + "app.log"
    host.write(name, 10_000_000, 9_000_000)
    monkeypatch.setenv("COLUMNS", "80")
    lines = host.run().stdout.splitlines()
    assert lines[0].split() == ["STATE", "BEHIND", "SIZE", "POSITION", "READ", "ACKED", "PATH"]
    assert len(lines[1]) == 80
    assert lines[1].endswith("app.log")
    assert lines[2].startswith("1 file, 977 KiB behind")
    assert len(host.status(expect=1)["files"][0]["source"]) == 20


def test_a_packed_file_is_behind_by_what_is_in_it() -> None:
    """Offsets are of what was packed; its size on disk says nothing of them."""
    row = Row(
        source="a", path="/a.log.gz", place=Place(1, 1), head=Head(0, b""), anchor=Anchor(0, 0), position=900,
        skipped=0, reach=900, records=1, bytes=0, blank=0, ended=False, updated=7, cuts=(), size=1000,
    )  # fmt: skip
    line = line_of_row(row, Found(row.place, row.path, 90, 0, 0), 0, running=False)
    assert (line.behind_bytes, line.state) == (100, State.CLOSED)


def test_sizes_and_ages_are_said_shortly() -> None:
    """Three digits at most, and the unit."""
    assert [size(one) for one in (0, 1, 999, 1000, 1536, 102_399, 2**20 - 1, 5 * 2**30, 10**13, 10**16)] == [
        "0", "1 B", "999 B", "1.0 KiB", "1.5 KiB", "100 KiB", "1.0 MiB", "5.0 GiB", "9.1 TiB", "9,094.9 TiB",
    ]  # fmt: skip
    assert [spoken_bytes(one) for one in (0, 1, 999, 1536)] == ["0 bytes", "1 byte", "999 bytes", "1.5 KiB"]
    assert [age(one) for one in (0, 119, 120, 7200, 172_800)] == ["0 s", "119 s", "2 min", "2 h", "2 d"]


def test_a_socket_that_nobody_listens_to_is_no_agent(tmp_path: Path) -> None:
    """A killed agent leaves it behind."""
    folder = tmp_path / ("long" * 40)
    folder.mkdir()

    async def answer() -> None:
        async with answers.answering(folder, lambda: [b"1", b"2"]):
            mode = (folder / answers.NAME).stat().st_mode & 0o777
            assert mode == 0o660 & ~umask()
            pieces = await asyncio.to_thread(lambda: list(answers.ask(folder, 5) or []))
            assert pieces == [b"1\n", b"2\n"]

    asyncio.run(answer())
    assert answers.ask(folder, 5) is None
    stale = socket.socket(socket.AF_UNIX)
    before = Path.cwd()
    os.chdir(folder)
    try:
        stale.bind(answers.NAME)
    finally:
        os.chdir(before)
    stale.close()
    assert answers.ask(folder, 5) is None
    asyncio.run(answer())


def umask() -> int:
    """This process's."""
    now = os.umask(0)
    os.umask(now)
    return now


def asked(site: Site, expect: int = 0) -> Any:
    """What ``tailrace status --json`` says beside the agent."""
    done = subprocess.run(
        [sys.executable, "-m", "tailrace", "status", "--json", "-c", site.folder / "tailrace.toml"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == expect, (done.stdout, done.stderr)
    return json.loads(done.stdout)


@pytest.mark.edge
def test_the_running_agent_says_how_far_each_file_is(site: Site) -> None:
    """Sizes, positions and times of the moment; it stops, and the registry says the same."""
    (site.logs / "a.log").write_text("one\ntwo\n")
    (site.logs / "b.log").write_text("")
    agent = site.agent()
    until(lambda: asked(site)["files"][0].get("acknowledged_at"))
    said = asked(site)
    assert (said["running"], said["pid"], said["files_total"], said["behind_bytes"]) == (True, agent.pid, 2, 0)
    first, second = said["files"]
    assert (first["position"], first["size"], first["state"]) == (8, 8, "idle")
    assert time.time() - 60 < first["read_at"] <= first["acknowledged_at"] <= time.time()
    assert (second["position"], second["state"]) == (0, "idle")
    with (site.logs / "a.log").open("a") as file:
        file.write("an unfinished li")
    site.shipper["partial_line_seconds"] = 60
    assert agent.stop() == 0
    assert not (site.state / answers.NAME).exists()
    agent = site.agent()
    until(lambda: asked(site)["behind_bytes"] == 0 or asked(site)["behind_bytes"] == 16)
    assert agent.stop() == 0


@pytest.mark.edge
def test_a_kafka_that_is_away_is_named(site: Site) -> None:
    """The agent cannot reach it: exit code 1 and the reason, while the agent waits."""
    (site.logs / "a.log").write_text("one\n")
    site.write_settings(bootstrap_servers="127.0.0.1:1")
    site.run("ship", settings=site.folder / "tailrace.toml")
    until((site.state / answers.NAME).exists)
    said = asked(site, expect=1)
    assert any("has not reached Kafka" in one for one in said["problems"])
