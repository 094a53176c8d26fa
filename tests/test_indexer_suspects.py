"""Who is to blame for connections that break over one record: nobody, without clear evidence."""

from indexer.load import First
from indexer.ownership import Origin
from indexer.suspects import Suspects

GIANT = First(Origin("t", 0), 7, 400_000)
LOAD = "load"


def tries(suspects: Suspects, count: int, record: First = GIANT) -> bool:
    """It breaks so often; whether it is to blame after that."""
    for _ in range(count):
        suspects.broke(LOAD, record)
    return suspects.is_to_blame(LOAD, record)


def test_a_record_larger_than_all_that_passed_is_to_blame_after_six_tries() -> None:
    """Also if nothing else is left to be sent meanwhile: what was stored before it is the evidence."""
    suspects = Suspects()
    suspects.stored(300_000)
    assert not tries(suspects, 5)
    assert tries(suspects, 1)


def test_a_record_is_to_blame_if_others_are_stored_between_its_tries() -> None:
    """As large ones passed before it: then somebody may have begun to break whatever there is."""
    suspects = Suspects()
    suspects.stored(4_000_000)
    assert not tries(suspects, 50)
    suspects.stored(500)
    assert not suspects.is_to_blame(LOAD, GIANT), "what broke may have been mended: it must break once more"
    assert tries(suspects, 1)


def test_a_record_of_an_ordinary_size_is_not_to_blame_for_being_the_largest() -> None:
    """An indexer that has just begun may have stored one small record before all that holds records broke."""
    suspects = Suspects()
    suspects.stored(300)
    assert not tries(suspects, 1000, GIANT._replace(size=30_000))


def test_nobody_is_to_blame_where_nothing_was_ever_stored() -> None:
    """However often, and however large it is."""
    assert not tries(Suspects(), 1000)


def test_tries_count_in_a_row_of_one_record() -> None:
    """Another answer begins anew; those of other records, and in other loads, are their own."""
    suspects = Suspects()
    suspects.stored(500)
    other = GIANT._replace(offset=8)
    assert not tries(suspects, 5)
    suspects.acquit(LOAD, GIANT)
    assert not tries(suspects, 5)
    assert not tries(suspects, 5, other)
    suspects.acquit(LOAD, other)
    suspects.broke("another load", GIANT)
    assert not suspects.is_to_blame("another load", GIANT)
    assert tries(suspects, 1)
    suspects.forget(LOAD)
    assert not tries(suspects, 5)
