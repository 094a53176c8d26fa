"""Tables that fit a terminal: what is shortened, what is left out, and what is never lost."""

from hypothesis import given
from hypothesis import strategies as st

from tailrace.cli.table import fitted, joined, middle, prefixes

HEADINGS = ("STATE", "SIZE", "SOURCE", "PATH")
PATH = "/var/log/containers/playback-7d4b9c_streaming_playback-0f3a/current/app.2026-11-26.log"
ROWS = [HEADINGS, ("idle", "1.5 KiB", "7867bf22", PATH), ("reading", "0", "0a1b2c3d", "/a.log")]


def lines(width: int | None) -> list[str]:
    """The table above in a terminal of such a width."""
    return [joined(cells) for cells in fitted(ROWS, width, right=("SIZE",), spare=("SOURCE", "SIZE"))]


def test_without_a_terminal_everything_is_whole() -> None:
    """What goes into a file or a pipe is not cut."""
    assert lines(None) == [
        "STATE       SIZE  SOURCE    PATH",
        f"idle     1.5 KiB  7867bf22  {PATH}",
        "reading        0  0a1b2c3d  /a.log",
    ]


def test_a_long_path_loses_its_middle() -> None:
    """Its beginning and, more, its end are what people know it by."""
    first, long, short = lines(80)
    assert first.split() == [*HEADINGS]
    assert len(long) == 80
    assert long.endswith("/current/app.2026-11-26.log")
    assert "  /var/log/containe…" in long
    assert short == "reading        0  0a1b2c3d  /a.log"


def test_a_narrow_terminal_leaves_columns_out() -> None:
    """In the order that the table says, and the path keeps room to be told by."""
    assert lines(45)[0].split() == ["STATE", "SIZE", "PATH"]
    assert lines(34)[0].split() == ["STATE", "PATH"]
    assert max(map(len, lines(34))) == 34
    assert max(map(len, lines(10))) == len("reading  ") + 24


@given(st.text(max_size=50), st.integers(1, 60))
def test_what_is_shortened_fits(text: str, width: int) -> None:
    """And what fits is as it was."""
    short = middle(text, width)
    assert len(short) <= width
    assert (short == text) is (len(text) <= width)


@given(st.sets(st.text("ab", min_size=12, max_size=12), max_size=30))
def test_a_prefix_tells_a_source_from_all_others(names: set[str]) -> None:
    """With eight characters at least, and no more than it takes."""
    found = prefixes(names)
    assert found.keys() == names
    for name, short in found.items():
        assert [one for one in names if one.startswith(short)] == [name]
        assert len(short) == 8 or sum(one.startswith(short[:-1]) for one in names) > 1
