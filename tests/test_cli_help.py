"""What a person meets who types something wrong, asks for help, or presses the tab key."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tailrace.cli import cli
from tailrace.cli.epilog import fitted
from tailrace.stack import Stack


def run(*arguments: str) -> Result:
    """A command line in this process."""
    return CliRunner().invoke(cli, arguments, terminal_width=200)


def commands() -> list[list[str]]:
    """The words of every command, those of groups too, and of none."""
    found: list[list[str]] = [[]]
    for name in cli.list_commands(click.Context(cli)):
        found.append([name])
        command = cli.get_command(click.Context(cli), name)
        if isinstance(command, click.Group):
            found += [[name, inner] for inner in command.commands]
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_help_ends_with_examples_and_exit_codes(words: list[str]) -> None:
    """In this order, so that a reader knows where to look; 0 first."""
    text = run(*words, "--help").stdout
    assert text.index("Examples:") < text.index("Exit codes: 0 ")


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["shp"], "No such command 'shp'. Did you mean ship?"),
        (["Search"], "Did you mean search?"),
        (["stack", "don"], "Did you mean down?"),
        (["fly"], "There are ship, index, "),
    ],
)
def test_a_command_that_is_not_there_names_the_nearest(words: list[str], advice: str) -> None:
    """Exit code 2; nothing near: all of them."""
    result = run(*words)
    assert result.exit_code == 2
    assert advice in result.stderr


@pytest.mark.parametrize("command", ["search", "tail"])
@pytest.mark.parametrize("text", ["-foo", "-service:edge", "-foo bar"])
def test_a_text_that_begins_with_a_dash_is_not_half_an_option(tmp_path: Path, command: str, text: str) -> None:
    """``-foo`` is not ``-f oo``: exit code 2, and how it is typed; behind an option it is that option's value."""
    (tmp_path / "t.toml").write_text("")
    result = run(command, "-c", str(tmp_path / "t.toml"), text)
    assert result.exit_code == 2
    assert f"{text} looks like an option." in result.stderr
    assert f" {command} -- " in result.stderr
    assert "looks like an option" not in run(command, "--host", text, "-n5", "--level", "loud").stderr
    assert "looks like an option" not in run(command, "--level", "loud", "--", text).stderr


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("tailrace s", "plain,ship"),
        ("tailrace stack ", "plain,status"),
        ("tailrace ship --on", "plain,--once"),
        ("tailrace search -", "plain,--last"),
        ("tailrace audit -c /et", "file,/et"),
        ("tailrace try -c /et", "file,/et"),
        ("tailrace test -c /et", "file,/et"),
        ("tailrace install --root /et", "dir,/et"),
        ("tailrace search --level e", "plain,error"),
        ("tailrace dead-letters stats --by reason,fi", "plain,reason,field"),
    ],
)
def test_the_tab_key_completes(words: str, found: str) -> None:
    """As docs/commands.md says to switch it on: the program answers with what may come next."""
    environment = os.environ | {
        "_TAILRACE_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    program = "import sys; sys.argv[0] = 'tailrace'; from tailrace.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert found in ended.stdout.splitlines(), ended.stderr


def test_stack_down_says_where_it_looked(tmp_path: Path) -> None:
    """A stack elsewhere keeps running, so the folder is named; nothing is made in it."""
    folder = tmp_path / "none"
    result = run("stack", "down", "--dir", str(folder))
    assert result.exit_code == 0
    assert f"There is no stack in {folder}" in result.stdout
    assert "--dir" in result.stdout
    assert not folder.exists()


@pytest.mark.edge
def test_stack_status_names_its_folder(stack: Stack) -> None:
    """As down does: it may not be the one that was meant."""
    assert f"In {stack.folder}" in run("stack", "status", "--dir", str(stack.folder)).stdout


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_help_fits_80_columns(words: list[str]) -> None:
    """No line is broken by the terminal inside a word, and no summary is cut."""
    text = CliRunner().invoke(cli, [*words, "--help"], terminal_width=80).stdout
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert "..." not in re.sub(r"[\]A-Z]\.\.\.", "", text)


def test_what_is_too_long_goes_on_below() -> None:
    """A comment beside its example where it can be, else below; a pipe below its first part."""
    long, quoted = "a comment that is " + "very " * 10 + "long", "'" + "a | " * 20 + "b'"
    text = "\b\nExamples:\n  tailrace ship     short\n"
    assert fitted(text) == text
    text += f"  tailrace ship --once   {long}\n  tailrace audit --json{' ' * 60}beside\n"
    text += f"  tailrace audit | jq {quoted} | less\n"
    text += f"\n\b\nNames: a, b.\nExit codes: 0 {'done ' * 20}\n"
    assert fitted(text).splitlines() == [
        *("\b", "Examples:"),
        "  tailrace ship            short",
        "  tailrace ship --once",
        f"      {long}",
        "  tailrace audit --json    beside",
        "  tailrace audit |",
        f"      jq {quoted} | less",
        *("", "\b", "Names: a, b."),
        f"Exit codes: 0 {'done ' * 12}done",
        f"{'done ' * 6}done",
    ]
