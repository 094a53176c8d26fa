"""One slice until nothing is left of it: halves, look-ups again, refusals."""

import fakes
import pytest
from fakes import FakeElasticsearch, FakePolled
from hypothesis import given
from hypothesis import strategies as st

from indexer import bulk
from indexer.bulk import Outcome, Reading, Verdict, Whole
from indexer.documents import Translator
from indexer.load import Load
from indexer.ownership import Commit, Owned
from indexer.reasons import Reason
from indexer.slices import Waiting
from tailrace.record import header_prefix, record_id

pytestmark = pytest.mark.usefixtures("both_forms")
STREAM = "logs-app-default"
MOST = 1_000_000


def _load(*ids: int, may_repeat: bool = False, own_ids: bool = True, inherited: int = 0) -> Load:
    owned = Owned("t", 0, 0, inherited)
    owned.stored(Commit(0, 100))
    waiting = Waiting(100_000, 100)
    prefix = header_prefix(STREAM, may_repeat=may_repeat)
    records = [
        FakePolled(b'{"a":1}', (("t", (prefix + record_id("s", number, 1)).encode()),), offset=offset)
        for offset, number in enumerate(ids)
    ]
    waiting.add(owned, fakes.polled(records), len(records))
    translator = Translator(["logs-*-*"], {}, own_ids=own_ids)
    translator.translate(records[:1], owned.origin)  # a stream that it knows
    return Load(waiting.take(), translator)


def test_a_request_that_is_too_large_is_halved_until_one_record_is_to_blame() -> None:
    """Only the record that is too large alone is refused; the others are stored, in larger requests again."""
    load, elastic, sizes = _load(*range(8)), FakeElasticsearch(), []
    giant = record_id("s", 5, 1).encode()
    while load.left:
        body, count = load.body(MOST)
        sizes.append(count)
        too_large = giant in body
        load.answered(bulk.read(413, b"", count) if too_large else bulk.read(*elastic.bulk(body), count), count)
    assert [(refusal.reason, refusal.record.offset) for refusal in load.refusals] == [(Reason.TOO_LARGE, 5)]
    load.buried()
    assert (load.tally.stored, load.tally.finished, load.polled) == (7, 8, 8)
    assert sizes[:2] == [8, 4]


def test_a_request_that_breaks_the_connection_is_halved_and_looked_up() -> None:
    """Down to the record that breaks it, whose refusal says its size; what the broken requests stored counts once."""
    load, elastic, alone = _load(*range(8)), FakeElasticsearch(), 0
    poison = record_id("s", 5, 1).encode()
    while load.left:
        asked = load.to_look_up(MOST)
        if asked:
            load.looked_up(elastic.look_up(asked))
            continue
        if alone == 2:
            size = load.first.size
            load.blame_first()
            alone = 0
            continue
        body, count = load.body(MOST)
        if poison not in body:
            load.answered(bulk.read(*elastic.bulk(body), count), count)
            continue
        alone += count == 1
        if count == 8:
            elastic.bulk(body[: len(body) // 4])  # half of its first half
        load.answered(bulk.read(0, b"", count, broken=True), count)
    assert [(refusal.reason, refusal.record.offset) for refusal in load.refusals] == [(Reason.RESET, 5)]
    assert f"a request of {size} bytes" in load.refusals[0].text
    assert (load.tally.stored, load.tally.already, len(elastic.copies(STREAM))) == (5, 2, 7)


def test_what_breaks_the_connection_does_not_keep_the_others_from_being_sent() -> None:
    """Of eight records the second and the third break it each time: the six others are stored, and those remain."""
    load, elastic = _load(*range(8)), FakeElasticsearch()
    poison = [record_id("s", number, 1).encode() for number in (1, 2)]
    for _ in range(60):
        if asked := load.to_look_up(MOST):
            load.looked_up(elastic.look_up(asked))
        if load.left:
            body, count = load.body(MOST)
            broken = any(one in body for one in poison)
            answer = bulk.read(0, b"", count, broken=True) if broken else bulk.read(*elastic.bulk(body), count)
            load.answered(answer, count)
    assert (load.left, load.tally.stored, len(elastic.copies(STREAM))) == (2, 6, 6)


def test_a_request_that_cannot_be_read_is_halved_and_looked_up() -> None:
    """The one document that spoils a request is found, and nothing is taken for unstored."""
    load, elastic = _load(*range(4)), FakeElasticsearch()
    poison = record_id("s", 2, 1).encode()
    while load.left:
        asked = load.to_look_up(MOST)
        if asked:
            load.looked_up(elastic.look_up(asked))
            continue
        body, count = load.body(MOST)
        malformed = Reading(Whole.MALFORMED, text="HTTP 400")
        load.answered(malformed if poison in body else bulk.read(*elastic.bulk(body), count), count)
    assert [refusal.record.offset for refusal in load.refusals] == [2]
    assert load.tally.stored == 3


def test_what_may_be_its_own_fault_is_sent_again_until_it_is_blamed() -> None:
    """Each time it is named with its stream; blamed, it is a refusal with what was said of it last."""
    load, elastic = _load(*range(5)), FakeElasticsearch()
    why = Verdict(Outcome.ODD, "illegal_argument_exception", "unable to parse date")
    stored = Verdict(Outcome.STORED)
    _, count = load.body(MOST)
    first = Reading(Whole.MIXED, [stored, why, stored, why, stored])
    assert (first.has_odd, load.streams(first, count)) == (True, {STREAM})
    assert [one.records for one in load.answered(first, count)] == [2]
    assert [(one.spot.offset, one.stream, one.verdict) for one in load.odd] == [(1, STREAM, why), (3, STREAM, why)]
    load.looked_up(elastic.look_up(load.to_look_up(MOST)))
    _, count = load.body(MOST)
    second = Reading(Whole.MIXED, [why, why])
    assert (count, load.streams(second, count)) == (2, set())
    load.answered(second, count)
    load.blame(load.odd[1:])
    assert [(one.reason, one.record.offset, one.text) for one in load.refusals] == [(Reason.REFUSED, 3, why.text)]
    load.buried()
    load.looked_up(elastic.look_up(load.to_look_up(MOST)))
    whole = bulk.read(*elastic.bulk(load.body(MOST)[0]), 1)
    assert load.streams(whole, 1) == {STREAM}
    load.answered(whole, 1)
    assert (load.odd, load.left, load.tally.stored, load.tally.finished) == ([], 0, 4, 5)


def test_what_was_looked_up_and_found_no_room_is_looked_up_again() -> None:
    """Two copies in one request: the second is stored, a rollover comes, and the first must not be stored beside it."""
    load, elastic = _load(7, 7, may_repeat=True), FakeElasticsearch()
    load.looked_up(elastic.look_up(load.to_look_up(MOST)))
    body, count = load.body(MOST)
    load.answered(bulk.read(*elastic.bulk(body, full=frozenset({0})), count), count)
    elastic.rollover(STREAM)
    load.looked_up(elastic.look_up(load.to_look_up(MOST)))
    assert (load.left, load.tally.stored, load.tally.already) == (0, 1, 1)


def test_an_item_that_was_refused_in_another_way_than_for_room_is_looked_up() -> None:
    """It may be stored though the answer says no; where there was no room it is not, and goes first."""
    load, elastic = _load(*range(3)), FakeElasticsearch()
    stored, refused, full = (Verdict(one) for one in (Outcome.STORED, Outcome.REFUSED, Outcome.FULL))
    _, count = load.body(MOST)
    load.answered(Reading(Whole.MIXED, [stored, refused, full]), count)
    assert load.to_look_up(MOST) == []
    body, count = load.body(MOST)
    assert record_id("s", 2, 1).encode() in body
    load.answered(bulk.read(*elastic.bulk(body), count), count)
    assert load.to_look_up(MOST) == [(STREAM, record_id("s", 1, 1))]


def test_what_is_leaving_is_dropped_and_the_others_go_on() -> None:
    """Before it is sent, and after a request whose outcome nobody knows: its next owner sees to it."""
    for tried in (False, True):
        owners = [Owned("t", number, 0, 0) for number in range(2)]
        waiting, translator, elastic = Waiting(100_000, 100), Translator(["logs-*-*"], {}), FakeElasticsearch()
        for number, owned in enumerate(owners):
            owned.stored(Commit(0, 100))
            header = (header_prefix(STREAM, may_repeat=False) + record_id("s", number, 1)).encode()
            records = [FakePolled(b"{}", (("t", header),), offset=offset) for offset in range(number + 1)]
            translator.translate(records, owned.origin)
            waiting.add(owned, fakes.polled(records), len(records))
        load = Load(waiting.take(), translator)
        if tried:
            _, count = load.body(MOST)
            load.answered(bulk.read(0, b"", count), count)
        assert load.drop_leaving() == 0
        owners[1].leaving = True
        assert (load.drop_leaving(), load.left, load.abandoned) == (2, 1, {owners[1]})
        load.looked_up(elastic.look_up(load.to_look_up(MOST)))
        body, count = load.body(MOST)
        load.answered(bulk.read(*elastic.bulk(body), count), count)
        assert (load.left, load.tally.stored, elastic.copies(STREAM)) == (0, 1, [record_id("s", 0, 1)])


def test_a_request_keeps_to_the_pace() -> None:
    """A load that is larger than requests may be by now goes in several; its last crumb is none of its own.

    One record goes however large it is, and what is looked up is what goes next.
    """
    size = len(_load(0).body(MOST)[0])
    for most, count in ((1, 1), (3 * size, 3), (4 * size - 1, 3), (9 * size, 10), (10 * size, 10)):
        assert _load(*range(10)).body(most)[1] == count
    load, elastic, counts = _load(*range(10), may_repeat=True), FakeElasticsearch(), []
    while load.left:
        asked = load.to_look_up(3 * size)
        load.looked_up(elastic.look_up(asked))
        body, count = load.body(3 * size)
        assert len(asked) == count
        counts.append(count)
        load.answered(bulk.read(*elastic.bulk(body), count), count)
    assert counts == [3, 3, 3, 1]


def test_a_repetition_waits_for_what_is_before_it_in_its_partition() -> None:
    """Else it could be found absent and be stored while its first copy waits for room, which then is stored, too."""
    owned = Owned("t", 0, 0, 0)
    owned.stored(Commit(0, 100))
    waiting = Waiting(100_000, 1)
    for offset, may_repeat in enumerate((False, True)):
        header = header_prefix(STREAM, may_repeat=may_repeat) + record_id("s", 7, 1)
        records = [FakePolled(b'{"a":1}', (("t", header.encode()),), offset=offset)]
        waiting.add(owned, fakes.polled(records), offset + 1)
    first, second = [Load(waiting.take(), Translator(["logs-*-*"], {})) for _ in range(2)]
    assert (first.waits, second.waits) == (False, True)
    owned.watermark.finish(first.parts[0].span)
    assert not second.waits


def test_what_a_late_try_of_ours_stored_is_no_duplicate() -> None:
    """What was looked up in vain and exists after all is already stored; what nobody doubted is there twice."""
    load, elastic = _load(7, may_repeat=True), FakeElasticsearch()
    load.looked_up(elastic.look_up(load.to_look_up(MOST)))
    body, count = load.body(MOST)
    elastic.bulk(body)
    load.answered(bulk.read(*elastic.bulk(body), count), count)
    assert (load.tally.already, load.tally.duplicates) == (1, 0)
    load = _load(7)
    load.answered(bulk.read(*elastic.bulk(load.body(MOST)[0]), 1), 1)
    assert (load.tally.already, load.tally.duplicates) == (0, 1)


@given(st.lists(st.sampled_from(("lost", "late", "full", "refused", "stored")), max_size=12), st.integers(1, 6))
def test_with_ids_of_elasticsearch_each_record_is_stored_at_least_once(fates: list[str], count: int) -> None:
    """Flagged, inherited or of unknown outcome: it is sent without a question, and again until it is stored.

    Only what was carried out though we do not know it (``late``) is stored more than once.
    """
    numbers = range(count)
    load, elastic = _load(*numbers, may_repeat=True, own_ids=False, inherited=3), FakeElasticsearch()
    late = 0
    for fate in [*fates, "stored"]:
        if not load.left:
            break
        assert (load.to_look_up(MOST), load.waits) == ([], False)
        body, sent = load.body(MOST)
        if fate == "late":
            elastic.bulk(body)
            late += 1
        if fate in ("lost", "late"):
            load.answered(bulk.read(0, b"", sent), sent)
        elif fate == "refused":
            load.answered(Reading(Whole.MIXED, [Verdict(Outcome.REFUSED, "cluster_block_exception")] * sent), sent)
        else:
            full = frozenset({0}) if fate == "full" else frozenset()
            load.answered(bulk.read(*elastic.bulk(body, full=full), sent), sent)
    assert (load.left, load.tally.stored, load.tally.already, load.tally.duplicates) == (0, count, 0, 0)
    assert count <= len(elastic.copies(STREAM)) <= count * (1 + late)


def test_a_dead_letter_keeps_the_id_of_its_record_whoever_makes_those_of_documents() -> None:
    """So that it can be traced, settled and sent again as the record that it is."""
    for own_ids in (True, False):
        load = _load(0, 1, own_ids=own_ids)
        _, count = load.body(MOST)
        verdicts = [Verdict(Outcome.STORED), Verdict(Outcome.REJECTED, "document_parsing_exception", "no number")]
        load.answered(Reading(Whole.MIXED, verdicts), count)
        (refusal,) = load.refusals
        assert (refusal.stream, refusal.record_id) == (STREAM, record_id("s", 1, 1))
