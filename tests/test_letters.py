"""What stands in the dead letter topic: letters, what settled them, and what strangers put there."""

import pytest
from fakes import FakePolled

from indexer.dead_letters import cut, letter
from indexer.documents import Refusal
from indexer.ownership import Origin
from indexer.reasons import Reason
from tailrace.cli.letter_view import letter_block, letter_json
from tailrace.letters import Letter, Settled, Settlement, Settling, Subject, host, read, service, settling_headers

VALUE = b'{"service":{"name":"play"},"host.name":"web-1","n":"x"}'
RECORD = FakePolled(VALUE, (("t", b"1||logs-app-default|i"), ("trace", b"x")), b"key", offset=7)
REFUSAL = Refusal(RECORD, Origin("logs", 2), Reason.MAPPING, "why", "some_type", "n", "logs-app-default", "i")
SUBJECT = Subject("logs", 2, 7, RECORD.timestamp)


def _written(whole: object) -> FakePolled:
    return FakePolled(whole.value, whole.headers, whole.key, offset=3)  # type: ignore[attr-defined]


def test_a_letter_is_read_as_it_was_written() -> None:
    """Nothing of the record or of the refusal gets lost on the way."""
    found = read(1, _written(letter(REFUSAL, 5)))
    assert found == Letter(
        partition=1, offset=3, subject=SUBJECT, reason="mapping", error="why", error_type="some_type", field="n",
        stream="logs-app-default", record_id="i", time=5, length=len(VALUE), key=b"key", value=VALUE,
        headers=RECORD.headers,
    )  # fmt: skip
    assert isinstance(found, Letter)
    assert (found.dataset, service(found.document()), host(found.document())) == ("app", "play", "web-1")
    assert found.is_open
    assert not found.is_cut


def test_a_cut_letter_has_no_document() -> None:
    """What is left of it could be an object by chance, and is not the one that was refused."""
    found = read(0, _written(cut(letter(REFUSAL, 5), 2)))
    assert isinstance(found, Letter)
    assert (found.is_cut, found.length, found.document()) == (True, len(VALUE), None)


def test_a_settlement_names_its_letter_and_says_who_and_why() -> None:
    """It has no value, so that whoever reads the topic for documents passes over it."""
    settling = Settling(SUBJECT, Settlement(Settled.DROPPED, 9, "ann@web-1", "test data"))
    assert read(2, FakePolled(None, settling_headers(settling))) == settling


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("tailrace.reason", b"mapping"),),
        (("tailrace.reason", None), ("tailrace.topic", None), ("tailrace.partition", None)),
        (("tailrace.topic", b"a"), ("tailrace.partition", b"-1"), ("tailrace.offset", b"1"), ("tailrace.reason", b"")),
        (("tailrace.topic", b"a"), ("tailrace.partition", b"1"), ("tailrace.offset", b"1"), ("tailrace.settled", b"")),
        (("tailrace.topic", b"a"), ("tailrace.partition", b"1"), ("tailrace.offset", b"9" * 30)),
        (("tailrace.topic", b"a"), ("tailrace.partition", b"1"), ("tailrace.offset", "²".encode())),
    ],
)
def test_what_strangers_write_is_neither(headers: tuple[tuple[str, bytes], ...]) -> None:
    """Anybody who may write to the topic may write anything; none of it is an error."""
    assert read(0, FakePolled(b"x", headers)) is None
    assert read(0, FakePolled(None, headers)) is None


@pytest.mark.parametrize(
    ("said", "time"), [(253_370_764_799_000, 253_370_764_799_000), (999_999_999_999_999_999, 253_370_764_800_000)]
)
def test_a_time_that_no_calendar_has_is_its_last_year(said: int, time: int) -> None:
    """Else one record of a stranger's would be in the way of all letters: each is shown with its time."""
    found = read(1, _written(letter(REFUSAL, said)))
    assert isinstance(found, Letter)
    assert found.time == time
    assert letter_json(found)["time"].startswith("9998-12-31T23:59:59" if said == time else "9999-01-01T00:00:00")
    letter_block(found, 0.0)
    settling = Settling(SUBJECT, Settlement(Settled.DROPPED, said, "ann", ""))
    again = read(1, FakePolled(None, settling_headers(settling)))
    assert isinstance(again, Settling)
    assert again.settlement.time == time


def test_what_is_nested_too_deeply_is_not_looked_into() -> None:
    """Whoever looks into it does so level by level, and a person's terminal would end first."""
    for depth, is_there in ((100, True), (198, True), (201, False), (1000, False)):
        value = b'{"a":' * depth + b"[1]" + b"}" * depth
        found = read(0, _written(letter(REFUSAL._replace(record=RECORD._replace(value=value)), 5)))
        assert isinstance(found, Letter)
        assert (found.document() is not None) == is_there
