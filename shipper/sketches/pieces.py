"""Pieces of lines that several formats share: patterns, and how they become members of a document. No I/O."""

import orjson

from shipper import ecs
from shipper.sketch import Iso, Turn

BARE_TIME = rb"([^\\]{19})([^ \]]*)"
TIME = rb"\[?" + BARE_TIME
"""For ``time``; what is behind it must begin with white space or a bracket."""


def level(*names: str) -> Turn:
    """A turn of one of these levels to a member of ``log``, under its common name."""
    members = {name: f'"level":{orjson.dumps(ecs.level_of(name)).decode()},' for name in names}
    return lambda text, _times: members.get(text)


def time(second: int, tail: int) -> tuple[bytes | Iso, ...]:
    """The member ``@timestamp`` from the numbers of the two groups of ``TIME``."""
    return b'"@timestamp":"', Iso(second, tail), b'",'
