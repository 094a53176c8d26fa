"""A dead letter says why, and holds all that is needed to send the record again."""

from fakes import FakePolled

from indexer.dead_letters import cut, letter
from indexer.documents import Refusal
from indexer.ownership import Origin
from indexer.reasons import Reason

RECORD = FakePolled(b"value", (("t", b"1||s|i"), ("trace", b"x")), b"key", offset=7)
ORIGIN = Origin("logs", 2)


def test_a_letter_keeps_the_record_and_says_why() -> None:
    """Value, key and headers are unchanged; ours come after them."""
    refusal = Refusal(RECORD, ORIGIN, Reason.MAPPING, "why", "document_parsing_exception", "n", "logs-app-default", "i")
    found = letter(refusal, 5)
    assert (found.key, found.value) == (b"key", b"value")
    assert found.headers == [
        ("t", b"1||s|i"),
        ("trace", b"x"),
        ("tailrace.reason", b"mapping"),
        ("tailrace.error", b"why"),
        ("tailrace.error_type", b"document_parsing_exception"),
        ("tailrace.field", b"n"),
        ("tailrace.stream", b"logs-app-default"),
        ("tailrace.id", b"i"),
        ("tailrace.topic", b"logs"),
        ("tailrace.partition", b"2"),
        ("tailrace.offset", b"7"),
        ("tailrace.timestamp", b"1795459038138"),
        ("tailrace.time", b"5"),
    ]


def test_headers_are_short_and_whole_characters() -> None:
    """However long a reason is, a header of ours has at most a KiB, and is valid UTF-8."""
    found = dict(letter(Refusal(RECORD, ORIGIN, Reason.JSON, "é" * 5000 + "\ud800"), 5).headers)
    assert len(found["tailrace.error"]) <= 1024
    assert set(found["tailrace.error"].decode()) == {"é"}


def test_a_second_refusal_replaces_the_first() -> None:
    """A letter that was sent again and refused again does not collect headers."""
    first = letter(Refusal(RECORD, ORIGIN, Reason.JSON, "one"), 5)
    again = letter(Refusal(RECORD._replace(headers=first.headers), ORIGIN, Reason.TIME, "two"), 6)
    assert [value for name, value in again.headers if name == "tailrace.error"] == [b"two"]
    assert len(again.headers) == len(first.headers)


def test_a_letter_that_is_too_large_says_how_long_it_was() -> None:
    """Cut twice, it still tells the first length."""
    whole = letter(Refusal(RECORD, ORIGIN, Reason.TOO_LARGE, "x"), 5)
    small = cut(cut(whole, 4), 2)
    assert small.value == b"va"
    assert [value for name, value in small.headers if name == "tailrace.truncated"] == [b"5"]
