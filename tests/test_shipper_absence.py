"""When a source is missed, back, and to be forgotten."""

from shipper.absence import LEAST_SECONDS, Absence, absent
from shipper.identity import Anchor, Head, Place
from shipper.registry_row import Row

DAY = 86400.0


def row(name: str, *, ended: bool = False) -> Row:
    """A source of one file."""
    return Row(
        source=name,
        path=f"/{name}",
        place=Place(1, ord(name)),
        head=Head(0, b""),
        anchor=Anchor(0, 0),
        position=0,
        skipped=0,
        reach=0,
        records=0,
        bytes=0,
        blank=0,
        ended=ended,
        updated=0,
        cuts=(),
    )


def test_only_what_is_nowhere_is_absent() -> None:
    """Not what stands in its place, nor what a copy needs; an ended source is, whatever stands there."""
    rows = [row("a"), row("b"), row("c", ended=True), row("d", ended=True)]
    assert set(absent(rows, {Place(1, ord("a")), Place(1, ord("c"))}, {"d"})) == {"b", "c"}


def test_a_file_that_stays_gone_is_due_after_its_time() -> None:
    """Not before, and only if its disk says again that it is gone."""
    absence, missing = Absence({}, DAY), {"a": row("a")}
    assert absence.doubtful(missing, 1000) == [row("a")]
    assert absence.note(missing, set(), 1000).missed == {}
    assert absence.note(missing, {"a"}, 2000) == ({"a": 2000}, [], [])
    assert absence.doubtful(missing, 2000 + DAY - 1) == []
    assert absence.doubtful(missing, 2000 + DAY) == [row("a")]
    assert absence.note(missing, set(), 2000 + DAY).due == []
    assert absence.note(missing, {"a"}, 2000 + DAY).due == [row("a")]


def test_a_file_that_comes_back_starts_anew() -> None:
    """What was counted before counts no more."""
    absence, missing = Absence({}, DAY), {"a": row("a")}
    absence.note(missing, {"a"}, 0)
    assert absence.note({}, set(), DAY).back == ["a"]
    assert absence.note(missing, {"a"}, DAY + 1).missed == {"a": DAY + 1}
    assert absence.doubtful(missing, 2 * DAY) == []


def test_a_clock_that_was_wrong_before_the_start_forgets_nothing_at_once() -> None:
    """Years since it was missed, says the clock: this agent must have missed it itself, for an hour."""
    absence, missing = Absence({"a": 5}, DAY), {"a": row("a")}
    years = 50 * 365 * DAY
    assert absence.note(missing, {"a"}, years).due == []
    assert absence.note(missing, {"a"}, years + LEAST_SECONDS - 1).due == []
    assert absence.note(missing, {"a"}, years + LEAST_SECONDS).due == [row("a")]


def test_a_clock_that_went_back_counts_from_now() -> None:
    """What was missed in the future is missed since now."""
    absence, missing = Absence({"a": 10**10}, DAY), {"a": row("a")}
    absence.note(missing, set(), 0)
    assert absence.note(missing, {"a"}, 1).missed == {"a": 1}
