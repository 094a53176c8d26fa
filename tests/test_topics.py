"""Which topics of a cluster an indexer reads."""

import pytest

from tailrace.settings import Indexer, Kafka, Settings
from tailrace.topics import Topics


def topics(*entries: str, **kafka: str) -> Topics:
    """Those of these settings."""
    return Topics(Settings(indexer=Indexer(topics=list(entries)), kafka=Kafka(**kafka)))  # type: ignore[arg-type]


def test_names_are_names_and_patterns_match_from_the_beginning() -> None:
    """A dot of a name is a dot; a pattern need not match to the end, and does not match in the middle."""
    ours = topics("tailrace.logs", r"^activity\.")
    assert ours.named == ("tailrace.logs",)
    assert ours.has_patterns
    known = ["activity.play", "activity", "my.activity.play", "tailraceXlogs", "activity.pause.v2"]
    assert ours.among(known) == ["tailrace.logs", "activity.pause.v2", "activity.play"]
    assert not topics("tailrace.logs").has_patterns


@pytest.mark.parametrize("name", ["tailrace.dead-letters", "tailrace.ledger", "__consumer_offsets"])
def test_a_pattern_never_matches_what_holds_no_records(name: str) -> None:
    """The dead letters would be stored as if nothing were wrong with them, and again with each try."""
    assert topics("^").among([name, "tailrace.logs"]) == ["tailrace.logs"]
    assert topics("^.*", dead_letter_topic="mine").among(["mine"]) == []


def test_a_topic_that_is_named_and_matched_is_one() -> None:
    """It is read once."""
    assert topics("a.b", "^a", "^.*b$").among(["a.b", "a.c", "c.b"]) == ["a.b", "a.c", "c.b"]
