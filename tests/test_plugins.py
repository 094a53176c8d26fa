"""Formats of other packages: the example is installed and used; those that fail cost their lines a flag."""

import datetime
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import hypothesis
import orjson
import pytest
import structlog
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from shipper import foreign as foreign_edge
from shipper.formats import foreign
from shipper.trial import source_of, steps_of
from tailrace import plugins, settings
from tailrace.cli import cli
from tailrace.errors import FixSettings
from tailrace.settings import Input, Shipper

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    """Each test finds what is installed for itself."""
    plugins._points.cache_clear()
    yield
    plugins._points.cache_clear()
    for known in (foreign.KNOWN, foreign.FAULTS):
        known.clear()
    foreign_edge._told.clear()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example package, built and installed as its author would, in a folder of its own."""
    source, target = tmp_path / "source", tmp_path / "target"
    shutil.copytree(ROOT / "docs/example-format", source, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(target), str(source)], check=True, timeout=120)
    monkeypatch.syspath_prepend(str(target))
    return target


def point(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: str) -> None:
    """A package in that folder whose module has this code and brings ``it`` as a format of that name."""
    (folder / f"{name}_0.py").write_text(code)
    metadata = folder / f"{name}-2.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-package\nVersion: 2.0\n")
    (metadata / "entry_points.txt").write_text(f"[tailrace.formats]\n{name} = {name}_0:it\n")
    monkeypatch.syspath_prepend(str(folder))
    plugins._points.cache_clear()


def made(it: Any, content: bytes, **keys: Any) -> list[dict[str, Any]]:
    """The documents of a file in that format."""
    foreign.KNOWN["own"] = it
    entry = Input(paths=["/x"], dataset="d", timezone="UTC", **{"format": "own", **keys})
    source = source_of(entry, "/x", "host", Shipper())
    steps = steps_of(source, lambda most, at: content[at : at + most], Shipper().chunk_bytes, lambda: 1)
    return [orjson.loads(value) for step in steps for _, value in step.records]


def checked(folder: Path, name: str) -> Result:
    """What ``tailrace check`` says of an input with that format."""
    file = folder / "tailrace.toml"
    file.write_text(
        f'[shipper]\nstate_dir = "{folder}"\n[[shipper.inputs]]\npaths = ["{folder}/a.log"]\ndataset = "a"\n'
        f'format = "{name}"\n'
    )
    return CliRunner().invoke(cli, ["check", "-c", str(file), "--json"])


def test_the_example_is_found_and_used(installed: Path, tmp_path: Path) -> None:
    """As docs/plugins.md tells: by ``check``, by ``try``, and within a wrapper."""
    said = checked(tmp_path, "till")
    assert said.exit_code == 0, said.output
    found = [one for one in json.loads(said.stdout)["findings"] if one["subject"] == "formats"]
    assert found == [{"mark": "ok", "subject": "formats", "text": "till of tailrace-till 1.0", "next_step": ""}]
    file = tmp_path / "a.log"
    file.write_text("A12|jane|3.50\nA13|joe|\n")
    report = json.loads(CliRunner().invoke(cli, ["try", str(file), "-c", f"{tmp_path}/tailrace.toml", "--json"]).stdout)
    (document,) = report["documents"]
    assert (document["user"], document["labels"]) == ({"name": "jane"}, {"order": "A12"})
    assert document["numeric_labels"] == {"price": 3.5}
    assert report["flags"] == {"plugin": 1, "format": 1}
    assert report["doubtful"] == ["A13|joe|"]


def test_the_page_shows_the_example() -> None:
    """All of it, but for the docstrings."""
    code = (ROOT / "docs/example-format/tailrace_till.py").read_text()
    body = "".join(line for line in code.splitlines(keepends=True) if '"""' not in line).strip()
    assert body in (ROOT / "docs/plugins.md").read_text()
    assert len([line for line in code.splitlines() if line.strip()]) <= 10


def test_a_format_that_is_not_there_is_a_mistake_in_the_settings(installed: Path) -> None:
    """With those that are, and the nearest."""
    with pytest.raises(FixSettings, match=r"'tll' is not known; known are auto, .*, till; did you mean till\?"):
        settings.parse('[[shipper.inputs]]\npaths = ["/a"]\ndataset = "a"\nformat = "tll"\n')


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (
            "1 / 0",
            "broken of broken-package 2.0 cannot be loaded: ZeroDivisionError: division by zero; mend the package.",
        ),
        ("other = 1", "cannot be loaded: AttributeError"),
        ("it = 1", "broken of broken-package 2.0 is no format"),
        ("class it:\n    def chunk(self, lines): ...", "is no format"),
    ],
)
def test_what_cannot_be_loaded_is_told_before_anything_is_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, sentence: str
) -> None:
    """By ``check`` as a finding, by the agent as an error; with the package."""
    point(tmp_path, monkeypatch, "broken", code)
    monkeypatch.delitem(sys.modules, "broken_0", raising=False)
    said = checked(tmp_path, "broken")
    assert said.exit_code == 1
    assert sentence in said.stdout
    monkeypatch.delitem(sys.modules, "broken_0", raising=False)
    with pytest.raises(FixSettings):
        foreign_edge.bring([Input(paths=["/a"], dataset="a", format="broken")])


def test_what_raises_costs_its_line_a_flag() -> None:
    """Not the others; the line is shipped as text, whole; the first fault is logged, once."""

    def it(line: str) -> dict[str, str] | None:
        if line == "exit":
            sys.exit(3)
        return {"order": line} if line != "no" else None

    with structlog.testing.capture_logs() as logs:
        documents = made(it, b"a\nexit\nno\nexit\nb\n")
        foreign_edge.tell_faults()
        foreign_edge.tell_faults()
    assert [one.get("labels") for one in documents] == [{"order": "a"}, None, None, None, {"order": "b"}]
    assert [one["log"].get("flags") for one in documents] == [
        None,
        ["plugin", "format"],
        ["format"],
        ["plugin", "format"],
        None,
    ]
    assert documents[1]["message"] == "exit"
    assert [(log["format"], log["fault"]) for log in logs] == [("own", "SystemExit: 3")]


@pytest.mark.parametrize(
    "wrong",
    [{"a": {1}}, {"a": "\ud800"}, {1: "a"}, {"a": 2**70}, 7, [("a", 1)], {"a": object()}, "text"],
    ids=repr,
)
def test_what_is_no_json_is_found_before_the_document_is_written(wrong: Any) -> None:
    """It would otherwise break the record that is made of it."""
    (document,) = made(lambda _line: wrong, b"a\n")
    assert document["log"]["flags"] == ["plugin", "format"]
    assert document["message"] == "a"


def test_fields_take_their_ecs_places() -> None:
    """Dotted or nested; times in any form; what does not fit is a label."""
    when = datetime.datetime(2026, 11, 24, 5, 4, 15, 123456, datetime.UTC)
    fields = {
        "@timestamp": when,
        "http": {"response": {"status_code": "x"}},
        "log.level": "WARN",
        "big": 2**60,
        "n": None,
    }
    (document,) = made(lambda _line: fields, b"a\n")
    assert document["@timestamp"] == "2026-11-24T05:04:15.123456Z"
    assert document["log"]["level"] == "warn"
    assert document["labels"] == {"http.response.status_code": "x", "big": str(2**60)}
    assert document["message"] == "a"


class Chunky:
    """A format that counts how it is called, and fails in one of several ways."""

    def __init__(self, wrong: str = "") -> None:
        self.calls: list[int] = []
        self.wrong = wrong

    def chunk(self, lines: Sequence[str]) -> list[dict[str, str]]:
        """Fields of many lines."""
        self.calls.append(len(lines))
        if self.wrong == "raises" and "bad" in lines:
            raise ValueError(self.wrong)
        short = self.wrong == "short" and len(lines) > 1
        return [{"order": line} for line in lines][short:]


def test_a_chunk_is_one_call() -> None:
    """Blank lines are not in it."""
    it = Chunky()
    documents = made(it, b"a\n\nb\nc\n")
    assert [one["labels"]["order"] for one in documents] == ["a", "b", "c"]
    assert it.calls == [3]


@pytest.mark.parametrize(("wrong", "bad"), [("raises", ["plugin", "format"]), ("short", None)])
def test_a_chunk_that_fails_is_made_line_by_line(wrong: str, bad: list[str] | None) -> None:
    """Only those lines are flagged that fail alone."""
    it = Chunky(wrong)
    documents = made(it, b"a\nbad\nc\n")
    assert [one["log"].get("flags") for one in documents] == [None, bad, None]
    assert it.calls == [3, 1, 1, 1]


def test_it_stands_within_a_wrapper_and_behind_a_joiner() -> None:
    """What a container wrote; and records of several lines come whole."""
    wrapped = b"2026-11-24T05:04:15.1Z stdout P ab\n2026-11-24T05:04:15.2Z stdout F c\n"
    (document,) = made(lambda line: {"order": line}, wrapped, format="cri", inner="own")
    assert (document["labels"]["order"], document["@timestamp"]) == ("abc", "2026-11-24T05:04:15.1Z")
    (document,) = made(Chunky(), b"a\n b\n", multiline=settings.Multiline(rule="indent"))
    assert document["labels"]["order"] == "a\n b"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@hypothesis.settings(deadline=None)
@given(st.dictionaries(st.text(max_size=12) | st.sampled_from(["@timestamp", "message", "log", "log.level"]), _JSON))
def test_whatever_a_format_returns_a_document_comes_out(fields: dict[str, Any]) -> None:
    """Valid JSON, with the line in it if that is asked for."""
    (document,) = made(lambda _line: fields, b"a line\n", keep_original=True)
    assert document["event"]["original"] == "a line"
