"""An entry of systemd's journal, as ``journalctl -o json`` writes it, to ECS fields. No I/O.

Names and kinds of values: https://systemd.io/JOURNAL_EXPORT_FORMATS/ and systemd.journal-fields(7).
"""

import re
from typing import Any

import orjson

from shipper import ecs
from shipper.formats.fill import fill, finish
from shipper.formats.json import is_deep
from shipper.formats.syslog import SEVERITIES

_TIMES = ("_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP")
"""Microseconds since 1970: when it was said, else when it was received."""
_MICROSECONDS = re.compile(r"\d{1,19}", re.ASCII)
_NAMES = {
    "_PID": "process.pid",
    "_COMM": "process.name",
    "_EXE": "process.executable",
    "_CMDLINE": "process.command_line",
    "_UID": "user.id",
    "PRIORITY": "log.syslog.severity.code",
    "SYSLOG_FACILITY": "log.syslog.facility.code",
    "SYSLOG_IDENTIFIER": "log.syslog.appname",
    "SYSLOG_PID": "log.syslog.procid",
    "_HOSTNAME": "log.syslog.hostname",
    "CODE_FILE": "log.origin.file.name",
    "CODE_LINE": "log.origin.file.line",
    "CODE_FUNC": "log.origin.function",
}


def fields(line: bytes, document: ecs.Document) -> bool:
    """Fill the document from an entry; its other fields become labels, ``journald.<name>``."""
    if b'"__REALTIME_TIMESTAMP"' not in line:
        return False
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    if type(entry) is not dict or "MESSAGE" not in entry or "__REALTIME_TIMESTAMP" not in entry or is_deep(line, entry):
        return False
    time = next((str(entry.pop(name)) for name in _TIMES if name in entry), "")
    document.fields["message"] = _text(entry.pop("MESSAGE")) or ""
    priority = entry.get("PRIORITY")
    if type(priority) is str and len(priority) == 1 and priority in "01234567":
        name = SEVERITIES[int(priority)]
        fill(document, (("log.level", name), ("log.syslog.severity.name", name)))
    fill(document, ((name, _text(entry.pop(key))) for key, name in _NAMES.items() if key in entry))
    for key, value in entry.items():
        document.label(ecs.key_of(f"journald.{key.strip('_').lower()}"), _text(value))
    return finish(document, line, document.times.utc(int(time)) if _MICROSECONDS.fullmatch(time) else None)


def _text(value: Any) -> str | None:
    """A value as text: it is a list of bytes where it is no text, a list of values where a field was given often.

    It is None where it was too large for journalctl.
    """
    if type(value) is list and all(type(item) is int and 0 <= item < 256 for item in value):
        return bytes(value).decode("utf-8", "replace")
    if type(value) is list:
        return "\n".join(text for text in map(_text, value) if text)
    return value if value is None or type(value) is str else ecs.as_text(value)
