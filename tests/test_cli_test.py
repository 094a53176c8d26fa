"""``tailrace test``: cases that hold, cases that do not, and mistakes in files of cases."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import pytest
from click.testing import CliRunner, Result

from shipper.globs import names
from tailrace.cli import cli
from tailrace.cli.margin import hung
from tailrace.errors import TailraceError
from tailrace.settings import Input

ROOT = Path(__file__).parent.parent
INPUTS = """
[[inputs]]
paths = ["/var/log/shop/*.log"]
dataset = "shop"
format = "java"
timezone = "UTC"
"""
TRACE = r"""
[[cases]]
name = "a trace"
lines = '''
2026-11-24 05:04:15.123 [main] ERROR c.e.Cart - order failed
java.lang.IllegalStateException: no stock
	at c.e.Cart.buy(Cart.java:7)

2026-11-24 05:04:16.000 [main] INFO c.e.Cart - next
'''
"""


def ran(folder: Path, text: str, *arguments: str) -> Result:
    """Run it in this process on a file with that text."""
    file = folder / "shop.test.toml"
    file.write_text(text)
    return CliRunner().invoke(cli, ["test", str(file), *arguments], color=True)


def differences(folder: Path, case: str) -> list[dict[str, Any]]:
    """What differs in the one case of a file."""
    said = json.loads(ran(folder, INPUTS + case, "--json").stdout)
    (one,) = said["cases"]
    assert said["failed"] == (not one["ok"])
    return list(one["differences"])


def test_the_example_holds() -> None:
    """The file that the documentation shows; the joiner and the formats are the agent's."""
    said = CliRunner().invoke(cli, ["test", str(ROOT / "deploy")])
    assert said.exit_code == 0, said.output
    assert "2 passed, 0 failed." in said.stdout


def test_what_is_expected_and_comes_out_is_no_difference(tmp_path: Path) -> None:
    """Dotted or in tables, times as times, flags, what must be absent; other fields may be anything."""
    documents = """
[[cases.documents]]
"@timestamp" = 2026-11-24T06:04:15.123+01:00
log = { level = "error" }
"error.type" = "java.lang.IllegalStateException"
absent = ["labels", "error.code"]
flags = []
[[cases.documents]]
message = "next"
"""
    assert differences(tmp_path, TRACE + "dropped = 0\nnowhere = ['secret']\n" + documents) == []


@pytest.mark.parametrize(
    ("case", "wanted"),
    [
        ('[[cases.documents]]\nmessage = "order failed"\n', ("documents", 0, 1, 2)),
        ("count = 3\n", ("documents", 0, 3, 2)),
        ("count = 2\ndropped = 1\n", ("dropped", 0, 1, 0)),
        ('count = 2\nnowhere = ["order"]\n', ("message", 1, None, "order failed")),
        ('count = 2\n[[cases.documents]]\n"log.level" = "warn"\n', ("log.level", 1, "warn", "error")),
        ('count = 2\n[[cases.documents]]\nflags = ["time"]\n', ("log.flags", 1, ["time"], None)),
        ('count = 2\n[[cases.documents]]\nabsent = ["error.type"]\n', ("error.type", 1, None, "java.lang.Illegal…")),
        ('count = 2\n[[cases.documents]]\n"process.thread" = "main"\n', ("process.thread", 1, "main", None)),
        (
            'count = 2\n[[cases.documents]]\n"@timestamp" = 2026-11-24T05:04:15Z\n',
            ("@timestamp", 1, "2026-11-24T05:04:15+00:00", "2026-11-24T05:04:15.123Z"),
        ),
    ],
)  # fmt: skip
def test_each_kind_of_difference_is_named(tmp_path: Path, case: str, wanted: tuple[Any, ...]) -> None:
    """By document and field, with what was expected and what came out."""
    found = differences(tmp_path, TRACE + case)[0]
    got = found["found"]
    got = f"{got[:17]}…" if isinstance(wanted[3], str) and wanted[3].endswith("…") else got
    assert (found["field"], found["document"], found["expected"], got) == wanted


def test_a_number_is_no_text_and_the_whole_document_can_be_asked_for(tmp_path: Path) -> None:
    """``exact`` names every field that was not expected, but for those that all documents have."""
    json_input = INPUTS.replace("java", "json")
    case = (
        '[[cases]]\nname = "a"\nlines = \'{"n":1,"m":"x","b":true,"message":"m"}\'\nexact = true\n[[cases.documents]]\n'
    )
    said = json.loads(
        ran(tmp_path, json_input + case + '"numeric_labels.n" = "1"\nlabels = { m = "x" }\n', "--json").stdout
    )
    found = [(one["field"], one["kind"]) for one in said["cases"][0]["differences"]]
    assert found == [
        ("numeric_labels.n", "differs"),
        ("message", "unexpected"),
        ("service.name", "unexpected"),
        ("labels.b", "unexpected"),
    ]


def test_the_topic_of_a_document_can_be_expected(tmp_path: Path) -> None:
    """That of a route, else the shipper's own; another is a difference like any other, for build servers too."""
    (tmp_path / "tailrace.toml").write_text(
        '[shipper]\ntopic = "own"\n[[shipper.inputs]]\npaths = ["/x"]\ndataset = "a"\nformat = "json"\n'
        '[[shipper.inputs.filters]]\nwhen = \'log.level == "error"\'\nroute = { topic = "loud" }\n'
    )
    case = (
        'settings = "tailrace.toml"\n[[cases]]\nname = "a"\nexact = %s\n'
        """lines = ['{"level":"error","msg":"x","topic":"y"}', '{"level":"info","msg":"z"}']\n"""
    )
    documents = '[[cases.documents]]\ntopic = "%s"\nlabels = { topic = "y" }\n[[cases.documents]]\ntopic = "%s"\n'
    assert ran(tmp_path, case % "false" + documents % ("loud", "own")).exit_code == 0
    report = tmp_path / "report.xml"
    said = ran(tmp_path, case % "false" + documents % ("own", "loud"), "--junit", str(report))
    assert said.exit_code == 1
    plain = click.unstyle(said.stdout)
    assert 'document 1 of 2  x\n      topic\n        - "own"\n        + "loud"\n' in plain
    assert 'document 2 of 2  z\n      topic\n        - "loud"\n        + "own"\n' in plain
    ((failed,),) = ElementTree.fromstring(report.read_bytes())  # noqa: S314 - it is ours
    assert failed[0].get("message") == "not as expected: topic"
    assert '- "own"' in (failed[0].text or "")
    found = json.loads(ran(tmp_path, case % "false" + documents % ("own", "own"), "--json").stdout)["cases"][0]
    assert (found["topic"], found["topics"]) == ("own", ["loud", "own"])
    assert [(one["document"], one["field"], one["expected"], one["found"]) for one in found["differences"]] == [
        (1, "topic", "own", "loud")
    ]
    shown = click.unstyle(ran(tmp_path, case % "true").stdout)
    pasted = shown[shown.index("[[cases.documents]]") :].rpartition("0 passed")[0]
    assert pasted.count("topic = ") == 1, "only where a rule sends it elsewhere"
    assert ran(tmp_path, case % "true" + pasted).exit_code == 0
    assert ran(tmp_path, case % "true" + pasted.replace('topic = "loud"', 'topic = "own"')).exit_code == 1


def test_lines_that_are_in_no_document_are_counted(tmp_path: Path) -> None:
    """Whatever dropped them: judged by the bytes that the documents say they cover."""
    from shipper.cases import Case, judge

    value = {"log": {"offset": 2}, "tailrace": {"bytes": 4}, "event": {"created": ""}}
    judged = judge(Case(name="a", dropped=1), "/x", b"a\nb\nc\nd\n\ne\n", [(b"", json.dumps(value).encode())], "t")
    assert judged.dropped == ["a", "d", "e"]


def test_the_text_shows_the_lines_that_differ(tmp_path: Path) -> None:
    """Of a text of several lines only those; ``-`` red, ``+`` green; a near field is named; exit code 1."""
    case = r'''
count = 2
[[cases.documents]]
"process.thread" = "main"
"error.stack_trace" = """java.lang.IllegalStateException: no stock
	at c.e.Cart.buy(Cart.java:8)
"""
'''
    said = ran(tmp_path, INPUTS + TRACE + case)
    assert said.exit_code == 1
    assert "✗" in said.stdout
    assert "\x1b[31m- \tat c.e.Cart.buy(Cart.java:8)" in said.stdout
    assert "\x1b[32m+ \tat c.e.Cart.buy(Cart.java:7)" in said.stdout
    assert "- java.lang" not in said.stdout
    assert "there is process.thread.name" in said.stdout
    assert "0 passed, 1 failed." in said.stdout


def test_a_long_value_keeps_its_indent_in_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a line of it has no room for goes on below its own beginning; what is to be pasted is not broken."""
    case = f'[[cases]]\nname = "{"name " * 30}"\nlines = "{"found " * 30}"\n'
    inputs = INPUTS.replace("java", "plain")
    text = inputs + case + f'count = 2\n[[cases.documents]]\nmessage = "{"wanted " * 30}"\n'
    assert f'- "{"wanted " * 30}"' in ran(tmp_path, text).stdout, "a pipe has room for all"
    monkeypatch.setenv("COLUMNS", "80")
    _, _, name, *lines, _ = click.unstyle(ran(tmp_path, text).stdout).splitlines()
    assert max(map(len, (name, *lines))) == 80
    assert min(len(line) - len(line.lstrip()) for line in lines) >= 2
    assert '        - "wanted wanted' in "\n".join(lines)
    assert "\n           wanted wanted" in "\n".join(lines)
    assert f'"message" = "{"found " * 30}"\n' in ran(tmp_path, inputs + case).stdout


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("  - 34567890", ["  - 345678", "    90"]),
        ("  - 345678", ["  - 345678"]),
        ("  \x1b[31m+ 345678\x1b[0m", ["  \x1b[31m+ 345678\x1b[0m"]),
        ("\x1b[31m✗ \x1b[0m345678901", ["\x1b[31m✗ \x1b[0m34567890", "  1"]),
        ("- \t90", ["- \t90"]),
        ("- \t901", ["- \t90", "     1"]),
        ("- 漢字漢字漢", ["- 漢字漢字", "  漢"]),
        ("1. 4567890e\u03012", ["1. 4567890", "   e\u03012"]),
        ("", [""]),
    ],
)
def test_a_line_is_broken_where_a_terminal_of_ten_columns_would_break_it(line: str, wanted: list[str]) -> None:
    """Colours take no room, a tab what is left to the next stop, a wide character two columns."""
    assert hung(line, 10).split("\n") == wanted
    assert hung(line, None) == line


def test_nothing_of_a_line_takes_over_the_terminal(tmp_path: Path) -> None:
    """Wherever a difference shows it, and in what is to be pasted: visible, and the same text when it is pasted."""
    case = '[[cases]]\nname = "a"\nlines = "\\u001b]0;x\\u0007\\u009b2J\\u007f"\n'
    expected = 'count = 2\nnowhere = ["x"]\n[[cases.documents]]\nmessage = "a\\nb"\n'
    for text in (expected, expected.replace("\\n", ""), ""):
        said = ran(tmp_path, INPUTS.replace("java", "plain") + case + text).stdout
        assert not re.search(r"\x1b(?!\[[0-9;]*m)|[\x00-\x08\x0b-\x1a\x7f-\x9f]", said), "only our own colours"
        assert "\\u001b]0;x\\u0007\\u009b2J\\u007f" in said
    pasted = said[said.index("[[cases.documents]]") :].rpartition("\n    ")[0]
    assert ran(tmp_path, INPUTS.replace("java", "plain") + case + click.unstyle(pasted)).exit_code == 0


def test_a_case_that_expects_nothing_shows_what_to_paste(tmp_path: Path) -> None:
    """Pasted behind it, it holds, whenever it is run."""
    said = ran(tmp_path, INPUTS + TRACE)
    assert said.exit_code == 1
    text = "".join(
        part for part in said.stdout[said.stdout.index("[[cases.documents]]") :].splitlines(keepends=True)[:-1]
    )
    again = ran(tmp_path, INPUTS + TRACE + "exact = true\n" + text)
    assert again.exit_code == 0, again.output


def test_the_report_for_build_servers_can_be_read(tmp_path: Path) -> None:
    """One suite for each file; what differs is in the failure, without colours, and what XML cannot hold replaced."""
    report = tmp_path / "report.xml"
    case = '[[cases]]\nname = "b"\nlines = "a\\u0001b"\n[[cases.documents]]\nmessage = "x"\n'
    said = ran(tmp_path, INPUTS + TRACE + "count = 2\n" + case, "--junit", str(report))
    assert said.exit_code == 1
    (suite,) = ElementTree.fromstring(report.read_bytes())  # noqa: S314 - it is ours
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    good, bad = suite
    assert (good.get("name"), len(good), bad.get("name")) == ("a trace", 0, "b")
    assert "\x1b" not in (bad[0].text or "")
    assert '- "x"' in (bad[0].text or "")


def test_the_inputs_of_a_settings_file_are_tested(tmp_path: Path) -> None:
    """Named in the file of cases, beside it, or by ``--config``; the first that names the path, as for the agent."""
    (tmp_path / "tailrace.toml").write_text(
        '[[shipper.inputs]]\npaths = ["/var/log/**/a.log"]\ndataset = "a"\nformat = "json"\n'
        '[[shipper.inputs]]\npaths = ["/var/log/*/*.log"]\ndataset = "b"\n'
    )
    case = '[[cases]]\nname = "a"\npath = "{}"\nlines = "{{}}"\n[[cases.documents]]\n"service.name" = "{}"\n'
    cases = case.format("/var/log/x/y/a.log", "a") + case.format("/var/log/x/b.log", "b")
    assert ran(tmp_path, 'settings = "tailrace.toml"\n' + cases).exit_code == 0
    assert ran(tmp_path, cases, "-c", str(tmp_path / "tailrace.toml")).exit_code == 0


def test_times_without_a_year_or_a_zone_are_as_the_case_says(tmp_path: Path) -> None:
    """So that it holds on every machine, and next year."""
    case = (
        '[[inputs]]\npaths = ["/x"]\ndataset = "x"\nformat = "syslog"\n'
        '[[cases]]\nname = "a"\nlines = "Dec 31 23:59:59 web app: b"\nread = 2021-01-01T00:00:00Z\n'
        'timezone = "Asia/Tokyo"\n'
        '[[cases.documents]]\n"@timestamp" = 2020-12-31T14:59:59Z\n'
    )
    assert ran(tmp_path, case).exit_code == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a = ", "is not valid TOML"),
        (INPUTS, "has no [[cases]]"),
        (INPUTS + '[[cases]]\nlines = "a"\n', "cases[0]: the key name is missing."),
        (INPUTS + TRACE + "lnes = 1\n", "unknown key cases[0].lnes; did you mean lines?"),
        (INPUTS + TRACE + 'file = "x"\n', "give lines, or a file that has them"),
        (INPUTS + '[[cases]]\nname = "a"\nfile = "x"\n', "cannot read x: No such file"),
        (INPUTS + TRACE + 'path = "/etc/x"\n', "no input names /etc/x; the settings have the datasets shop."),
        (INPUTS + TRACE + 'dataset = "x"\n', "no input has the dataset x;"),
        (INPUTS * 2 + TRACE, "which of 2 inputs?"),
        (INPUTS.replace("java", "jva") + TRACE, "did you mean java?"),
        ('settings = "gone.toml"\n' + TRACE, "There is no settings file"),
        (INPUTS.replace('"UTC"', '"local"') + TRACE + 'timezone = "Mars"\n', "'Mars' is no zone"),
    ],
)
def test_a_mistake_is_one_sentence_and_the_next_step(tmp_path: Path, text: str, sentence: str) -> None:
    """With the file and the case; exit code 2."""
    said = ran(tmp_path, text)
    assert said.exit_code == 2
    assert f"It could not be run: {tmp_path}" in said.stdout or "There is no settings file" in said.stdout
    assert sentence in said.stdout
    assert "0 passed, 0 failed, 1 could not be run." in said.stdout


def test_what_cannot_be_run_keeps_nothing_else_from_being_run(tmp_path: Path) -> None:
    """A case whose file no input names, and a file that is broken: errors, apart from what failed, also in JUnit's."""
    case = '[[cases]]\nname = "{}"\npath = "{}"\nlines = "a"\ncount = {}\n'
    good, bad = case.format("good", "/var/log/shop/a.log", 1), case.format("bad", "/var/log/shop/a.log", 2)
    lost = case.format("lost", "/etc/x", 1)
    (tmp_path / "a.test.toml").write_text("a = ")
    (tmp_path / "b.test.toml").write_text(INPUTS + lost + good)
    report = tmp_path / "report.xml"
    said = CliRunner().invoke(cli, ["test", str(tmp_path), "--junit", str(report)])
    assert said.exit_code == 2
    assert "1 passed, 0 failed, 2 could not be run." in said.stdout
    assert "✓ good" in said.stdout
    suites = ElementTree.fromstring(report.read_bytes())  # noqa: S314 - it is ours
    assert (suites.get("tests"), suites.get("failures"), suites.get("errors")) == ("3", "0", "2")
    assert [[one.tag for one in case] for suite in suites for case in suite] == [["error"], ["error"], []]
    assert "no input names /etc/x" in (suites[1][0][0].get("message") or "")
    (tmp_path / "c.test.toml").write_text(INPUTS + bad)
    said = CliRunner().invoke(cli, ["test", str(tmp_path), "--json"])
    assert said.exit_code == 2
    found = json.loads(said.stdout)
    assert (found["passed"], found["failed"], found["errors"]) == (1, 1, 2)
    assert [bool(one["error"]) for one in found["cases"]] == [True, True, False, False]
    assert CliRunner().invoke(cli, ["test", str(tmp_path / "c.test.toml")]).exit_code == 1


def test_a_settings_file_that_is_named_and_wrong_is_told_once(tmp_path: Path) -> None:
    """It is a mistake on the command line, and not one of each file of cases."""
    said = ran(tmp_path, TRACE, "-c", str(tmp_path / "gone.toml"))
    assert isinstance(said.exception, TailraceError)
    assert said.exception.exit_code == 2


def test_what_must_be_absent_is_told_so(tmp_path: Path) -> None:
    """Else a value that is there and right would look like one that is wrong."""
    case = 'count = 2\n[[cases.documents]]\nabsent = ["error.type"]\n'
    assert "error.type\x1b[2m  (must be absent)" in ran(tmp_path, INPUTS + TRACE + case).stdout


def test_a_folder_without_cases_and_a_file_that_is_not_there_are_told(tmp_path: Path) -> None:
    """A test run that ran nothing must not pass."""
    assert "No *.test.toml is in" in str(CliRunner().invoke(cli, ["test", str(tmp_path)]).exception)
    said = CliRunner().invoke(cli, ["test", str(tmp_path / "x.toml")])
    assert said.exit_code == 2
    assert "No such file" in said.stdout


@pytest.mark.parametrize(
    ("pattern", "path", "named"),
    [
        ("/a/*.log", "/a/b.log", True),
        ("/a/*.log", "/a/b/c.log", False),
        ("/a/**/*.log", "/a/c.log", True),
        ("/a/**/*.log", "/a/b/d/c.log", True),
        ("/a/**", "/a/b/c", True),
        ("/a/[ab]?.log", "/a/bx.log", True),
        ("/a/[!ab].log", "/a/a.log", False),
        ("/a/b+.log", "/a/bb.log", False),
    ],
)
def test_a_path_is_chosen_as_a_scan_would_find_it(tmp_path: Path, pattern: str, path: str, named: bool) -> None:
    """The same files as ``glob`` finds."""
    import glob

    file = tmp_path / path[1:]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    found = str(file) in glob.glob(str(tmp_path) + pattern, recursive=True, include_hidden=True)  # noqa: PTH207 - as scan.py
    assert found is named
    assert names(Input(paths=[str(tmp_path) + pattern], dataset="d"), str(file)) is named
    assert not names(Input(paths=[str(tmp_path) + pattern], exclude=["*.log", "*/c"], dataset="d"), str(file))
