"""The words both halves share: headers, watermarks, delays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.backoff import delay
from tailrace.record import Header, header_prefix, is_stream, is_stream_part, parse_header, record_id
from tailrace.watermark import Watermark

PARTS = st.text(st.characters(categories=["Ll", "Nd"], include_characters="._+é"), min_size=1, max_size=100)


@given(PARTS, PARTS, st.booleans(), st.integers(0, 2**50), st.integers(0, 2**32 - 1))
def test_a_header_comes_back_as_it_was_made(
    dataset: str, namespace: str, may_repeat: bool, offset: int, crc: int
) -> None:
    """The shipper writes what the indexer reads."""
    stream = f"logs-{dataset}-{namespace}"
    name = record_id("0123456789abcdef0123", offset, crc)
    assert parse_header((header_prefix(stream, may_repeat=may_repeat) + name).encode()) == Header(
        may_repeat, stream, name
    )


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"1|",
        b"1||logs-a-b",
        b"1||logs-a-b|",
        b"2||logs-a-b|id",
        b"1||LOGS-a-b|id",
        b"1||logs-A-b|id",
        b"1||logs-a-b-c|id",
        b'1||logs-"-b|id',
        b"1||logs-a-b|i d",
        b'1||logs-a-b|i"d',
        b"1||logs-a-b|i\\d",
        b"1||logs-a-b|i|d",
        b"1||logs-a-b|i\nd",
        b"1||logs-a-b|\xc3\xa9",
        b"1||logs-\xff-b|id",
        b"1||.kibana|id",
        b"1||logs-a-b|" + b"x" * 513,
    ],
)
def test_a_header_that_is_not_ours_is_none(header: bytes) -> None:
    """Headers are untrusted: nothing that would have to be escaped in JSON, no name that is no data stream."""
    parsed = parse_header(header)
    assert parsed is None or (parsed.stream == "logs-\ufffd-b" and is_stream(parsed.stream))


@given(st.binary(max_size=40))
def test_any_header_is_survived(header: bytes) -> None:
    """And what is accepted is safe inside a JSON string."""
    parsed = parse_header(b"1||" + header)
    if parsed is not None:
        assert not set('"\\\n\r') & set(parsed.stream + parsed.record_id)


@pytest.mark.parametrize("name", ["", "A", "a b", "a-b", "a/b", "a*", "a" * 101, "a\n", "a,b", 'a"'])
def test_a_name_that_is_no_part_of_a_stream(name: str) -> None:
    """As Elastic's data stream naming scheme forbids."""
    assert not is_stream_part(name)


@given(st.lists(st.integers(1, 9), max_size=20), st.randoms(use_true_random=False))
def test_the_position_is_the_end_of_the_contiguous_prefix(lengths: list[int], random: object) -> None:
    """Whatever the order in which spans finish, never more and never less."""
    mark = Watermark(100, "start")
    spans = []
    for number, length in enumerate(lengths):
        spans.append(mark.begin(mark.begun + length, number))
    order = list(range(len(spans)))
    random.shuffle(order)  # type: ignore[attr-defined]
    done = set()
    for number in order:
        before = mark.position
        moved = mark.finish(spans[number])
        done.add(number)
        prefix = next((index for index in range(len(spans)) if index not in done), len(spans))
        assert mark.position == 100 + sum(lengths[:prefix])
        assert mark.remark == (prefix - 1 if prefix else "start")
        assert moved == (mark.position > before)
    assert mark.in_flight == 0


def test_a_forgotten_span_has_no_effect_when_it_finishes_after_all() -> None:
    """What was reset is done again; a late acknowledgement must not move the position of the second try."""
    mark = Watermark(0)
    old = mark.begin(10)
    assert mark.reset() == 0
    new = mark.begin(10)
    assert not mark.finish(old)
    assert mark.position == 0
    assert mark.finish(new)
    assert mark.position == 10


def test_a_span_cannot_go_back() -> None:
    """Order is the caller's promise."""
    mark = Watermark(10)
    with pytest.raises(ValueError, match="back"):
        mark.begin(9)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_delay_grows_to_its_limit_and_never_vanishes(failures: int, jitter: float) -> None:
    """Between half of the full delay and all of it."""
    full = min(30.0, 0.1 * 2 ** min(failures - 1, 30))
    assert full / 2 <= delay(failures, jitter) <= full
