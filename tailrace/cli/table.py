"""Rows of texts to the lines of a table that fits a terminal. No I/O."""

from collections.abc import Collection, Iterable, Mapping, Sequence

_LEAST_LAST = 24
"""The last column, which is made shorter, keeps so many characters."""
_LEAST_PREFIX = 8
_GAP = "  "
_CUT = "…"


def middle(text: str, width: int) -> str:
    """A text in at most so many characters: what stands in its middle is left out; of a path the end says most."""
    if len(text) <= width:
        return text
    front = max(0, (width - 1) // 3)
    return text[:front] + _CUT + text[len(text) - (width - 1 - front) :]


def fitted(
    rows: Sequence[Sequence[str]], width: int | None, *, right: Collection[str] = (), spare: Iterable[str] = ()
) -> list[list[str]]:
    """Cells of equal width in each column; the first row has the headings.

    In a terminal of ``width`` characters (None: no terminal, all is shown) columns are left out, in the order of
    ``spare``, until the last has room; then its texts are shortened. The columns in ``right`` stand at the right.
    """
    headings = list(rows[0])
    columns = dict(zip(headings, ([*column] for column in zip(*rows, strict=True)), strict=True))
    if width is not None:
        left_out = iter(spare)
        while (room := _room(columns, width)) < min(_LEAST_LAST, _widest(columns[headings[-1]])):
            name = next(left_out, None)
            if name is None:
                break
            columns.pop(name, None)
        last = columns[headings[-1]]
        columns[headings[-1]] = [middle(text, max(room, _LEAST_LAST)) for text in last]
    for name, column in columns.items():
        most = _widest(column)
        columns[name] = [text.rjust(most) if name in right else text.ljust(most) for text in column]
    return [list(cells) for cells in zip(*columns.values(), strict=True)]


def joined(cells: Iterable[str]) -> str:
    """A line of a table."""
    return _GAP.join(cells).rstrip()


def prefixes(names: Collection[str]) -> dict[str, str]:
    """Of each name as much of its beginning as none of the others has, and no less than eight characters."""
    ordered = sorted(set(names))
    found: dict[str, str] = {}
    for number, name in enumerate(ordered):
        beside = ordered[max(0, number - 1) : number] + ordered[number + 1 : number + 2]
        shared = max((_shared(name, other) for other in beside), default=0)
        found[name] = name[: max(_LEAST_PREFIX, shared + 1)]
    return found


def _room(columns: Mapping[str, Sequence[str]], width: int) -> int:
    """How many characters are left for the last column."""
    *others, _last = columns.values()
    return width - sum(_widest(column) + len(_GAP) for column in others)


def _widest(column: Sequence[str]) -> int:
    return max(map(len, column))


def _shared(one: str, other: str) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
