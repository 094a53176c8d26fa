"""The torture: it counts right, its writers lose nothing themselves, and the agent survives a short one."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import until
from rich.console import Console

from tailrace.stack import Stack
from tailrace.torture import report
from tailrace.torture.count import Count, Shipped, Stored, ranges
from tailrace.torture.ground import Ground, Way, program
from tailrace.torture.run import Deeds, Result
from tailrace.torture.writer import Writer

EXACT = Count(
    way="dated", rotations=3, written=5, shipped=5, repeated=2, silent=0, renamed=0, stored=5, doubled=0
)  # fmt: skip


def test_each_fault_is_counted_as_what_it_is() -> None:
    """Missing, repeated with and without saying so, under another id, from nowhere."""
    shipped = Shipped({"a": 4, "b": 1})
    for number, name, may_repeat in ((0, "s:0", False), (0, "s:0", True), (1, "s:1", False), (1, "s:1", False)):
        shipped.take("a", number, name, may_repeat=may_repeat)
    shipped.take("a", 1, "t:1", may_repeat=True)
    shipped.take("a", 4, "s:4", may_repeat=False)
    shipped.take("c", 0, "s:0", may_repeat=False)
    assert (shipped.lines("a"), shipped.missing("a"), shipped.missing("b")) == (2, [2, 3], [0])
    assert (shipped.repeated["a"], shipped.silent["a"], shipped.renamed["a"], shipped.strange) == (1, 1, 1, 2)
    stored = Stored({"a": 3})
    for number in (0, 1, 1, 7):
        stored.take("a", number)
    assert (stored.lines("a"), stored.doubled["a"], stored.strange) == (2, 1, 1)


@pytest.mark.parametrize("fault", ["shipped", "stored", "silent", "renamed", "doubled"])
def test_one_fault_is_enough(fault: str) -> None:
    """Repetitions that say so are none."""
    assert EXACT.is_exact
    changed = getattr(EXACT, fault) + (-1 if fault in {"shipped", "stored"} else 1)
    assert not msgspec.structs.replace(EXACT, **{fault: changed}).is_exact


def test_what_is_lost_is_told() -> None:
    """With its number, and how the agent was treated; a run that wrote nothing is no proof either."""
    lost = msgspec.structs.replace(EXACT, shipped=4, stored=4)
    result = Result(Deeds(kills=7), [lost], 6, 0, ["dated: not in the topic are the lines 3"])
    outcome = report.conclude(result, "folder")
    assert not outcome.is_exact
    console = Console(file=io.StringIO(), width=200)
    console.print(report.table(outcome), report.verdict(outcome))
    said = console.file.getvalue()
    assert "✗ Not exact, lines: 1 not in Kafka, 1 not in Elasticsearch." in said
    assert "dated: not in the topic are the lines 3" in said
    assert "7 times kill -9" in said
    assert not report.conclude(Result(Deeds(), [], 0, 0, []), "").is_exact


@given(st.sets(st.integers(0, 40)))
def test_ranges_name_every_number(numbers: set[int]) -> None:
    """In ascending stretches."""
    named: set[int] = set()
    for stretch in ranges(sorted(numbers), most=100).split(", "):
        first, _, last = stretch.partition("-")
        named |= set(range(int(first), int(last or first) + 1)) if first else set()
    assert named == numbers
    assert ranges([1, 3, 5, 6], most=2) == "1, 3, …"


def test_a_writer_loses_nothing_when_its_file_is_taken_away(tmp_path: Path) -> None:
    """Each line is whole in one file, wherever the pieces ended; told to wait, it ends its line and waits."""
    ground = Ground(tmp_path / "tailrace-torture-x")
    ground.path.mkdir()
    ground.make([Way.COPIED], "127.0.0.1:1", "http://127.0.0.1:2")
    path = ground.log(Way.COPIED)
    writer = Writer(ground, Way.COPIED, 20_000)

    def write(lines: int) -> None:
        def enough() -> bool:
            writer.tick()
            return writer.lines >= lines

        until(enough, every=0.001)

    write(100)
    path.rename(f"{path}.1")
    write(200)
    path.touch()
    write(300)
    ground.hold(Way.COPIED).touch()
    writer.tick()
    assert ground.held(Way.COPIED).exists()
    assert path.read_bytes().endswith(b"\n")
    before = writer.lines
    writer.tick()
    assert writer.lines == before
    ground.hold(Way.COPIED).unlink()
    ground.held(Way.COPIED).unlink()
    write(before + 100)
    writer.close()
    numbers = [json.loads(line)["n"] for name in (f"{path}.1", path) for line in Path(name).read_text().splitlines()]
    assert numbers == list(range(writer.lines))


def torture(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return subprocess.run(
        [sys.executable, "-m", "tailrace", "torture", *options],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_a_missing_logrotate_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With what to install."""
    from tailrace.cli import main
    from tailrace.cli import torture as module

    monkeypatch.setattr(module, "program", lambda name: None if name == "logrotate" else name)
    monkeypatch.setattr(sys, "argv", ["tailrace", "torture"])
    with pytest.raises(SystemExit, match="1"):
        main()
    assert "The program logrotate is missing; install it with apt-get install logrotate." in capsys.readouterr().err


@pytest.mark.crash
@pytest.mark.edge
@pytest.mark.skipif(program("logrotate") is None, reason="apt-get install logrotate")
def test_the_agent_survives_a_short_torture(stack: Stack, tmp_path: Path) -> None:
    """Killed while logrotate takes its files away in every way: each line is in Kafka, and once in Elasticsearch."""
    ran = torture(
        *("--seconds", "8", "--rate", "5000", "--dir", str(stack.folder), "--json"), TMPDIR=str(tmp_path)
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    outcome = json.loads(ran.stdout)
    totals = outcome["totals"]
    assert totals["written"] == totals["shipped"] == totals["stored"] > 20_000
    assert totals["silent"] == totals["renamed"] == totals["doubled"] == outcome["strange"] == 0
    assert outcome["kills"] >= 1
    assert {one["way"] for one in outcome["files"] if one["rotations"]} == set(Way)
    assert list(tmp_path.iterdir()) == []
