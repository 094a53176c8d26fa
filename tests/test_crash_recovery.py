"""Elasticsearch away under full load, and back: how soon the indexer stores again, and how soon as fast as before."""

import math
import time
import urllib.request
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import TABLES
from processes import until
from test_indexer_edge import Load, Sent, prepared

from tailrace.stack import Stack

pytestmark = [pytest.mark.crash, pytest.mark.edge, pytest.mark.timeout(600)]

RECORDS = 300_000
"""Before the outage, and as many again during it: what waits must not run out until it is back at full speed."""
_AWAY_SECONDS = 20
_BACK_SECONDS = 30
"""How soon after its server an indexer is to be at half its speed again, at least."""
_WINDOW_SECONDS = 3.0
"""A rate is of so long a stretch."""


class Back(NamedTuple):
    """Seconds after Elasticsearch answered again."""

    first: float
    """Until something was written."""
    half: float
    """Until half the rate of before was reached."""
    whole: float
    """Until the rate of before was."""


class Rate:
    """Documents that Elasticsearch has written, and how many a second over the last few seconds, as it says itself.

    It counts them one by one, and from 0 after a restart.
    """

    def __init__(self, site: Load) -> None:
        self._path = f"/{site.stream}/_stats/indexing?filter_path=_all.primaries.indexing.index_total"
        self._site = site
        self._seen: deque[tuple[float, int]] = deque()

    def look(self) -> int:
        """How many there are now; 0 while it does not say."""
        try:
            said = self._site.elastic(self._path)
        except OSError:
            return 0
        written, now = said["_all"]["primaries"]["indexing"]["index_total"] if said else 0, time.monotonic()
        self._seen.append((now, written))
        while len(self._seen) > 2 and self._seen[1][0] <= now - _WINDOW_SECONDS:
            self._seen.popleft()
        return int(written)

    @property
    def now(self) -> float:
        """Documents a second; 0 until it was looked at for long enough."""
        (began, before), (ended, after) = self._seen[0], self._seen[-1]
        return (after - before) / (ended - began) if ended - began >= _WINDOW_SECONDS else 0.0


@pytest.fixture
def site(tmp_path: Path, breakable_stack: Stack, names: str) -> Iterator[Load]:
    """Topics, a group, a stream and a template of this test's own, on servers that may be stopped."""
    yield from prepared(Load(tmp_path, breakable_stack, names))


@pytest.mark.parametrize("how", ["frozen", "restarted"])
def test_soon_after_elasticsearch_the_indexer_is_at_half_its_speed_at_least(
    site: Load, how: str, request: pytest.FixtureRequest
) -> None:
    """Within 30 s after Elasticsearch answers again, with the default settings and more waiting than it can store.

    It had been away for 20 s at least, once frozen with our requests in its hands, once ended and started again (the
    speed before is then of a node that had just been started too: a JVM is slow at first). After it, what is committed
    is stored. (That it is stored once, with a rollover, is for others to show.)
    """
    site.send([_as_long_as_a_line(one) for one in site.records(RECORDS)])
    if how == "restarted":
        site.stack.stop("elasticsearch")
        site.stack.start("elasticsearch")
        until(lambda: _answers(site), 60, 0.02)
    indexer = site.run("index")
    rate = Rate(site)
    until(lambda: rate.look() > 0, 60, 0.2)
    began, written = time.monotonic(), rate.look()
    until(lambda: rate.look() and time.monotonic() - began > 4 * _WINDOW_SECONDS, 60, 0.2)
    before = (rate.look() - written) / (time.monotonic() - began)
    assert before > 0
    gone = time.monotonic()
    if how == "frozen":
        site.stack.pause("elasticsearch")
    else:
        site.stack.stop("elasticsearch")
    site.send([_as_long_as_a_line(one) for one in site.records(RECORDS, RECORDS)])
    until(lambda: time.monotonic() - gone > _AWAY_SECONDS, 60)
    if how == "frozen":
        site.stack.resume("elasticsearch")
    else:
        site.stack.start("elasticsearch")
    until(lambda: _answers(site), 60, 0.02)
    back = _watch(Rate(site), time.monotonic(), before)
    request.config.stash[TABLES].append(
        (
            f"Elasticsearch {how}: seconds after it answers again",
            [
                ("documents a second before", f"{before:.0f}"),
                ("first stored", f"{back.first:.1f}"),
                ("half the rate", f"{back.half:.1f}"),
                ("the rate", f"{back.whole:.1f}"),
            ],
        )
    )
    assert back.half < _BACK_SECONDS, f"{back}, at {before:.0f} documents a second before"
    assert indexer.stop() == 0
    assert site.stored() >= sum(commit.offset for commit in site.commits().values())


def _watch(rate: Rate, answered: float, before: float) -> Back:
    """What came of it until it is as fast as ``before``, or until it should have been long ago.

    A rate was reached at the end of the stretch that had it.
    """
    first = half = whole = math.inf
    began = rate.look()
    while whole == math.inf and (since := time.monotonic() - answered) < 2 * _BACK_SECONDS:
        if rate.look() > began:
            first = min(first, since)
        if rate.now >= before / 2:
            half = min(half, since)
        if rate.now >= before:
            whole = since
        time.sleep(0.1)  # a look now and then: nothing to wait for
    return Back(first, half, whole)


def _answers(site: Load) -> bool:
    try:
        with urllib.request.urlopen(f"{site.stack.elasticsearch_url}/_cluster/health", timeout=0.5):  # noqa: S310 - ours
            return True
    except OSError:
        return False


def _as_long_as_a_line(record: Sent) -> Sent:
    assert record.value is not None
    return record._replace(value=record.value[:-1] + b',"x":"%s"}' % (b"a text that is stored " * 12))
