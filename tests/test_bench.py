"""``tailrace bench`` measures what it says, on real servers; how fast they are is for people to judge."""

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from shipper.ecs import Document
from shipper.formats import format_of
from shipper.multiline import joiner_of
from shipper.times import Times
from tailrace.bench.by_format import CASES
from tailrace.bench.cores import apart
from tailrace.bench.lines import lines
from tailrace.bench.outage import LINES_PER_SECOND
from tailrace.bench.samples import SAMPLES
from tailrace.cli import cli
from tailrace.settings import Input
from tailrace.stack import Stack


def test_lines_are_the_same_each_time_and_of_the_size_that_is_spoken_of() -> None:
    """Or two runs would compare different work."""
    some = list(lines(2000, seed=1, start=1_795_000_000))
    assert some == list(lines(2000, seed=1, start=1_795_000_000))
    assert len(set(some)) == len(some)
    assert 320 < sum(map(len, some)) / len(some) < 360
    assert len({tuple(orjson.loads(line)) for line in some}) == 3, "services write more than one shape of line"


@pytest.mark.parametrize("name", SAMPLES)
def test_lines_of_a_format_are_the_same_each_time_and_of_that_format(name: str) -> None:
    """Or a table by format would speak of something else."""
    some = [line.removesuffix(b"\n") for line in SAMPLES[name](400, 1, 1_795_000_000)]
    assert some == [line.removesuffix(b"\n") for line in SAMPLES[name](400, 1, 1_795_000_000)]
    entry = Input(paths=["/x"], dataset="d", format=name)  # type: ignore[arg-type]
    joiner = joiner_of(entry, 262_144)
    records = joiner.join(some, b"", final=True).records if joiner else some
    assert all(format_of(entry)(record, Document(Times("UTC"))) for record in records)
    traces = sum(b"\n" in record for record in records)
    assert traces == 0 if name != "java" else 0.02 < traces / len(records) < 0.09


def _cores_of(pid: int) -> set[frozenset[int]]:
    """Where the threads of a process may run."""
    return {frozenset(os.sched_getaffinity(int(one.name))) for one in Path(f"/proc/{pid}/task").iterdir()}


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one core only")
def test_a_process_has_cores_to_itself_for_a_while() -> None:
    """All its threads, those too that run already; whoever we start meanwhile has the others, and all is given back."""
    script = (
        "import threading, time\n"
        "for _ in range(5): threading.Thread(target=time.sleep, args=[60], daemon=True).start()\n"
        "print(flush=True)\n"
        "time.sleep(60)\n"
    )
    ours = os.sched_getaffinity(0)
    with (
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as node,
        subprocess.Popen(["sleep", "60"]) as broker,
    ):
        assert node.stdout
        node.stdout.readline()
        with apart(node.pid, [broker.pid]) as own:
            (held,) = _cores_of(node.pid)
            (rest,) = _cores_of(broker.pid)
            assert held == set(own) == ours - rest
            assert os.sched_getaffinity(0) == rest
        assert _cores_of(node.pid) == _cores_of(broker.pid) == {frozenset(ours)}
        assert os.sched_getaffinity(0) == ours
        os.sched_setaffinity(0, {min(ours)})
        try:
            with apart(node.pid, [broker.pid]) as own:
                assert own == []
                assert _cores_of(node.pid) == {frozenset(ours)}
        finally:
            os.sched_setaffinity(0, ours)
            node.kill()
            broker.kill()


@pytest.mark.edge
@pytest.mark.timeout(600)
def test_a_small_run_gives_every_figure(stack: Stack) -> None:
    """Each figure is there and possible, and every target is judged."""
    command = [sys.executable, "-m", "tailrace", "bench", "--dir", str(stack.folder), "--json"]
    ran = subprocess.run(
        [*command, "--lines", "3000", "--rounds", "1", "--seconds", "0.5"], capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stderr.decode()
    found = orjson.loads(ran.stdout)
    figures = found["figures"]
    assert figures["lines"] == 3000
    indexing = {f"{one['indexers']} of {one['partitions']}": one for one in figures["indexing"]}
    assert list(indexing) == ["1 of 1", "1 of 3", "2 of 4"]
    loads = {name: figures[name] for name in ("shipper", "bare", "helper")}
    for name, one in indexing.items():
        assert one["to_ceiling"] > 0
        loads |= {f"{name}, {kind}": one[kind] for kind in ("indexer", "ceiling")}
    for name, load in loads.items():
        assert load["per_second"] > 0, name
        assert load["cpu_seconds_per_million"] > 0, name
        assert 5 < load["resident_mib"] < 1000, name
        assert len(load["runs"]) == 1, name
    latency = figures["latency"]
    assert latency["lines"] == 50
    assert 0 < latency["p50"] <= latency["p99"] <= latency["most"]
    formats = {one["name"]: one for one in found["formats"]}
    assert set(formats) == set(CASES)
    assert {case.format for case in CASES.values()} == set(SAMPLES)
    for name, one in formats.items():
        assert one["cpu_to_bare"] > 0, name
        assert one["shipper"]["cpu_seconds_per_million"] > 0, name
    parts = ["1 indexer, 1 partition", "1 indexer, 3 partitions", "2 indexers, 4 partitions"]
    wanted = ["shipper"] * 3 + [part for part in parts for _ in range(3)] + ["latency"] * 2
    assert [one["part"] for one in found["targets"]] == wanted
    assert found["machine"]["cores"] >= 1
    assert len(figures["apart"]) == (len(os.sched_getaffinity(0)) + 1) // 2 % len(os.sched_getaffinity(0))
    assert all(_cores_of(one.pid) == {frozenset(os.sched_getaffinity(0))} for one in stack.status()), "given back"


@pytest.mark.crash
@pytest.mark.edge
@pytest.mark.timeout(600)
def test_a_short_outage_gives_every_figure(breakable_stack: Stack) -> None:
    """Elasticsearch is really away, what was written meanwhile waits and is stored, and the stack is whole after it."""
    command = [sys.executable, "-m", "tailrace", "bench", "--dir", str(breakable_stack.folder), "--json"]
    ran = subprocess.run([*command, "--outage", "3"], capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    found = orjson.loads(ran.stdout)
    outage = found["outage"]
    assert outage["seconds"] == 3
    assert 3 * LINES_PER_SECOND <= outage["waiting"] < outage["lines"]
    assert 0 <= outage["first_seconds"] <= outage["caught_up_seconds"]
    assert outage["per_second"] > 0
    assert outage["to_ceiling"] == outage["per_second"] / outage["ceiling_per_second"]
    for word in ("agent", "indexer"):
        assert 20 < outage[word]["before"] < 500
        assert outage[word]["growth"] < outage[word]["away"]
    assert [one["part"] for one in found["targets"]] == ["outage"] * 4
    assert all(one.state == "running" for one in breakable_stack.status())


@pytest.mark.edge
def test_sigterm_ends_it_where_ctrl_c_is_ignored(stack: Stack, tmp_path: Path) -> None:
    """A shell has what it puts into the background ignore SIGINT; its children and its files are gone all the same."""
    words = [sys.executable, "-m", "tailrace", "bench", "--dir", str(stack.folder), "--lines", "3000"]
    ignoring = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *words]
    with subprocess.Popen(ignoring, stderr=subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path)}) as ran:
        assert ran.stderr
        while b"warming" not in ran.stderr.readline() and ran.poll() is None:
            pass
        ran.terminate()
        assert ran.wait(60) == 130
    assert list(tmp_path.iterdir()) == []


def test_an_outage_is_measured_alone() -> None:
    """Or the figures asked for besides would be missing without a word."""
    ran = CliRunner().invoke(cli, ["bench", "--outage", "3", "--formats"])
    assert ran.exit_code == 2
    assert "alone" in ran.output
