"""``tailrace search`` on a real Elasticsearch: what people and programs get, and what they are told."""

import datetime
import functools
import json
import secrets
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from refusals import refusing

from tailrace.cli import cli
from tailrace.errors import ReachElasticsearch
from tailrace.stack import Stack

TAILRACE = str(Path(sys.executable).parent / "tailrace")


@functools.cache
def first_asked() -> datetime.datetime:
    """When a test first asked for it: not when the module was loaded, which may be long before."""
    return datetime.datetime.now(datetime.UTC)


def at(age_seconds: float) -> str:
    """The time so many seconds before the first test of this module."""
    moment = first_asked() - datetime.timedelta(seconds=age_seconds)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def document(
    age_seconds: float, message: str, level: str = "info", service: str = "playback", **rest: Any
) -> dict[str, Any]:
    """A document so many seconds old."""
    stamp = at(age_seconds)
    return {"@timestamp": stamp, "message": message, "log": {"level": level}, "service": {"name": service}, **rest}


def store(url: str, stream: str, documents: list[dict[str, Any]], **settings: Any) -> None:
    """Put documents into a data stream, visible at once; a template makes sure that it is one."""

    def send(method: str, path: str, body: str) -> Any:
        header = {"Content-Type": "application/x-ndjson" if "bulk" in path else "application/json"}
        request = urllib.request.Request(url + path, body.encode(), header, method=method)  # noqa: S310
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own server
            return json.load(answer)

    keyword = {"type": "keyword"}
    properties = {
        "@timestamp": {"type": "date_nanos"},
        "log": {"properties": {"level": keyword, "offset": {"type": "long"}}},
        "service": {"properties": {"name": keyword}},
        "host": {"properties": {"name": keyword}},
    }
    template = {"settings": {"number_of_replicas": 0, **settings}, "mappings": {"properties": properties}}
    body = {"index_patterns": [stream], "data_stream": {}, "priority": 900, "template": template}
    send("PUT", f"/_index_template/{stream}", json.dumps(body))
    lines = "".join('{"create":{}}\n' + json.dumps(one) + "\n" for one in documents)
    assert not send("POST", f"/{stream}/_bulk?refresh=true", lines)["errors"]


@pytest.fixture(scope="module")
def stream(stack: Stack) -> str:
    """A data stream with a handful of lines."""
    name = f"logs-search{secrets.token_hex(4)}-default"
    trace = {"type": "TimeoutError", "message": "late", "stack_trace": "Traceback\n  at f\nTimeoutError: late"}
    store(
        stack.elasticsearch_url,
        name,
        [
            document(7200, "an old line"),
            document(60, "second line", log={"level": "info", "offset": 200}),
            document(60, "first line", log={"level": "info", "offset": 100}),
            document(50, "disk nearly full", "warn", "edge-eu", host={"name": "h1"}),
            document(
                40, "connection refused by \x1b]0;owned\x07", "error", "edge-us", host={"name": "h2"}, error=trace
            ),
            document(30, "a foreign line", "ERROR", "billing", labels={"team": "pay"}),
        ],
    )
    return name


@pytest.fixture
def config(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A settings file for the stack, found by the environment."""
    file = tmp_path / "tailrace.toml"
    file.write_text(f'[elasticsearch]\nhosts = ["{stack.elasticsearch_url}"]\n')
    monkeypatch.setenv("TAILRACE_CONFIG", str(file))
    return file


def search(*arguments: str) -> Result:
    """Run it in this process."""
    return CliRunner().invoke(cli, ["search", *arguments])


@pytest.mark.edge
def test_lines_come_oldest_first_in_the_order_of_their_file(config: Path, stream: str) -> None:
    """The last 15 minutes; of one time, by their place in the file; a stack trace under its line; nothing obeyed."""
    result = search("--stream", stream, "--utc")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert [line[24:] for line in lines[:4]] == [
        "INFO  playback     first line",
        "INFO  playback     second line",
        "WARN  edge-eu      disk nearly full",
        "ERROR edge-us      connection refused by \\u001b]0;owned\\u0007",
    ]
    assert lines[4:7] == ["    Traceback", "      at f", "    TimeoutError: late"]
    assert lines[7].endswith("ERROR billing      a foreign line")


@pytest.mark.edge
@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (("level:error",), ["connection refused", "a foreign line"]),
        (("level:>=warn", "-service:billing"), ["disk nearly full", "connection refused"]),
        (("--level", "warn"), ["disk nearly full", "connection refused", "a foreign line"]),
        (("REFUSED connection",), ["connection refused"]),
        (("service:edge-*",), ["disk nearly full", "connection refused"]),
        (("--service", "edge-*", "--host", "h1"), ["disk nearly full"]),
        (("timeouterror",), ["connection refused"]),
        (("-n", "1"), ["a foreign line"]),
        (("--last", "3h", "old"), ["an old line"]),
        (("labels.team:pay",), ["a foreign line"]),
    ],
)
def test_a_query_finds_what_it_says(config: Path, stream: str, arguments: tuple[str, ...], messages: list[str]) -> None:
    """Short names, levels in any spelling, wildcards, periods."""
    result = search("--stream", stream, "--json", *_separated(arguments))
    found = [json.loads(line)["message"].split(" by")[0] for line in result.stdout.splitlines()]
    assert found == messages, result.stderr


@pytest.mark.edge
def test_a_period_has_a_beginning_and_an_end(config: Path, stream: str) -> None:
    """Both as a time to the microsecond."""
    result = search("--stream", stream, "--json", "--since", at(70), "--until", at(45))
    found = [json.loads(line)["message"] for line in result.stdout.splitlines()]
    assert found == ["first line", "second line", "disk nearly full"], result.stderr


def _separated(arguments: tuple[str, ...]) -> list[str]:
    """A term that begins with a minus stands after ``--``, as on a command line."""
    terms = [one for one in arguments if one.startswith("-service:")]
    return [*(one for one in arguments if one not in terms), *(["--", *terms] if terms else [])]


@pytest.mark.edge
def test_json_is_one_whole_document_a_line(config: Path, stream: str) -> None:
    """As it was stored, for jq."""
    (line,) = search("--stream", stream, "--json", "-n", "1").stdout.splitlines()
    assert json.loads(line) == document(30, "a foreign line", "ERROR", "billing", labels={"team": "pay"})


@pytest.mark.edge
def test_a_document_as_deep_as_elasticsearch_takes_it_hides_no_other(config: Path, stack: Stack, names: str) -> None:
    """It is one that another program sent; it is shown, and drift reads it too."""
    stream, deep = f"logs-{names}-default", "[" * 990 + "]" * 990
    store(stack.elasticsearch_url, stream, [document(30, "fine")])
    whole = json.dumps(document(20, "deep", z=0)).replace('"z": 0', f'"z": {deep}').encode()
    address, kind = f"{stack.elasticsearch_url}/{stream}/_doc?refresh=true", {"content-type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(address, whole, kind)).close()  # noqa: S310 - our own server
    for options, text in (((), "fine"), (("--field", "z"), deep), (("--json",), deep)):
        result = search("--stream", stream, *options)
        assert (result.exit_code, len(result.stdout.splitlines())) == (0, 2)
        assert text in result.stdout
    assert CliRunner().invoke(cli, ["drift", "--stream", stream]).exit_code == 0


@pytest.mark.edge
def test_nothing_found_is_said_with_the_period_and_what_to_widen(config: Path, stream: str) -> None:
    """On stderr, exit code 0: programs get an empty answer, people a next step."""
    result = search("--stream", stream, "nonesuch")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("No lines in the last 15 minutes that match; look further back with --last")


@pytest.mark.edge
def test_more_than_are_shown_is_said(config: Path, stream: str) -> None:
    """So that nobody takes the latest for all."""
    assert search("--stream", stream, "-n", "2").stderr == "These are the latest 2 of 5 lines; -n shows more.\n"


@pytest.mark.edge
@pytest.mark.parametrize("count", [600, 1050])
def test_a_shard_that_fails_is_told_even_when_it_answers_the_last_page(
    config: Path, stack: Stack, names: str, count: int
) -> None:
    """Elasticsearch answers with what the other shards have: one page, and two of which the first lacks something."""
    store(stack.elasticsearch_url, f"logs-{names}.a-default", [document(60, f"{n}") for n in range(1_200)])
    store(stack.elasticsearch_url, f"logs-{names}.b-default", [document(30, "b")], max_result_window=500)
    result = search("--stream", f"logs-{names}.*-default", "-n", f"{count}", "--json")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == count
    assert result.stderr.startswith("Lines may be missing: 1 of 2 shards did not answer (Result window is too large")


@pytest.mark.edge
def test_no_data_stream_yet_names_setup(config: Path, names: str) -> None:
    """Instead of "no lines", for no query would find any; with and without paging."""
    for count in ("50", "5000"):
        result = search("--stream", f"logs-{names}-default", "-n", count)
        assert result.exit_code == 1
        assert "has no data stream" in str(result.exception)
        assert "tailrace setup" in str(result.exception)


@pytest.mark.edge
@pytest.mark.parametrize("count", ["50", "5000"])
def test_a_query_that_cannot_be_read_is_told_with_the_reason(config: Path, stream: str, count: str) -> None:
    """Exit code 2, what Elasticsearch says, in one sentence."""
    result = search("--stream", stream, "-n", count, "level:(")
    assert result.exit_code == 2
    assert "cannot read the query: Cannot parse 'log.level:('" in result.stderr


@pytest.mark.edge
def test_ten_thousands_of_lines_are_paged_in_order(config: Path, stack: Stack, names: str) -> None:
    """More than one request may ask for; each once, the latest of them, oldest first."""
    stream = f"logs-{names}-default"
    store(stack.elasticsearch_url, stream, [document(600 - (n // 7) * 0.01, f"{n}") for n in range(12_500)])
    result = search("--stream", stream, "-n", "11500", "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr == "These are the latest 11,500 of 12,500 lines; -n shows more.\n"
    numbers = [int(json.loads(line)["message"]) for line in result.stdout.splitlines()]
    assert len(set(numbers)) == len(numbers) == 11_500
    assert min(numbers) // 7 >= 1_000 // 7
    assert [n // 7 for n in numbers] == sorted(n // 7 for n in numbers)
    assert len(search("--stream", stream, "-n", "20000", "--json").stdout.splitlines()) == 12_500


@pytest.mark.edge
def test_a_reader_that_goes_away_ends_it_quietly(config: Path, stream: str) -> None:
    """``search | head -1``: no traceback, exit code 0."""
    command = f"'{TAILRACE}' search --stream {stream} | head -1; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0
    assert "Traceback (most" not in ended.stderr
    assert "Broken" not in ended.stderr


@pytest.mark.edge
def test_a_reader_that_goes_away_leaves_no_point_in_time_open(config: Path, stack: Stack) -> None:
    """Of a search of many pages: Elasticsearch has few of them, and would keep each for minutes."""
    stream = f"logs-gone{secrets.token_hex(4)}-default"
    store(stack.elasticsearch_url, stream, [document(60, str(number)) for number in range(3000)])
    command = f"'{TAILRACE}' search --stream {stream} -n 100000 --json | head -1; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    with urllib.request.urlopen(f"{stack.elasticsearch_url}/{stream}/_stats/search") as answer:  # noqa: S310
        assert json.load(answer)["_all"]["total"]["search"]["open_contexts"] == 0


def test_a_server_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    """With its address and the next step; no traceback."""
    file = tmp_path / "tailrace.toml"
    file.write_text('[elasticsearch]\nhosts = ["http://127.0.0.1:9"]\n')
    ended = subprocess.run(
        [TAILRACE, "search", "-c", str(file)], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(
        "Error: Elasticsearch does not answer at http://127.0.0.1:9 (connection refused); is it running"
    )
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (
            503,
            "cannot answer now (503: because): it starts, recovers or has too much to do; try again in a minute. See",
        ),
        (429, "cannot answer now (429: because)"),
        (500, "refused (500: because); its log says more."),
    ],
)
def test_a_refusal_says_whether_it_passes(tmp_path: Path, status: int, sentence: str) -> None:
    """What a node answers that has just started, and what does not go away by itself."""
    file = tmp_path / "tailrace.toml"
    with refusing(status) as url:
        file.write_text(f'[elasticsearch]\nhosts = ["{url}"]\n')
        result = search("-c", str(file))
    assert isinstance(result.exception, ReachElasticsearch)
    assert sentence in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--last", "15"), "is no length of time"),
        (("--since", "soon"), "is no time"),
        (("--level", "loud"), "'loud' is no level; known are trace, debug"),
        (("-n", "0"), "x>=1"),
    ],
)
def test_a_mistake_on_the_command_line_is_exit_code_2(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    """Before any server is asked."""
    file = tmp_path / "tailrace.toml"
    file.write_text("")
    result = search("-c", str(file), *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
