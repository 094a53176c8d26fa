"""A line of Redis' log to ECS fields. No I/O."""

import re

from shipper import ecs
from shipper.formats.fill import fill, finish, text_of
from shipper.times import MONTHS

_LINE = re.compile(
    r"(\d+):([XCSM]) (\d\d) ([A-Z][a-z][a-z]) (\d{4}) (\d\d:\d\d:\d\d\.\d{3}) ([.*#-]) (.*)", re.ASCII | re.DOTALL
)
_LEVELS = {".": "debug", "-": "info", "*": "notice", "#": "warn"}
_ROLES = {"X": "sentinel", "C": "child", "S": "replica", "M": "master"}


def fields(line: bytes, document: ecs.Document) -> bool:
    """Fill the document from ``123:M 24 Nov 2026 03:57:40.123 * text``."""
    found = _LINE.fullmatch(text_of(line))
    if found is None or found[4] not in MONTHS:
        return False
    process, role, day, month, year, clock, level, message = found.groups()
    document.fields["message"] = message
    fill(document, (("log.level", _LEVELS[level]), ("process.pid", process), ("role", _ROLES[role])))
    return finish(document, line, document.times.utc(f"{year}-{MONTHS[month]:02d}-{day}T{clock}"))
