"""Batches to records, and records to bulk lines: compiled, in Python and by the client is one, whatever bytes come."""

import itertools
import runpy
import struct
import sys
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import zstandard
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from fakes import STAMP, Row, batch
from hypothesis import example, given
from hypothesis import strategies as st

from indexer import fetch, native
from indexer.documents import Documents, Translator
from indexer.fetch import Batches, DecodedRecords, ListedResult, UnreadableBatchError, as_decoded
from indexer.ownership import Origin
from shipper import native as shippers

COMPILED = pytest.mark.skipif(native.compiled is None, reason="tailrace was installed without a C compiler")
PARTITION = TopicPartition("topic", 0)
OPTIONAL = st.none() | st.binary(max_size=30)
HEADERS = st.lists(st.tuples(st.text(max_size=4), OPTIONAL), max_size=3)
RECORDS = st.lists(st.tuples(st.integers(-(10**6), 10**9), OPTIONAL, OPTIONAL, HEADERS), min_size=1, max_size=8)
ZSTD = 4


def fields(records: Sequence[Any]) -> list[tuple[Any, ...]]:
    """What we read of a record."""
    return [(one.offset, one.timestamp, one.key, one.value, list(map(tuple, one.headers))) for one in records]


def decode(built: bytes | bytearray) -> list[Any]:
    """All records of a batch."""
    return list(itertools.chain.from_iterable(fetch.decode(memoryview(bytes(built)))))


def read(built: bytes | bytearray) -> list[tuple[Any, ...]] | None:
    """What we read of its records; None if it is corrupt."""
    try:
        return fields(decode(built))
    except CorruptRecordException:
        return None


def both(call: Callable[[], Any]) -> tuple[Any, Any]:
    """What a call gives compiled, and what in Python."""
    compiled = call()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "compiled", None)
        return compiled, call()


def test_the_code_is_compiled_where_the_shipper_s_is() -> None:
    """Otherwise the tests below would compare Python with Python, and the speed would be gone unseen."""
    assert (native.compiled is None) == (shippers.compiled is None)


@pytest.mark.parametrize("left", [SimpleNamespace(), SimpleNamespace(INTERFACE=10**6)], ids=["without", "other"])
def test_a_module_that_another_version_left_behind_is_not_used(left: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its calls may be others, or do something else."""
    monkeypatch.setitem(sys.modules, "indexer._native", left)  # type: ignore[arg-type]
    assert runpy.run_path(native.__file__)["compiled"] is None


@given(
    records=RECORDS,
    codec=st.integers(0, 4),
    base=st.integers(0, 2**40),
    appended=st.booleans(),
)
@example(records=[(0, b"kk", b"", []), (0, b"k", None, []), (0, b"kkk", None, [])], codec=0, base=0, appended=False)
@example(records=[(0, None, None, [])] * 3, codec=ZSTD, base=2**62, appended=True)
def test_a_batch_has_the_records_that_the_client_reads(
    records: list[Row], codec: int, base: int, *, appended: bool
) -> None:
    """Keys, values and headers that are none or empty, of all codecs, stamped by the producer or by the broker."""
    built = batch(records, codec, base)
    if appended:
        built[22] |= 8  # the attribute for the broker's own time
    theirs = list(DefaultRecordBatch(bytes(built)))
    for ours in both(lambda: decode(built)):
        assert fields(ours) == fields(theirs)


@given(RECORDS, st.data())
def test_bytes_that_are_no_records_are_an_error_or_the_same_records(records: list[Row], data: st.DataObject) -> None:
    """Never anything that was not read, whichever bytes are changed, cut off or added, and whatever the count says."""
    built = batch(records)
    for _ in range(data.draw(st.integers(0, 3))):
        built[data.draw(st.integers(61, len(built) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(built[: data.draw(st.integers(61, len(built)) | st.just(len(built)))])
    spoiled = bytearray(cut + data.draw(st.binary(max_size=3)))
    struct.pack_into(">i", spoiled, 57, data.draw(st.integers(-1, 10) | st.just(len(records))))

    compiled, python = both(lambda: read(spoiled))
    assert compiled == python


@pytest.mark.parametrize(
    "coded",
    [b"\x80" * 9 + b"\x01", b"\xff" * 9 + b"\x01", b"\x80" * 10, b"\xfe" * 12, b""],
    ids=["least", "most", "eleven", "endless", "nothing"],
)
def test_numbers_of_many_bytes_are_read_alike(coded: bytes) -> None:
    """As a time: the first that has 64 bits, and those that never end."""
    body = b"\x00" + coded + b"\x00" + b"\x01\x01\x00"
    built = batch([(0, None, None, [])])[:61] + bytes([2 * len(body)]) + body

    compiled, python = both(lambda: read(built))
    assert compiled == python


@pytest.mark.parametrize(
    "coded",
    [
        b"\x00\x00\x00\x01\x04ab\x00",  # whole: a value of two bytes, no header
        b"\x00\x00\x00\x01\x06ab\x00",  # of three
        b"\x00\x00\x00\x01\x08ab\x00",  # of four
        b"\x00\x00\x00\x01\x04ab\x00z",  # and a byte that belongs to nothing
        b"\x00\x00\x00\x01\x04ab\x02\x02t\x02v",  # whole, with a header
        b"\x00\x00\x00\x01\x04ab\x02\x01\x02v",  # one without a name
        b"\x00\x00\x00\x01\x04ab\x02\x02t\x04v",  # one that is cut off
        b"\x00\x00\x00\x01\x04ab\x04\x02t\x02v",  # two, of which there is one
        b"\x00\x00\x00\x01\x04ab\x01",  # fewer than none
        b"\x00",
        b"",
    ],
)
@pytest.mark.parametrize("after", [b"", b"\x00" * 8], ids=["last", "followed"])
def test_a_record_ends_where_it_says(coded: bytes, after: bytes) -> None:
    """It takes nothing of what follows, and leaves nothing."""
    built = batch([(0, None, None, [])])[:61] + bytes([2 * len(coded)]) + coded + after

    compiled, python = both(lambda: read(built))
    assert compiled == python
    if after:
        assert compiled is None


@pytest.mark.parametrize("deltas", [[0, 1, 2, 1000], [0, 0, 0, 0], [3, 2, 1, 0], [0, 1, 2, 2**31 - 1]])
def test_offsets_are_those_that_the_broker_gave(deltas: list[int]) -> None:
    """It does not look at those in a batch that is not compressed; commits went past what others sent behind it."""
    built = batch([(0, None, b"x", [])])[:61]
    for delta in deltas:
        coded = b"\x00\x00" + _varint(delta) + b"\x01\x02x\x00"
        built += bytes([2 * len(coded)]) + coded
    struct.pack_into(">i", built, 23, len(deltas) - 1)
    struct.pack_into(">i", built, 57, len(deltas))
    struct.pack_into(">q", built, 0, 70)
    for records in both(lambda: decode(built)):
        assert [record.offset for record in records] == [70, 71, 72, 73]
    struct.pack_into(">i", built, 23, 2000)  # as after a compaction, which leaves holes
    for records in both(lambda: decode(built)):
        assert [record.offset for record in records] == [70 + delta for delta in deltas]


def _varint(number: int) -> bytes:
    left, made = number << 1, b""
    while left > 127:
        made += bytes([left & 127 | 128])
        left >>= 7
    return made + bytes([left])


def test_a_codec_that_nobody_knows_is_said() -> None:
    """The client knows four; whatever comes next is an error of its own."""
    built = batch([(0, None, b"x", [])])
    built[22] |= 7
    with pytest.raises(UnsupportedCodecError, match="codec 7"):
        decode(built)


def test_what_is_compressed_badly_is_corrupt() -> None:
    """And no other error, at which an indexer would end."""
    for codec in range(1, 5):
        built = batch([(0, None, b"x" * 500, [])] * 5, codec)
        built[70:] = b"\xff" * len(built[70:])
        with pytest.raises(CorruptRecordException):
            decode(built)


def test_each_frame_of_zstd_is_read() -> None:
    """One that does not say its size, as producers write that compress as they go; several; one that boasts."""
    built = batch([(0, None, b"x" * 500, [])] * 5)
    built[22] |= ZSTD
    plain = bytes(built[61:])
    quiet = zstandard.ZstdCompressor(write_content_size=False).compress(plain)
    loud = zstandard.ZstdCompressor()
    several = loud.compress(plain[:700]) + loud.compress(plain[700:])
    for packed in (quiet, several):
        assert len(decode(built[:61] + packed)) == 5
    boast = b"\x28\xb5\x2f\xfd\xe0" + b"\xff" * 7 + b"\x0f" + b"\x01\x00\x00"
    with pytest.raises(CorruptRecordException):
        decode(built[:61] + boast)


def _spoiled_name() -> bytes:
    built = batch([(0, None, b"{}", [("name", b"v")]), (0, None, b"next", [])])
    built[built.index(b"name")] = 0xFF
    struct.pack_into(">I", built, 17, calc_crc32c(bytes(built[21:])))
    return bytes(built)


def test_a_header_whose_name_is_no_text_stops_nothing() -> None:
    """Brokers do not look; the client ends with an error, each time it gets there."""
    for records in both(lambda: _taken(_spoiled_name(), 10)):
        assert [record.value for record in records] == [b"{}", b"next"]
        assert [name for name, _ in records[0].headers] == ["\ufffdame"]


def test_of_a_batch_of_very_many_records_few_are_in_memory_at_once() -> None:
    """A hundred thousand take some kilobytes in Kafka, and what a stranger sends must not end an indexer."""
    answer = bytes(batch([(0, None, b"{}", [])] * 20_000, ZSTD))
    for pieces in both(lambda: [len(piece) for piece in fetch.decode(memoryview(answer))]):
        assert sum(pieces) == 20_000
        assert max(pieces) <= 5000
    partition = _partition(answer)
    assert (len(partition.take(10)[0]), partition.next_fetch_offset) == (10, 10)


@pytest.mark.parametrize(("where", "bits"), [(-1, 7), (20, 7), (22, 7), (16, 2)])
def test_what_is_before_a_broken_batch_is_handed_out_first(where: int, bits: int) -> None:
    """Other bits in a value, the checksum, the codec, the format's number: then an error that says where, each time.

    The client's decoder of the oldest format ends with a SystemError when it is given the newest.
    """
    whole = batch([(0, None, b"x", [])] * 3)
    broken = batch([(0, None, b"y", [])] * 3, base=3)
    broken[where] ^= bits
    if where == 22:
        struct.pack_into(">I", broken, 17, calc_crc32c(bytes(broken[21:])))

    def taken() -> list[Any]:
        partition = _partition(bytes(whole + broken))
        found = [partition.take(2), partition.take(2)]
        for _ in range(2):
            with pytest.raises(UnreadableBatchError) as caught:
                partition.take(2)
            assert (caught.value.partition, caught.value.offset) == (PARTITION, 3)
        return found

    for (first, more), (second, still) in both(taken):
        assert [record.offset for record in [*first, *second]] == [0, 1, 2]
        assert more
        assert still


def test_what_cannot_be_read_is_fetched_again_by_whoever_asks_again() -> None:
    """What was fetched of it is let go: a disk may have been mended meanwhile."""
    broken = batch([(0, None, b"x", [])] * 3)
    broken[-1] ^= 7
    result, state = _result(bytes(broken))
    with pytest.raises(UnreadableBatchError):
        result.getall(10)
    assert not result.has_more()
    assert (result.getall(10), state.position) == ([], 0)


def _partition(answer: bytes, offset: int = 0) -> DecodedRecords:
    return DecodedRecords(PARTITION, Batches(answer), [], offset, None, as_decoded, True, READ_COMMITTED)  # noqa: FBT003


def _result(answer: bytes, offset: int = 0) -> tuple[ListedResult, Any]:
    """What the client makes of an answer, and how far it was handed out."""
    state = SimpleNamespace(paused=False, position=offset)
    state.consumed_to = lambda position: setattr(state, "position", position)
    assignment = SimpleNamespace(active=True, state_value=lambda _partition: state)
    partition = _partition(answer, offset)
    return ListedResult(PARTITION, assignment=assignment, partition_records=partition, backoff=0), state


def _taken(answer: bytes, most: int, offset: int = 0) -> list[Any]:
    """All records of an answer, so many at a time, as the client hands them out."""
    result, state = _result(answer, offset)
    taken: list[Any] = []
    while result.has_more():
        before = state.position
        found = result.getall(most)
        assert len(found) <= most
        assert not [one for one in found if one.offset < before], "where the client says that it is, it is"
        taken += found
        if found and result.has_more():
            assert found[-1].offset < state.position, "it would be fetched again"
            assert not [one for one in found if one.offset >= state.position]
    assert state.position >= max([one.offset + 1 for one in taken], default=offset)
    return taken


@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    most=st.integers(1, 9),
    start=st.integers(0, 12),
    at_once=st.sampled_from([1, 2, 5000]),
    old=st.booleans(),
)
def test_records_are_handed_out_once_and_in_order(
    sizes: list[int], most: int, start: int, at_once: int, *, old: bool
) -> None:
    """However many at a time, over the ends of batches, from the middle of one, and of the client's older formats."""
    begins = [sum(sizes[:number]) + 2 * number for number in range(len(sizes))]  # with gaps, as compaction leaves them
    offsets = [begin + number for begin, size in zip(begins, sizes, strict=True) for number in range(size)]
    start = offsets[start % len(offsets)]
    answer = b""
    for begin, size in zip(begins, sizes, strict=True):
        if begin + size > start:  # brokers answer from the batch that has the offset
            answer += batch([(0, None, b"%d" % (begin + number), []) for number in range(size)], base=begin)
    if old:
        answer += _legacy(offsets[-1] + 1)
    wanted = [int(record.value) for record in _client(answer) if record.offset >= start]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetch, "_AT_ONCE", at_once)
        for taken in both(lambda: _taken(answer, most, start)):
            assert [int(record.value) for record in taken] == wanted


def _client(answer: bytes) -> list[Any]:
    batches, found = Batches(answer), []
    while batches.has_next():
        found += list(batches.next_batch())
    return found


def _legacy(offset: int) -> bytes:
    builder = LegacyRecordBatchBuilder(magic=1, compression_type=0, batch_size=1 << 20)
    for number in range(3):
        builder.append(offset + number, STAMP, None, b"%d" % (offset + number))
    return bytes(builder.build())


NAMES = st.sampled_from(["t", "t", "t", "u", "", "tt"])
ID = [b"s:1:2", b"~!", b"", b'a"b', b"a\\b", b"a b", b"a\x7f", b"\xc3\xa9", b"i" * 512, b"i" * 513]
IDS = st.sampled_from([*ID, b"a|b"])
PREFIXES = st.sampled_from(
    [b"1||logs-a-b|", b"1|r|logs-a-b|", b"1||logs-c-d|", b"2||logs-a-b|", b"1||metrics-a-b|", b"|", b""]
)
EDGES = "c3a9 c080 c3 e0a080 e09fbf ed9fbf eda080 efbfbf f0908080 f08fbfbf f48fbfbf f4908080 f5808080 ff 80"
"""Of what is UTF-8: the first and the last of each length, and their neighbours."""
PIECES = st.sampled_from([b'"', b"a", b"\n", b"\r", b"\0", b"12345678", *map(bytes.fromhex, EDGES.split())])
VALUES = st.one_of(
    st.lists(PIECES, max_size=6).map(lambda pieces: b"{" + b"".join(pieces) + b"}"),
    st.sampled_from([None, b"", b"{", b"}", b"{}", b'{"a":1}', b" {}", b"{}\n", b"[]"]),
    st.binary(max_size=8).map(lambda inner: b"{" + inner + b"}"),
)
POLLED = st.lists(
    st.tuples(VALUES, st.lists(st.tuples(NAMES, st.none() | st.builds(bytes.__add__, PREFIXES, IDS)), max_size=2)),
    min_size=1,
    max_size=6,
)


@COMPILED
@given(POLLED, st.booleans(), st.integers(0, 3))
@example(polled=[(b'{"a":1}', [("t", b"1||logs-a-b|s:1:2")])] * 2, own_ids=True, repeat_before=0)
def test_records_become_the_same_lines(
    polled: list[tuple[bytes | None, list[tuple[str, bytes | None]]]], own_ids: bool, repeat_before: int
) -> None:
    """Nor does a character pass that Python refuses, in a header or in a value, the first time and later."""
    built = bytes(batch([(0, b"k", value, headers) for value, headers in polled]))

    def translated() -> list[tuple[Any, ...]]:
        translator = Translator(["logs-*-*"], {}, own_ids=own_ids)
        read = decode(built)
        return [_told(translator.translate(read, Origin("x", 0), repeat_before)) for _ in range(3)]

    compiled, python = both(translated)
    assert compiled == python


def _told(found: Documents) -> tuple[Any, ...]:
    """All of it, in the order of the offsets."""
    columns = ([record.offset for record in found.records], found.lines, found.documents, found.repeats)
    refusals = [(one.record.offset, one.reason, one.text, one.stream, one.record_id) for one in found.refusals]
    return sorted(zip(*columns, strict=True)), sorted(refusals), found.tombstones


EDGED = [b"{" + bytes.fromhex(edge) + b"}" for edge in EDGES.split()] + [
    b"{1234567" + bytes.fromhex(edge) + b"12345678}" for edge in EDGES.split()
]
PLAIN = [b"{}", b"{\n}", b"{\r}", b"{\0}", b'{"a":"\xc3\xa9"}', b"{", b"}", b"{]", b"[}", b"", None, *EDGED]


@COMPILED
@pytest.mark.parametrize("known", [b"1||logs-a-b", b"1||logs-a-c", b"1||logs-a-bc"])
def test_each_record_is_plain_both_ways_or_neither(known: bytes) -> None:
    """One by one: each edge of what is safe in an id or valid in a value; and more headers than one, or others."""
    prefix = b"1||logs-a-b|"
    header: list[tuple[str, bytes | None]] = [("t", prefix + ID[0])]
    others = [[], [("t", None)], [("u", prefix + ID[0])], [("tt", prefix + ID[0])], header * 2, [*header, ("u", None)]]
    rows: list[Row] = [(0, b"k", value, header) for value in PLAIN]
    rows += [(0, b"k", b"{}", [("t", prefix + one)]) for one in ID] + [(0, b"k", b"{}", one) for one in others]
    rows += [(0, b"k", b"{}", [("t", b"s:1:2")]), (0, b"k", b"{}", [("t", b"")])]
    read = decode(batch(rows))
    begun = {known: b"begin ", b"other": b""}
    for own_ids in (True, False):
        compiled, python = both(lambda own_ids=own_ids: [native.plain([one], begun, own_ids=own_ids) for one in read])
        assert compiled == python
    whole = native.plain(read, begun, own_ids=True)
    assert sorted(map(id, whole.records + whole.rest)) == sorted(map(id, read))
    assert (len(whole.records) > 12) == (known == b"1||logs-a-b")


@COMPILED
def test_what_is_plainly_ours_is_all_that_is_compiled() -> None:
    """Else the test above would compare Python with Python: of these, one is plain, and the others are the rest."""
    header = [("t", b"1||logs-a-b|s:1:2")]
    rows = [(b"{}", header), (b"{\n}", header), (b"{}", []), (b"{}", header * 2), (b"{\xff}", header), (None, header)]
    read = decode(batch([(0, b"k", value, headers) for value, headers in rows]))
    found = native.plain(read, {b"1||logs-a-b": b"begin "}, own_ids=True)
    assert (found.records, found.rest) == (read[:1], read[1:])
    assert (found.lines, found.documents) == ([b'begin s:1:2"}}\n'], [b"{}"])
