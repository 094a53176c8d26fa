"""A line of Python's logging to ECS fields: its default, the usual patterns, gunicorn, Celery, Flask. No I/O."""

import re

from shipper import ecs
from shipper.formats.fill import fill, finish, finish_untimed, text_of

_TIME = r"(?P<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|[+-]\d\d:?\d\d))?)"
_LEVEL = r"(?P<level>DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL)"
_LOGGER = r"(?P<logger>[\w.-]+)"
_TIMED = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        rf"{_TIME} - {_LOGGER} - {_LEVEL} - (?P<text>.*)",
        rf"{_TIME} \[?{_LEVEL}\]? +\[{_LOGGER}\] (?P<text>.*)",
        rf"{_TIME} \[?{_LEVEL}\]? +{_LOGGER}:(?: |(?P<line>\d+):? )(?P<text>.*)",
        rf"{_TIME} {_LOGGER} \[?{_LEVEL}\]?:? (?P<text>.*)",
        rf"\[{_TIME}\] \[(?P<pid>\d+)\] \[{_LEVEL}\] (?P<text>.*)",  # gunicorn
        rf"\[{_TIME}: {_LEVEL}/(?P<process>[^\]]+)\] (?P<text>.*)",  # Celery
        rf"\[{_TIME}\] {_LEVEL} in {_LOGGER}: (?P<text>.*)",  # Flask
        rf"{_TIME} \[(?P<level>[a-z]{{4,8}}) *\] (?P<text>.*)",  # structlog's console, without colours
    )
)
_BARE = re.compile(rf"{_LEVEL}:(?:{_LOGGER}:| +)(?P<text>.*)", re.DOTALL)


def fields(line: bytes, document: ecs.Document) -> bool:
    """Fill the document from a line of one of the patterns; False if it is of none."""
    text = text_of(line)
    if text[:1].isdigit() or text[:1] == "[":
        found = next((found for kind in _TIMED if (found := kind.fullmatch(text))), None)
    else:
        found = _BARE.fullmatch(text)
    if found is None:
        return False
    groups = found.groupdict()
    document.fields["message"] = groups["text"]
    fill(
        document,
        (
            ("log.level", groups["level"]),
            ("log.logger", groups.get("logger")),
            ("log.origin.file.line", groups.get("line")),
            ("process.pid", groups.get("pid")),
            ("process.name", groups.get("process")),
        ),
    )
    if "time" not in groups:
        return finish_untimed(document, line)
    return finish(document, line, document.times.utc(groups["time"]))
