"""Simple lines of Java loggers (formats/java.py) to documents. No I/O."""

from shipper.sketch import Known, Sketch, Text
from shipper.sketches.pieces import REST, SECOND, level, time
from shipper.times import Times

_TIME = SECOND + rb"(?:[.,](\d{1,9}))?( ?(?:Z|[+-]\d\d:?\d\d))?"
_LEVEL = rb"(TRACE|DEBUG|INFO|WARNING|WARN|ERROR|FATAL)"
_THREAD = rb"\[ *([^\]\\]+)\]"
_LOGGER = rb"([A-Za-z_][\w$.\[\]/-]*)"


def _thread(text: str, _times: Times) -> str | None:
    return '"process":{"thread":{"name":"%s"}},' % text if text != "-" else ""


def _logger(text: str, _times: Times) -> str | None:
    return '"logger":"%s",' % text


LOGBACK = Sketch(
    pattern=rb"\[?" + _TIME + rb"\]? +" + _THREAD + rb" +\[?" + _LEVEL + rb"\]? +" + _LOGGER + rb" ?(?:-|:) " + REST,
    fields=(b'"message":"', Text(6), b'",', Known(3, _thread), *time(0, 1, 2)),
    log=(Known(4, level), Known(5, _logger)),
    probes=(
        b"2001-02-03 04:05:06.789 [main] INFO  com.example.App - said",
        b"[2001-02-04T04:05:07Z] [other] ERROR app: not said",
    ),
)
LOG4J = Sketch(
    pattern=rb"\[?" + _TIME + rb"\]? +" + _LEVEL + rb" +" + _THREAD + rb" +" + _LOGGER + rb" ?(?:-|:) " + REST,
    fields=(b'"message":"', Text(6), b'",', Known(4, _thread), *time(0, 1, 2)),
    log=(Known(3, level), Known(5, _logger)),
    probes=(
        b"2001-02-03 04:05:06,789 INFO  [main] com.example.App - said",
        b"[2001-02-04T04:05:07Z] ERROR [other] app: not said",
    ),
)
LOG4J_BARE = Sketch(
    pattern=rb"\[?" + _TIME + rb"\]? +" + _LEVEL + rb" +" + _LOGGER + rb" ?(?:-|:) " + REST,
    fields=(b'"message":"', Text(5), b'",', *time(0, 1, 2)),
    log=(Known(3, level), Known(4, _logger)),
    probes=(
        b"2001-02-03 04:05:06,789 INFO com.example.App: said",
        b"[2001-02-04T04:05:07Z] ERROR app - not said",
    ),
)
SKETCHES = (LOGBACK, LOG4J, LOG4J_BARE)
