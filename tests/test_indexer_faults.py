"""The indexer between a real Kafka and a real Elasticsearch, with a wire that breaks: no record is lost or repeated."""

import asyncio
import itertools
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import faults
import pytest
from faults import BULK, Fault, Line, Request, Wire
from test_indexer_edge import Load, Sent, exactly_once, reached

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
    # After so long without a record stored a run with --once gives up: the pauses after so many faults add up to 20 s.
    site.elasticsearch["request_timeout_seconds"] = 4.0 if chosen[0] in faults.SLOW else 90.0
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
    try:
        site.index_once(slice_actions=150)
    except* ReachElasticsearch:  # by lot nothing may go through for so long that --once gives up; the next goes on
        wire.choose = lambda _request: None
        site.index_once(slice_actions=150)
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


@pytest.mark.parametrize("too_long", [faults.unheard, faults.unheard_and_closed], ids=["reset", "closed"])
@pytest.mark.parametrize("ids", ["deterministic", "auto"])
def test_a_proxy_that_breaks_what_is_too_long_takes_the_rest(site: Load, wire: Wire, too_long: Fault, ids: str) -> None:
    """It says no 413: what fits is stored once, after few broken requests; the one record that never fits is a letter.

    That one waits for the evidence, alone, and is looked up before each try and before it is given up.
    """
    wire.takes_bytes, wire.too_long = 300_000, too_long
    records = site.records(9000)
    records[4000] = giant = long(records[4000], 400_000)
    site.send(records)
    began = time.monotonic()
    found = site.index_once(ids=ids)
    assert time.monotonic() - began < SPEED_SECONDS
    assert (found["stored"], found["dead"]) == (8999, 1)
    assert len(wire.broken) < 60
    assert sum(400_000 < size < 400_400 for size in wire.broken) < 12
    (letter,) = site.letters()
    assert letter.value == giant.value
    assert dict(letter.headers)["tailrace.reason"] == b"reset"
    assert b"alone it is a request of 400," in dict(letter.headers)["tailrace.error"]
    if ids == "deterministic":
        exactly_once(site, [one for one in records if one is not giant])
    else:
        assert len(site.ids()) == 8999


def test_a_proxy_may_take_very_little_without_a_word(site: Load, wire: Wire) -> None:
    """A limit below the least that the pace goes down to by itself; two records that never fit, each in a partition."""
    wire.takes_bytes = 40_000
    records = site.records(3000)
    records[1000], records[1001] = long(records[1000], 60_000), long(records[1001], 45_000)
    site.send(records)
    found = site.index_once()
    assert (found["stored"], found["dead"]) == (2998, 2)
    exactly_once(site, records[:1000] + records[1002:])


def test_what_the_last_try_stored_after_all_is_no_letter(site: Load, wire: Wire) -> None:
    """Five tries never arrive, the sixth is carried out without an answer: the look-up that follows finds it stored."""
    records = site.records(300)
    records[100] = long(records[100], 400_000)
    site.send(records)
    fates = itertools.chain([faults.unheard] * 5, [faults.forgotten], itertools.repeat(faults.unheard))
    wire.choose = lambda request: next(fates) if 400_000 < len(request.body) < 400_400 else None
    found = site.index_once(slice_actions=1)
    assert (found["stored"], found["already"], found["dead"]) == (299, 1, 0)
    exactly_once(site, records)


def test_no_record_is_given_up_while_others_fare_no_better(site: Load, wire: Wire) -> None:
    """A proxy that breaks whatever holds a document, and answers all else, gets nothing, for as long as it does so."""
    site.send(site.records(30))
    wire.choose = lambda request: faults.unheard if request.path.startswith(BULK) and len(request.body) > 1 else None
    site.elasticsearch["request_timeout_seconds"] = 8.0
    with pytest.raises(BaseExceptionGroup) as caught:
        site.index_once(slice_actions=1)
    assert caught.group_contains(ReachElasticsearch, match="it closed the connection")
    assert len(wire.sizes) > 10
    wire.choose = lambda _request: None
    assert site.index_once()["stored"] == 30
    assert site.letters() == []


def long(record: Sent, size: int) -> Sent:
    """The same record, of so many bytes."""
    assert record.value is not None
    return record._replace(value=record.value[:-1] + b',"x":"%s"}' % (b"x" * size))


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
        assert value(metrics.WAITING_BYTES) >= 200_000
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
