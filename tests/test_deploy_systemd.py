"""``tailrace install`` writes units that systemd accepts, finds well hardened, and settings that are all defaults."""

import os
import re
import shutil
import stat
import subprocess
import tomllib
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from tailrace import settings
from tailrace.cli import cli
from tailrace.files import shared
from tailrace.settings import Input, Settings

UNITS = {"tailrace-ship": 1.6, "tailrace-index": 1.2}
"""How much exposure, by systemd's own reckoning of 0 (none) to 10, each unit may have."""

EXAMPLE = shared("deploy/tailrace.example.toml")
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")


def install(root: Path, *arguments: str) -> Result:
    """Run it into a folder; the units run a program that is there on every machine."""
    return CliRunner().invoke(cli, ["install", "--root", str(root), "--executable", "/usr/bin/env", *arguments])


def unit(root: Path, name: str) -> Path:
    """Where a unit's file is."""
    return root / f"etc/systemd/system/{name}.service"


def test_a_first_run_writes_all_and_says_what_is_next(tmp_path: Path) -> None:
    """Both units, the user, the settings: complete, with nothing left to fill in."""
    result = install(tmp_path)
    assert result.exit_code == 0, result.output
    assert result.output.count("+ ") == 4
    assert "Next, on the machine" in result.output
    for name in UNITS:
        text = unit(tmp_path, name).read_text()
        assert not re.search(r"@[A-Z_]+@", text)
        assert "User=tailrace\n" in text
    ship = unit(tmp_path, "tailrace-ship").read_text()
    assert "ExecStart=/usr/bin/env ship --config /etc/tailrace/tailrace.toml\n" in ship
    assert (
        (tmp_path / "etc/sysusers.d/tailrace.conf")
        .read_text()
        .endswith("u tailrace - " + '"tailrace log shipping" /var/lib/tailrace\n')
    )
    config = tmp_path / "etc/tailrace/tailrace.toml"
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert settings.load(config) == Settings()


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    """Not even the time of a file."""
    install(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    result = install(tmp_path)
    assert result.output.count("= ") == 4
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before


def test_your_settings_are_never_overwritten_and_a_unit_is_with_a_diff(tmp_path: Path) -> None:
    """What is replaced is shown, line by line."""
    install(tmp_path)
    config = tmp_path / "etc/tailrace/tailrace.toml"
    config.write_text("[kafka]\n")
    ship = unit(tmp_path, "tailrace-ship")
    ship.write_text(ship.read_text().replace("RestartSec=2s", "RestartSec=9s"))
    result = install(tmp_path)
    assert f"= {config} (yours, left as it is)" in result.output
    assert config.read_text() == "[kafka]\n"
    assert f"~ {ship}" in result.output
    assert "    -RestartSec=9s\n    +RestartSec=2s\n" in result.output
    assert "RestartSec=2s" in ship.read_text()


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    """It only says what it would."""
    result = install(tmp_path, "--dry-run")
    assert result.output.endswith("4 of 4 files would be written.\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("option", "name"), [("--agent", "tailrace-ship"), ("--indexer", "tailrace-index")])
def test_half_of_it_can_be_installed(tmp_path: Path, option: str, name: str) -> None:
    """A host that only ships has no indexer's unit."""
    install(tmp_path, option, "--user", "logs")
    assert [path.stem for path in (tmp_path / "etc/systemd/system").iterdir()] == [name]
    assert "User=logs\n" in unit(tmp_path, name).read_text()
    assert "u logs -" in (tmp_path / "etc/sysusers.d/tailrace.conf").read_text()


def test_what_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    """Exit code 1, the path, the reason, the next step."""
    (tmp_path / "etc").write_text("a file, where a folder must be")
    result = install(tmp_path)
    assert result.exit_code == 1
    assert re.search(r"Error: Cannot (read|write) .*/etc/systemd/system/tailrace-ship\.service: ", result.output)


def test_nothing_is_started_in_an_image(tmp_path: Path) -> None:
    """--enable and --root contradict each other."""
    result = install(tmp_path, "--enable")
    assert result.exit_code == 2
    assert "--enable starts services on this machine" in result.output


def test_a_place_that_the_services_cannot_see_is_told(tmp_path: Path) -> None:
    """A home folder, or /tmp, which services have of their own."""
    home = CliRunner().invoke(cli, ["install", "--root", str(tmp_path), "--executable", "/home/a/venv/bin/tailrace"])
    assert "! /home/a/venv/bin/tailrace is in a home folder" in home.output
    assert "ProtectHome=read-only" in unit(tmp_path, "tailrace-ship").read_text()
    own = CliRunner().invoke(cli, ["install", "--root", str(tmp_path), "--executable", "/tmp/tailrace"])  # noqa: S108
    assert "! /tmp/tailrace is invisible to the services" in own.output
    assert "ProtectHome=yes" in unit(tmp_path, "tailrace-ship").read_text()


def test_the_units_stop_and_restart_as_the_programs_do() -> None:
    """The stop outlasts the drain, and a mistake in the settings (exit code 2) is not tried again."""
    for name, drain in (
        ("tailrace-ship", Settings().shipper.drain_seconds),
        ("tailrace-index", Settings().indexer.drain_seconds),
    ):
        text = shared(f"deploy/systemd/{name}.service").read_text()
        stop = re.search(r"^TimeoutStopSec=(\d+)s$", text, re.MULTILINE)
        assert stop
        assert int(stop[1]) > drain
        for line in ("Type=notify", "Restart=always", "RestartPreventExitStatus=2", "StartLimitIntervalSec=0"):
            assert f"\n{line}\n" in text
        assert re.search(r"^WatchdogSec=\d+s$", text, re.MULTILINE)


@needs_systemd
@pytest.mark.parametrize("name", UNITS)
def test_systemd_accepts_the_unit(tmp_path: Path, name: str) -> None:
    """`systemd-analyze verify` says nothing at all."""
    install(tmp_path)
    ended = subprocess.run(
        ["systemd-analyze", "verify", str(unit(tmp_path, name))],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said = [line for line in (ended.stdout + ended.stderr).splitlines() if "tailrace" in line]
    assert (ended.returncode, said) == (0, [])


@needs_systemd
@pytest.mark.parametrize(("name", "most"), UNITS.items())
def test_the_unit_exposes_little(tmp_path: Path, name: str, most: float) -> None:
    """`systemd-analyze security` without a running systemd, which knows the unit's own settings only."""
    install(tmp_path)
    ended = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit(tmp_path, name))],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
    )
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", ended.stdout)
    assert found, ended.stdout + ended.stderr
    assert float(found[1]) <= most


def test_the_example_holds_every_key_with_its_default() -> None:
    """Uncommented, it is exactly what an empty file means; only the input is an example."""
    uncommented = re.sub(r"^#(?! |$)", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    tables = tomllib.loads(uncommented)
    shown = settings.parse(uncommented)
    (entry,) = shown.shipper.inputs
    assert entry == Input(paths=entry.paths, dataset=entry.dataset)
    assert set(tables["shipper"]["inputs"][0]) == set(Input.__struct_fields__)
    without = msgspec.structs.replace(shown.shipper, inputs=[])
    assert msgspec.structs.replace(shown, shipper=without) == Settings()
    for section in Settings.__struct_fields__:
        known = set(type(getattr(Settings(), section)).__struct_fields__)
        assert set(tables[section]) == known, section


def test_the_example_as_it_is_changes_nothing() -> None:
    """All its keys are comments, so that a new version's defaults reach those who never edited it."""
    assert settings.parse(EXAMPLE.read_text()) == Settings()
    for line in EXAMPLE.read_text().splitlines():
        assert re.fullmatch(
            r"|\[[a-z]+\]|#( .*)?|#\[\[shipper\.inputs\]\]|#\[shipper\.inputs\.[a-z]+\]|#[a-z_]+ = .+", line
        ), line
