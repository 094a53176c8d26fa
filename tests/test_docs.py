"""The documentation is true: every command, setting and metric is in it, and what it tells to type can be typed."""

import importlib
import re
import shlex
from pathlib import Path

import click
import prometheus_client
import pytest
from click.testing import CliRunner

from tailrace import metrics, settings
from tailrace.cli import cli, python_name
from tailrace.settings import Section, Settings

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = cli.list_commands(click.Context(cli))
_BLOCK = re.compile(r"^```(?:sh|console|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_EXAMPLE = re.compile(r"^  +(?=(?:sudo (?:-u \w+ )?)?tailrace )(.*?)(?:    +.*)?$", re.MULTILINE)


def commands() -> list[tuple[list[str], click.Command]]:
    """Every command with its words, those of groups too."""
    found: list[tuple[list[str], click.Command]] = []
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        found.append(([name], command))
        if isinstance(command, click.Group):
            found += [([name, inner], command.commands[inner]) for inner in command.commands]
    return found


def typed(text: str) -> list[list[str]]:
    """The words of each ``tailrace`` command in shell lines, without what it is piped into or redirected to."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        if "tailrace" not in line:
            continue
        lexer = shlex.shlex(line.strip().removeprefix("$ "), posix=True, punctuation_chars="|;&<>")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if not re.fullmatch(r"[|;&<>]+", word):
                words.append(word)
                continue
            if words[:1] == ["sudo"]:
                words = words[3:] if words[1] == "-u" else words[1:]
            if words[:1] == ["tailrace"]:
                found.append(words[1:])
            words = []
    return found


def blocks(page: Path) -> str:
    """The shell lines of a page."""
    return "\n".join(_BLOCK.findall(page.read_text("utf-8")))


def parsed(words: list[str]) -> None:
    """Parse a command line as the program would, without running it.

    Raises:
        click.UsageError: it cannot be typed so.
    """
    command: click.Command = cli
    context = click.Context(cli, info_name="tailrace")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        inner = command.get_command(context, words[0])
        if inner is None:
            message = f"no command {words[0]}"
            raise click.UsageError(message)
        command, words = inner, words[1:]
    if not isinstance(command, click.Group):
        command.make_context(command.name, words)


@pytest.fixture(autouse=True)
def _any_settings_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Examples name settings files that are not here."""
    file = tmp_path / "tailrace.toml"
    file.write_text("")
    monkeypatch.setattr(settings, "find", lambda _named: file)
    (tmp_path / ".tailrace/stack").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_section(name: str) -> None:
    """In docs/commands.md, with an example and the exit codes."""
    page = (ROOT / "docs/commands.md").read_text("utf-8")
    section = re.search(rf"^## tailrace {name}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert section, f"docs/commands.md has no section for {name}"
    assert f"tailrace {name}" in section[1]
    assert "Exit codes:" in section[1]


def test_the_sections_are_in_the_order_of_the_help() -> None:
    """Who looks for a command in one of them finds it at the same place in the other."""
    page = (ROOT / "docs/commands.md").read_text("utf-8")
    assert re.findall(r"^## tailrace (\S+)$", page, re.MULTILINE) == [*COMMANDS]


def test_no_section_is_about_a_command_that_is_gone() -> None:
    """A renamed command takes its section along."""
    page = (ROOT / "docs/commands.md").read_text("utf-8")
    assert set(re.findall(r"^## tailrace (\S+)$", page, re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize(
    ("words", "command"), commands(), ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_every_help_can_be_read_and_shows_examples(words: list[str], command: click.Command) -> None:
    """No mark-up shines through; each command shows how it is typed, and each example can be typed."""
    result = CliRunner().invoke(cli, [*words, "--help"], terminal_width=200)
    assert result.exit_code == 0
    assert "\\b" not in result.output
    examples = typed("\n".join(_EXAMPLE.findall(result.output)))
    assert len(words) > 1 or isinstance(command, click.Group) or words in [example[:1] for example in examples]
    for example in examples:
        parsed(example)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_what_a_page_tells_to_type_can_be_typed(page: Path) -> None:
    """Every ``tailrace …`` in its code blocks parses: no option that is not there."""
    for words in typed(blocks(page)):
        try:
            parsed(words)
        except click.UsageError as error:
            pytest.fail(f"{page.name}: tailrace {shlex.join(words)}: {error.message}")


def test_the_pages_have_something_to_type() -> None:
    """The tests above would be content with nothing."""
    assert len(typed(blocks(ROOT / "docs/commands.md"))) > 25
    assert typed("$ sudo -u a tailrace check 'a | b' | jq . # c\nx && tailrace ship --once > f") == [
        ["check", "a | b"],
        ["ship", "--once"],
    ]
    for wrong in (["ship", "--twice"], ["fly"], ["stack", "sideways"]):
        with pytest.raises(click.UsageError):
            parsed(wrong)


def test_every_setting_is_in_the_example_file() -> None:
    """With its section; its default is kept true by test_deploy_systemd.py."""
    example = (ROOT / "deploy/tailrace.example.toml").read_text("utf-8")
    for section in Settings.__struct_fields__:
        start = example.index(f"[{section}]")
        text = example[start : example.find("\n[", start + 1) if "\n[" in example[start + 1 :] else None]
        for key in type(getattr(Settings(), section)).__struct_fields__:
            assert re.search(rf"^#(\[\[{section}\.{key}\]\]|{key} = )", text, re.MULTILINE), f"{section}.{key}"
    assert issubclass(Settings, Section)


def collectors() -> list[tuple[str, str]]:
    """The names of all our metrics as Prometheus sees them, and as the code calls them."""
    kinds = (prometheus_client.Counter, prometheus_client.Gauge, prometheus_client.Histogram)
    return [
        (one._name + "_total" * isinstance(one, prometheus_client.Counter), name)
        for name, one in vars(metrics).items()
        if isinstance(one, kinds)
    ]


@pytest.mark.parametrize(("metric", "name"), collectors())
def test_every_metric_is_documented_and_counted(metric: str, name: str) -> None:
    """In docs/metrics.md under the name that Prometheus sees; somewhere in the code it is set."""
    assert f"| `{metric}` |" in (ROOT / "docs/metrics.md").read_text("utf-8")
    code = "".join(path.read_text("utf-8") for top in ("shipper", "indexer") for path in (ROOT / top).rglob("*.py"))
    assert re.search(rf"\b{name}\b", code), f"{name} is declared and never counted"


def test_no_metric_is_documented_that_is_gone() -> None:
    """A renamed metric takes its row along, and dashboards and alerts with it."""
    page = (ROOT / "docs/metrics.md").read_text("utf-8")
    assert set(re.findall(r"^\| `(tailrace_\w+)`", page, re.MULTILINE)) == {metric for metric, _ in collectors()}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """Files are there, and so are the headings they name."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, heading = target.partition("#")
        file = (page.parent / name) if name else page
        assert file.exists(), f"{page.name} links to {target}"
        if heading:
            titles = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE)
            assert heading in [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


def test_the_minimal_settings_of_the_readme_work() -> None:
    """What the README shows is a whole settings file."""
    blocks = re.findall(r"^```toml\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        assert settings.parse(block).shipper.inputs


def test_commands_are_where_their_names_say() -> None:
    """``tailrace search`` is tailrace/cli/search.py, so that a reader finds it."""
    for name in COMMANDS:
        module = importlib.import_module(f"tailrace.cli.{python_name(name)}")
        assert isinstance(getattr(module, python_name(name)), click.Command)
