"""How times are written, in the directives of ``strptime``, to what reads them. No I/O.

Unlike Python's own it knows the names of months in several languages whatever the process's locale, up to nine digits
of a second, and says where a form is wrong.
"""

import calendar
import datetime
import functools
import re
from typing import NamedTuple

from tailrace.months import month_of
from tailrace.patterns import BadPattern

_NAME = r"[^\W\d_]+\.?"
_ONE_OR_TWO = r"[ 0-9]?[0-9]"
_DIRECTIVES = {
    "Y": r"[0-9]{4}",
    "y": r"[0-9]{2}",
    "m": _ONE_OR_TWO,
    "d": _ONE_OR_TWO,
    "j": r"[0-9]{1,3}",
    "b": _NAME,
    "H": _ONE_OR_TWO,
    "I": _ONE_OR_TWO,
    "M": _ONE_OR_TWO,
    "S": _ONE_OR_TWO,
    "f": r"[0-9]{1,9}",
    "p": r"[AaPp]\.?[Mm]\.?",
    "z": r"[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?",
    "Z": r"[A-Za-z]{1,5}",
    "s": r"[0-9]{1,11}",
    "a": _NAME,
    "%": "%",
}
"""What each directive stands for; names of days are read over."""
_SAME = {"B": "b", "h": "b", "A": "a", "e": "d", "k": "H", "l": "I", "L": "f", "N": "f"}
_WHOLE = {"T": "%H:%M:%S", "R": "%H:%M", "F": "%Y-%m-%d", "D": "%m/%d/%y", "n": " ", "t": " "}
_LONGEST = 128
_CENTURY = 69
"""Two digits from here on are of the last century, as POSIX has it."""
_GREENWICH = frozenset(("Z", "UTC", "GMT", "UT"))


class Written(NamedTuple):
    """What a time says, each part as ISO 8601 has it; empty what it does not say; ``seconds`` are since 1970."""

    year: str
    month: int
    day: int
    clock: str
    fraction: str
    offset: str
    seconds: str


class TimeForm:
    """Reads times that are written in one form."""

    def __init__(self, pattern: str, form: str) -> None:
        self._fits = re.compile(pattern).fullmatch
        self.form = form

    def read(self, text: str) -> Written | None:
        """What a time says; None if it is not of the form, or there is no such day."""
        found = self._fits(text) if len(text) <= _LONGEST else None
        if found is None:
            return None
        parts = {name: (value or "").strip() for name, value in found.groupdict().items()}
        year = parts.get("Y") or (_century(parts["y"]) if "y" in parts else "")
        day = _day(parts, year)
        clock = _clock(parts)
        if day is None or clock is None:
            return None
        zone = parts.get("Z", "").upper()
        offset = parts.get("z", "").upper() or ("Z" if zone in _GREENWICH else "")
        return Written(year, *day, clock, parts.get("f", ""), offset, parts.get("s", ""))


@functools.lru_cache(maxsize=256)
def time_form_of(form: str) -> TimeForm:
    """Compile a form.

    Raises:
        BadPattern: it has a directive that nothing stands for, or says neither a day nor a time of day.
    """
    made, seen = "", set[str]()
    for place, piece in _pieces(form):
        if piece[0] != "%":
            made += r"\s+" if piece.isspace() else re.escape(piece)
            continue
        name = _SAME.get(piece[1:], piece[1:])
        if name not in _DIRECTIVES:
            raise BadPattern(form, place, f"{piece} is no directive; known are {_known()}")
        if name in seen:
            raise BadPattern(form, place, f"{piece} stands for what was said before")
        if name in "a%":
            made += _DIRECTIVES[name]
        else:
            seen.add(name)
            made += f"(?P<{name}>{_DIRECTIVES[name]})"
    if not seen & {"s", "d", "j", "H", "I"}:
        raise BadPattern(form, 0, "it says neither a day (%d) nor a time of day (%H)")
    if "d" in seen and not seen & {"m", "b"}:
        raise BadPattern(form, 0, "it says no month (%m, %b)")
    if "j" in seen and not seen & {"Y", "y"}:
        raise BadPattern(form, 0, "a day of the year (%j) needs its year (%Y)")
    return TimeForm(made, form)


def _known() -> str:
    return " ".join(f"%{name}" for name in (*_DIRECTIVES, *_SAME, *_WHOLE))


def _pieces(form: str) -> list[tuple[int, str]]:
    """Directives, spaces and other text, each with its place; those that stand for several, as these."""
    found: list[tuple[int, str]] = []
    for one in re.finditer(r"%[-_0^#]?.?|\s+|[^%\s]+", form, re.DOTALL):
        piece = one[0] if one[0][0] != "%" else "%" + one[0].lstrip("%-_0^#") if one[0] != "%%" else "%%"
        whole = _WHOLE.get(piece[1:]) if piece[0] == "%" and len(piece) > 1 else None
        found += [(one.start(), inner) for _, inner in _pieces(whole)] if whole else [(one.start(), piece)]
    return found


def _century(two: str) -> str:
    return f"{'19' if int(two) >= _CENTURY else '20'}{two}"


def _day(parts: dict[str, str], year: str) -> tuple[int, int] | None:
    """Month and day; 0 and 0 where the form says none."""
    if "j" in parts:
        if not 1 <= int(parts["j"]) <= 365 + calendar.isleap(int(year)):
            return None
        date = datetime.date(int(year) or 1, 1, 1) + datetime.timedelta(days=int(parts["j"]) - 1)
        return date.month, date.day
    month = month_of(parts["b"]) if "b" in parts else int(parts.get("m", 0))
    return None if month is None else (month, int(parts.get("d", 0)))


def _clock(parts: dict[str, str]) -> str | None:
    hour = int(parts.get("H") or parts.get("I") or 0)
    if "I" in parts and "p" in parts:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (parts["p"][0] in "Pp")
    return f"{hour:02d}:{int(parts.get('M') or 0):02d}:{int(parts.get('S') or 0):02d}"
