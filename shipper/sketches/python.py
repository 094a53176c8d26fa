"""Simple lines of Python's logging (formats/python.py) to documents. No I/O."""

import re

from shipper.sketch import REST, Known, Sketch, Text
from shipper.sketches.pieces import BARE_TIME, level, time
from shipper.times import Times

_NAMES = ("DEBUG", "INFO", "WARNING", "WARN", "ERROR", "CRITICAL", "FATAL")
_LOGGER = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_level = level(*_NAMES)
_OTHERS = {*_NAMES, "Z"}
"""What is no logger where one could be: a level, or the zone of the time before it."""


def _logger(text: str, _times: Times) -> str | None:
    return f'"logger":"{text}",' if _LOGGER.fullmatch(text) and text not in _OTHERS else None


def _sketch(pattern: bytes, logger: int, *probes: bytes) -> Sketch:
    return Sketch(
        pattern=BARE_TIME + pattern + REST,
        fields=(b'"message":"', Text(4), b'",', *time(0, 1)),
        log=(Known(5 - logger, _level), Known(logger, _logger)),
        probes=(probes[0], probes[1]),
        heads=True,
    )


SKETCHES = (
    _sketch(
        rb" - ([^ ]+) - ([A-Z]+) - ",
        2,
        b"2001-02-03 04:05:06,789 - app.play - INFO - said",
        b"2001-02-04T04:05:07Z - other - ERROR - not said",
    ),
    _sketch(
        rb" \[?([A-Z]+)\]? +\[([^\]]+)\] ",
        3,
        b"2001-02-03 04:05:06,789 INFO [app.play] said",
        b"2001-02-04T04:05:07Z [ERROR]  [other] not said",
    ),
    _sketch(
        rb" \[?([A-Z]+)\]? +([^ :]+): ",
        3,
        b"2001-02-03 04:05:06,789 INFO app.play: said",
        b"2001-02-04T04:05:07Z [ERROR]  other: not said",
    ),
    _sketch(
        rb" ([^ ]+) \[?([A-Z]+)\]?:? ",
        2,
        b"2001-02-03 04:05:06,789 app.play INFO: said",
        b"2001-02-04T04:05:07Z other [ERROR] not said",
    ),
)
