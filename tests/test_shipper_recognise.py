"""Which known sources a file may be, by its first bytes and its name."""

from shipper.identity import Anchor, Head, anchor_of, head_of
from shipper.names import live_path
from shipper.recognise import Index, Known

FIRST = b"line\n" * 300


def known(
    path: str, head: Head, at: int, anchor: Anchor, *, name: str = "s1", family: str = "", reach: int = 0
) -> Known:
    """A source at that path, of that family or that of its name."""
    families = (live_path(path), family) if family else (live_path(path),)
    return Known(name, path, families, head, at, anchor, reach)


def test_a_source_that_was_sent_and_not_remembered_is_offered_to_its_rotations() -> None:
    """A kill between the sending and the first position leaves it at 0: a new name would give its lines other ids."""
    index = Index([known("/logs/a.log", head_of(FIRST), 0, anchor_of(b""))])
    assert [one.name for one in index.matches("/logs/a.log.2.gz", FIRST)] == ["s1"]
    assert index.matches("/logs/b.log.2.gz", FIRST) == []


def test_a_source_of_which_nothing_was_read_is_nobody() -> None:
    """Every file begins with no bytes."""
    index = Index([known("/logs/a.log", head_of(b""), 0, Anchor(0, 0))])
    assert index.matches("/logs/a.log.1", FIRST) == []


def test_small_files_that_are_seen_together_are_not_each_others_copies_but_for_a_compressed_one() -> None:
    """A service that ends as soon as it has started leaves many files with the same few lines."""
    index = Index([])
    first = b"starting\n"
    index.add(known("/logs/a.log.1", head_of(first), len(first), anchor_of(first)))
    assert index.matches("/logs/a.log.2", first) == []
    assert index.matches("/logs/a.log.2.gz", first) == []
    assert index.matches("/logs/a.log.1.gz", b"other text") == []
    assert [one.name for one in index.matches("/logs/a.log.1.gz", first)] == ["s1"]


def test_large_files_that_are_seen_together_are_told_by_what_is_in_them() -> None:
    """Whatever their names."""
    index = Index([])
    index.add(known("/logs/a.log.1", head_of(FIRST), len(FIRST), anchor_of(FIRST)))
    assert [one.name for one in index.matches("/other/b", FIRST)] == ["s1"]


def test_a_small_file_is_known_by_the_log_that_it_was_first_seen_as() -> None:
    """A second name, by which it is followed once the first is gone, does not hide its rotated copies."""
    first = b"starting\n"
    index = Index([known("/logs/kept.log", head_of(first), len(first), anchor_of(first), family="/logs/a.log")])
    assert [one.name for one in index.matches("/logs/a.log.1.gz", first)] == ["s1"]
    assert [one.name for one in index.matches("/logs/kept.log.1.gz", first)] == ["s1"]
    assert index.matches("/logs/other.log.1.gz", first) == []


def test_of_two_sources_of_which_no_more_is_stored_the_one_that_was_sent_counts() -> None:
    """Its lines may be in Kafka already, under its name."""
    few = [
        known("/logs/a.log", head_of(FIRST), 0, Anchor(0, 0), name=name, reach=9 * (name == "s2"))
        for name in ("s1", "s2")
    ]
    assert [one.name for one in Index(few).matches("/logs/a.log.1", FIRST)] == ["s2", "s1"]
