"""Any line to its text, with the time and the level that stand at its beginning where they do. No I/O."""

import re

from shipper import ecs

_TIME = re.compile(r"\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)\b", re.ASCII)
_LEVEL = re.compile(r"\b(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL)\b")
_LEVEL_WITHIN = 80


def fields(line: bytes, document: ecs.Document) -> bool:
    """Take any line; bytes that are not UTF-8 are replaced and the document flagged ``encoding``."""
    if line.endswith(b"\r"):
        line = line[:-1]
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = line.decode("utf-8", "replace")
        document.flags.append("encoding")
    document.fields["message"] = text
    if text[:1] in _TIME_STARTS and (found := _TIME.match(text)):
        time = document.times.utc(found[1])
        if time is not None:
            document.fields["@timestamp"] = time
    if found := _LEVEL.search(text, 0, _LEVEL_WITHIN):
        document.log["level"] = ecs.level_of(found[1])
    return True


_TIME_STARTS = frozenset("[12")
