"""Whose turn it is, by due times."""

from hypothesis import given
from hypothesis import strategies as st

from shipper.policy import idle_seconds
from shipper.turns import Turns


def test_what_is_due_comes_once_and_longest_due_first() -> None:
    """A key comes when its time has come, in order of the times, and then no more."""
    turns: Turns[str] = Turns()
    turns.put("b", 2.0)
    turns.put("a", 1.0)
    turns.put("c", 3.0)
    assert turns.take(2.0) == ["a", "b"]
    assert turns.take(2.0) == []
    assert turns.next_due() == 3.0


def test_a_key_has_the_last_time_it_was_given() -> None:
    """Earlier or later than the one before; and a dropped key none at all."""
    turns: Turns[str] = Turns()
    turns.put("a", 1.0)
    turns.put("a", 5.0)
    turns.put("b", 6.0)
    turns.put("b", 2.0)
    turns.put("c", 1.0)
    turns.drop("c")
    turns.drop("never there")
    assert turns.next_due() == 2.0
    assert turns.take(4.0) == ["b"]
    assert turns.take(9.0) == ["a"]
    assert turns.next_due() is None


def test_a_busy_key_comes_behind_those_that_wait() -> None:
    """Put back as due now at each turn, it never comes twice before another that is due."""
    turns: Turns[str] = Turns()
    for number in range(5):
        turns.put(f"slow {number}", 1.0)
    turns.put("busy", 0.5)
    (first, *others) = turns.take(1.0)
    assert first == "busy"
    turns.put("busy", 1.0)
    for one in others:
        turns.put(one, 1.0)
    assert turns.take(1.0)[0] == "busy"
    turns.put("slow 0", 1.5)
    turns.put("busy", 2.0)
    assert turns.take(2.0) == ["slow 0", "busy"]


@given(st.lists(st.tuples(st.integers(0, 20), st.floats(0, 100)), max_size=300), st.floats(0, 100))
def test_turns_are_what_a_plain_table_says(puts: list[tuple[int, float]], now: float) -> None:
    """However often keys are put: the same keys are due, each once, and what is kept stays small."""
    turns: Turns[int] = Turns()
    table: dict[int, float] = {}
    for key, due in puts:
        turns.put(key, due)
        table[key] = due
    assert len(turns._heap) <= 2 * len(table) + 65
    taken = turns.take(now)
    assert sorted(taken) == sorted(key for key, due in table.items() if due <= now)
    assert [table[key] for key in taken] == sorted(table[key] for key in taken)
    assert len(turns) == len(table) - len(taken)


def test_many_idle_files_are_looked_at_less_often() -> None:
    """Once a second while they are few; then the looks of all together stay the same, down to one in ten seconds."""
    assert idle_seconds(1) == idle_seconds(500) == 1.0
    assert idle_seconds(1000) == 2.0
    assert idle_seconds(100_000) == 10.0
