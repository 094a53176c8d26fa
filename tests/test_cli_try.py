"""``tailrace try``: what it says of real logs, and of what cannot be read."""

import gzip
import json
import random
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from shipper.leaves import is_everywhere, leaves
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
    """All of it, with the right span of time; the suggestion is that format."""
    name = sample.stem.partition("_")[0]
    found = report(sample, "--format", name, "--timezone", "UTC")
    assert (found["parsed"], found["flags"], found["doubtful"]) == (1.0, {}, [])
    assert len(found["documents"]) == 3
    assert found["bytes"] == sample.stat().st_size
    if sample.stem != "python_0":
        assert "2026-11-23" <= found["first"] <= found["last"] < "2026-11-27"
    assert found["suggested"] == name
    assert report(sample)["suggested"] == name


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("apache2/access.log", "apache"),
        ("httpd/ssl_request.log", "apache"),
        ("www/access_log", "apache"),
        ("Apache24/access.log.1", "apache"),
        ("nginx/access.log", "nginx"),
        ("nginx/access_log", "nginx"),
        ("lighttpd/access.log", "nginx"),
        ("www/access.log", "nginx"),
    ],
)
def test_of_formats_that_fit_equally_the_path_names_one(tmp_path: Path, path: str, wanted: str) -> None:
    """Apache and nginx write access logs alike; a format that fits more lines comes first whatever the path says."""
    file = tmp_path / path
    file.parent.mkdir()
    file.write_bytes((SAMPLES / "formats" / "nginx_access.log").read_bytes())
    assert (report(file)["suggested"], report(file)["fits"][0]["format"]) == (wanted, wanted)
    file.write_bytes((SAMPLES / "formats" / "nginx_error.log").read_bytes())
    assert report(file)["suggested"] == "nginx"


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


@pytest.mark.parametrize(("text", "why"), [("", "it is empty"), ("\n \t\n\n", "only blank lines are in it")])
def test_a_file_without_a_line_is_not_understood(tmp_path: Path, text: str, why: str) -> None:
    """There is nothing to judge, and nothing to paste; a script is told."""
    file = tmp_path / "a.log"
    file.write_text(text)
    said = tried(file)
    assert said.exit_code == 1
    assert f"✗ nothing to judge: {why}\n" in said.stdout
    assert "✓" not in said.stdout
    assert "[[shipper.inputs]]" not in said.stdout
    assert (report(file)["records"], report(file)["parsed"]) == (0, None)


def test_bytes_that_are_no_text_are_not_understood(tmp_path: Path) -> None:
    """Nobody can read them, however well they are shipped."""
    file = tmp_path / "a.bin"
    file.write_bytes(random.Random(1).randbytes(4000))
    said = tried(file)
    assert said.exit_code == 1
    assert "✗ understood  0.0%" in said.stdout
    assert "→ most of it is no UTF-8" in said.stdout


def test_the_span_of_time_is_of_the_times_that_were_found(tmp_path: Path) -> None:
    """A line without one has the time of reading, which says nothing of the file."""
    file = tmp_path / "a.log"
    file.write_text("hello\n2026-11-24 05:04:15 x\n2026-11-24 05:04:16 y\nhello\n")
    found = report(file, "--timezone", "UTC")
    assert (found["first"], found["last"], found["timed"]) == ("2026-11-24T05:04:15Z", "2026-11-24T05:04:16Z", 2)
    said = tried(file, "--timezone", "UTC").stdout
    assert "time        2026-11-24T05:04:15Z to 2026-11-24T05:04:16Z; no time found in 2 of 4 records\n" in said
    file.write_text("hello\n")
    assert (report(file)["first"], report(file)["last"]) == ("", "")
    assert "time        no time found in 1 record: that of reading is taken\n" in tried(file).stdout


def test_a_format_that_would_understand_more_is_named(tmp_path: Path) -> None:
    """With the share that it does understand, tried; a format that was asked for gives way only to a better one."""
    java = "2026-11-23 18:00:00.123 [main] ERROR a.B - text\njava.io.IOException: lost\n\tat a.b(C.java:1)\n"
    file = tmp_path / "a.log"
    file.write_text(java * 10)
    assert report(file)["parsed"] < 1
    said = tried(file)
    assert "→ --format java would understand 100.0%\n" in said.stdout
    assert 'format = "java"' in said.stdout
    assert "→" not in tried(file, "--format", "java").stdout
    assert report(file, "--format", "redis")["suggested"] == "java"
    file.write_text(java * 10 + "odd\n" * 10)
    assert "✗" in tried(file, "--format", "java").stdout
    assert report(file, "--format", "java")["suggested"] == "java"
    file.write_text("odd\n")
    assert report(file, "--format", "java")["suggested"] == "java"
    assert "→ no format fits: " in tried(file, "--format", "java").stdout


def test_one_odd_line_of_four_is_one_quarter(tmp_path: Path) -> None:
    """It hides neither the format of the others nor their fields."""
    file = tmp_path / "a.log"
    for name in ("nginx_access", "java_logback"):
        lines = (SAMPLES / "formats" / f"{name}.log").read_text().splitlines(keepends=True)
        file.write_text("".join([*lines[:2], "odd\n", lines[3]]))
        found = report(file)
        assert (found["parsed"], found["doubtful"]) == (0.75, ["odd"])
        assert found["suggested"] == name.partition("_")[0]


@pytest.mark.parametrize("kept", [5, 5000])
def test_a_compressed_file_that_ends_early_is_told(tmp_path: Path, kept: int) -> None:
    """What came out of it is judged, and that more should have come is an error; a whole one is none."""
    lines = "".join(f"line {number} {number * 7919 % 10007}\n" for number in range(9000)).encode()
    file = tmp_path / "a.log.gz"
    file.write_bytes(gzip.compress(lines)[:kept])
    said = tried(file)
    assert said.exit_code == 1
    assert "✗ damaged     it ends early" in said.stdout
    assert ("✓ understood" in said.stdout) == (kept > 5)
    file.write_bytes(gzip.compress(lines))
    assert (report(file)["damage"], tried(file).exit_code) == ("", 0)
    assert report(file, "--most", "10")["damage"] == ""


def test_columns_of_csv_can_be_tried(tmp_path: Path) -> None:
    """And are in what to paste; without them the next step is said."""
    file = tmp_path / "a.csv"
    file.write_text("2026-11-24T05:04:15Z;7;info;x\n")
    said = tried(file, "--format", "csv", "--columns", "time, ,log.level,message", "--delimiter", ";")
    assert 'log.level: "info"' in said.stdout
    (entry,) = tomllib.loads(said.stdout[said.stdout.index("[[shipper.inputs]]") :])["shipper"]["inputs"]
    assert entry["csv"] == {"columns": ["time", "", "log.level", "message"], "delimiter": ";"}
    lacking = tried(file, "--format", "csv")
    assert lacking.exit_code == 2
    assert "--columns time,log.level,message" in lacking.stderr
    assert "-c" in lacking.stderr


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


def test_where_records_go_is_shown(tmp_path: Path) -> None:
    """Each data stream and topic with its share, most records first; people are told where rules route at all."""
    file = tmp_path / "a.log"
    levels = ["info"] * 1700 + ["error"] * 200 + ["warn"] * 100
    file.write_text("".join(f'{{"level":"{level}","msg":"a"}}\n' for level in levels))
    settings = tmp_path / "tailrace.toml"
    text = (
        '[shipper]\ntopic = "own"\n'
        f'[[shipper.inputs]]\npaths = ["{file}"]\ndataset = "a"\nnamespace = "eu"\nformat = "json"\n'
    )
    settings.write_text(text)
    assert "go to" not in tried(file, "-c", settings).stdout
    assert report(file, "-c", settings)["targets"] == [
        {"dataset": "a", "namespace": "eu", "topic": "own", "records": 2000, "share": 1.0}
    ]
    rule = "[[shipper.inputs.filters]]\nwhen = 'log.level == \"%s\"'\nroute = {%s}\n"
    text += rule % ("error", 'topic = "loud"') + rule % ("warn", 'dataset = "a.odd", namespace = "us"')
    settings.write_text(text)
    said = tried(file, "-c", settings)
    assert said.exit_code == 0
    assert (
        "  go to       1,700  85.0%  logs-a-eu      topic own\n"
        "                200  10.0%  logs-a-eu      topic loud\n"
        "                100   5.0%  logs-a.odd-us  topic own\n"
    ) in said.stdout
    assert report(file, "-c", settings)["targets"] == [
        {"dataset": "a", "namespace": "eu", "topic": "own", "records": 1700, "share": 0.85},
        {"dataset": "a", "namespace": "eu", "topic": "loud", "records": 200, "share": 0.1},
        {"dataset": "a.odd", "namespace": "us", "topic": "own", "records": 100, "share": 0.05},
    ]


def test_nothing_is_said_to_go_anywhere_where_there_is_nothing(tmp_path: Path) -> None:
    """All dropped, with a rule that routes behind: no share of nothing."""
    file = tmp_path / "a.log"
    file.write_text("{}\n")
    settings = tmp_path / "tailrace.toml"
    settings.write_text(
        f'[[shipper.inputs]]\npaths = ["{file}"]\ndataset = "a"\nformat = "json"\n'
        'filters = [{ when = "has(log.offset)", drop = true }, { route = { topic = "b" } }]\n'
    )
    said = tried(file, "-c", settings)
    assert "✗ nothing to judge: filters leave out 1 record: drop-1 1\n" in said.stdout
    assert "go to" not in said.stdout
    assert report(file, "-c", settings)["dropped"] == {"drop-1": 1}
    assert report(file, "-c", settings)["targets"] == []


def test_what_filters_do_is_counted(tmp_path: Path) -> None:
    """What they leave out, and how many values of which kind they make unreadable, each by the rule's name."""
    file = tmp_path / "a.log"
    file.write_text("ada@example.org paid with 4111111111111111\nfor bob@example.org\nnoise\n" * 500)
    settings = tmp_path / "tailrace.toml"
    settings.write_text(
        f'[[shipper.inputs]]\npaths = ["{file}"]\ndataset = "a"\nformat = "plain"\n'
        """filters = [
            { name = "quiet", when = 'message == "noise"', drop = true },
            { redact = { kinds = ["email", "card"] } },
        ]"""
    )
    said = tried(file, "-c", settings)
    assert "  left out    500 records: quiet 500\n  redacted    email 1,000, card 500 by redact-2\n" in said.stdout
    assert "example.org" not in said.stdout
    found = report(file, "-c", settings)
    assert (found["records"], found["dropped"]) == (1000, {"quiet": 500})
    assert found["redacted"] == {"redact-2": {"email": 1000, "card": 500}}


def test_a_document_shows_its_values_as_they_are_sent(tmp_path: Path) -> None:
    """As JSON: a label in place of a number, or in a list, is seen to be text, as is a list that became one."""
    file = tmp_path / "a.log"
    line = {"pan": 4111111111111111, "pans": [4111111111111111, 7], "mixed": ["ada@example.org", 1], "n": 5, "s": "5"}
    line |= {"time": "2026-11-24T05:04:15Z", "message": "a\nb", "tags": ["ada@example.org", "y"]}
    file.write_text(json.dumps(line) + "\n")
    settings = tmp_path / "tailrace.toml"
    settings.write_text(
        f'[[shipper.inputs]]\npaths = ["{file}"]\ndataset = "a"\nformat = "json"\n'
        'filters = [{ redact = { kinds = ["email", "card"] } }]\n'
    )
    said = tried(file, "-c", settings).stdout
    shown = {name: json.loads(text) for name, text in re.findall(r"^    ([\w.@]+): (.*)$", said, re.MULTILINE)}
    (document,) = report(file, "-c", settings)["documents"]
    assert shown == {name: value for name, value in leaves(document) if not is_everywhere(name)}
    assert (shown["labels.pan"], shown["labels.pans"]) == ("[card]", ["[card]", "7"])
    assert (shown["labels.mixed"], shown["tags"]) == ('["[email]",1]', ["[email]", "y"])
    assert (shown["labels.s"], shown["numeric_labels.n"]) == ("5", 5)


def test_an_input_that_has_filters_is_not_to_be_replaced_by_one_without(tmp_path: Path) -> None:
    """Where a settings file has the input, only its format is named, and only if it should be another."""
    file = tmp_path / "a.log"
    file.write_text("level=info msg=hello\n" * 20)
    settings = tmp_path / "tailrace.toml"
    text = f'[[shipper.inputs]]\npaths = ["{file}"]\ndataset = "a"\nformat = "%s"\n'
    settings.write_text(text % "logfmt")
    assert tried(file, "-c", settings).stdout.endswith(f"The input in {settings} is right for it.\n")
    settings.write_text(text % "klog")
    for more in ((), ("--format", "logfmt")):
        said = tried(file, "-c", settings, *more).stdout
        assert said.endswith(f'In its input in {settings}:\n\nformat = "logfmt"\n')


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
    assert 'message: \x1b[0m"m \\u001b]0;owned\\u0007\\u001b[31mred\\u009b2J\\nn"\n' in said
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
        ([__file__, "--format", "jason"], 2, "Did you mean json?"),
        ([__file__, "--format", "plain", "--columns", "a,b"], 2, 'they are for format = "csv"'),
        ([__file__, "--timezone", "Mars"], 2, "'Mars' is no zone"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(arguments: list[str], code: int, sentence: str) -> None:
    """No traceback."""
    said = tried(*arguments)
    assert sentence in (said.output + str(said.exception or ""))
    assert (said.exception.exit_code if isinstance(said.exception, TailraceError) else said.exit_code) == code
