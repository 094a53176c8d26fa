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

    Some hundred suffice, unless something was, or may have been, too large: that is not tried before a thousand more.
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
    if any(what in (Sign.TOO_LARGE, Sign.BROKEN) for _, what, _, _ in steps):
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


def test_who_was_away_is_soon_sent_half_of_what_was_good_before() -> None:
    """However long it was away; what was full or slow is met with care instead, a little more each time."""
    for trouble, seconds, answers in ((Sign.AWAY, 0.1, 5), (Sign.BROKEN, 0.1, 5), (Sign.FULL, 0.1, 20)):
        pace = Pace(MOST, 3, SLOW)
        for _ in range(30):
            answer(pace, trouble, seconds)
        assert (pace.requests, pace.bytes) == (1, 65_536)
        needed = 0
        while pace.bytes < MOST // 2:
            answer(pace)
            needed += 1
        assert (needed <= 5) == (answers == 5)
        assert needed >= answers


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


@pytest.mark.parametrize("limit", [40_000, 300_000, 1_048_576, 3_000_000])
def test_a_size_that_breaks_connections_is_learnt(limit: int) -> None:
    """A proxy that says no 413 is met a few times, then once in a thousand, and most of what it takes is used."""
    pace = Pace(MOST, 3, SLOW)
    room = sent = broken = used = 0
    for number in range(5000):
        size = min(pace.bytes, room or MOST)
        breaks = size > limit
        room = size // 2 if breaks else 2 * size  # as a load does by itself
        sent += number >= 100
        broken += breaks
        used += size * (number >= 100 and not breaks)
        pace.end(pace.begin(size, pace.requests), Sign.BROKEN if breaks else Sign.GOOD, 0.1)
    assert broken <= 40 + sent // 500
    assert used / sent > 0.4 * limit


def test_a_server_that_goes_away_teaches_no_size() -> None:
    """Connections that break, at whatever size, and again after a few good answers, prove nothing: it may be restarted.

    So after that full speed is back as soon as after any other trouble; a limit that was learnt before stays as it is.
    """
    pace = Pace(MOST, 3, SLOW)
    for _ in range(100):
        answer(pace, Sign.BROKEN if pace.bytes > 1_048_576 else Sign.GOOD)
    learnt = pace.bytes
    for _ in range(3):
        for _ in range(20):
            answer(pace, Sign.BROKEN)
        for _ in range(30):
            answer(pace)
    assert pace.bytes == learnt >= 524_288
    pace = Pace(MOST, 3, SLOW)
    for _ in range(5):
        for _ in range(20):
            answer(pace, Sign.BROKEN)
        assert (pace.requests, pace.bytes) == (1, 65_536)
        for _ in range(10):
            answer(pace)
    for _ in range(60):
        answer(pace)
    assert (pace.requests, pace.bytes) == (3, MOST)


def test_a_trickle_proves_nothing() -> None:
    """Small lone requests are answered well by a cluster that would not take large ones, or break by accident."""
    pace = Pace(MOST, 4, SLOW)
    for _ in range(6):
        answer(pace, Sign.FULL)
    before = (pace.requests, pace.bytes)
    pace.end(pace.begin(500, 0), Sign.GOOD, 0.1)
    assert (pace.requests, pace.bytes) == before
    for _ in range(10):
        pace.end(pace.begin(500, 0), Sign.GOOD, 0.1)
        pace.end(pace.begin(600, 0), Sign.BROKEN, 0.1)
    for _ in range(60):
        answer(pace)
    assert (pace.requests, pace.bytes) == (4, MOST)


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
    assert sign(0, Whole.BROKEN, [refused]) is Sign.BROKEN
    assert sign(429, Whole.FAILED, [refused]) is Sign.FULL
    assert sign(413, Whole.TOO_LARGE, []) is Sign.TOO_LARGE
    assert sign(400, Whole.MALFORMED, []) is Sign.NONE
