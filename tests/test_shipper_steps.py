"""When somebody last looked, whatever is done to the clock."""

import msgspec
import pytest
from test_shipper_registry import ROW
from world_files import Clock

from shipper import looks
from shipper.steps import Reading, corrected, drift

SECOND = 10**9
BOOT = "one"


def stored_at(seconds: int) -> "list[msgspec.Struct]":
    """A row that says it was looked at then."""
    return [msgspec.structs.replace(ROW, updated=seconds)]


@pytest.mark.parametrize("back", [1.5, 3600, 86_400 * 400])
def test_a_clock_that_was_set_back_takes_what_is_stored_with_it(back: float) -> None:
    """Else a file that was rotated away while the agent was down would seem to be one that it knew."""
    then = Reading(2_000_000_000 * SECOND, 50 * SECOND, BOOT)
    now = Reading(then.wall + 10 * SECOND - int(back * SECOND), 60 * SECOND, BOOT)
    assert drift(then, now) == -int(back * SECOND)
    (row,) = corrected(stored_at(then.wall // SECOND), then, now)  # type: ignore[arg-type]
    assert now.wall // SECOND - 12 <= row.updated <= now.wall // SECOND - 10


def test_a_clock_that_was_set_forward_changes_nothing() -> None:
    """What was written meanwhile has later times still."""
    then = Reading(2_000_000_000 * SECOND, 50 * SECOND, BOOT)
    now = Reading(then.wall + 5000 * SECOND, 60 * SECOND, BOOT)
    assert corrected(stored_at(2_000_000_000), then, now) == stored_at(2_000_000_000)  # type: ignore[arg-type]


def test_after_another_boot_only_times_to_come_are_doubted() -> None:
    """Nobody can say how the two clocks compare; a row of a time to come tells that one of them was wrong."""
    then = Reading(2_000_000_000 * SECOND, 50 * SECOND, BOOT)
    now = Reading(1_900_000_000 * SECOND, 60 * SECOND, "other")
    assert corrected(stored_at(1_800_000_000), then, now) == stored_at(1_800_000_000)  # type: ignore[arg-type]
    (row,) = corrected(stored_at(2_000_000_000), then, now)  # type: ignore[arg-type]
    assert row.updated == 0


def test_a_registry_keeps_a_row_as_it_was_if_its_clock_was_never_stored() -> None:
    """As an older release left it."""
    now = Reading(2_000_000_000 * SECOND, 0, BOOT)
    assert corrected(stored_at(7), None, now) == stored_at(7)  # type: ignore[arg-type]


def test_no_time_passes_while_a_file_is_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart it must be found again as one that nobody knew."""
    clock = Clock()
    monkeypatch.setattr(looks, "time", clock)
    times = looks.Looks()
    began = clock.time_ns()
    doubts: list[list[int]] = [[], [began], [began], []]
    updated = []
    for doubtful in doubts:
        times.begin(clock.time_ns())
        times.end(doubtful)
        updated.append(times.updated - began // SECOND)
        clock.now += 10
    assert updated == [0, 0, 0, 30]


def test_a_step_back_between_two_looks_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look before it was at an earlier time then, on the clock of now."""
    clock = Clock()
    monkeypatch.setattr(looks, "time", clock)
    times = looks.Looks()
    times.begin(clock.time_ns())
    times.end([])
    clock.now += 10
    clock.set -= 3600
    assert times.updated == int(clock.time()) - 10
    times.begin(clock.time_ns())
    assert times.last == clock.time_ns() - 10 * SECOND
