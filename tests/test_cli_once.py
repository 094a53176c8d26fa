"""``ship --once`` and ``index --once``: what they say while they work, what they add up, and how they fail."""

import asyncio
import json
import os
import pty
import re
import shutil
import socket
import subprocess
import sys
from typing import Any

import pytest
from processes import Site, until

from shipper.outcome import NO_FILE, shipped
from tailrace.cli import once
from tailrace.daemon import set_up_log
from tailrace.settings import Input, Log


def run(site: Site, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """One command to its end, its stdout and stderr apart."""
    command = [*prefix, sys.executable, "-m", "tailrace", *arguments, "--config", str(site.write_settings())]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def totals(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The one JSON object on stdout."""
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def log(ended: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """Every line of stderr, each of which must be JSON."""
    return [json.loads(line) for line in ended.stderr.splitlines()]


class _Followed:
    """Nothing was read, and this was said of paths and patterns."""

    def __init__(self, **complaints: str) -> None:
        self.complaints = {f"/{path}": reason for path, reason in complaints.items()}
        self.past: dict[str, int] = {}
        self.sources: list[Any] = []


@pytest.mark.parametrize(
    ("complaints", "unread"),
    [
        ({"a": NO_FILE}, []),
        ({"a": NO_FILE, "b": NO_FILE}, ["/a", "/b"]),
        ({"x": "Permission denied"}, ["/x"]),
        ({"x": "it is a directory"}, []),
        ({"a": "it is a directory"}, ["/a"]),
        ({"x": "its link points nowhere"}, ["/x"]),
    ],
)
def test_what_counts_as_unread(complaints: dict[str, str], unread: list[str]) -> None:
    """Files that cannot be read; an input of which no pattern matches; not what a wildcard matches beside log files."""
    entry = Input(paths=["/a", "/b"], dataset="app")
    assert list(shipped(_Followed(**complaints), [entry], complete=True).unread) == unread


@pytest.mark.edge
def test_ship_once_ships_the_rest_and_fails_for_what_it_could_not(site: Site) -> None:
    """Exit code 1, the names with their reasons, as the last line of the log and in the totals."""
    (site.logs / "a.log").write_text("one\ntwo\n")
    (site.logs / "gone.log").symlink_to(site.logs / "nowhere")
    (site.logs / "folder.log").mkdir()
    site.inputs.append({"paths": [f"{site.folder}/absent/*.log"], "dataset": site.name})
    ended = run(site, "ship", "--once", "--json")
    assert ended.returncode == 1
    assert site.messages() == ["one", "two"]
    found = totals(ended)
    assert (found["files"], found["records"], found["bytes"], found["repeated"]) == (1, 2, 8, 0)
    assert found["complete"] is True
    assert [one["path"] for one in found["unread"]] == [f"{site.logs}/gone.log", f"{site.folder}/absent/*.log"]
    last = log(ended)[-1]
    assert last["log.level"] == "error"
    assert f"{site.logs}/gone.log (its link points nowhere)" in last["message"]
    assert f"{site.folder}/absent/*.log ({NO_FILE})" in last["message"]
    assert "folder.log" not in last["message"]


@pytest.mark.edge
@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root may give a file away, and its own power up"
)
def test_ship_once_fails_for_a_file_without_permission(site: Site) -> None:
    """The usual reason: it is named, the readable one is shipped."""
    (site.logs / "a.log").write_text("one\n")
    (site.logs / "b.log").write_text("two\n")
    (site.logs / "b.log").chmod(0o600)
    os.chown(site.logs / "b.log", 65534, 65534)
    powerless = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
    ended = run(site, "ship", "--once", "--json", prefix=powerless)
    assert ended.returncode == 1, ended.stderr
    assert totals(ended)["unread"] == [{"path": f"{site.logs}/b.log", "reason": "Permission denied"}]
    assert site.messages() == ["one"]


@pytest.mark.edge
def test_ship_once_is_content_if_one_pattern_of_an_input_matches(site: Site) -> None:
    """Patterns of one input are alternatives: a warning, and exit code 0."""
    (site.logs / "a.log").write_text("one\n")
    site.inputs[0]["paths"].append(f"{site.folder}/absent.log")
    ended = run(site, "ship", "--once", "--json")
    assert ended.returncode == 0
    assert totals(ended)["unread"] == []
    assert any(line["message"] == NO_FILE and line["path"].endswith("absent.log") for line in log(ended))


@pytest.mark.edge
def test_the_totals_count_what_was_sent_twice(site: Site) -> None:
    """As many as the topic has with the flag, after a kill in the middle."""
    (site.logs / "a.log").write_text("".join(f"line {number}\n" for number in range(50_000)))
    agent = site.agent()
    until(lambda: bool(site.shipped()), every=0.01)
    agent.kill()
    found = totals(run(site, "ship", "--once", "--json"))
    records = site.shipped()
    assert found["repeated"] == sum(record.may_repeat for record in records)
    assert {record.message for record in records} == {f"line {number}" for number in range(50_000)}


@pytest.mark.edge
def test_index_once_adds_up_what_became_of_the_records(site: Site) -> None:
    """Stored, then nothing new: stdout has the totals, the log has the same numbers, and a start."""
    site.finish("setup")
    (site.logs / "a.log").write_text("one\ntwo\nthree\n")
    assert run(site, "ship", "--once").stdout == ""
    ended = run(site, "index", "--once", "--json")
    found = totals(ended)
    assert ended.returncode == 0
    assert {key: found[key] for key in ("records", "stored", "already_stored", "dead_letters", "complete")} == {
        "records": 3,
        "stored": 3,
        "already_stored": 0,
        "dead_letters": 0,
        "complete": True,
    }
    said = {line["message"]: line for line in log(ended)}
    assert said["indexing"]["topics"] == [site.topic]
    assert said["indexed"]["stored"] == 3
    assert totals(run(site, "index", "--once", "--json"))["records"] == 0


@pytest.mark.edge
@pytest.mark.parametrize("command", ["ship", "index"])
def test_a_run_that_is_stopped_before_its_end_fails(site: Site, command: str) -> None:
    """Exit code 1 and that nothing is lost: whoever waits for it must not go on as if all were done."""
    (site.logs / "a.log").write_text("one\n")
    with socket.socket() as reserved:  # nobody listens there, so that it waits for Kafka
        reserved.bind(("127.0.0.1", 0))
        settings = site.write_settings(bootstrap_servers=f"127.0.0.1:{reserved.getsockname()[1]}")
        running = site.run(command, "--once", settings=settings)
        until(lambda: any(line["message"] == "waiting for Kafka" for line in site.said(command)))
        assert running.stop() == 1
    last = site.said(command)[-1]
    assert last["message"].startswith("Stopped before all was")
    assert last["error.type"] == "RunAgain"
    waiting = next(line for line in site.said(command) if line["message"] == "waiting for Kafka")
    assert "(connection refused)" in waiting["reason"]


@pytest.mark.edge
def test_people_see_a_start_a_line_that_changes_and_totals(site: Site) -> None:
    """On a terminal: sentences instead of JSON, and one line written anew; nothing on stdout."""
    (site.logs / "a.log").write_text("".join(f"line {number}\n" for number in range(20_000)))
    (site.logs / "gone.log").symlink_to(site.logs / "nowhere")
    file = site.write_settings()
    file.write_text(file.read_text().replace('[log]\nformat = "json"', '[log]\nformat = "auto"'))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "tailrace", "ship", "--once", "--config", str(file)]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "200"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environment) as running:
        os.close(theirs)
        seen = b""
        while True:
            try:
                seen += os.read(ours, 65_536)
            except OSError:  # the other end is closed
                break
        os.close(ours)
        assert running.stdout
        assert running.stdout.read() == b""
    assert running.returncode == 1
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    assert text.startswith(f"Shipping what is in the files of 1 input to {site.topic} at {site.bootstrap_servers}.")
    assert re.search(r"[\d,]+ lines, [\d.,]+ \w+ \([\d.,]+ \w+ left\), [\d,]+ lines/s", text)
    assert re.search(r"Shipped 20,000 lines \([\d.]+ KiB\) of 1 file in [\d.]+ s\.", text)
    assert f"Error: Not shipped: {site.logs}/gone.log (its link points nowhere)" in text.replace("\r\n", " ")
    assert "{" not in text


@pytest.mark.edge
@pytest.mark.parametrize("command", ["ship", "index"])
def test_json_without_once_is_a_mistake(site: Site, command: str) -> None:
    """A service has no totals; exit code 2, before anything is read."""
    ended = run(site, command, "--json")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "--once" in ended.stderr


def test_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With the numbers of this run alone, whatever was counted before it."""
    monkeypatch.setattr(once, "SAY_SECONDS", 0.01)
    set_up_log(Log(format="json"))
    count = 7
    looked = asyncio.Event()

    def look() -> dict[str, int]:
        if count > 7:
            looked.set()
        return {"records": count}

    async def work() -> None:
        nonlocal count
        async with once.Telling(Log(format="json"), look, lambda counts, _seconds: f"{counts}"):
            count = 12
            async with asyncio.timeout(10):
                await looked.wait()
            await asyncio.sleep(0)

    asyncio.run(work())
    first = json.loads(capsys.readouterr().err.splitlines()[0])
    assert (first["message"], first["records"]) == ("working", 5)
