"""The compiled calls of the hot loop and those in Python are one; whatever bytes they get."""

import os
import runpy
import shutil
import sys
import sysconfig
from array import array
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from aiokafka.record.default_records import DefaultRecordBatch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shipper import native
from shipper.lanes import Builder
from shipper.packed import ZSTD, Packed
from shipper.records import Encoder
from shipper.rows import Rows
from shipper.sketches import SKETCHES
from shipper.stencils import Stencils
from shipper.times import Times
from tailrace.settings import Input

COMPILED = pytest.mark.skipif(native.compiled is None, reason="tailrace was installed without a C compiler")
READ = b"2026-11-23T18:00:03.000Z"
NOW = 1_795_456_800_500_000_000
CALLS = ["interleave", "offsets", "sizes", "headers", "pack", "shape", "fill", "sketch", "draw", "rows"]
LINES = st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=6)
STARTS = st.one_of(st.integers(0, 10**6), st.integers(10**15, 2**62))
COLUMNS = st.lists(st.binary(max_size=9), min_size=2, max_size=4)


def both(call: Callable[[], Any]) -> tuple[Any, Any]:
    """What a call gives compiled, and what in Python."""
    compiled = call()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "compiled", None)
        return compiled, call()


def test_the_code_is_compiled_where_it_can_be() -> None:
    """Otherwise the tests below would compare Python with Python, and the speed would be gone unseen."""
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not shutil.which("cc") or not header.exists() or os.environ.get("TAILRACE_NATIVE") == "no":
        pytest.skip("no C compiler, or no headers of Python")
    assert native.compiled is not None


@pytest.mark.parametrize("left", [SimpleNamespace(), SimpleNamespace(INTERFACE=10**6)], ids=["without", "other"])
def test_a_module_that_another_version_left_behind_is_not_used(left: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its calls may be others, or do something else."""
    monkeypatch.setitem(sys.modules, "shipper._native", left)  # type: ignore[arg-type]
    assert runpy.run_path(native.__file__)["compiled"] is None


@given(st.lists(st.one_of(st.binary(max_size=9), COLUMNS, COLUMNS.map(tuple)), max_size=5), COLUMNS)
def test_columns_become_the_same_rows(parts: list[Any], column: list[bytes]) -> None:
    """Columns of lists and tuples, of unequal lengths, and constants between them."""
    compiled, python = both(lambda: native.interleave([*parts, column]))
    assert compiled == python


def test_a_piece_that_is_none_is_an_error() -> None:
    """Whoever made the columns then looks which rows have none."""

    def refused() -> bool:
        with pytest.raises(TypeError):
            native.interleave([b"a", [b"b", None]])
        return True

    assert both(refused) == (True, True)


@given(LINES, STARTS, st.data())
def test_lines_get_the_same_offsets_sizes_and_headers(lines: list[bytes], start: int, data: st.DataObject) -> None:
    """Offsets of more than 16 digits, too."""
    repeats = data.draw(st.integers(0, len(lines)))
    compiled, python = both(
        lambda: (
            native.offsets(lines, start),
            native.sizes(lines),
            native.headers(lines, start, repeats, b"1||s:", b"1|r|s:"),
        )
    )
    assert compiled == python


@COMPILED
@given(
    st.lists(st.tuples(st.binary(max_size=80), st.binary(max_size=300)), min_size=1, max_size=30),
    st.binary(max_size=30),
    st.integers(70, 4000),
    st.lists(st.integers(-300, 10**6), min_size=1, max_size=3),
)
def test_a_packed_batch_is_the_one_that_the_client_would_build(
    records: list[tuple[bytes, bytes]], key: bytes, most_bytes: int, delays: list[int]
) -> None:
    """Record for record and in its head, however full it gets, in however many calls, with clocks that step back."""
    theirs, ours = Builder(1 << 20, ZSTD, is_transactional=0), Packed(most_bytes)
    stamp = 1_795_000_000_000
    for delay in delays:
        taken, size = ours.extend(key, stamp + delay, records, 0)
        assert theirs.extend(key, stamp + delay, records[:taken], 0) == (taken, size)
        assert (ours.record_count(), ours.size()) == (theirs.record_count(), theirs.size())
        assert ours.size() <= most_bytes or ours.record_count() == 1
        assert taken == len(records) or ours.size() + most(key, records[taken]) > most_bytes
    for builder in (ours, theirs):
        builder._set_producer_state(7, 1, 40)
    assert told(bytes(ours._build())) == told(bytes(theirs._build()))
    assert ours.size() == len(ours._build())


@COMPILED
@given(
    st.lists(
        st.sampled_from([b"a", b"b c", b"", b"x\ny", b'"q" \\n', b"\xc3\xa9", b"long" * 9]), min_size=1, max_size=40
    ),
    STARTS,
    st.data(),
)
def test_rows_are_packed_as_the_records_they_stand_for(lines: list[bytes], start: int, data: st.DataObject) -> None:
    """Headers as those of ``headers``; a value where the sketch is for the line, or one of ours."""
    sketch = native.compiled.sketch(
        ((b"s", 1, 99, b"abxl\\", 0, 0),),
        tuple((kind, group, 0, 0, text, b"", None, None) for kind, group, text in PARTS),
    )
    repeats, most_value = data.draw(st.integers(0, len(lines))), data.draw(st.integers(50, 130))
    single = [line.replace(b"\\", b"\x1a") for line in lines if b"\n" not in line]
    together = orjson.dumps(b"\n".join(single).decode())[1:-1]
    given = (sketch, lines, together, start, READ, repeats, (b"1||s:", b"1|r|s:"), most_value)
    rows = native.rows(*given, stand_ins=True)
    if not single:
        assert rows is None
        return
    assert rows is not None
    headers = native.headers(lines, start, repeats, b"1||s:", b"1|r|s:")
    for row, (line, header, record) in enumerate(zip(lines, headers, rows, strict=True)):
        size, begin = len(line) + 1, native.begins(lines, start)[row]
        text = orjson.dumps(line.decode())[1:-1]
        value = b'{"m":"%b","o":%d,"s":%d,"r":"%b"}' % (text, begin, size, READ)
        fits = b"\n" not in line and line[:1] in {b"a", b"b", b"x", b"l", b'"'} and len(value) <= most_value
        assert record == (header, value if fits else b"")
        assert (row in rows.missing) is not fits
    for row in rows.missing:
        rows.others[row] = b"other %d" % row
    most_bytes, packed, first = data.draw(st.integers(150, 9000)), [], 0
    while first < len(rows):
        batch, same = Packed(most_bytes), Packed(most_bytes)
        taken, size = batch.extend(b"key", 7, rows, first)
        assert same.extend(b"key", 7, list(rows), first) == (taken, size)
        assert bytes(batch._build()) == bytes(same._build())
        packed.append(told(bytes(batch._build()))[-1])
        first += taken
    assert [(headers[0][1], value) for batch in packed for *_, value, headers in batch] == list(rows)


PARTS = [(b"c", 0, b'{"m":"'), (b"w", 0, b""), (b"c", 0, b'","o":'), (b"o", 0, b""), (b"c", 0, b',"s":')]
PARTS += [(b"o", 1, b""), (b"c", 0, b',"r":"'), (b"o", 2, b""), (b"c", 0, b'"}')]


SAID = [b"2026-11-23 18:00:0%d INFO said" % number for number in range(6)]


@COMPILED
def test_a_piece_of_a_record_keeps_its_flag_among_rows() -> None:
    """Though compiled code has made a document of the line without it."""
    chunk = encoder("plain").chunk(SAID, 0, 0, 0, NOW, frozenset({2, 4}))
    assert isinstance(chunk.records, Rows)
    flags = [orjson.loads(value)["log"].get("flags") for _, value in chunk.records]
    assert flags == [None, None, ["multiline"], None, ["multiline"], None]
    assert chunk.flagged == {"multiline": 2}


@COMPILED
@pytest.mark.parametrize("more", [[], [b""]], ids=["records", "blank"])
def test_what_another_sketch_makes_too_long_is_fitted(more: list[bytes]) -> None:
    """Where each line has a record, and where one has none."""
    way = encoder("plain")
    way.most_bytes = 2000
    chunk = way.chunk([*SAID, *[b"x" * 9000] * 5, *more], 0, 0, 0, NOW)
    assert isinstance(chunk.records, list if more else Rows)
    assert [len(value) <= 2000 for _, value in chunk.records] == [True] * 11
    assert chunk.flagged == {"truncated": 5}


@COMPILED
def test_lines_that_were_joined_do_not_keep_the_others_from_being_rows() -> None:
    """From the second chunk on that has some: otherwise the speed would be gone unseen."""
    way = encoder("plain")
    for _ in range(2):
        chunk = way.chunk([*SAID, b"2026-11-23 18:00:09 ERROR bad\nmore"], 0, 0, 0, NOW)
    assert isinstance(chunk.records, Rows)
    assert orjson.loads(chunk.records[-1][1])["log"]["level"] == "error"


@COMPILED
def test_a_row_without_a_value_is_never_packed() -> None:
    """Whoever made the rows has forgotten it."""
    made = native.rows(native.compiled.sketch((), ()), [b"a"], b"a", 0, READ, 0, (b"f", b"g"), 9, stand_ins=False)
    assert made is not None
    assert made.missing == [0]
    with pytest.raises(ValueError, match="without its value"):
        Packed(1000).extend(b"key", 7, made, 0)


def most(key: bytes, record: tuple[bytes, bytes]) -> int:
    """The bytes that a record may take in a batch."""
    return len(key) + sum(map(len, record)) + 40


def told(batch: bytes) -> tuple[Any, ...]:
    """What the client's own reader finds in a record batch."""
    read = DefaultRecordBatch(batch)
    assert read.validate_crc()
    assert len(batch) - 12 == int.from_bytes(batch[8:12], "big")
    head = (read.base_offset, read.magic, read.attributes & ~7, read.first_timestamp, read.max_timestamp)
    producer = (read.producer_id, read.producer_epoch, read.base_sequence, read.is_transactional, read.next_offset)
    return (*head, *producer, [(one.offset, one.timestamp, one.key, one.value, one.headers) for one in read])


def encoder(name: str) -> Encoder:
    """One for lines of a format."""
    entry = Input(paths=["/x"], dataset="app", format=name, timezone="UTC")  # type: ignore[arg-type]
    return Encoder(entry, "a" * 20, "/x", {"name": "h"}, 900_000, 1_000_000)


def documents(lines: list[bytes], wanted: bytes) -> list[bytes | None]:
    """What the compiled way makes of lines once it has learnt the shape of one."""
    ways = Stencils(Times("UTC"), encoder("json")._value)
    ways.documents([wanted, wanted], 0, READ)
    assert ways._cut
    return ways.documents(lines, 0, READ)


LEARNT = b'{"time":"2026-11-23T18:00:00Z","level":"warn","msg":"a","n":1,"ok":false,"none":null,"u":""}'
GOOD = b'{"time":"2026-11-23T18:00:00.5Z","level":"info","msg":"a\\u00e9b","n":-1.5,"ok":true,"none":null,"u":"x"}'


@COMPILED
@settings(max_examples=400)
@given(
    st.lists(
        st.tuples(st.integers(0, len(GOOD)), st.integers(0, 6), st.sampled_from([b"", b'"', b"\\", b"\\u", b"\xff"])),
        max_size=3,
    ),
    st.integers(0, len(GOOD)),
)
@example([], 0)
@example([(0, 0, b"")], 1)
def test_lines_cut_and_broken_anywhere_give_a_document_that_is_json_or_none(
    breaks: list[tuple[int, int, bytes]], cut: int
) -> None:
    """Whatever is at a line's end, nothing behind it is read; what is no JSON is never copied into a document."""
    line = GOOD
    for place, taken, put in breaks:
        line = line[:place] + put + line[place + taken :]
    for one, document in zip((line, line[:cut], GOOD), documents([line, line[:cut], GOOD], LEARNT), strict=True):
        if document is None:
            assert one != GOOD
        else:
            orjson.loads(document)
            orjson.loads(one)


@COMPILED
def test_every_sketch_is_drawn_by_compiled_code() -> None:
    """Otherwise its speed would be gone unseen: a pattern may have something that has no step."""
    for name, sketches in SKETCHES.items():
        quick = encoder(name)._quick
        assert quick is not None
        assert [sketch for sketch in sketches if quick._at_work(sketch).compiled is None] == []


@COMPILED
def test_a_list_that_a_callback_empties_is_an_error() -> None:
    """An error of Python's, not a crash."""
    lines = [b"a", b"b"]

    def turn(line: bytes) -> bytes:
        lines.clear()
        return line

    sketch = native.compiled.sketch((), ((b"f", 0, 0, 0, b"", b"", turn, None),))
    with pytest.raises(IndexError):
        native.compiled.draw(sketch, lines, [b"0", b"1"], [b"1", b"1"], READ)
    lines = [b"a", b"b"]
    with pytest.raises(IndexError):
        native.rows(sketch, lines, b"a\\nb", 0, READ, 0, (b"f", b"g"), 99, stand_ins=False)


UNTRUE = [array("q", ends) for ends in ([1, 3], [-1, 2], [2, 1], [1], [1, 2, 2, 2])]
"""Not where the two parts of one record of two bytes end."""


@COMPILED
@pytest.mark.parametrize("call", CALLS)
def test_arguments_of_other_types_are_refused(call: str) -> None:
    """An error of Python's, not a crash."""
    wrong: list[tuple[Any, ...]] = [(), (None,), ([1],), ([None], 0), ([1, 2], 0, 0, b"", b"", memoryview(b""))]
    wrong += [([(1, 2)], 0, 0, 0, b"k", b"t", 99), ([(b"",)], 0, 0, 0, b"k", b"t", 99), ([], -1, 0, 0, b"", b"", 9)]
    wrong += [((b"a",), b"s", (b"",), (), 5), ((b"a",), b"s", (b"", b""), (7,), -1), ((1,), b"s", (b"",), (), -1)]
    wrong += [(((b"s", 0, 0, b"", 99, 0),), ()), (((b"?", 0, 0, b"", 0, 1),), ()), (((b"s", 2, 1, b"", 0, 0),), ())]
    wrong += [((), ((b"k", 0, 0, 1, b"", b"", None, None),)), ((), ((b"x", 0, 0, 0, b"", b"", None, None),))]
    wrong += [
        (None, [b""], [b""], [b""], b""),
        ((b"a",), b"s", (b"", 1), (0,), -1),
        ([b"{}"], 0, b"", (None,), set(), None, {}, None),
        (None, [b""], b"", 0, b"", 0, b"", b"", 9, False),
    ]
    wrong += [(some, 0, 0, 0, b"k", b"t", 99, bytearray(), 0) for some in ([(1, 2)], [(b"",)], (), (b"", b"", []))]
    blob = bytearray(b"ab")
    wrong += [((blob, ends.tobytes(), [None]), 0, 0, 0, b"k", b"t", 99, bytearray(), 0) for ends in UNTRUE]
    wrong += [([], -1, 0, 0, b"", b"", 9, bytearray(), 0), ([], 0, 0, 0, b"", b"", 9, bytearray(), 1)]
    wrong += [((blob, array("q", [1, 2]).tobytes(), [None]), 0, 0, 0, b"k", b"t", 99, blob, 0)]
    for arguments in wrong:
        try:
            getattr(native.compiled, call)(*arguments)
        except (TypeError, ValueError):
            continue
        assert call in ("interleave", "sizes", "offsets", "fill"), (call, arguments)
