"""A line of nginx's access log or error log to ECS fields. No I/O."""

import re

from shipper import ecs
from shipper.formats import access
from shipper.formats.fill import address, fill, finish, text_of

_ERROR = re.compile(
    r"(\d{4})/(\d\d)/(\d\d) (\d\d:\d\d:\d\d) \[([a-z]+)\] (\d+)#(\d+): (?:\*(\d+) )?(.*)", re.ASCII | re.DOTALL
)
_DETAIL = re.compile(r', (client|server|request|upstream|host|referrer): (?:"((?:[^"\\]|\\.)*)"|([^,]*))')


def fields(line: bytes, document: ecs.Document) -> bool:
    """Fill the document; the kind of the log is told by how the line begins."""
    return _error(line, document) if line[4:5] == b"/" and line[:4].isdigit() else access.fields(line, document)


def _error(line: bytes, document: ecs.Document) -> bool:
    text = text_of(line)
    found = _ERROR.fullmatch(text)
    if found is None:
        return False
    year, month, day, clock, level, process, thread, connection, message = found.groups()
    document.fields["message"] = message
    fill(
        document,
        (
            ("log.level", level),
            ("process.pid", process),
            ("process.thread.id", thread),
            ("connection", connection),
        ),
    )
    for name, quoted, bare in _DETAIL.findall(message):
        _detail(document, name, quoted or bare)
    return finish(document, line, document.times.utc(f"{year}-{month}-{day}T{clock}"))


def _detail(document: ecs.Document, name: str, value: str) -> None:
    if name == "client":
        address(document, "source", value)
    elif name == "request":
        method, _, rest = value.partition(" ")
        fill(document, (("http.request.method", method), ("url.original", rest.rpartition(" HTTP/")[0] or rest)))
    elif name == "host":
        fill(document, (("url.domain", value.rpartition(":")[0] or value),))
    else:
        fill(document, (("http.request.referrer" if name == "referrer" else name, value),))
