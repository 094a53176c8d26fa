"""A time as a service wrote it to an RFC 3339 timestamp in UTC. No I/O."""

import datetime
import math
import re
import zoneinfo

_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9})\d*)? ?(Z|z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)
_YEARS = range(1970, 2262)
"""What ``date_nanos`` of Elasticsearch can hold (64 bits of nanoseconds since 1970)."""
_LAST = 9_214_646_400 * 10**9
"""The end of 2261 in nanoseconds since 1970."""
_CACHED = 4096


class Times:
    """Turns times into UTC; ``zone`` is for those that do not say theirs (``local``, ``UTC``, or an IANA name).

    Seconds are converted once and remembered, since the lines of a chunk share them.
    """

    def __init__(self, zone: str = "local") -> None:
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
        second = self._seconds.get(key)
        if second is None and key not in self._seconds:
            if len(self._seconds) >= _CACHED:
                self._seconds.clear()
            second = self._seconds[key] = self._second(f"{day}T{clock}", offset)
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


def _number(value: float) -> str | None:
    if value <= 0 or not math.isfinite(value):
        return None
    for most, scale in ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3), (10**20, 1)):
        if value < most:
            # A double holds the present to the microsecond only; more digits would be invented.
            nanoseconds = value * scale if isinstance(value, int) else round(value * scale / 1000) * 1000
            return from_nanoseconds(nanoseconds) if nanoseconds < _LAST else None
    return None
