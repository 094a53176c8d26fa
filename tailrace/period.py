"""``--last 15m`` or ``--since`` and ``--until`` to a period of time. No I/O."""

import datetime
import re
from typing import NamedTuple

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_WORDS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Period(NamedTuple):
    """From ``since`` (with it) to ``until`` (without it; None is open: also lines that run ahead of our clock)."""

    since: datetime.datetime
    until: datetime.datetime | None
    words: str
    """The period as a person says it, for example ``the last 15 minutes``."""


def duration(text: str) -> datetime.timedelta:
    """A length of time such as ``90s``, ``15m``, ``1h30m`` or ``7d``.

    Raises:
        ValueError: it is none, or longer than a calendar; the text says what it may be.
    """
    parts = _DURATION.findall(text.strip())
    if not parts or _DURATION.sub("", text).strip():
        message = f"{text!r} is no length of time; write a number and s, m, h, d or w, as 15m or 1h30m."
        raise ValueError(message)
    try:
        return datetime.timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))
    except OverflowError:
        message = f"{text!r} is longer than the calendar; nothing is so old."
        raise ValueError(message) from None


def moment(text: str, now: datetime.datetime) -> datetime.datetime:
    """A time such as ``2026-11-23T14:05``, ``2026-11-23``, ``14:05`` (today) or ``15m`` (ago).

    Without a zone it is what this machine's clock shows at that time, which may be an hour off what it would now.

    Raises:
        ValueError: it is none of these; the text says what it may be.
    """
    text = text.strip()
    if _DURATION.match(text):
        return _before(now, duration(text), text)
    try:
        if re.match(r"\d\d?:", text):
            clock = datetime.time.fromisoformat(text.zfill(5))
            return _aware(datetime.datetime.combine(now.astimezone().date(), clock, clock.tzinfo))
        return _aware(datetime.datetime.fromisoformat(text))
    except ValueError:
        message = f"{text!r} is no time; write 2026-11-23T14:05:00, 14:05 for today, or 15m for so long ago."
        raise ValueError(message) from None


def period(last: str | None, since: str | None, until: str | None, now: datetime.datetime) -> Period:
    """The period that the options name; the last 15 minutes if they name none.

    Raises:
        ValueError: one of them cannot be read, or they contradict each other.
    """
    if last and since:
        message = "--last and --since both say where to begin; give one of them."
        raise ValueError(message)
    end = moment(until, now) if until else None
    if since:
        start = moment(since, now)
        words = f"since {start:%Y-%m-%d %H:%M:%S}"
    else:
        start = _before(end or now, duration(last or "15m"), last or "15m")
        words = f"the last {spoken(last or '15m')}"
    if end:
        words = f"{start:%Y-%m-%d %H:%M:%S} to {end:%Y-%m-%d %H:%M:%S}"
        if end <= start:
            message = f"the period from {words} ends before it begins."
            raise ValueError(message)
    return Period(start, end, words)


def spoken(text: str) -> str:
    """A length of time in words: ``15m`` is ``15 minutes``."""
    parts = [f"{number} {_WORDS[unit][: -1 if number == '1' else None]}" for number, unit in _DURATION.findall(text)]
    return " ".join(parts)


def _aware(found: datetime.datetime) -> datetime.datetime:
    try:
        return found if found.tzinfo else found.astimezone()
    except (OverflowError, ValueError):  # at an end of the calendar, where an hour matters to nobody
        return found.replace(tzinfo=datetime.UTC)


def _before(now: datetime.datetime, length: datetime.timedelta, text: str) -> datetime.datetime:
    try:
        return now - length
    except OverflowError:
        message = f"{text!r} is longer than the calendar; nothing is so old."
        raise ValueError(message) from None
