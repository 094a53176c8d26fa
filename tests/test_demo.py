"""The demo as people run it: it proves itself right, it would notice a fault, and it leaves nothing behind."""

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import AsyncElasticsearch

from tailrace.demo import evidence
from tailrace.demo.cast import Folder, members
from tailrace.demo.positions import positions
from tailrace.demo.proof import Account
from tailrace.stack import Stack

_SERVICES = {"playback", "edge-proxy", "catalogue", "recommendations"}


def _command(stack: Stack, *options: str) -> list[str]:
    return [sys.executable, "-m", "tailrace", "demo", "--dir", str(stack.folder), *options]


@pytest.mark.edge
def test_it_proves_every_line_and_notices_a_fault(stack: Stack, tmp_path: Path) -> None:
    """Five seconds of it end with 0 and sums that agree; one document less, or twice, is then told exactly."""
    ran = subprocess.run(
        _command(stack, "--seconds", "5", "--json", "--keep"),
        capture_output=True,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    outcome = json.loads(ran.stdout)
    totals, files = outcome["totals"], outcome["files"]
    assert outcome["is_exact"]
    assert {one["service"] for one in files} >= _SERVICES | {"kafka", "elasticsearch"}
    for service in _SERVICES:
        assert sum(one["service"] == service for one in files) >= 3, "its log was rotated"
    assert totals["lines"] == totals["stored"] == sum(one["stored"] for one in files) > 1000
    assert totals["repeated"] == totals["missing"] == totals["strange"] == totals["broken"] == totals["dead"] == 0

    victim = next(one for one in files if one["path"].endswith("playback.log.1"))
    before = _proof(stack, outcome["folder"])[victim["path"]]
    assert before.is_exact
    source = _document(stack, victim["source"])
    _ask(stack, "DELETE", f"/{source['_index']}/_doc/{source['_id']}?refresh=true")
    less = _proof(stack, outcome["folder"])
    assert less[victim["path"]].missing == 1
    assert less[victim["path"]].remarks[0] == f"missing: the line at byte {source['_source']['log']['offset']}"
    assert sum(one.missing + one.repeated + one.strange for one in less.values()) == 1
    for _ in range(2):  # once to mend it, and once more in the next backing index, where its id is not known
        _ask(stack, "PUT", f"/logs-playback-demo/_create/{source['_id']}?refresh=true", body=source["_source"])
        _ask(stack, "POST", "/logs-playback-demo/_rollover")
    more = _proof(stack, outcome["folder"])[victim["path"]]
    assert (more.missing, more.repeated, more.stored) == (0, 1, victim["lines"])


@pytest.mark.edge
def test_plain_output_ends_with_the_proof_and_removes_its_files(stack: Stack, tmp_path: Path) -> None:
    """Into a pipe it prints lines without any control sequence; a run that is exact leaves no file."""
    ran = subprocess.run(
        _command(stack, "--seconds", "2"),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "\x1b" not in ran.stdout
    assert "lines are in Elasticsearch exactly once." in ran.stdout
    assert "Try next:" in ran.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.crash
@pytest.mark.parametrize("what", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_nothing_behind(stack: Stack, tmp_path: Path, what: signal.Signals) -> None:
    """Interrupted while everything runs, it ends with 130, and its six processes and its files are gone."""
    with _running(stack, tmp_path) as demo:
        children = _until_all_run(demo)
        demo.send_signal(what)
        assert demo.wait(60) == 130
    assert not _alive(children)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.crash
def test_even_killed_it_takes_its_children_with_it(stack: Stack, tmp_path: Path) -> None:
    """After `kill -9` of the demo the agent, the indexer and the fleet stop by themselves."""
    with _running(stack, tmp_path) as demo:
        children = _until_all_run(demo)
        demo.kill()
    until = time.monotonic() + 60
    while _alive(children) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _alive(children)


def _proof(stack: Stack, run_folder: str) -> dict[str, Account]:
    """The account of each file of a run that was kept, made again."""
    folder = Folder(Path(run_folder))
    cast = [one for one in members(folder, stack.log("kafka").parent, Path("/var/log")) if one.is_ours]

    async def prove() -> list[Account]:
        async with AsyncElasticsearch([stack.elasticsearch_url]) as client:
            return await evidence.accounts(cast, positions(folder.state), client, [], lambda _path: None)

    return {one.path: one for one in asyncio.run(prove())}


def _document(stack: Stack, source: str) -> dict[str, Any]:
    """Some document from the middle of a source."""
    query = {"query": {"term": {"tailrace.source": source}}, "sort": ["log.offset"], "from": 20, "size": 1}
    return _ask(stack, "POST", "/logs-playback-demo/_search", body=query)["hits"]["hits"][0]


def _ask(stack: Stack, method: str, path: str, body: object = None) -> dict[str, Any]:
    connection = http.client.HTTPConnection(stack.elasticsearch_url.removeprefix("http://"), timeout=60)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = json.loads(answer.read())
        assert answer.status < 300, content
        return content
    finally:
        connection.close()


@contextmanager
def _running(stack: Stack, folder: Path) -> Iterator[subprocess.Popen[str]]:
    demo = subprocess.Popen(
        _command(stack, "--seconds", "120"),
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"},
    )
    with demo:
        try:
            yield demo
        finally:
            demo.kill()


def _until_all_run(demo: "subprocess.Popen[str]") -> list[int]:
    """The processes of the demo once it shows numbers: the agent, the indexer and the four of the fleet."""
    assert demo.stdout is not None
    for line in demo.stdout:
        if "written" in line:
            break
    children = Path(f"/proc/{demo.pid}/task/{demo.pid}/children").read_text().split()
    assert len(children) == len(_SERVICES) + 2
    return [int(pid) for pid in children]


def _alive(pids: list[int]) -> list[int]:
    found = []
    for pid in pids:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        if ") Z " not in stat:
            found.append(pid)
    return found
