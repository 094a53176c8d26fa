"""Lines to records: offsets, ids, what is skipped, what is fitted."""

import zlib

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper import ecs
from shipper.lines import cut, is_blank
from shipper.records import Encoder
from tailrace.record import parse_header, record_id
from tailrace.settings import Input

NOW = 1_795_456_800_500_000_000
SOURCE = "s" * 20
TEXTS = st.text(max_size=40) | st.sampled_from(['"' * 3000, "é" * 2000, "\x01" * 1000, "x" * 9000])


def encoder(most_bytes: int = 900_000, entry_format: str = "plain") -> Encoder:
    """An encoder with a limit on the bytes of a record."""
    entry = Input(paths=["/x"], dataset="app", format=entry_format, timezone="UTC")  # type: ignore[arg-type]
    return Encoder(entry, SOURCE, "/x", {"name": "h"}, most_bytes, 1_000_000)


def test_an_id_is_the_source_the_offset_and_the_checksum_of_the_line() -> None:
    """So that a mistaken identity can repeat a line, never hide one."""
    ((first, _), (second, _)) = encoder().chunk([b"a", b"b\r"], 10, 0, 0, NOW).records
    header = parse_header(first)
    assert header is not None
    assert header == (False, "logs-app-default", record_id(SOURCE, 10, zlib.crc32(b"a")))
    assert parse_header(second) == (False, "logs-app-default", record_id(SOURCE, 12, zlib.crc32(b"b\r")))


def test_lines_before_the_reach_of_an_earlier_run_say_that_they_may_repeat() -> None:
    """And only those."""
    records = encoder().chunk([b"a", b"b", b"c"], 0, 0, 3, NOW).records
    assert [parsed.may_repeat for header, _ in records if (parsed := parse_header(header))] == [True, True, False]
    records = encoder().chunk([b"a", b"b", b"c"], 0, 0, 4, NOW).records
    assert [parsed.may_repeat for header, _ in records if (parsed := parse_header(header))] == [True, True, False]


def test_blank_lines_are_counted_with_the_next_record() -> None:
    """White space and the holes that a truncation leaves give no record, and are not lost from the chain."""
    chunk = encoder().chunk([b"", b"a", b" \t\r", b"\0\0\0", b"b", b""], 0, 5, 0, NOW)
    documents = [orjson.loads(value) for _, value in chunk.records]
    assert [(found["log"]["offset"], found["tailrace"]["skipped"]) for found in documents] == [(1, 6), (11, 8)]
    assert (chunk.skipped, chunk.blank) == (1, 10)


def test_a_line_that_ended_at_a_cut_covers_no_delimiter() -> None:
    """Its bytes are those of the line alone."""
    ((header, value),) = encoder().single(cut(b"half"), 100, 0, 0, NOW).records
    assert orjson.loads(value)["tailrace"] == {"source": SOURCE, "bytes": 4, "skipped": 0}
    assert header.endswith(b"%08x" % zlib.crc32(b"half"))


def test_a_cut_in_the_white_space_gives_no_record() -> None:
    """It counts as skipped."""
    chunk = encoder().single(cut(b"  "), 100, 3, 0, NOW)
    assert (chunk.records, chunk.skipped, chunk.blank) == ([], 5, 2)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.text(max_size=5), TEXTS, max_size=8), st.integers(1500, 6000))
def test_a_record_is_never_larger_than_the_limit(tree: dict[str, str], most: int) -> None:
    """Its longest texts are cut, however many bytes their characters take, and it says so; the id stays."""
    line = orjson.dumps(tree)
    chunk = encoder(most, "json").chunk([line], 0, 0, 0, NOW)
    ((header, value),) = chunk.records
    assert len(value) <= most
    found = orjson.loads(value)
    assert found["tailrace"]["bytes"] == len(line) + 1
    assert header.endswith(b"%08x" % zlib.crc32(line))
    ((_, whole),) = encoder(10**9, "json").chunk([line], 0, 0, 0, NOW).records
    assert ("truncated" in found["log"].get("flags", [])) == (len(whole) > most) == ("truncated" in chunk.flagged)


def test_a_record_with_too_many_labels_is_fitted_too() -> None:
    """Where no text is long, the labels go, and a label says how many."""
    line = orjson.dumps({"message": "m", **{f"key{number}": number for number in range(2000)}, "a": "b"})
    ((_, value),) = encoder(2000, "json").chunk([line], 0, 0, 0, NOW).records
    found = orjson.loads(value)
    assert found["message"] == "m"
    assert found["log"]["flags"] == ["truncated"]
    assert len(value) <= 2000


def test_a_record_with_too_many_ecs_fields_is_fitted_too() -> None:
    """Where every text is short and there are no labels, the essentials are kept."""
    line = orjson.dumps({"message": "m", **dict.fromkeys(ecs.FIELDS, "\x01" * 64)})
    ((_, value),) = encoder(3000, "json").chunk([line], 0, 0, 0, NOW).records
    assert len(value) <= 3000
    assert orjson.loads(value)["message"] == "m"


def test_a_stream_may_have_a_percent_sign() -> None:
    """Names of data streams may; headers are made with format strings."""
    entry = Input(paths=["/x"], dataset="a%b", format="plain", timezone="UTC")
    made = Encoder(entry, SOURCE, "/x", {"name": "h"}, 900_000, 1_000_000).chunk([b"x", b"y"], 0, 0, 0, NOW)
    assert [parsed.stream for header, _ in made.records if (parsed := parse_header(header))] == ["logs-a%b-default"] * 2


@pytest.mark.parametrize("line", [b"", b" ", b"\r", b"\t \r", b"\0", b"\0\0\r"])
def test_what_is_blank(line: bytes) -> None:
    """White space and NULs."""
    assert is_blank(line)


@pytest.mark.parametrize("line", [b"a", b" a", b"\0a", b"\x01"])
def test_what_is_not_blank(line: bytes) -> None:
    """Anything else."""
    assert not is_blank(line)
