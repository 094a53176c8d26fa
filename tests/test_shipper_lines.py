"""Bytes to lines."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from shipper.lines import HOLE, LongLine, cut, split


@given(st.binary(max_size=200))
def test_nothing_is_lost_between_the_lines(chunk: bytes) -> None:
    """The lines, each with its delimiter, and the rest are the chunk."""
    lines, rest, covered = split(chunk)
    assert b"".join(line + b"\n" for line in lines) + rest == chunk
    assert covered == len(chunk) - len(rest)
    assert b"\n" not in rest


@given(st.lists(st.binary(min_size=1, max_size=20).map(lambda piece: piece.replace(b"\n", b"."))), st.integers(1, 50))
def test_a_long_line_in_pieces_has_the_length_and_checksum_of_the_whole(pieces: list[bytes], most: int) -> None:
    """Only the first bytes are kept, none of a hole before them, but all are covered and summed."""
    long = LongLine(most)
    for piece in pieces:
        assert long.feed(piece) is None
    whole = b"".join(pieces)
    line = long.feed(b"end\nnext")
    assert line is not None
    text = (whole + b"end").lstrip(HOLE)
    assert line.kept == text[:most]
    assert line.length == len(text)
    assert line.covered == len(whole) + 4
    assert line.checksum == zlib.crc32(whole + b"end")


def test_a_cut_covers_only_what_is_there() -> None:
    """A line without a delimiter covers as many bytes as it has."""
    assert cut(b"abc").covered == 3
    assert LongLine(2).cut().covered == 0
