"""The pace of the indexer: within its limits, slower with trouble, and fast again after it."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from indexer.bulk import Whole
from indexer.load import Again
from indexer.pace import Begun, Pace, Sign, sign

MOST = 4_194_304
SLOW = 5.0
SIGNS = [one for one in Sign if one is not Sign.SLOW]


def answer(pace: Pace, what: Sign = Sign.GOOD, seconds: float = 0.1, size: int | None = None) -> Sign | None:
    """One request that makes use of the pace, or of ``size`` bytes, alone on its way if it is given."""
    begun = pace.begin(pace.bytes if size is None else size, pace.requests if size is None else 1)
    return pace.end(begun, what, seconds)


def within_limits(pace: Pace, most_bytes: int, most_requests: int) -> None:
    """Never more than the settings say, never less than one request of one record."""
    assert 1 <= pace.bytes <= most_bytes
    assert 1 <= pace.requests <= most_requests


STEPS = st.lists(st.tuples(st.booleans(), st.sampled_from(SIGNS), st.floats(0, 20), st.integers(1, 10**8)), max_size=60)


@settings(deadline=None)
@given(most_bytes=st.integers(1, 10**8), most_requests=st.integers(1, 20), steps=STEPS)
@example(
    most_bytes=131_072,
    most_requests=1,
    steps=[
        *[(True, Sign.GOOD, 0.0, 131_072)] * 2,
        *[(False, Sign.FULL, 0.0, 0), (False, Sign.TOO_LARGE, 0.0, 0)],
    ],
)
def test_limits_are_kept_and_full_speed_comes_back(
    most_bytes: int, most_requests: int, steps: list[tuple[bool, Sign, float, int]]
) -> None:
    """Whatever comes back, in whatever order, the limits are kept; then good answers alone lead to both of them again.

    Some hundred suffice, unless something was too large: that is not tried again before a thousand more.
    """
    pace = Pace(most_bytes, most_requests, SLOW)
    flying: list[Begun] = []
    for begins, what, seconds, size in steps:
        if begins or not flying:
            flying.append(pace.begin(min(size, most_bytes), len(flying) + 1))
        else:
            before = (pace.bytes, pace.requests)
            slower = pace.end(flying.pop(size % len(flying)), what, seconds)
            if what is not Sign.GOOD or slower is not None:
                assert pace.bytes <= before[0]
                assert pace.requests <= before[1]
            assert (slower is None) or (pace.bytes, pace.requests) != before
        within_limits(pace, most_bytes, most_requests)
    needed = 75 + 2 * most_requests * (most_requests + 1)
    if any(what is Sign.TOO_LARGE for _, what, _, _ in steps):
        needed += 1001 * 28
    for _ in range(needed):
        if (pace.bytes, pace.requests) == (most_bytes, most_requests):
            break
        answer(pace)
        within_limits(pace, most_bytes, most_requests)
    assert (pace.bytes, pace.requests) == (most_bytes, most_requests)


def test_a_full_cluster_gets_fewer_requests_and_then_smaller_ones() -> None:
    """429 says that there is too much at once; the last request in flight is made smaller instead."""
    pace = Pace(MOST, 4, SLOW)
    seen = []
    for _ in range(4):
        assert answer(pace, Sign.FULL) is Sign.FULL
        seen.append((pace.requests, pace.bytes))
    assert seen == [(2, MOST), (1, MOST), (1, MOST // 2), (1, MOST // 4)]


def test_a_slow_cluster_gets_smaller_requests() -> None:
    """Also when it stores all that it is sent: a stop must be able to wait for what is in flight."""
    pace = Pace(MOST, 3, SLOW)
    assert answer(pace, Sign.GOOD, 5.1) is Sign.SLOW
    assert answer(pace, Sign.AWAY, 60.0) is Sign.SLOW
    assert (pace.requests, pace.bytes) == (3, MOST // 4)
    assert answer(pace, Sign.GOOD, 4.9) is None
    assert pace.bytes > MOST // 4


def test_one_trouble_of_many_requests_counts_once() -> None:
    """What was in flight together fails together: else one reset connection would stop a fast indexer."""
    pace = Pace(MOST, 8, SLOW)
    flying = [pace.begin(MOST, number + 1) for number in range(8)]
    assert [pace.end(one, Sign.AWAY, 0.1) for one in flying] == [Sign.AWAY] + [None] * 7
    assert pace.requests == 4


def test_a_refused_size_is_not_tried_again_soon() -> None:
    """A proxy's limit is found in a few requests, and then met once in a thousand, for it may be changed."""
    pace = Pace(MOST, 3, SLOW)
    sent = refused = 0
    limit = 1_048_576
    for _ in range(5000):
        sent += 1
        too_large = pace.bytes >= limit
        refused += too_large
        answer(pace, Sign.TOO_LARGE if too_large else Sign.GOOD)
    assert refused <= 3 + sent // 1000
    limit = MOST * 2
    for _ in range(3000):
        answer(pace)
    assert pace.bytes == MOST


def test_a_trickle_proves_nothing() -> None:
    """Small lone requests are answered well by a cluster that would not take large ones."""
    pace = Pace(MOST, 4, SLOW)
    for _ in range(6):
        answer(pace, Sign.FULL)
    before = (pace.requests, pace.bytes)
    pace.end(pace.begin(500, 0), Sign.GOOD, 0.1)
    assert (pace.requests, pace.bytes) == before


@pytest.mark.parametrize("room", [300_000, 2_000_000, 9_000_000])
def test_it_finds_what_a_cluster_has_room_for(room: int) -> None:
    """In a model that refuses the items beyond its room, most of it is used, and few items are refused."""
    pace = Pace(MOST, 4, SLOW)
    used = refused = rounds = 0
    for number in range(600):
        left = room
        for one in [pace.begin(pace.bytes, count + 1) for count in range(pace.requests)]:
            taken = min(left, one.size)
            left -= taken
            pace.end(one, Sign.GOOD if taken == one.size else Sign.FULL, 0.1)
            if number >= 100:
                refused += one.size - taken
        if number >= 100:
            used += room - left
            rounds += 1
    assert used / rounds > 0.7 * min(room, 4 * MOST)
    assert refused / used < 0.15


def test_what_an_answer_says_of_the_cluster() -> None:
    """Documents that are refused for their own fault are no reason to be slower."""
    full, refused = Again("x", "", 1, full=True), Again("x", "", 1, full=False)
    assert sign(200, Whole.ALL_STORED, []) is Sign.GOOD
    assert sign(200, Whole.MIXED, []) is Sign.GOOD
    assert sign(200, Whole.MIXED, [refused, full]) is Sign.FULL
    assert sign(200, Whole.MIXED, [refused]) is Sign.AWAY
    assert sign(200, Whole.FAILED, [refused]) is Sign.AWAY
    assert sign(0, Whole.FAILED, [refused]) is Sign.AWAY
    assert sign(429, Whole.FAILED, [refused]) is Sign.FULL
    assert sign(413, Whole.TOO_LARGE, []) is Sign.TOO_LARGE
    assert sign(400, Whole.MALFORMED, []) is Sign.NONE
