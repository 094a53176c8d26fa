"""What the ledger is told: what is acknowledged, when it is news, and nothing else."""

import orjson

from shipper.identity import Place
from shipper.ledger import Ledger
from shipper.records import Encoder
from shipper.source import Source, fresh_row
from tailrace.settings import Input
from tailrace.watermark import Span

ENTRY = Input(paths=["/x"], dataset="app", format="plain")


def a_source() -> Source:
    """A source of which nothing was read."""
    return Source(fresh_row("s1", "/x", Place(1, 1)), Encoder(ENTRY, "s1", "/x", {"name": "h"}, 900_000, 1000), b"")


def send(source: Source, content: bytes) -> Span:
    """The source reads this, and it is on its way."""
    step = source.read(source.anchor + content, 0, full=False)
    assert step is not None
    return source.begin(step)


def told(ledger: Ledger, source: Source) -> list[tuple[int, int, bool]]:
    """Position, records and end that the ledger is told now."""
    entries = [orjson.loads(value) for _key, value in ledger.news([source], "now")]
    return [(entry["position"], entry["records"], entry["ended"]) for entry in entries]


def test_what_is_on_its_way_is_told_once_it_is_acknowledged() -> None:
    """Each position that was reached is told once: what is in flight is neither told before nor taken for told."""
    ledger, source = Ledger("h"), a_source()
    first, second = send(source, b"one\n"), send(source, b"two\nthree\n")
    assert told(ledger, source) == [(0, 0, False)]
    assert told(ledger, source) == []
    source.finish(second)
    assert told(ledger, source) == []
    source.finish(first)
    assert told(ledger, source) == [(14, 3, False)]
    assert told(ledger, source) == []


def test_a_source_that_ended_is_told_once_more() -> None:
    """With its last position, and marked as ended."""
    ledger, source = Ledger("h"), a_source()
    source.finish(send(source, b"one\n"))
    ledger.farewell([source])
    assert told(ledger, source) == [(4, 1, False), (4, 1, True)]
    ledger.farewell([source])
    assert [orjson.loads(value)["ended"] for _key, value in ledger.news([], "now")] == [True]


def test_after_a_failure_all_is_told_again() -> None:
    """Nobody knows what of it arrived."""
    ledger, source = Ledger("h"), a_source()
    assert told(ledger, source) == [(0, 0, False)]
    ledger.forget()
    assert told(ledger, source) == [(0, 0, False)]
