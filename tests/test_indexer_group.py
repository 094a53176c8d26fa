"""Indexers that come, go, freeze and come back, on the real Kafka: each record is stored once."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import Process, until
from test_indexer_edge import Load, exactly_once

from tailrace.stack import Stack

pytestmark = pytest.mark.edge


@pytest.fixture
def site(tmp_path: Path, stack: Stack, names: str) -> Iterator[Load]:
    """Topics, a group, streams and a template of this test's own."""
    one = Load(tmp_path, stack, names)
    one.prepare()
    yield one
    one.end()


def freeze(process: Process) -> None:
    """Stop its clock, as a hypervisor does, or the lid of a laptop."""
    os.kill(process.pid, signal.SIGSTOP)


def thaw(process: Process) -> None:
    """Let it go on."""
    os.kill(process.pid, signal.SIGCONT)


def test_who_wakes_up_after_others_took_over_sets_nothing_back(site: Load) -> None:
    """Frozen in the midst of work for longer than its session, while another does the rest: it stores nothing more.

    Nor is anything committed: that would be taken, for the group is empty by then, and sets it back over a rollover.
    """
    records = site.records(9000)
    site.send(records)
    site.indexer |= {"slice_actions": 10, "in_flight": 1, "linger_seconds": 0.0}
    frozen = site.run("index")
    until(lambda: finished(site) > 0, every=0.01)
    freeze(frozen)
    assert finished(site) < 8000
    site.indexer |= {"slice_actions": 1000}
    site.finish("index", "--once", log="other")
    assert finished(site) == 9000
    site.roll_over()
    thaw(frozen)
    until(lambda: sum(line["message"] == "reading partitions" for line in site.said("index")) > 1)
    assert frozen.stop() == 0
    assert finished(site) == 9000
    exactly_once(site, records)


def finished(site: Load) -> int:
    """How far the group's commits are, all partitions together."""
    return sum(max(0, commit.offset) for commit in site.commits().values())
