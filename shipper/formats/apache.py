"""A line of Apache's access log or error log to ECS fields. No I/O."""

import re

from shipper import ecs
from shipper.formats import access
from shipper.formats.fill import address, fill, finish, text_of
from shipper.times import MONTHS

_ERROR = re.compile(
    r"\[[A-Z][a-z][a-z] ([A-Z][a-z][a-z]) ([ \d]\d) (\d\d:\d\d:\d\d)(\.\d+)? (\d{4})\] \[(?:(\w*):)?(\w+)\] "
    r"(?:\[pid (\d+)(?::tid (\d+))?\] )?(?:\[client ([^\]]+?)(?::(\d+))?\] )?(?:(AH\d{5}): )?(.*)",
    re.ASCII | re.DOTALL,
)


def fields(line: bytes, document: ecs.Document) -> bool:
    """Fill the document; the kind of the log is told by how the line begins."""
    return _error(line, document) if line[:1] == b"[" else access.fields(line, document)


def _error(line: bytes, document: ecs.Document) -> bool:
    found = _ERROR.fullmatch(text_of(line))
    if found is None or found[1] not in MONTHS:
        return False
    month, day, clock, fraction, year, module, level, process, thread, host, port, code, message = found.groups()
    document.fields["message"] = message
    fill(
        document,
        (
            ("log.level", level),
            ("log.logger", module),
            ("process.pid", process),
            ("process.thread.id", thread),
            ("error.code" if level in ("error", "crit", "alert", "emerg") else "event.code", code),
        ),
    )
    address(document, "source", host, port)
    when = f"{year}-{MONTHS[month]:02d}-{day.replace(' ', '0')}T{clock}{fraction or ''}"
    return finish(document, line, document.times.utc(when))
