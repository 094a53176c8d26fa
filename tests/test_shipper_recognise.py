"""Which known sources a file may be, by its first bytes and its name."""

from shipper.identity import Anchor, anchor_of, head_of
from shipper.recognise import Index, Known

FIRST = b"line\n" * 300


def test_a_source_that_was_sent_and_not_remembered_is_offered_to_its_rotations() -> None:
    """A kill between the sending and the first position leaves it at 0: a new name would give its lines other ids."""
    index = Index([Known("s1", "/logs/a.log", head_of(FIRST), 0, anchor_of(b""))])
    assert [one.name for one in index.matches("/logs/a.log.2.gz", FIRST)] == ["s1"]
    assert index.matches("/logs/b.log.2.gz", FIRST) == []


def test_a_source_of_which_nothing_was_read_is_nobody() -> None:
    """Every file begins with no bytes."""
    index = Index([Known("s1", "/logs/a.log", head_of(b""), 0, Anchor(0, 0))])
    assert index.matches("/logs/a.log.1", FIRST) == []


def test_small_files_that_are_seen_together_are_not_each_others_copies_but_for_a_compressed_one() -> None:
    """A service that ends as soon as it has started leaves many files with the same few lines."""
    index = Index([])
    first = b"starting\n"
    index.add(Known("s1", "/logs/a.log.1", head_of(first), len(first), anchor_of(first)))
    assert index.matches("/logs/a.log.2", first) == []
    assert index.matches("/logs/a.log.2.gz", first) == []
    assert index.matches("/logs/a.log.1.gz", b"other text") == []
    assert [one.name for one in index.matches("/logs/a.log.1.gz", first)] == ["s1"]


def test_large_files_that_are_seen_together_are_told_by_what_is_in_them() -> None:
    """Whatever their names."""
    index = Index([])
    index.add(Known("s1", "/logs/a.log.1", head_of(FIRST), len(FIRST), anchor_of(FIRST)))
    assert [one.name for one in index.matches("/other/b", FIRST)] == ["s1"]
