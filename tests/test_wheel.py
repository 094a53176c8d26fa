"""An installed wheel works in an empty folder: the command, its pages of help, and every file that ships with it."""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("hatchling") or not importlib.util.find_spec("pip"),
    reason="hatchling or pip is not installed (the dev dependency group has hatchling)",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    run("-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    (built,) = folder.glob("tailrace-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel and, by a path file, our dependencies, but not this checkout."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    run("-m", "venv", "--without-pip", str(folder))
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = str(folder / "bin/python")
    run("-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--no-compile", "-q", str(wheel))
    return folder / "bin/tailrace"


def run(*arguments: str) -> None:
    """Run this interpreter, and show what it said if it fails."""
    ended = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def said(installed: Path, folder: Path, *arguments: str) -> str:
    """What a command of the installed wheel prints in an empty folder."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TAILRACE"))}
    ended = subprocess.run(
        [str(installed), *arguments], capture_output=True, text=True, check=False, timeout=60, cwd=folder, env=clean
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_wheel_has_all_that_ships(wheel: Path) -> None:
    """Each file of dashboards/ and deploy/, the marks of typed packages, the licence; no tests."""
    names = set(zipfile.ZipFile(wheel).namelist())
    listed = subprocess.run(
        ["git", "ls-files", "dashboards", "deploy"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    shipped = listed or [
        path.relative_to(ROOT).as_posix()
        for top in ("dashboards", "deploy")
        for path in (ROOT / top).rglob("*")
        if path.is_file()
    ]
    assert shipped
    assert [name for name in shipped if f"tailrace/share/{name}" not in names] == []
    assert {"tailrace/py.typed", "shipper/py.typed", "indexer/py.typed"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert sum(name.endswith("/_native.abi3.so") for name in names) in (0, 2), "both are compiled, or none"
    assert not [name for name in names if name.startswith("tests") or "__pycache__" in name]


def test_a_wheel_without_a_compiler_is_for_every_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And has no compiled module that lies about, of this version or another."""
    monkeypatch.setenv("TAILRACE_NATIVE", "no")
    run("-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(ROOT))
    (built,) = tmp_path.glob("tailrace-*.whl")
    assert built.name.endswith("-py3-none-any.whl")
    assert not [name for name in zipfile.ZipFile(built).namelist() if name.endswith((".so", ".c", ".h"))]


@pytest.mark.parametrize("package", ["shipper", "indexer"])
def test_its_c_builds_with_warnings_as_errors(package: str, tmp_path: Path) -> None:
    """What a compiler warns of is mended."""
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not shutil.which("cc") or not header.exists():
        pytest.skip("no C compiler, or no headers of Python")
    sources = sorted(map(str, (ROOT / package / "c").glob("*.c")))
    assert sources
    flags = ["-std=c11", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", f"-I{header.parent}"]
    subprocess.run(["cc", *flags, *sources, "-o", str(tmp_path / "native.so")], check=True)


def test_the_command_works_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    """Version, help, and it is the wheel that runs, not this checkout."""
    assert said(installed, tmp_path, "--version").startswith("tailrace, version ")
    commands = said(installed, tmp_path, "--help")
    for name in ("ship", "index", "setup", "check", "search", "tail", "stack", "demo", "install"):
        assert f"  {name} " in commands
        assert "Usage: tailrace " in said(installed, tmp_path, name, "--help")
    where = subprocess.run(
        [str(installed.parent / "python"), "-c", "import tailrace, shipper, indexer; print(tailrace.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    ).stdout
    assert where.startswith(str(installed.parent.parent))


def test_the_shipped_files_are_found(installed: Path, tmp_path: Path) -> None:
    """The units, the example, the templates: what commands read at run time, whole."""
    said(installed, tmp_path, "install", "--root", "image")
    example = (tmp_path / "image/etc/tailrace/tailrace.toml").read_text("utf-8")
    assert example == (ROOT / "deploy/tailrace.example.toml").read_text("utf-8")
    unit = (tmp_path / "image/etc/systemd/system/tailrace-ship.service").read_text("utf-8")
    assert f"ExecStart={installed} ship" in unit
    shutil.copy(tmp_path / "image/etc/tailrace/tailrace.toml", tmp_path / "tailrace.toml")
    assert "Nothing wrong" in said(installed, tmp_path, "check")
    source = (
        "from tailrace.files import shared\n"
        "from indexer.provision_elastic import shipped\n"
        "from indexer.provision_kibana import shipped as saved_objects\n"
        "assert shipped() and saved_objects()\n"
        "assert shared('deploy/stack/launcher/StackElasticsearch.java').is_file()\n"
    )
    run_there = [str(installed.parent / "python"), "-c", source]
    subprocess.run(run_there, check=True, cwd=tmp_path)
