"""A record that breaks connections, from its first try to its letter or its document: what the writer makes of it."""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from fakes import FakePolled

from indexer import bulk, writer
from indexer.blockade import Blockade
from indexer.documents import Refusal, Translator
from indexer.load import Load
from indexer.ownership import Owned
from indexer.pace import Pace
from indexer.slices import Part
from indexer.transport import Answer
from indexer.writer import Writer

BROKEN = Answer(0, b"it closed the connection", broken=True)
FULL = Answer(503, b"")
REACHED = Answer(400, b'{"error":{"type":"parse_exception","reason":"nothing in it"},"status":400}')
GIANT = b'{"x":"%s"}' % (b"x" * 40_000)


class Wire:
    """Answers look-ups and small requests; what has the giant in it meets the next of ``fates``, else is stored."""

    def __init__(self, fates: Iterator[Answer | None], empty: Answer) -> None:
        self.stored = self.tries = 0
        self._fates = fates
        self._empty = empty

    async def request(self, _method: str, path: str, body: bytes | None = None, **how: Any) -> Answer:
        await asyncio.sleep(0)
        if path != bulk.PATH:
            ids = orjson.loads(body)["ids"] if body else ()
            found = (
                {"docs": [{"found": False} for _ in ids]} if body else {"data_streams": [{"backing_indices": ["a"]}]}
            )
            return Answer(200, orjson.dumps(found))
        assert how["ndjson"]
        assert body is not None
        if body == bulk.EMPTY:
            return self._empty
        fate = next(self._fates) if GIANT in body else None
        self.tries += fate is not None
        if fate is not None:
            return fate
        count = body.count(b'{"create"')
        self.stored += count
        return Answer(200, b'{"errors":false,"items":[' + b",".join([b'{"create":{"status":201}}'] * count) + b"]}")


class Letters:
    """Takes every letter."""

    def __init__(self) -> None:
        self.taken: list[Refusal] = []

    async def send(self, refusals: Sequence[Refusal]) -> str:
        self.taken += refusals
        return ""


def written(
    monkeypatch: pytest.MonkeyPatch, fates: Iterator[Answer | None], empty: Answer = REACHED
) -> tuple[Wire, list[Refusal], list[int]]:
    """Twenty small records and a giant, written to the end: what arrived, the letters, the failures before pauses."""
    failures: list[int] = []

    def delay(count: int, *_rest: float, **_most: float) -> float:
        failures.append(count)
        return 0.0

    monkeypatch.setattr(writer, "delay", delay)
    wire, letters = Wire(fates, empty), Letters()
    values = [*[b'{"n":%d}' % number for number in range(20)], GIANT]
    records = [
        FakePolled(value, (("t", b"1||logs-app-default|s:%d" % offset),), offset=offset)
        for offset, value in enumerate(values)
    ]
    owned = Owned("t", 0, 0, 0)

    async def write() -> None:
        fakes: tuple[Any, Any, Any] = wire, letters, SimpleNamespace(sure=True)
        one = Writer(*fakes[:2], Blockade(None), fakes[2], Pace(1 << 20, 3, 5.0))
        await one.write(Load([Part(owned, owned.watermark.begin(len(records)), records)], Translator(["logs-*-*"], {})))

    asyncio.run(write())
    return wire, letters.taken, failures


class Late:
    """Stores late what it never answered: after a look-up has seen that it is not there, and with a rollover then."""

    def __init__(self) -> None:
        self.indices: list[set[str]] = [{f"s:{number}" for number in range(5)}]
        self._looks = 0

    async def request(self, _method: str, path: str, body: bytes | None = None, **how: Any) -> Answer:
        await asyncio.sleep(0)
        if "_mget" in path:
            self._looks += 1
            if 1 < self._looks < 5:
                if self._looks == 4:
                    self.indices[0] |= {f"s:{number}" for number in range(5, 10)}
                    self.indices.append(set())
                return Answer(0, b"it took too long")
            index = self.indices[int(path.split("/")[1])]
            docs = [{"found": name in index} for name in orjson.loads(body or b"")["ids"]]
            return Answer(200, orjson.dumps({"docs": docs}))
        if body is None or not how.get("ndjson"):
            names = [str(number) for number in range(len(self.indices))]
            return Answer(200, orjson.dumps({"data_streams": [{"backing_indices": names}]}))
        names = [orjson.loads(line)["create"]["_id"] for line in body.split(b"\n")[:-1:2]]
        statuses = [409 if name in self.indices[-1] else 201 for name in names]
        self.indices[-1].update(names)
        conflict = {"error": {"type": "version_conflict_engine_exception", "reason": ""}}
        items = [{"create": {"status": one, **(conflict if one == 409 else {})}} for one in statuses]
        return Answer(200, orjson.dumps({"errors": 409 in statuses, "items": items}))


def test_what_a_look_up_did_not_find_is_looked_up_again_when_it_did_not_go_on_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second look-up of the same turn is long in coming; meanwhile what the first did not find is stored."""
    monkeypatch.setattr(writer, "delay", lambda *_count, **_most: 0.0)
    late, value = Late(), b'{"n":"%s"}' % (b"x" * 1000)
    records = [FakePolled(value, (("t", b"1|r|logs-app-default|s:%d" % one),), offset=one) for one in range(20)]
    owned = Owned("t", 0, 0, 0)

    async def write() -> None:
        fakes: tuple[Any, Any, Any] = late, Letters(), SimpleNamespace(sure=True)
        one = Writer(*fakes[:2], Blockade(None), fakes[2], Pace(11_000, 3, 5.0))
        await one.write(Load([Part(owned, owned.watermark.begin(20), records)], Translator(["logs-*-*"], {})))

    asyncio.run(write())
    first, second = late.indices
    assert first | second == {f"s:{number}" for number in range(20)}
    assert not first & second


def test_what_breaks_each_connection_is_a_letter_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """After six tries alone, between which nobody waits longer than after three failures: the cluster is there."""
    wire, letters, failures = written(monkeypatch, itertools.repeat(BROKEN))
    assert wire.stored == 20
    assert [one.record.value for one in letters] == [GIANT]
    alone = failures[-6:]
    assert max(alone[1:]) <= 3


def test_nothing_is_a_letter_while_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a small request: then it is no fault of the record's, however often it was tried, and large as it is."""
    wire, letters, failures = written(monkeypatch, itertools.chain([BROKEN] * 40, itertools.repeat(None)), BROKEN)
    assert (wire.stored, wire.tries, letters) == (21, 40, [])
    assert max(failures) > 10, "pauses grow while a cluster is away"


def test_another_answer_than_a_broken_connection_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was read then: what broke the tries before was something else."""
    halves = [BROKEN] * 8  # of requests with others in them, and then alone
    fates = itertools.chain(halves, [FULL], [BROKEN] * 5, [FULL], [BROKEN] * 5, itertools.repeat(None))
    wire, letters, _ = written(monkeypatch, fates)
    assert (wire.stored, letters) == (21, [])
