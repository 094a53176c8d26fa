"""A whole chunk of lines to the few in which a pattern may be found. No I/O.

RE2 runs over all lines at once, some hundred megabytes a second; line by line it would take three times as long. Many
long patterns in one would be slow, so short ones are looked for together, and what they find is looked at closely.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import re2

from shipper.filters.secrets import Kind

_ANCHOR = re.compile(r"(?:[^\\\[]|^)(?:\\\\)*[\^$]|\\[AzZ]")
"""What holds only at the beginning or the end of a text: a value's, which is not the line's."""
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.never_capture = True


class Scanner:
    """Finds the lines that some patterns may match in: in the line, or in one of the texts of its JSON.

    A line with a backslash may say in its texts what it does not show, so it is always among them.
    """

    def __init__(self, kinds: Sequence[Kind], own: Sequence[str]) -> None:
        self._blind = any(map(has_anchor, own))
        self._probes = seeker("|".join(f"(?:{kind.probe})" for kind in kinds)) if kinds else None
        self._kinds = [seeker(kind.pattern) for kind in kinds]
        self._own = [seeker(pattern) for pattern in own]

    def suspects(self, lines: Sequence[bytes]) -> frozenset[int]:
        """The numbers of the lines in which one may be found: all that have one, and some that have none."""
        if self._blind:
            return frozenset(range(len(lines)))
        together = b"\n".join(lines)
        starts: list[int] = list(accumulate([len(line) + 1 for line in lines], initial=0))
        found = {number for number, line in enumerate(lines) if b"\\" in line} if b"\\" in together else set()
        for one in self._own:
            found.update(rows_of(one, together, starts))
        if self._probes is not None:
            for row in rows_of(self._probes, together, starts):
                if row not in found and any(one.search(lines[row]) is not None for one in self._kinds):
                    found.add(row)
        return frozenset(found)


def has_anchor(pattern: str) -> bool:
    """Whether a pattern may ask for the beginning or the end of a text."""
    return _ANCHOR.search(pattern) is not None


def rows_of(compiled: Any, together: bytes, starts: list[int]) -> Iterator[int]:  # noqa: ANN401 - as above
    """The lines in which a pattern is found, each at least once; a match may reach over several."""
    at, end = 0, starts[-1] - 1
    while at <= end and (match := compiled.search(together, at)) is not None:
        row = bisect_right(starts, match.start()) - 1
        last = max(row, bisect_right(starts, match.end() - 1) - 1)
        yield from range(row, min(last + 1, len(starts) - 1))
        at = starts[last + 1]


def seeker(pattern: str) -> Any:  # noqa: ANN401 - the library has no types
    """A compiled pattern that says where it matches, and nothing of its groups, which is quicker."""
    return re2.compile(pattern, _OPTIONS)
