"""``tailrace try``: what it says of real logs, and of what cannot be read."""

import gzip
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tailrace.cli import cli, main
from tailrace.errors import MendInputs, TailraceError

SAMPLES = Path(__file__).parent / "samples"


def tried(*arguments: str | Path) -> Result:
    """Run it in this process."""
    return CliRunner().invoke(cli, ["try", *map(str, arguments)])


def report(*arguments: str | Path) -> dict[str, Any]:
    """What it says to programs."""
    return dict(json.loads(tried(*arguments, "--json").stdout))


@pytest.mark.parametrize("sample", sorted((SAMPLES / "formats").glob("*.log")), ids=lambda path: path.stem)
def test_a_real_log_is_understood_by_its_format(sample: Path) -> None:
    """All of it, with the right span of time; the suggestion is that format, or one that reads the same."""
    name = sample.stem.partition("_")[0]
    found = report(sample, "--format", name, "--timezone", "UTC")
    assert (found["parsed"], found["flags"], found["doubtful"]) == (1.0, {}, [])
    assert len(found["documents"]) == 3
    assert found["bytes"] == sample.stat().st_size
    if sample.stem != "python_0":
        assert "2026-11-23" <= found["first"] <= found["last"] < "2026-11-27"
    assert found["suggested"] in {"apache": ("apache", "nginx")}.get(name, (name,))


def test_it_shows_documents_and_what_to_paste(tmp_path: Path) -> None:
    """The last block of its output is an input of the settings file."""
    file = tmp_path / "access.log"
    file.write_bytes((SAMPLES / "formats" / "nginx_access.log").read_bytes())
    said = tried(file)
    assert said.exit_code == 0
    assert "✓ understood  100.0%" in said.stdout
    assert "http.response.status_code: 404" in said.stdout
    (entry,) = tomllib.loads(said.stdout[said.stdout.index("[[shipper.inputs]]") :])["shipper"]["inputs"]
    assert (entry["paths"], entry["format"]) == ([str(file)], "nginx")


def test_what_is_not_understood_is_shown_and_fails(tmp_path: Path) -> None:
    """So that a script can tell; the odd lines are there to look at."""
    file = tmp_path / "odd.log"
    file.write_text("Nov 24 05:04:15 web app: fine\n" * 90 + "something else\n" * 10)
    said = tried(file, "--format", "syslog")
    assert said.exit_code == 1
    assert "✗ understood  90.0%" in said.stdout
    assert "something else" in said.stdout
    assert "format 10" in said.stdout


def test_a_compressed_file_and_a_line_without_an_end_are_read(tmp_path: Path) -> None:
    """As the agent reads them."""
    file = tmp_path / "a.log.gz"
    file.write_bytes(gzip.compress(b'{"level":"info","msg":"a"}\n' * 5000 + b'{"level":"error","msg":"b"}'))
    found = report(file)
    assert (found["records"], found["levels"], found["suggested"]) == (5001, {"info": 5000, "error": 1}, "json")
    assert report(file, "--most", "100")["records"] <= 5001
    empty = tmp_path / "empty.log"
    empty.touch()
    assert (report(empty)["records"], report(empty)["parsed"]) == (0, 1.0)


def test_the_input_of_a_settings_file_is_used(tmp_path: Path) -> None:
    """With all its options; a file that no input names is told."""
    file = tmp_path / "a.log"
    file.write_text("x 1\nx 2\n")
    settings = tmp_path / "tailrace.toml"
    settings.write_text(
        f'[[shipper.inputs]]\npaths = ["{tmp_path}/*.log"]\ndataset = "a"\nformat = "regex"\n'
        "pattern = 'x (?P<event__code>\\d)'\n"
    )
    assert [one["event"]["code"] for one in report(file, "-c", settings)["documents"]] == ["1", "2"]
    other = tmp_path / "b.txt"
    other.write_text("x\n")
    said = tried(other, "-c", settings)
    assert isinstance(said.exception, MendInputs)
    assert f"No input of {settings} names {other}; " in str(said.exception)


def test_a_pattern_that_was_tried_is_in_what_to_paste(tmp_path: Path) -> None:
    """As it was given, in TOML's quotes."""
    file = tmp_path / "a.log"
    file.write_text("took 7\n")
    pattern = r'^took %{INT:took:int}\b"?'
    said = tried(file, "--format", "grok", "--pattern", pattern)
    (entry,) = tomllib.loads(said.stdout[said.stdout.index("[[shipper.inputs]]") :])["shipper"]["inputs"]
    assert (entry["format"], entry["pattern"]) == ("grok", pattern)
    assert "numeric_labels.took: 7" in said.stdout


def test_nothing_of_a_log_takes_over_the_terminal(tmp_path: Path) -> None:
    """A title, a colour, a cursor move in a line, a field's name or a file's: each is visible, and none is sent."""
    file = tmp_path / "a\x1b]0;name\x07.log"
    odd = "\x1b]0;owned\x07\x1b[31mred\x9b2J"
    file.write_text(json.dumps({"level": odd, odd: "a", "message": f"m {odd}\nn"}) + f"\n{{{odd}\n")
    said = CliRunner().invoke(cli, ["try", str(file)], color=True).stdout
    assert not re.search(r"\x1b(?!\[[0-9;]*m)|[\x00-\x08\x0b-\x1a\x7f-\x9f]", said), "only our own colours"
    assert "message: \x1b[0mm \\u001b]0;owned\\u0007\\u001b[31mred\\u009b2J\n      n\n" in said
    assert "{\\u001b]0;owned" in said
    assert "a\\u001b]0;name\\u0007.log" in said
    assert "\x9b" not in tried(file, "--json").stdout
    assert report(file)["documents"][0]["message"] == f"m {odd}\nn"


@pytest.mark.parametrize("words", [("\x1b]0;owned\x07",), ("x", "--format", "\x1b]0;owned\x07")])
def test_no_error_takes_over_the_terminal(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither ours nor click's: what is named in it may be anything."""
    monkeypatch.setattr(sys, "argv", ["tailrace", "try", *words])
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().err
    assert "u001b]0;owned" in said or "x1b]0;owned" in said
    assert "\x1b" not in said


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["/nonexistent"], 1, "Cannot read /nonexistent: No such file or directory."),
        ([str(SAMPLES)], 1, f"Cannot read {SAMPLES}: "),
        ([__file__, "--format", "regex", "--pattern", "a(b"], 2, "[0].pattern: missing ).\n  a(b\n   ^"),
        ([__file__, "--format", "regex"], 2, "which needs one"),
        ([__file__, "--format", "ngnix"], 2, "'ngnix' is not one of"),
        ([__file__, "--timezone", "Mars"], 2, "'Mars' is no zone"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(arguments: list[str], code: int, sentence: str) -> None:
    """No traceback."""
    said = tried(*arguments)
    assert sentence in (said.output + str(said.exception or ""))
    assert (said.exception.exit_code if isinstance(said.exception, TailraceError) else said.exit_code) == code
