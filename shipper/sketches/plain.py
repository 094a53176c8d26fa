"""Simple lines of text (formats/plain.py) to documents. No I/O."""

import re

import orjson

from shipper import ecs
from shipper.sketch import Computed, Known, Sketch, Whole
from shipper.sketches.pieces import TIME, level, time

_NAMES = ("TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "CRITICAL", "FATAL")
_LEVELS = "|".join(_NAMES)
_level = level(*_NAMES)
_LEVEL_WITHIN = 80
_find_level = re.compile(rf"\b({_LEVELS})\b").search
_find_level_in_ascii = re.compile(rf"\b({_LEVELS})\b".encode()).search
_MEMBERS = {name: b'"level":"%b",' % (ecs.level_of(name) or "").encode() for name in _NAMES}
_MEMBERS_OF_ASCII = {name.encode(): member for name, member in _MEMBERS.items()}

_MESSAGE = (b'"message":"', Whole(), b'",')


def _level_in(line: bytes) -> bytes:
    """The member of ``log`` for the first level at the beginning of a line, that stands inside a JSON text."""
    head = line[:_LEVEL_WITHIN]
    if head.isascii() and b"\\" not in head:
        in_ascii = _find_level_in_ascii(head)
        return _MEMBERS_OF_ASCII[in_ascii[1]] if in_ascii else b""
    found = _find_level(orjson.loads(b'"%b"' % line), 0, _LEVEL_WITHIN)
    return _MEMBERS[found[1]] if found else b""


LEVELLED = Sketch(
    pattern=TIME + rb"[\[\] ]{1,8}+([A-Z]+)(?![\w\x80-\xff])",
    fields=(*_MESSAGE, *time(0, 1)),
    log=(Known(2, _level),),
    probes=(b"2001-02-03 04:05:06.789 INFO said", b"[2001-02-04T04:05:07Z] ERROR not said"),
    heads=True,
)
"""A time and behind it a level."""
TIMED = Sketch(
    pattern=TIME + rb"(?=[ \]])",
    fields=(*_MESSAGE, *time(0, 1)),
    log=(Computed(_level_in),),
    probes=(b"2001-02-03 04:05:06.789 said INFO", b"[2001-02-04T04:05:07Z] not said ERROR", b"2001-02-04 04:05:07 -"),
)
UNTIMED = Sketch(
    pattern=rb"(?!\[?\d{4}-\d\d-)(?= *[^ \\])()()",
    fields=_MESSAGE,
    log=(Computed(_level_in),),
    probes=(b"said INFO", b"not said ERROR", b"nothing"),
)
"""A line that is not blank, and does not begin with a hole nor with what might be a time."""
SKETCHES = (LEVELLED, TIMED, UNTIMED)
