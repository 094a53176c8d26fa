"""``tailrace registry``: rows shown, carried away and back, forgotten, and files read again."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from processes import Site, chain

from shipper import registry_file
from shipper.identity import Place, anchor_of, head_of
from shipper.registry import Registry
from shipper.registry_row import Row
from tailrace.audit.entry import RECOUNTED
from tailrace.cli import cli
from tailrace.errors import MendState, SayYes

TEXT = b"one\n\n  \ntwo\r\nthree\n"


class Host:
    """A registry with the row of one file that is all read, and the command."""

    def __init__(self, folder: Path) -> None:
        self.state, self.file = folder / "state", folder / "a.log"
        self.settings = folder / "tailrace.toml"
        self.settings.write_text(f'[shipper]\nstate_dir = "{self.state}"\n')
        self.file.write_bytes(TEXT)
        status = self.file.stat()
        self.row = Row(
            source="a" * 20, path=str(self.file), place=Place(status.st_dev, status.st_ino), head=head_of(TEXT),
            anchor=anchor_of(TEXT), position=19, skipped=0, reach=25, records=3, bytes=15, blank=4, ended=False,
            updated=7, cuts=(21,), size=19,
        )  # fmt: skip
        self.save([self.row])

    def save(self, rows: list[Row]) -> None:
        registry = Registry(self.state)
        asyncio.run(registry.save(rows))
        registry.close()

    @property
    def rows(self) -> list[Row]:
        """What is stored now."""
        stored = registry_file.read(self.state)
        assert stored is not None
        return stored.rows

    def run(self, *arguments: str, answer: str = "") -> Result:
        """``tailrace registry …``."""
        return CliRunner().invoke(cli, ["registry", *arguments, "-c", str(self.settings)], input=answer)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """One of one's own."""
    return Host(tmp_path)


def test_rows_are_listed_while_an_agent_runs(host: Host) -> None:
    """As a table and whole, chosen by path."""
    agent = Registry(host.state)
    table = host.run("list").stdout.splitlines()
    assert table[0].split() == ["SOURCE", "POSITION", "REACH", "SIZE", "STORED", "PATH"]
    assert table[1].split()[:5] == ["a" * 8, "19", "25", "19", "B"]
    assert msgspec.json.decode(host.run("list", "--json").stdout, type=Row) == host.row
    assert host.run("list", "--json", "--path", "*/b.log").stdout == ""
    agent.close()


def test_an_export_comes_back(host: Host) -> None:
    """Into an empty folder, with a reach that covers what was sent since; no export changes nothing."""
    export = host.settings.parent / "export.jsonl"
    export.write_text(host.run("export").stdout)
    for name in host.state.iterdir():
        name.unlink()
    with host.file.open("ab") as file:
        file.write(b"sent after the export\n")
    assert host.run("import", str(export)).output == "1 row stored.\n"
    assert host.rows == [msgspec.structs.replace(host.row, reach=41, dropped=((RECOUNTED, 0, 0),))]
    export.write_text("no export")
    result = host.run("import", str(export))
    assert isinstance(result.exception, MendState)
    assert "nothing was changed" in str(result.exception)


def test_an_import_names_the_files_that_are_not_in_it(host: Host) -> None:
    """They were born after the export, or nobody knows of them: what was sent of them is stored twice."""
    export = host.settings.parent / "export.jsonl"
    export.write_text(host.run("export").stdout)
    with host.settings.open("a") as file:
        file.write(f'[[shipper.inputs]]\npaths = ["{host.file.parent}/*.log"]\ndataset = "a"\n')
    assert host.run("import", str(export)).output == "1 row stored.\n"
    for number in range(4):
        (host.file.parent / f"new{number}.log").write_text("x\n")
    said = host.run("import", str(export)).stderr
    assert f"under new ids: 4 files ({host.file.parent}/new0.log" in said
    assert "and 1 more). What was sent of them before is stored a second time." in said


def test_rows_are_forgotten_only_when_asked_for(host: Host) -> None:
    """Without --gone or --path nothing is; a file that is there is warned of; no is no."""
    assert host.run("forget").exit_code == 2
    assert "0 rows to forget" in host.run("forget", "--gone").output
    asked = host.run("forget", "--path", "*/a.log", answer="n\n")
    assert "the files of 1 are there and would be stored a second time" in asked.output
    assert len(host.rows) == 1
    host.file.unlink()
    assert "1 row forgotten" in host.run("forget", "--gone", "--yes").output
    assert host.rows == []


@pytest.mark.parametrize("arguments", [("reset", "--path", "*"), ("forget", "--path", "*")])
def test_where_nobody_can_be_asked_the_option_that_answers_is_named(host: Host, arguments: tuple[str, ...]) -> None:
    """A timer or a pipe has no terminal: exit code 2, and nothing is changed."""
    result = host.run(*arguments)
    with pytest.raises(SayYes, match="no terminal to ask, and nothing was changed; use --yes") as caught:
        raise result.exception or AssertionError
    assert caught.value.exit_code == 2
    assert host.rows == [host.row]


def test_a_reset_to_the_start_keeps_the_ids_and_says_what_may_repeat(host: Host) -> None:
    """All up to the old reach carries the flag with which it is looked up, and is cut where it was."""
    said = host.run("reset", "--path", "*/a.log", answer="y\n").output
    assert "19 B to be sent again: their lines are stored only where they are missing (same ids)" in said
    (row,) = host.rows
    assert (row.source, row.position, row.reach, row.anchor.length) == (host.row.source, 0, 25, 0)
    assert (row.records, row.bytes, row.blank, row.skipped, row.cuts) == (0, 0, 0, 0, (21,))
    assert row.head == host.row.head


@pytest.mark.parametrize(("position", "counts"), [(8, (1, 4, 4, 4)), (13, (2, 9, 4, 0))])
def test_a_reset_to_a_position_counts_what_is_before_it(host: Host, position: int, counts: tuple[int, ...]) -> None:
    """Records, bytes and blank lines are as if it had been read so far once, so that the chain stays whole."""
    assert host.run("reset", "--path", "*", "--to-position", str(position), "-y").exit_code == 0
    (row,) = host.rows
    assert (row.records, row.bytes, row.blank, row.skipped) == counts
    assert (row.position, row.reach, row.anchor) == (position, 25, anchor_of(TEXT[:position]))
    assert row.dropped == ((RECOUNTED, 0, 0),)


@pytest.mark.parametrize(
    ("position", "reason"), [(9, "No line of .* begins at 9"), (20, "would leave lines out")], ids=["middle", "past"]
)
def test_a_reset_that_would_tear_a_line_or_leave_some_out_is_refused(host: Host, position: int, reason: str) -> None:
    """And nothing is changed."""
    result = host.run("reset", "--path", "*", "--to-position", str(position), "-y")
    with pytest.raises(MendState, match=reason):
        raise result.exception or AssertionError
    assert host.rows == [host.row]


def test_a_reset_of_a_file_that_is_another_now_is_refused(host: Host) -> None:
    """Its bytes say nothing of the source."""
    host.file.write_bytes(b"XXX\n\n  \ntwo\r\nthree\n")
    result = host.run("reset", "--path", "*", "--to-position", "8", "-y")
    with pytest.raises(MendState, match="another file now"):
        raise result.exception or AssertionError


def test_a_reset_under_a_new_source_says_that_all_is_stored_twice(host: Host) -> None:
    """The old source has ended."""
    said = host.run("reset", "--path", "*", "--new-source", "-y").output
    assert "A SECOND TIME" in said
    old, new = sorted(host.rows, key=lambda row: not row.ended)
    assert old == msgspec.structs.replace(host.row, ended=True)
    assert new.source != old.source
    assert (new.position, new.reach, new.place, new.cuts) == (0, 0, old.place, ())


@pytest.mark.parametrize(
    "arguments", [("reset", "--path", "*", "-y"), ("forget", "--path", "*", "-y"), ("import", "export")]
)
def test_nothing_is_changed_while_an_agent_runs(host: Host, arguments: tuple[str, ...]) -> None:
    """It is told to stop it first."""
    export = host.settings.parent / "export"
    export.write_bytes(msgspec.json.encode(host.row))
    agent = Registry(host.state)
    result = host.run(*(str(export) if one == "export" else one for one in arguments))
    agent.close()
    with pytest.raises(MendState, match=r"Another agent uses the state folder.*stop it"):
        raise result.exception or AssertionError
    assert host.rows == [host.row]


def test_without_a_registry_there_is_nothing_to_show_or_change(host: Host) -> None:
    """And none is made."""
    for name in host.state.iterdir():
        name.unlink()
    for arguments in (["list"], ["export"], ["reset", "--path", "*"], ["forget", "--gone"]):
        assert isinstance(host.run(*arguments).exception, MendState)
    assert list(host.state.iterdir()) == []


@pytest.mark.edge
def test_a_file_that_was_reset_is_sent_again(site: Site) -> None:
    """Under the same ids with the flag; under a new source once more, with other ids."""
    (site.logs / "a.log").write_bytes(TEXT)
    site.finish("ship", "--once")
    first = site.shipped()
    for arguments in (["--to-position", "8"], ["--new-source"]):
        site.finish("registry", "reset", "--path", f"{site.logs}/a.log", "--yes", *arguments)
        site.finish("ship", "--once")
    records = site.shipped()
    chain(records)
    by_source: dict[Any, list[tuple[str, bool]]] = {}
    for record in records:
        by_source.setdefault(record.key, []).append((record.message, record.may_repeat))
    again = by_source.pop(first[0].key)
    assert again == [("one", False), ("two", False), ("three", False), ("two", True), ("three", True)]
    assert list(by_source.values()) == [[("one", False), ("two", False), ("three", False)]]
    assert json.loads(site.finish("status", "--json"))["behind_bytes"] == 0


def test_a_source_is_named_by_a_beginning_that_no_other_has(host: Host) -> None:
    """As the table shows it; a beginning of several is a mistake that names them."""
    others = [msgspec.structs.replace(host.row, source=name, ended=True) for name in ("a" * 9 + "b" * 11, "c" * 20)]
    host.save(others)
    shown = host.run("list").stdout.splitlines()
    assert shown[0].split() == ["SOURCE", "POSITION", "REACH", "SIZE", "STORED", "PATH"]
    assert {line.split()[0] for line in shown[1:]} == {"a" * 10, "a" * 9 + "b", "c" * 8}
    whole = [json.loads(line)["source"] for line in host.run("list", "--json", "--source", "cc").stdout.splitlines()]
    assert whole == ["c" * 20]
    several = host.run("forget", "--source", "aaaa", "--yes")
    assert several.exit_code == 2
    assert "aaaa begins the names of 2 sources, aaaaaaaaaa, aaaaaaaaab: give more." in several.stderr
    assert isinstance(host.run("list", "--source", "x").exception, MendState)
    assert host.run("forget", "--source", "aaaaaaaaab", "--yes").exit_code == 0
    assert {row.source for row in host.rows} == {"a" * 20, "c" * 20}
    assert host.run("reset", "--source", "aa", "--yes").exit_code == 0
    assert next(row.position for row in host.rows if row.source == "a" * 20) == 0
    assert host.run("reset", "--yes").exit_code == 2


def test_the_table_fits_the_terminal(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long path loses its middle; in a file or a pipe it is whole."""
    long = "/var/log/" + "deep/" * 30 + "app.log"
    host.save([msgspec.structs.replace(host.row, path=long)])
    assert host.run("list").stdout.endswith(f"{long}\n")
    monkeypatch.setenv("COLUMNS", "80")
    lines = host.run("list").stdout.splitlines()
    assert max(map(len, lines)) == 80
    assert lines[1].endswith("deep/app.log")
