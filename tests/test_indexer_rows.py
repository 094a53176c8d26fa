"""Records that are no objects yet: as a list of them, to be cut by size, and as the request that stores them."""

import itertools
import struct
from collections.abc import Sequence
from typing import Any

import pytest
from fakes import FakePolled, as_rows
from hypothesis import given
from hypothesis import strategies as st

from indexer import bulk, documents, native
from indexer.bulk import Outcome, Reading, Verdict, Whole
from indexer.documents import Documents, Polled, Translator
from indexer.load import Load
from indexer.ownership import Commit, Origin, Owned
from indexer.rows import ACTION_BYTES, Rows, decode, joined
from indexer.slices import Part, Waiting

pytestmark = pytest.mark.skipif(native.compiled is None, reason="tailrace was installed without a C compiler")
ORIGIN = Origin("x", 0)
HEADS = [
    b"1||logs-a-b|s:1:2",
    b"1||logs-c-d|s:1:3",
    b"1|r|logs-a-b|s:1:2",
    b"1||logs-a-b|a b",
    b"2||logs-a-b|s:1:2",
    b"",
]
VALUES = [b"{}", b'{"a":1}', b'{"a":"' + b"x" * 40 + b'"}', b'{"a":"\xc3\xa9"}', b"{\n}", b'{"a":"\xff"}', b"[]", None]
FORMS = st.tuples(st.sampled_from(VALUES[:4] * 4 + VALUES), st.sampled_from(HEADS[:2] * 8 + HEADS))


def _polled(count: int, sizes: Sequence[int] = (10,)) -> list[FakePolled]:
    return [
        FakePolled(b"x" * sizes[number % len(sizes)], [("t", b"%d" % number)], offset=40 + number, key=b"k")
        for number in range(count)
    ]


def _rows(records: Sequence[FakePolled]) -> Rows:
    rows = as_rows(records)
    assert isinstance(rows, Rows)
    return rows


def _told(records: Sequence[Polled]) -> list[tuple[Any, ...]]:
    return [(one.offset, one.timestamp, one.key, one.value, list(one.headers)) for one in records]


@given(st.integers(1, 9), st.integers(-10, 10), st.integers(-10, 10), st.integers(0, 9))
def test_they_are_what_a_list_of_them_is(count: int, start: int, end: int, split: int) -> None:
    """Sliced, indexed, counted and added up, whichever batches they are of."""
    records = _polled(count)
    rows = _rows(records)
    assert _told(rows) == _told(records)
    assert _told(rows[start:end]) == _told(records[start:end])
    assert not records[start:end] or rows[start:end].start == records[start:end][0].offset
    assert [_told([rows[place]]) for place in range(-count, count)] == [_told([one]) for one in records + records]
    halves = joined([rows[:split], rows[split:]])
    assert isinstance(halves, Rows)
    assert (_told(halves), halves.size, len(halves)) == (_told(records), rows.size, count)
    mixed = joined([[records[0]], rows, [records[-1]]])
    assert _told(mixed) == _told([records[0], *records, records[-1]])
    assert joined([rows]) is rows
    for place in (count, -count - 1):
        with pytest.raises(IndexError):
            rows[place]
    with pytest.raises(ValueError, match="without a step"):
        rows[::2]


@given(st.lists(st.booleans(), min_size=1, max_size=9))
def test_they_are_cut_where_there_are_gaps(gaps: list[bool]) -> None:
    """And nowhere else: by batches, each of which has none."""
    offsets = list(itertools.accumulate(1 + gap for gap in gaps))
    rows = _rows([FakePolled(b"{}", offset=offset) for offset in offsets])
    runs = [[one.offset for one in run] for run in rows.runs()]
    assert list(itertools.chain(*runs)) == offsets
    assert all(run == list(range(run[0], run[-1] + 1)) for run in runs)
    assert all(after[0] > before[-1] + 1 for before, after in itertools.pairwise(runs))


@given(st.lists(st.integers(0, 60), min_size=1, max_size=9), st.integers(0, 700))
def test_as_many_fit_as_are_not_too_large_together(sizes: list[int], most: int) -> None:
    """One more would be; so it is with the first alone, however large."""
    rows = _rows(_polled(len(sizes), sizes))
    count = rows.fitting(most)
    assert rows[:count].size <= most
    assert count == len(rows) or rows[: count + 1].size > most


@given(st.lists(FORMS, min_size=1, max_size=7), st.booleans())
def test_the_request_is_that_of_their_lines_or_none(forms: list[tuple[bytes | None, bytes]], own_ids: bool) -> None:
    """To the byte; and none as soon as one needs a second look, or is of a stream that was not seen before."""
    records = [
        FakePolled(value, [("t", head)] if head else [], offset=number) for number, (value, head) in enumerate(forms)
    ]
    rows = _rows(records)
    translator = Translator(["logs-*-*"], {}, own_ids=own_ids)
    assert translator.body([rows]) is None
    found = translator.translate(list(rows), ORIGIN)
    simple = all(
        one == ("t", head) and head in HEADS[:2] for one, (_, head) in zip(_firsts(records), forms, strict=True)
    )
    simple = simple and all(value in VALUES[:4] for value, _ in forms)
    assert translator.body([rows[:2], rows[2:]]) == (_request(found) if simple else None)


def _firsts(records: Sequence[FakePolled]) -> list[Any]:
    return [one.headers[0] if one.headers else None for one in records]


def _request(found: Documents) -> bytes:
    return bulk.body(found.lines, found.documents)


def test_a_request_is_seldom_larger_than_its_rows_say() -> None:
    """Of our shipper's records none is, whatever their keys: else slices would be sent in two."""
    for stream in (b"logs-a-b", b"logs-a.much.longer_name-production"):
        head = b"1||" + stream + b"|0123456789abcdef0123:123456:345"
        rows = _rows([FakePolled(b'{"a":1}', [("t", head)], offset=number) for number in range(4)])
        translator = Translator(["logs-*-*"], {})
        translator.translate(list(rows), ORIGIN)
        body = translator.body([rows])
        assert body is not None
        assert rows.size - ACTION_BYTES * len(rows) < len(body) <= rows.size


def test_what_is_plainly_ours_is_sent_without_an_object_of_any(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is what makes it fast: no record, no line, until an answer is not that all were stored."""
    owned = Owned("t", 0, 0, 0)
    owned.stored(Commit(0, 100))
    waiting = Waiting(100_000, 100)
    translator = Translator(["logs-*-*"], {})
    records = [FakePolled(b"{}", [("t", HEADS[0])], offset=number) for number in range(5)]
    translator.translate(records[:1], ORIGIN)
    waiting.add(owned, as_rows(records), 5)
    parts = waiting.take()
    made: list[int] = []
    monkeypatch.setattr(Translator, "translate", lambda *_: made.append(1))
    load = Load(parts, translator)
    body, count = load.body(100_000)
    load.drop_leaving()
    assert (load.waits, load.to_look_up(100_000), load.left, count, body.count(b"\n")) == (False, [], 5, 5, 10)
    load.answered(
        bulk.read(200, b'{"errors":false,"items":[%b]}' % b",".join([b'{"create":{"status":201}}'] * 5), 5), 5
    )
    assert (load.left, load.tally.stored, load.oldest, made) == (0, 5, records[0].timestamp, [])


def test_a_request_that_failed_lets_its_batches_go() -> None:
    """From then on each record has its own value: to hold both would be twice the memory of an outage."""
    owned = Owned("t", 0, 0, 0)
    translator = Translator(["logs-*-*"], {})
    records = [FakePolled(b"{}", [("t", HEADS[0])], offset=number) for number in range(3)]
    translator.translate(records, ORIGIN)
    load = Load([Part(owned, owned.watermark.begin(3), as_rows(records))], translator)
    assert [len(part.records) for part in load.parts] == [3]
    load.answered(bulk.read(503, b"", 3), 3)
    assert ([len(part.records) for part in load.parts], load.left, load.polled) == ([0], 3, 3)


def test_an_answer_is_to_the_records_in_the_order_of_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although some of their streams have been forgotten since, and are found on another way: nothing is mistaken."""
    monkeypatch.setattr(documents, "_MOST_TARGETS", 2)
    owned, translator = Owned("t", 0, 0, 0), Translator(["logs-*-*"], {})
    heads = [b"1||logs-a-b|s:1:2", b"1||logs-c-d|s:1:3"]
    records = [FakePolled(b"{}", [("t", head)], offset=number) for number, head in enumerate(heads * 2)]
    translator.translate(records, ORIGIN)
    load = Load([Part(owned, owned.watermark.begin(4), as_rows(records))], translator)
    assert load.body(100_000)[1] == 4
    assert [len(part.records) for part in load.parts] == [4]
    for one in (records[0]._replace(headers=[("t", b"1||logs-e-f|s:1:4")]), records[1]):
        translator.translate([one], ORIGIN)
    bad = Verdict(Outcome.REJECTED, "document_parsing_exception", "bad")
    load.answered(Reading(Whole.MIXED, [bad, *[Verdict(Outcome.STORED)] * 3]), 4)
    assert [(one.record.offset, one.stream) for one in load.refusals] == [(0, "logs-a-b")]


def test_places_that_are_none_of_the_batch_are_refused() -> None:
    """Compiled code reads no byte that is not of the batch, whatever a table says."""
    (stretch,) = _rows(_polled(1)).stretches
    known = {b"1||logs-a-b": b"begin "}
    for start in (-1, len(stretch.batch), len(stretch.batch) + 1, 1, 1 << 62):
        wrong = stretch._replace(starts=struct.pack("=2q", start, 0))
        with pytest.raises(ValueError, match="not those of its records"):
            native.records(wrong)
        assert native.compiled.body([wrong], known, 1) is None
    for wrong in (stretch._replace(first=-1), stretch._replace(end=2), stretch._replace(starts=b"")):
        with pytest.raises(ValueError, match="not those of its records"):
            native.records(wrong)
        assert native.compiled.body([wrong], known, 1) is None
    for count in (-1, 2, 1 << 60):
        with pytest.raises(ValueError, match="not those of its records"):
            decode(stretch.batch, 0, count, 0, 0, -1, numbered=True)
    with pytest.raises(SystemError):
        native.compiled.body([None], known, 1)
    assert native.compiled.body([], known, 1) == b""
