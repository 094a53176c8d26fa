"""A line of PostgreSQL's log to ECS fields, with the default prefix or one with user and database. No I/O."""

import re

from shipper import ecs
from shipper.formats.fill import fill, finish, text_of

_LINE = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?)(?: ([A-Z]{1,5}|[+-]\d\d(?::?\d\d)?))? "
    r"\[(\d+)(?:-\d+)?\](?::? \[\d+-\d+\])? "
    r"(?:(?:user=)?([^\s@,=]*)[@,](?:db=)?([^\s,]*)(?:,app=([^,]*))?(?:,client=(\S*))? )?"
    r"(DEBUG\d?|INFO|NOTICE|WARNING|ERROR|LOG|FATAL|PANIC|DETAIL|HINT|QUERY|CONTEXT|LOCATION|STATEMENT):  (.*)",
    re.DOTALL,
)
_DURATION = re.compile(r"duration: (\d+\.\d+) ms")
_LEVELS = {"LOG": "info", "PANIC": "fatal", "DETAIL": "info", "HINT": "info", "QUERY": "info", "CONTEXT": "info"}
_LEVELS |= {"LOCATION": "info", "STATEMENT": "info"}
_LAST = 2**63
"""What ``long`` does not hold any more."""
_KNOWN_ZONES = ("UTC", "GMT")


def fields(line: bytes, document: ecs.Document) -> bool:
    """Fill the document; a zone that is a name other than UTC is taken for the input's."""
    found = _LINE.fullmatch(text_of(line))
    if found is None:
        return False
    time, zone, process, user, database, application, client, severity, message = found.groups()
    document.fields["message"] = message
    fill(
        document,
        (
            ("log.level", _LEVELS.get(severity, severity.rstrip("12345"))),
            ("process.pid", process),
            ("user.name", user),
            ("database", database),
            ("application", application),
            ("source.address", client),
            ("kind", severity.lower() if severity in _LEVELS and severity not in ("LOG", "PANIC") else None),
        ),
    )
    if duration := _DURATION.match(message):
        nanoseconds = float(duration[1]) * 10**6
        if nanoseconds < _LAST:
            document.put("event.duration", round(nanoseconds))
    if zone and (zone in _KNOWN_ZONES or not zone.isalpha()):
        time += zone if zone[0] in "+-" else f" {zone}"
    return finish(document, line, document.times.utc(time))
