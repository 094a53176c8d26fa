"""The chain of a source: whatever is taken away or doubled is named to the byte, and nothing else is."""

from itertools import pairwise

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.audit.chain import Cover, Double, Kept, Range, joined, walked
from tailrace.audit.entry import RECOUNTED, Entry, entry
from tailrace.audit.plan import Loss
from tailrace.audit.verdict import Buried, Result, Sums, Tally, Verdict, agree, by_chain, by_sums


def kept(number: int, offset: int, size: int, skipped: int = 0) -> Kept:
    """A record of a source."""
    return Kept(f"s:{offset:016d}:{number:08x}", offset, size, skipped)


def chain_of(sizes: list[tuple[int, int]]) -> list[Kept]:
    """Records of these lengths, each with so many bytes before it that gave none."""
    found, end = [], 0
    for number, (skipped, size) in enumerate(sizes):
        found.append(kept(number, end + skipped, size, skipped))
        end += skipped + size
    return found


def told(position: int, records: int, **more: object) -> Entry:
    """What the ledger tells of a source."""
    said = {"source": "s", "position": position, "records": records, "bytes": position, **more}
    found = entry(orjson.dumps(said))
    assert found is not None
    return found


CHAINS = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 50)), min_size=1, max_size=30).map(chain_of)
FOUR = chain_of([(0, 10), (2, 10), (0, 10), (3, 10)])


def cover(stored: list[Kept]) -> Cover:
    """What some records cover."""
    found = Cover()
    found.take([(one.offset, one.bytes, one.skipped) for one in stored])
    return found


def covered(ranges: list[Range]) -> set[int]:
    """All bytes of some ranges."""
    return {byte for one in ranges for byte in range(one.start, one.end)}


@given(CHAINS, st.data())
def test_what_is_taken_away_or_doubled_is_named_to_the_byte(records: list[Kept], data: st.DataObject) -> None:
    """In whatever order they come: missing are exactly the bytes of the records that are gone and not dead.

    With them those that only they said were skipped; a dead letter of what is stored counts for nothing.
    """
    gone = set(data.draw(st.lists(st.sampled_from(records), unique=True)))
    dead = set(data.draw(st.lists(st.sampled_from(records), unique=True)))
    twice = set(data.draw(st.lists(st.sampled_from(records), unique=True))) - gone
    begin, end = records[0].offset - records[0].skipped, records[-1].offset + records[-1].bytes
    stored = data.draw(st.permutations([*(one for one in records if one not in gone), *twice]))
    found = Cover()
    for start in range(0, len(stored), 7):
        found.take([(one.offset, one.bytes, one.skipped) for one in stored[start : start + 7]])
    assert set(found.bury([*dead, *dead])) == dead & gone
    gaps = found.gaps(begin, end)
    assert found.stretches <= len(gaps) + 1
    lost = gone - dead
    assert covered(gaps) == {byte for one in lost for byte in range(one.offset - one.skipped, one.offset + one.bytes)}
    assert all(first.end < second.start for first, second in pairwise(gaps))
    spans = {byte for one in twice for byte in range(one.offset - one.skipped, one.offset + one.bytes)}
    assert covered(found.conflicts) == spans
    walk = walked(sorted(stored, key=lambda one: one.offset))
    assert [(one.start, one.end, one.records) for one in walk.doubles] == [
        (one.offset, one.offset + one.bytes, (one.record_id,)) for one in sorted(twice, key=lambda one: one.offset)
    ]
    assert walk.claims == []


def test_records_that_overlap_are_doubled_where_they_do() -> None:
    """As when a cut was not repeated: two ids for the same bytes."""
    records = [kept(0, 0, 10), kept(1, 5, 10), kept(2, 15, 5)]
    found = walked(records)
    assert [(one.start, one.end) for one in found.doubles] == [(5, 10)]
    assert len(found.doubles[0].records) == 2
    assert cover(records).conflicts == [Range(5, 10)]
    assert cover(records).gaps(0, 20) == found.gaps == []


def test_the_end_is_where_the_ledger_says() -> None:
    """A chain that ends early lacks its last bytes; one that goes on is not to be blamed."""
    assert cover(FOUR).gaps(0, 50) == [Range(45, 50)]
    assert cover(FOUR).gaps(0, 45) == cover(FOUR).gaps(0, 20) == []
    assert cover([]).gaps(0, 45) == [Range(0, 45)]
    assert cover(FOUR).gaps(47, 50) == [Range(47, 50)]


def test_a_claim_to_have_skipped_what_is_stored_is_no_gap() -> None:
    """Filters that changed while records were sent again may leave such a record; nothing is lost by it."""
    records = [kept(0, 0, 10), kept(1, 12, 8, skipped=4)]
    found = walked(records)
    assert (found.gaps, found.doubles, found.claims) == ([], [], [Range(8, 10)])
    assert cover(records).gaps(0, 20) == []


def test_stretches_that_touch_are_walked_as_one() -> None:
    """Each with room before it for the record that reaches into it."""
    assert joined([Range(100, 110), Range(5, 9), Range(111, 120)], 10) == [Range(0, 9), Range(90, 120)]


def test_sums_prove_a_source_only_if_nothing_can_make_up_for_what_is_missing() -> None:
    """The same sums over mixed indices, or with dead letters about, prove nothing."""
    one = told(45, 4, bytes=40, skipped_bytes=5)
    assert agree(one, Sums(4, 40, 5), [])
    assert not agree(one, Sums(4, 40, 5, mixed=True), [])
    assert not agree(one, Sums(4, 40, 5), [Buried(FOUR[0], "mapping")])
    for wrong in (Sums(3, 40, 5), Sums(4, 39, 5), Sums(4, 40, 4)):
        assert not agree(one, wrong, [])
    assert by_sums(one, Sums(4, 40, 5)).result is Result.WHOLE


def test_a_gap_is_called_what_it_can_be_known_to_be() -> None:
    """Missing; or on its way; or, before the first document of a stream whose old indices are gone, too old."""
    one = told(45, 4)

    def judged(stored: list[Kept], **known: bool) -> Verdict:
        return by_chain(one, cover(stored), [], [], **({"waits": False, "expired": False} | known))

    holed = [FOUR[1], FOUR[3]]
    missing = judged(holed)
    assert (missing.result, missing.missing) == (Result.MISSING, [Range(0, 10), Range(22, 32)])
    waiting = judged(holed, waits=True)
    assert (waiting.result, waiting.waiting, waiting.missing) == (Result.WAITING, missing.missing, [])
    old = judged(holed, expired=True)
    assert (old.result, old.expired, old.missing) == (Result.MISSING, [Range(0, 10)], [Range(22, 32)])
    assert judged([], expired=True).result is Result.EXPIRED
    routed = judged(holed, expired=True, routed=True)
    assert (routed.result, routed.expired) == (Result.EXPIRED, missing.missing)


def test_bytes_that_were_sent_and_are_in_no_record_are_hidden() -> None:
    """The records are without a gap, and one of them says too much was skipped; not where the counts were made anew."""
    chain = [Kept("s:0", 0, 10, 0), Kept("s:20", 20, 10, 10)]
    found = by_chain(told(30, 3), cover(chain), [], [], waits=False, expired=False)
    assert (found.result, found.hidden_bytes, found.missing_record_bytes) == (Result.MISSING, 10, 0)
    reset = told(30, 3, dropped={RECOUNTED: {"records": 0, "bytes": 0}})
    assert reset.dropped == {}
    assert by_chain(reset, cover(chain), [], [], waits=False, expired=False).result is Result.WHOLE
    honest = told(30, 2, bytes=20, skipped_bytes=10)
    assert by_chain(honest, cover(chain), [], [], waits=False, expired=False).result is Result.WHOLE


def test_a_plan_says_how_much_of_what_is_missing_was_in_records() -> None:
    """Of a part of it nobody knows."""
    found = by_chain(told(50, 4, bytes=45, skipped_bytes=5), cover(FOUR[:1]), [], [], waits=False, expired=False)
    assert (found.missing_bytes, found.missing_record_bytes) == (40, 35)
    loss = msgspec.convert(msgspec.to_builtins(found), Loss)
    assert loss.least_record_bytes == 35
    assert msgspec.structs.replace(loss, missing=[Range(10, 22)]).least_record_bytes == 0


def test_a_dead_letter_that_was_cut_leaves_open_where_it_ends() -> None:
    """Neither whole nor missing: nobody can tell; but what is missing elsewhere is."""
    letter = Buried(Kept(FOUR[1].record_id, FOUR[1].offset, 0, 0), "mapping", is_cut=True)
    found = by_chain(told(50, 4), cover([FOUR[0], *FOUR[2:]]), [], [letter], waits=False, expired=False)
    assert (found.result, found.missing) == (Result.MISSING, [Range(45, 50)])
    assert covered(found.expired) == set(range(10, 22))
    assert found.dead_reasons == {"mapping": 1}


@pytest.mark.parametrize("waits", [False, True])
def test_what_is_lost_beside_a_letter_that_was_cut_shows_in_the_count(waits: bool) -> None:
    """Where is not known to the byte, but that it is: the bytes beside the letter are missing, or on their way."""
    letter = Buried(Kept(FOUR[1].record_id, FOUR[1].offset, 0, 0), "mapping", is_cut=True)
    one = told(FOUR[3].offset + FOUR[3].bytes, 4)
    found = by_chain(one, cover([FOUR[0], FOUR[3]]), [], [letter], waits=waits, expired=True)
    assert found.result is (Result.WAITING if waits else Result.MISSING)
    assert covered(found.waiting if waits else found.missing) == set(range(10, FOUR[3].offset - FOUR[3].skipped))
    assert (found.expired, found.missing_record_bytes) == ([], 0), "how much of it was in records nobody knows"
    double = Double(0, 10, (FOUR[0].record_id,))
    found = by_chain(one, cover([FOUR[0], FOUR[3]]), [double], [letter], waits=waits, expired=True)
    assert (found.result, found.missing, found.waiting) == (Result.DOUBLED, [], []), (
        "what is counted twice counts nothing"
    )
    recounted = msgspec.structs.replace(one, recounted=True)
    found = by_chain(recounted, cover([FOUR[0], FOUR[3]]), [], [letter], waits=waits, expired=True)
    assert found.result is Result.EXPIRED


def test_a_file_that_is_read_from_a_later_byte_begins_there() -> None:
    """What the ledger's sums leave over before the position was never to be shipped."""
    one = told(145, 4, bytes=40, skipped_bytes=5)
    assert one.begin == 100
    moved = [Kept(r.record_id, r.offset + 100, r.bytes, r.skipped) for r in FOUR]
    assert by_chain(one, cover(moved), [], [], waits=False, expired=False).result is Result.WHOLE


def test_what_rules_dropped_is_told_by_rule() -> None:
    """Records and bytes of each rule, whatever else the ledger may say of them; added up over sources."""
    tally = Tally()
    for _ in range(2):
        one = told(10, 1, dropped={"debug": {"records": 3, "bytes": 300}, "odd": 7})
        tally.add(by_sums(one, Sums(1, 10, 0)))
    assert {rule: (amount.records, amount.bytes) for rule, amount in tally.totals.dropped.items()} == {
        "debug": (6, 600),
        "odd": (14, 0),
    }
    assert (tally.totals.sources, tally.totals.hosts, tally.is_proved) == (2, 1, True)
    assert not Tally().is_proved, "nothing was looked at"
    tally.add(by_chain(told(45, 4), cover(FOUR[1:]), [], [], waits=False, expired=False))
    assert not tally.is_proved


def test_a_strange_record_of_the_ledger_is_left_alone() -> None:
    """Anybody may write to a topic."""
    for value in (b"", b"x", b"[]", b'{"source":"s"}', b'{"source":"s","position":"1","records":1,"bytes":1}', b"\xff"):
        assert entry(value) is None
