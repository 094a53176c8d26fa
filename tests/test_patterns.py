"""Patterns that people write."""

import pytest

from tailrace.patterns import BadPattern, pattern_of


@pytest.mark.parametrize(
    ("pattern", "place", "reason"),
    [
        ("a(b", 1, "missing )"),
        ("ab)c", 2, "unexpected )"),
        ("ab(?=x)", 2, "look-around is not supported"),
        ("x[z-a]", 2, "invalid character class range"),
        ("x**", 1, "bad repetition operator"),
        ("y[abc", 1, "missing ]"),
        (r"(.)\1", 3, "invalid escape sequence"),
        ("(?P<a-b>x)", 0, "invalid named capture group"),
    ],
)
def test_a_bad_pattern_is_refused_with_its_place(pattern: str, place: int, reason: str) -> None:
    """A caret stands under it; nothing is written to stderr by the library."""
    with pytest.raises(BadPattern, match=r".") as caught:
        pattern_of(pattern)
    assert (caught.value.place, str(caught.value)) == (place, reason)
    assert caught.value.pointed() == f"  {pattern}\n  {' ' * place}^"


def test_a_pattern_reads_text_and_bytes() -> None:
    """Bytes are UTF-8."""
    pattern = pattern_of(r"(?P<user>\pL+)=")
    assert pattern.match("émile=1")["user"] == "émile"
    assert pattern.match("émile=1".encode())["user"] == "émile".encode()


def test_a_pattern_that_ruins_other_engines_takes_no_time() -> None:
    """Exponential elsewhere: this would not end."""
    assert pattern_of(r"(a+)+$").match(b"a" * 50_000 + b"b") is None
