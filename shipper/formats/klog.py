"""A line of Kubernetes' klog (and glog) to ECS fields. No I/O."""

import re

from shipper import ecs
from shipper.formats.fill import fill, finish, text_of
from shipper.times import MONTHS

_LINE = re.compile(
    r"([IWEF])(\d\d)(\d\d) (\d\d:\d\d:\d\d\.\d{6}) +(\d+) ([^\s:\]]+):(\d+)\] (.*)", re.ASCII | re.DOTALL
)
_LEVELS = {"I": "info", "W": "warn", "E": "error", "F": "fatal"}
_NAMES = ("", *MONTHS)


def fields(line: bytes, document: ecs.Document) -> bool:
    """Fill the document from ``I1124 03:57:40.123456   1 file.go:12] text``; the year is that of the reading."""
    found = _LINE.fullmatch(text_of(line))
    if found is None or not 1 <= int(found[2]) <= len(MONTHS):
        return False
    level, month, day, clock, thread, file, number, message = found.groups()
    document.fields["message"] = message
    fill(
        document,
        (
            ("log.level", _LEVELS[level]),
            ("log.origin.file.name", file),
            ("log.origin.file.line", number),
            ("process.thread.id", thread),
        ),
    )
    return finish(document, line, document.times.bsd(f"{_NAMES[int(month)]} {day} {clock}"))
