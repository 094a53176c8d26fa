"""Simple lines of Java loggers (formats/java.py) to documents. No I/O."""

import re

from shipper.sketch import REST, Known, Sketch, Text
from shipper.sketches.pieces import BARE_TIME, TIME, level, time
from shipper.times import Times

_LOGGER = re.compile(r"[A-Za-z_][\w$.\[\]/-]*", re.ASCII)
"""More would be more: a number here would be Spring Boot's process."""
_level = level("TRACE", "DEBUG", "INFO", "WARNING", "WARN", "ERROR", "FATAL")


def _thread(text: str, times: Times) -> str | None:
    member = _named(text, times)
    return f'"process":{{{member[:-1]}}},' if member else member


def _named(text: str, _times: Times) -> str | None:
    name = text.lstrip(" ") or " "
    if name == "-":
        return ""
    return None if "\\" in name else f'"thread":{{"name":"{name}"}},'


def _logger(text: str, _times: Times) -> str | None:
    return f'"logger":"{text}",' if _LOGGER.fullmatch(text) else None


def _threaded(pattern: bytes, level: int, thread: int, *probes: bytes) -> Sketch:
    return Sketch(
        pattern=TIME + pattern + REST,
        fields=(b'"message":"', Text(5), b'",', Known(thread, _thread), *time(0, 1)),
        log=(Known(level, _level), Known(4, _logger)),
        probes=(probes[0], probes[1]),
        heads=True,
    )


def _bare(pattern: bytes, *probes: bytes) -> Sketch:
    return Sketch(
        pattern=TIME + pattern + REST,
        fields=(b'"message":"', Text(4), b'",', *time(0, 1)),
        log=(Known(2, _level), Known(3, _logger)),
        probes=(probes[0], probes[1]),
        heads=True,
    )


_LOGBACK = rb"\]? +\[([^\]]+)\] +\[?([A-Z]+)\]? +"
_LOG4J = rb"\]? +([A-Z]+) +\[([^\]]+)\] +"
_PLAIN = rb"\]? +([A-Z]+) +"
# A level in brackets there could be the thread of another pattern.
_DASH, _COLON = rb"([^ ]+) [-:] ", rb"([^ :]+): "
_SPRING = Sketch(
    pattern=BARE_TIME + rb" +([A-Z]+) ([1-9]\d{0,9}) --- (?:\[[^\]\\]*\] )?\[([^\]]+)\] ([^ ]+) *: " + REST,
    fields=(
        *(b'"message":"', Text(6), b'","process":{', Known(4, _named), b'"pid":', Text(3), b"},"),
        *time(0, 1),
    ),
    log=(Known(2, _level), Known(5, _logger)),
    probes=(
        b"2001-02-03 04:05:06.789  INFO 12 --- [           main] com.example.App : said",
        b"2001-02-04T04:05:07Z ERROR 7 --- [app] [other] app                  : not said",
    ),
    heads=True,
)
SKETCHES = (
    _threaded(
        _LOGBACK + _DASH,
        3,
        2,
        b"2001-02-03 04:05:06.789 [main] INFO  com.example.App - said",
        b"[2001-02-04T04:05:07Z] [other] [ERROR] app : not said",
    ),
    _threaded(
        _LOG4J + _DASH,
        2,
        3,
        b"2001-02-03 04:05:06,789 INFO  [main] com.example.App - said",
        b"[2001-02-04T04:05:07Z] ERROR [other] app : not said",
    ),
    _threaded(
        _LOGBACK + _COLON,
        3,
        2,
        b"2001-02-03 04:05:06.789 [main] INFO  com.example.App: said",
        b"[2001-02-04T04:05:07Z] [other] ERROR app: not said",
    ),
    _threaded(
        _LOG4J + _COLON,
        2,
        3,
        b"2001-02-03 04:05:06,789 INFO  [main] com.example.App: said",
        b"[2001-02-04T04:05:07Z] ERROR [other] app: not said",
    ),
    _bare(
        _PLAIN + _DASH,
        b"2001-02-03 04:05:06,789 INFO com.example.App - said",
        b"[2001-02-04T04:05:07Z] ERROR app : not said",
    ),
    _bare(
        _PLAIN + _COLON,
        b"2001-02-03 04:05:06,789 INFO com.example.App: said",
        b"[2001-02-04T04:05:07Z] ERROR app: not said",
    ),
    _SPRING,
)
