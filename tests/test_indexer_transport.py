"""What a request's body is to the library that sends it."""

import pytest

from indexer.transport import _Body


@pytest.mark.parametrize("size", [1, 699, 700, 2560, 5000])
def test_a_body_goes_out_whole_in_pieces_that_are_no_copies(size: int) -> None:
    """From wherever the sending begins, as again after a redirect; then there is nothing more."""
    body = bytes(range(256)) * 10
    one = _Body(body, lambda: True)
    for start in (0, 100):
        one.seek(start)
        pieces = [memoryview(piece) for piece in iter(lambda: one.read(size), b"")]
        assert b"".join(pieces) == body[start:]
        assert all(piece.obj is body and len(piece) <= size for piece in pieces)
    one.seek(100)
    assert (one.read(), one.read(), one.read(size)) == (body[100:], b"", b"")


def test_a_body_is_not_begun_once_it_may_not_go_but_one_that_was_begun_is_finished() -> None:
    """To send it to another node is to begin it again."""
    allowed = True
    one = _Body(b"first and second", lambda: allowed)
    assert bytes(one.read(5)) == b"first"
    allowed = False
    assert bytes(one.read(100)) == b" and second"
    one.seek(0)
    with pytest.raises(OSError, match="not sent: another indexer may have the partitions"):
        one.read(5)
