"""Polled records to slices: full, in order, in turn, and never past the reach."""

from collections.abc import Sequence

import fakes
import pytest
from fakes import FakePolled
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.documents import Polled
from indexer.ownership import Commit, Owned
from indexer.rows import joined
from indexer.slices import Part, Waiting

pytestmark = pytest.mark.usefixtures("both_forms")


def _owned(reach: int = 10**9, partition: int = 0) -> Owned:
    owned = Owned("t", partition, 0, 0)
    owned.stored(Commit(0, reach))
    return owned


def _records(start: int, count: int, size: int = 10) -> Sequence[Polled]:
    return fakes.polled([FakePolled(b"x" * size, offset=offset) for offset in range(start, start + count)])


def _offsets(parts: list[Part]) -> list[int]:
    return [record.offset for part in parts for record in part.records]


def test_a_slice_is_cut_at_the_most_actions_and_the_most_bytes() -> None:
    """Whatever comes first ends a slice; the rest is the beginning of the next."""
    owned = _owned()
    waiting = Waiting(slice_bytes=10_000, slice_actions=7)
    waiting.add(owned, _records(0, 5), 5)
    assert not waiting.full
    waiting.add(owned, _records(5, 5), 10)
    assert waiting.full
    assert _offsets(waiting.take()) == list(range(7))
    assert _offsets(waiting.take()) == [7, 8, 9]
    assert (waiting.take(), waiting.actions, waiting.bytes, bool(waiting)) == ([], 0, 0, False)
    waiting.add(owned, _records(10, 1, size=5000), 11)
    assert not waiting.full
    waiting.add(owned, _records(11, 1, size=5000), 12)
    assert waiting.full
    waiting.add(owned, _records(12, 5, size=5000), 17)
    assert _offsets(waiting.take()) == [10]


def test_a_record_larger_than_a_slice_is_a_slice() -> None:
    """It is sent alone; whether it is too large is for Elasticsearch to say."""
    waiting = Waiting(slice_bytes=1000, slice_actions=10)
    waiting.add(_owned(), _records(0, 2, size=5000), 2)
    assert _offsets(waiting.take()) == [0]
    assert _offsets(waiting.take()) == [1]


def test_nothing_is_taken_at_or_past_the_reach() -> None:
    """A partition waits for its commit while others go on."""
    short, other = _owned(reach=3), _owned(partition=1)
    waiting = Waiting(10_000, 100)
    waiting.add(short, _records(0, 5), 5)
    waiting.add(other, _records(0, 2), 2)
    assert _offsets(waiting.take()) == [0, 1, 2, 0, 1]
    assert waiting.take() == []
    short.stored(Commit(0, 5))
    assert _offsets(waiting.take()) == [3, 4]


def test_it_tells_when_little_is_left() -> None:
    """Whether what waited was taken, or dropped; not while there is more."""
    first, second = _owned(), _owned(partition=1)
    waiting = Waiting(10_000, slice_actions=1)
    for owned in (first, second):
        waiting.add(owned, _records(0, 2, size=2000), 2)
    told: list[int] = []
    waiting.tell(waiting.bytes * 5 // 8, lambda: told.append(waiting.actions))
    waiting.take()
    assert told == []
    waiting.take()
    waiting.drop(first)
    waiting.drop(second)
    assert told == [2, 1, 0]
    waiting.tell(0, lambda: told.append(-1))
    waiting.add(first, _records(2, 1), 3)
    assert told[-1] == 0
    waiting.drop(first)
    assert told[-1] == -1


def test_partitions_take_turns() -> None:
    """One with a long queue does not keep the others waiting for long."""
    busy, quiet = _owned(), _owned(partition=1)
    waiting = Waiting(100_000, 10)
    waiting.add(busy, _records(0, 100), 100)
    waiting.add(quiet, _records(0, 1), 1)
    assert {part.owned for part in waiting.take()} == {busy}
    assert {part.owned for part in waiting.take()} == {busy, quiet}


def test_a_gap_moves_the_position_when_its_turn_comes() -> None:
    """Offsets without records are a part of their own, which ends what was before it first."""
    owned = _owned()
    waiting = Waiting(10_000, 10)
    waiting.add(owned, _records(0, 2), 2)
    waiting.add(owned, [], 50)
    waiting.add(owned, _records(50, 1), 51)
    (part,) = waiting.take()
    assert (_offsets([part]), part.span.end) == ([0, 1, 50], 51)
    assert type(part.records) is type(_records(0, 1)), "a gap makes objects of what is around it"
    assert owned.watermark.position == 0
    owned.watermark.finish(part.span)
    assert owned.watermark.position == 51
    waiting.add(owned, [], 60)
    (part,) = waiting.take()
    assert (_offsets([part]), part.span.end) == ([], 60)


def test_a_gap_wider_than_the_reach_is_done_with_what_precedes_it() -> None:
    """Else what was polled behind it would wait for a reach that can never come: nothing is in flight to move it."""
    owned = _owned(reach=10)
    waiting = Waiting(10_000, 100)
    waiting.add(owned, joined([_records(0, 3), _records(1000, 2), _records(2000, 1)]), 2001)
    (part,) = waiting.take()
    assert (_offsets([part]), part.span.end) == ([0, 1, 2], 1000)
    owned.watermark.finish(part.span)
    owned.stored(Commit(1000, 1010))
    (part,) = waiting.take()
    assert (_offsets([part]), part.span.end) == ([1000, 1001], 2000)
    owned.stored(Commit(2000, 2010))
    assert _offsets(waiting.take()) == [2000]
    assert (waiting.actions, waiting.bytes) == (0, 0)


def test_what_is_dropped_is_counted_and_forgotten() -> None:
    """When a partition goes, its records go."""
    owned = _owned()
    waiting = Waiting(10_000, 10)
    waiting.add(owned, _records(0, 4), 4)
    assert (waiting.drop(owned), waiting.drop(owned), waiting.actions, waiting.bytes) == (4, 0, 0, 0)


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.lists(st.integers(0, 400), min_size=1, max_size=8)), max_size=12),
    st.integers(1, 6),
    st.integers(200, 1500),
)
def test_every_record_is_in_exactly_one_slice_in_order(
    polls: list[tuple[int, list[int]]], actions: int, size: int
) -> None:
    """Per partition, the slices together are what was polled, and the spans lie end to end."""
    owners = [_owned(partition=number) for number in range(3)]
    waiting = Waiting(size, actions)
    polled: list[list[int]] = [[], [], []]
    for number, sizes in polls:
        start = len(polled[number])
        records = [FakePolled(b"x" * one, offset=start + place) for place, one in enumerate(sizes)]
        polled[number] += [record.offset for record in records]
        waiting.add(owners[number], fakes.polled(records), start + len(records))
    taken: list[list[int]] = [[], [], []]
    while parts := waiting.take():
        assert sum(len(part.records) for part in parts) <= actions
        for part in parts:
            number = owners.index(part.owned)
            assert part.span.start == len(taken[number])
            taken[number] += [record.offset for record in part.records]
            assert part.span.end == len(taken[number])
            part.owned.watermark.finish(part.span)
    assert taken == polled
    assert (waiting.actions, waiting.bytes) == (0, 0)
