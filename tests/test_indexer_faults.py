"""The indexer between a real Kafka and a real Elasticsearch, with a wire that breaks: no record is lost or repeated."""

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import faults
import pytest
from faults import BULK, Fault, Line, Request, Wire
from test_indexer_edge import Load, exactly_once, reached

from indexer.service import index
from tailrace import metrics, settings
from tailrace.daemon import Life
from tailrace.errors import ReachElasticsearch
from tailrace.stack import Stack

pytestmark = pytest.mark.edge

SPEED_SECONDS = 30
"""How soon after its cluster an indexer is to be at full speed again."""


@pytest.fixture
def wire(stack: Stack) -> Iterator[Wire]:
    """A wire to the running Elasticsearch, whole until a test breaks it."""
    one = Wire(stack.elasticsearch_url)
    yield one
    one.close()


@pytest.fixture
def site(tmp_path: Path, stack: Stack, names: str, wire: Wire) -> Iterator[Load]:
    """Topics, a group, a stream and a template of this test's own, and an indexer at the wire's other end."""
    one = Load(tmp_path, stack, names)
    one.prepare()
    one.elasticsearch = {"hosts": [wire.url], "request_timeout_seconds": 20.0}
    yield one
    one.end()


def rolling(site: Load, fault: Fault) -> Fault:
    """A fault, and a rollover behind it: from now on the write index knows nothing of what the fault stored."""

    def break_and_roll(line: Line) -> None:
        fault(line)
        if site.elastic(f"/_resolve/index/{site.stream}*?expand_wildcards=all")["data_streams"]:
            site.roll_over()

    return break_and_roll


def test_a_bulk_request_may_fail_in_every_way(site: Load, wire: Wire) -> None:
    """Whatever becomes of a request and of its answer, and a rollover after it, each record is stored once."""
    records = site.records(3 * 100 * len(faults.QUICK))
    site.send(records)
    wire.choose = turn = faults.InTurn(3, [rolling(site, one) for one in faults.QUICK])
    found = site.index_once(slice_actions=100)
    assert not turn.left
    assert found["stored"] + found["already"] == len(records)
    assert found["dead"] == 0
    exactly_once(site, records)


@pytest.mark.parametrize("fault", faults.SLOW, ids=lambda fault: fault.__name__)
def test_a_bulk_request_may_stay_without_an_answer(site: Load, wire: Wire, fault: Fault) -> None:
    """It is given up, and may be carried out even after that; each record is stored once.

    Unless a rollover comes between our look-up and the late execution: that stays open, as the documentation says.
    """
    site.elasticsearch["request_timeout_seconds"] = 4.0
    records = site.records(600)
    site.send(records)
    wire.choose = turn = faults.InTurn(2, [fault if fault is faults.late else rolling(site, fault)])
    found = site.index_once(slice_actions=100)
    assert not turn.left
    assert found["stored"] + found["already"] == 600
    exactly_once(site, records)


@pytest.mark.parametrize("chosen", [faults.ANYWHERE, *[(one,) for one in faults.SLOW]], ids=["all", "silent", "late"])
def test_a_look_up_may_fail_in_every_way(site: Load, wire: Wire, chosen: tuple[Fault, ...]) -> None:
    """A look-up that fails never means "absent": records that are stored before a rollover are not stored again."""
    if chosen[0] in faults.SLOW:
        site.elasticsearch["request_timeout_seconds"] = 4.0
    count = 60 * len(chosen)
    site.send(site.records(count))
    assert site.index_once()["stored"] == count
    site.roll_over()
    site.send(site.records(count + 10, may_repeat=True))
    first, second = faults.InTurn(2, chosen, faults.LOOK_UP), faults.InTurn(2, chosen[2:], "/_resolve/index")
    wire.choose = lambda request: first(request) or second(request)
    found = site.index_once(slice_actions=30)
    assert (len(first.left), len(second.left)) == (0, 0)
    assert (found["stored"], found["already"]) == (10, count)
    exactly_once(site, site.records(count + 10))


@pytest.mark.parametrize("seed", range(2))
def test_everything_breaks_at_once(site: Load, wire: Wire, seed: int) -> None:
    """A third of all requests fail, in ways drawn by lot, and the stream rolls over again and again."""
    dice, lock = random.Random(seed), threading.Lock()

    def choose(request: Request) -> Fault | None:
        with lock:
            if dice.random() > 1 / 3:
                return None
            fault = dice.choice(faults.QUICK if request.path.startswith(BULK) else faults.ANYWHERE)
            return rolling(site, fault) if dice.random() < 0.2 else fault

    wire.choose = choose
    records = site.records(3000)
    site.send(records)
    for _ in range(3):  # by lot nothing may go through for so long that --once gives up; the next goes on
        with contextlib.suppress(ReachElasticsearch):
            site.index_once(slice_actions=150)
            break
    exactly_once(site, records)


def test_refused_items_alone_are_sent_again(site: Load, wire: Wire) -> None:
    """Of a request of which every other action found no room, those alone come again: no byte of the others."""
    site.send(site.records(1000))
    sent: list[bytes] = []

    def choose(request: Request) -> Fault | None:
        if not request.path.startswith(BULK):
            return None
        sent.append(request.body)
        return faults.half_full if len(sent) <= 2 else None

    wire.choose = choose
    assert site.index_once(in_flight=1, slice_actions=400)["stored"] == 1000
    ids = [line for body in sent for line in body.split(b"\n") if line.startswith(b'{"create"')]
    stored_first = sum(len(body.split(b"\n")) // 4 for body in sent[:2])
    assert len(set(ids)) == 1000
    assert len(ids) < 2000 - stored_first // 2


def test_a_proxy_that_takes_small_requests_only_is_learnt_once(site: Load, wire: Wire) -> None:
    """A limit of a hundredth of ours, as a proxy has by default: a few requests find it, and the rest keep to it."""
    refused: list[int] = []

    def choose(request: Request) -> Fault | None:
        if len(request.body) <= 40_000:
            return None
        refused.append(len(request.body))
        return faults.too_large

    wire.choose = choose
    records = site.records(9000)
    site.send(records)
    assert site.index_once()["stored"] == 9000
    assert len(refused) <= 3 * 8
    assert sum(size > 40_000 for size in wire.sizes[len(wire.sizes) // 2 :]) == 0
    exactly_once(site, records)


def test_it_slows_down_with_the_cluster_and_is_soon_at_full_speed_again(site: Load, wire: Wire) -> None:
    """A full cluster gets one small request at a time; after it, both limits are reached within half a minute.

    Meanwhile nothing is polled beyond the budget, and the group keeps its member although nothing can be sent for
    longer than a session.
    """
    site.indexer |= {"slice_bytes": 131_072, "in_flight": 3, "buffer_bytes": 400_000, "slice_actions": 5000}
    records = site.records(24_000)

    def full(line: Line) -> None:
        threading.Event().wait(0.1)  # so that those sent together are seen together
        faults.too_many(line)

    async def run() -> None:
        life = Life()
        await asyncio.to_thread(site.send, records)
        service = asyncio.create_task(index(settings.load(site.write_settings()), life, once=False))
        await reached(lambda: wire.most == 3)
        wire.choose = lambda request: full if request.path.startswith(BULK) else None
        full_since = time.monotonic()
        await reached(lambda: pace() == (1, 65_536))
        wire.most = 0
        await reached(lambda: time.monotonic() - full_since > 7)
        assert wire.most == 1
        assert value(metrics.WAITING_BYTES) < 800_000
        assert value(metrics.WAITING_BYTES) >= 400_000
        wire.choose = lambda _request: None
        await reached(lambda: pace() == (3, 131_072), SPEED_SECONDS)
        await reached(lambda: len(site.ids()) == 24_000, 60)
        life.stop.set()
        await service

    asyncio.run(run())
    exactly_once(site, records)


def pace() -> tuple[float, float]:
    """How many requests may be in flight now, and how large."""
    return value(metrics.PACE_REQUESTS), value(metrics.PACE_BYTES)


def value(gauge: object) -> float:
    """A gauge of this process."""
    (family,) = gauge.collect()  # type: ignore[attr-defined]
    return float(family.samples[0].value)
