"""A time as a service wrote it to an RFC 3339 timestamp in UTC. No I/O."""

import datetime
import re
import zoneinfo

from tailrace.months import LONGEST, month_of
from tailrace.time_forms import time_form_of

_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9})\d*)? ?(Z|z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)
_YEARS = range(1970, 2262)
"""What ``date_nanos`` of Elasticsearch can hold (64 bits of nanoseconds since 1970)."""
_LAST = 9_214_646_400 * 10**9
"""The end of 2261 in nanoseconds since 1970."""
_CACHED = 4096
MONTHS = {name: number for number, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_CLF = re.compile(r"(\d\d)/([A-Z][a-z][a-z])/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d{4})", re.ASCII)
BSD_MONTH = rf"[^\W\d_]{{3,{LONGEST - 1}}}\.?"
_BSD = re.compile(rf"({BSD_MONTH}) ([ 0-9][0-9]) ([0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}})(?:[.,]([0-9]{{1,9}}))?")
_DAY = 86_400 * 10**9
_GRACE = datetime.timedelta(hours=1)
"""A clock that is ahead by less is not a day behind."""
_DIGITS = re.compile(r"\d{9,19}(?:\.\d{1,9})?", re.ASCII)
_NAMES = tuple(MONTHS)
_SCALES = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3), (10**20, 1))
"""Numbers below the first are seconds, of which each has so many nanoseconds, and so on."""


class Times:
    """Turns times into UTC; ``zone`` is for those that do not say theirs (``local``, ``UTC``, or an IANA name).

    Seconds are converted once and remembered, since the lines of a chunk share them. ``now`` is the time of reading in
    nanoseconds since 1970, for times that do not say their year.
    """

    def __init__(self, zone: str = "local") -> None:
        self.now = 0
        self._zone = None if zone == "local" else zoneinfo.ZoneInfo(zone)
        self._seconds: dict[str, str | None] = {}

    def utc(self, value: object) -> str | None:
        """An RFC 3339 timestamp with as many digits of a second as were given (at most nine); None if it is no time.

        Text is ISO 8601, date and time; a number is seconds, milliseconds, microseconds or nanoseconds since 1970,
        whichever its size says.
        """
        if type(value) is str:
            if value[-1:] == "Z":
                second = self._seconds.get(value[:19])
                fraction = value[19:-1]
                if (
                    second is not None
                    and value.isascii()
                    and (not fraction or (fraction[0] == "." and fraction[1:].isdigit() and len(fraction) <= 10))
                ):
                    return second + fraction + "Z"
            return self._text(value)
        if type(value) is int or type(value) is float:
            return _number(value)
        return None

    def clf(self, text: str) -> str | None:
        """As ``utc``, of a time as access logs have it: ``24/Nov/2026:03:57:40 +0000``."""
        second = self._seconds.get(text)
        if second is None:
            found = _CLF.fullmatch(text)
            if found is None or found[2] not in MONTHS:
                return None
            second = self._known(text, f"{found[3]}-{MONTHS[found[2]]:02d}-{found[1]}T{found[4]}", found[5])
        return None if second is None else second + "Z"

    def bsd(self, text: str) -> str | None:
        """As ``utc``, of a time without a year, as RFC 3164 has it: ``Nov  4 03:57:40``, with a fraction or without.

        The month may be in any of several languages. The year is the latest with which the time is not more than a day
        after ``now``.
        """
        found = _BSD.fullmatch(text)
        month = None if found is None else MONTHS.get(found[1]) or month_of(found[1])
        if found is None or month is None:
            return None
        latest = datetime.datetime.fromtimestamp((self.now + _DAY) / 10**9, datetime.UTC)
        # Four years more find the last 29th of February.
        for year in range(latest.year + 1, latest.year - 8, -1):
            naive = f"{year}-{month:02d}-{found[2].replace(' ', '0')}T{found[3]}"
            second = self._known(naive + "naive", naive, "naive")
            if second is not None and second <= f"{latest:%Y-%m-%dT%H:%M:%S}":
                return f"{second}.{found[4]}Z" if found[4] else second + "Z"
        return None

    def clock(self, text: str) -> str | None:
        """As ``utc``, of a time of day alone: that of the latest day with which it is not in the future."""
        try:
            time = datetime.time.fromisoformat(text.replace(",", ".")[:15])
        except ValueError:
            return None
        now = datetime.datetime.fromtimestamp(self.now / 10**9, datetime.UTC)
        local = now.astimezone(self._zone)
        for day in (0, 1):
            date = local.date() - datetime.timedelta(days=day)
            if datetime.datetime.combine(date, time, local.tzinfo) <= now + _GRACE:
                return self.utc(f"{date}T{text}")
        return None

    def of_text(self, text: str) -> str | None:
        """As ``utc``, where a number may stand as text, and the forms of access logs and syslog are known too."""
        if _DIGITS.fullmatch(text):
            whole, _, fraction = text.partition(".")
            return _exact(int(whole), fraction)
        return self.utc(text) or self.clf(text) or self.bsd(text)

    def by_format(self, text: str, form: str) -> str | None:
        """As ``utc``, of a time in a form of ``strptime``; without a year, or a day, it is of the latest.

        Raises:
            BadPattern: the form is wrong.
        """
        written = time_form_of(form).read(text)
        if written is None:
            return None
        fraction = f".{written.fraction}" if written.fraction else ""
        if written.seconds:
            return _exact(int(written.seconds), written.fraction)
        if not written.day:
            return self.clock(written.clock + fraction)
        if not written.year:
            if not 1 <= written.month <= 12:
                return None
            return self.bsd(f"{_NAMES[written.month - 1]} {written.day:2d} {written.clock}{fraction}")
        return self._text(
            f"{written.year}-{written.month:02d}-{written.day:02d}T{written.clock}{fraction}{written.offset}"
        )

    def _known(self, key: str, second: str, offset: str) -> str | None:
        """``_second``, remembered under a key."""
        if key not in self._seconds:
            if len(self._seconds) >= _CACHED:
                self._seconds.clear()
            self._seconds[key] = self._second(second, offset)
        return self._seconds[key]

    def _text(self, text: str) -> str | None:
        found = _ISO.fullmatch(text.strip()) if len(text) < 64 else None
        if found is None:
            return None
        day, clock, fraction, offset = found.groups()
        if offset in ("Z", "z", "UTC", "GMT", "+00:00", "+0000", "-00:00"):
            offset = ""
        elif offset is None:
            offset = "naive"
        key = f"{day}T{clock}{offset}"
        second = self._known(key, f"{day}T{clock}", offset)
        if second is None:
            return None
        return f"{second}.{fraction}Z" if fraction else second + "Z"

    def _second(self, second: str, offset: str) -> str | None:
        """One second to UTC, or None where there is no such time, or Elasticsearch cannot hold it."""
        try:
            if offset == "naive":
                time = datetime.datetime.fromisoformat(second)
                time = time.astimezone() if self._zone is None else time.replace(tzinfo=self._zone)
            else:
                time = datetime.datetime.fromisoformat(second + (offset or "+00:00"))
            time = time.astimezone(datetime.UTC)
        except (ValueError, OverflowError, OSError):
            return None
        return time.strftime("%Y-%m-%dT%H:%M:%S") if time.year in _YEARS else None


def from_nanoseconds(nanoseconds: int) -> str:
    """Nanoseconds since 1970 as an RFC 3339 timestamp with milliseconds, or as many digits as are not zero."""
    seconds, rest = divmod(nanoseconds, 10**9)
    time = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    digits = f"{rest:09d}".rstrip("0").ljust(3, "0")
    return f"{time:%Y-%m-%dT%H:%M:%S}.{digits}Z"


def _exact(whole: int, fraction: str) -> str | None:
    """A number as it was written, to the nanosecond."""
    for most, scale in _SCALES:
        if whole < most:
            nanoseconds = int(f"{whole}{fraction}") * scale // 10 ** len(fraction)
            return from_nanoseconds(nanoseconds) if 0 < nanoseconds < _LAST else None
    return None


def _number(value: float) -> str | None:
    if not 0 < value < _SCALES[-1][0]:  # nor is it one that is no number
        return None
    for most, scale in _SCALES:
        if value < most:
            # A double holds the present to the microsecond only; more digits would be invented.
            nanoseconds = value * scale if isinstance(value, int) else round(value * scale / 1000) * 1000
            return from_nanoseconds(nanoseconds) if nanoseconds < _LAST else None
    return None
