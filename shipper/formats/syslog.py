"""A line of syslog to ECS fields: RFC 3164 as files have it, the same with an ISO time, and RFC 5424. No I/O.

Names are those of ``log.syslog.*``; the host that a line names is never taken for the one that ships it.
"""

import re

from shipper import ecs
from shipper.formats.fill import fill, finish, text_of
from shipper.times import BSD_MONTH

_ISO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"
_OLD = re.compile(
    rf"(?:<(\d{{1,3}})>)?(?:({BSD_MONTH} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?)|({_ISO})) (\S+) "
    r"([^\s:\[\]]+(?: [^\s:\[\]]+)?)(?:\[([^\]]{1,64})\])?: ?(.*)",
    re.DOTALL,
)
_NEW = re.compile(
    rf"<(\d{{1,3}})>1 (-|{_ISO}) (\S+) (\S+) (\S+) (\S+) "
    r"(-|(?:\[(?:[^\]\\\"]|\\.|\"(?:[^\"\\]|\\.)*\")*\])+)(?: (.*))?",
    re.DOTALL,
)
_ELEMENT = re.compile(r"\[([^\s\]]+)((?: [^\s=]+=\"(?:[^\"\\]|\\.)*\")*)\]")
_PARAMETER = re.compile(r" ([^\s=]+)=\"((?:[^\"\\]|\\.)*)\"")
_ESCAPED = re.compile(r'\\(["\\\]])')
_MOST_PRIORITY = 191
FACILITIES = (
    *("kernel", "user-level", "mail", "system", "security/authorization", "syslogd", "line printer", "network news"),
    *("UUCP", "clock", "security/authorization", "FTP", "NTP", "log audit", "log alert", "clock"),
    *(f"local{number}" for number in range(8)),
)
"""The names of facilities by their codes, as RFC 5424 has them in its table 1."""
SEVERITIES = ("Emergency", "Alert", "Critical", "Error", "Warning", "Notice", "Informational", "Debug")


def fields(line: bytes, document: ecs.Document) -> bool:
    """Fill the document from a line of either form; False if it is none."""
    text = text_of(line)
    if found := _NEW.fullmatch(text):
        return _new(line, document, found)
    found = _OLD.fullmatch(text)
    if found is None or int(found[1] or 0) > _MOST_PRIORITY:
        return False
    priority, bare, iso, host, tag, process, message = found.groups()
    document.fields["message"] = message
    _priority(document, priority)
    fill(
        document,
        (
            ("log.syslog.hostname", host),
            ("log.syslog.appname", tag),
            ("log.syslog.procid", process),
            ("process.name", tag),
            ("process.pid", process if process and process.isdigit() else None),
        ),
    )
    return finish(document, line, document.times.utc(iso) if iso else document.times.bsd(bare))


def _new(line: bytes, document: ecs.Document, found: re.Match[str]) -> bool:
    priority, time, host, name, process, kind, data, message = found.groups()
    if int(priority) > _MOST_PRIORITY:
        return False
    document.fields["message"] = (message or "").removeprefix(" ").removeprefix("\ufeff")
    _priority(document, priority)
    fill(
        document,
        (
            ("log.syslog.version", "1"),
            ("log.syslog.hostname", host),
            ("log.syslog.appname", name),
            ("log.syslog.procid", process),
            ("log.syslog.msgid", kind),
            ("process.name", name),
            ("process.pid", process if process.isdigit() else None),
        ),
    )
    for element, parameters in _ELEMENT.findall(data):
        for key, value in _PARAMETER.findall(parameters):
            document.label(ecs.key_of(f"{element}.{key}"), _ESCAPED.sub(r"\1", value))
    return finish(document, line, None if time == "-" else document.times.utc(time))


def _priority(document: ecs.Document, written: str | None) -> None:
    if written is None:
        return
    facility, severity = divmod(int(written), 8)
    document.put("log.syslog.priority", int(written))
    document.put("log.syslog.facility.code", facility)
    document.put("log.syslog.facility.name", FACILITIES[facility])
    document.put("log.syslog.severity.code", severity)
    document.put("log.syslog.severity.name", SEVERITIES[severity])
    fill(document, (("log.level", SEVERITIES[severity]),))
