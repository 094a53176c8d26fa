"""A line of a Java logger to ECS: usual patterns of logback and log4j, Spring Boot, Kafka, Elasticsearch. No I/O."""

import re

from shipper import ecs
from shipper.formats.fill import fill, finish, text_of

_CLOCK = r"\d\d:\d\d:\d\d"
_TIME = rf"(?P<time>\d{{4}}-\d\d-\d\d[T ]{_CLOCK}(?:[.,]\d{{1,9}})?(?: ?(?:Z|[+-]\d\d:?\d\d))?|{_CLOCK}[.,]\d{{1,9}})"
_LEVEL = r"(?P<level>TRACE|DEBUG|INFO|WARNING|WARN|ERROR|FATAL|SEVERE)"
_THREAD = r"\[ *(?P<thread>[^\]]+)\]"
_LOGGER = r"(?P<logger>[\w$.\[\]/-]+)"
_KINDS = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        # Elasticsearch
        rf"\[{_TIME}\]\[{_LEVEL} *\]\[(?P<logger>[^\]]+)\] (?:\[(?P<node>[^\]]+)\] ?)?(?P<text>.*)",
        # Spring Boot
        rf"{_TIME} +{_LEVEL} (?P<pid>\d+) --- (?:\[[^\]]*\] )??{_THREAD} (?P<logger>\S+) *: (?P<text>.*)",
        # logback
        rf"\[?{_TIME}\]? +{_THREAD} +\[?{_LEVEL}\]? +{_LOGGER} ?(?:--?|:) (?P<text>.*)",
        # log4j, with the thread or without
        rf"\[?{_TIME}\]? +\[?{_LEVEL}\]? +(?:{_THREAD} +)?{_LOGGER} ?(?:-|:) (?P<text>.*)",
        # log4j's "%d %p %c [%t] %m"
        rf"{_TIME} +{_LEVEL} +{_LOGGER} +{_THREAD} (?P<text>.*)",
        # Kafka, whose logger stands behind the text
        rf"\[{_TIME}\] {_LEVEL} (?P<text>.*)",
    )
)
_NAME = re.compile(r"[A-Za-z][\w.$]*\)")


def fields(line: bytes, document: ecs.Document) -> bool:
    """Fill the document from a line of one of the patterns; False if it is of none."""
    text = text_of(line)
    if text[:1] not in _STARTS:
        return False
    found = next((found for kind in _KINDS if (found := kind.fullmatch(text))), None)
    if found is None:
        return False
    groups = found.groupdict()
    message, logger = groups["text"], groups.get("logger")
    if "logger" not in groups:
        first, feed, rest = message.partition("\n")
        text, sign, name = first.rpartition(" (")
        if sign and "." in name and name[-2:] != ".)" and _NAME.fullmatch(name):
            message, logger = text + feed + rest, name[:-1]
    document.fields["message"] = message
    fill(
        document,
        (
            ("log.level", "error" if groups["level"] == "SEVERE" else groups["level"]),
            ("log.logger", logger and logger.strip()),
            ("process.thread.name", groups.get("thread")),
            ("process.pid", groups.get("pid")),
            ("service.node.name", groups.get("node")),
        ),
    )
    time = groups["time"]
    return finish(document, line, document.times.clock(time) if time[2] == ":" else document.times.utc(time))


_STARTS = frozenset("[012")
