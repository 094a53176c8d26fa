"""The text of a stack trace to ``error.*``. No I/O.

``error.grouping_key`` is the same for traces that differ only in their message, in line numbers, in addresses and in
generated names: a hash of the types and of where they came from.
"""

import functools
import hashlib
import re

import orjson

from shipper import ecs
from shipper.times import Times

_JAVA = re.compile(
    r"^(?:Exception in thread \".*?\" |Unhandled exception\. |(?:Uncaught )|Caused by: )?"
    r"((?:[\w$]+\.)*(?=[A-Z])[\w$]*(?:Exception|Error|Throwable|Failure)[\w$]*)(?: \[\w+\])?(?:: (.*))?$",
    re.MULTILINE,
)
_PYTHON = re.compile(r"^[ |+]*(?:Exception Group )?Traceback \(most recent call last\):", re.MULTILINE)
_RAISED = re.compile(r"^[ |+]*([A-Za-z_][\w.]*)(?:: (.*))?\r?$")
_GO = re.compile(r"^(panic|fatal error): (.*?)(?: \[recovered\])?$", re.MULTILINE)
_RUST = re.compile(r"^thread '.*' (?:\(\d+\) )?panicked at (?:'(.*)', )?.*?:?\r?$(?:\n(.*))?", re.MULTILINE)
_RUBY = re.compile(r"^\S+\.rb:\d+:in [`'][^'\n]*': (.*) \(([A-Z]\w*(?:::\w+)*)\)$", re.MULTILINE)
_GROUP = re.compile(r"^ *\| (\w*ExceptionGroup): (.*)$", re.MULTILINE)
_SOURCE = re.compile(r"(?:/|file://|node:)\S+:\d+\r?\n")
"""Node shows the place in the source before the error."""
_FRAME = re.compile(r"^[\s|+]*(?:at |File |#\d+ |from |\d+: |\t)|^[\w./*()\[\]{}$-]+\(", re.MULTILINE)
_MOVING = re.compile(r"0x[0-9a-fA-F]+|@[0-9a-f]{6,}|\$\$?Lambda\S*|[:\s(]\d+(?![0-9a-zA-Z])\)?|, line \d+|\d{2,}")
_ENDS = re.compile(rb"(?<![:\d])\d+$|[!-/:-~]$")
"""How the first line may end, so that its text is the message as it stands and no place in a source."""
_MOST_FRAMES = 50
_REMEMBERED = 4096
_GROUPS = {_GO: (1, 2), _RUST: (0, 1), _RUBY: (2, 1), _JAVA: (1, 2)}
"""The groups of a pattern that say the type, and the message."""
_WORDS = (
    (_PYTHON, ("Traceback (most recent call last)",)),
    (_GO, ("panic: ", "fatal error: ")),
    (_RUST, (" panicked at ",)),
    (_RUBY, (".rb:",)),
    (_JAVA, ("Exception", "Error", "Throwable", "Failure")),
)
"""Without one of these words a text is not searched for the pattern: finding none takes a twentieth of the time."""


def begins(text: str) -> int:
    """Where in a record of several lines its trace begins, which may be the beginning; -1 if there is none."""
    starts = [found.start() for kind in _likely(text) if (found := kind.search(text))]
    frame = _FRAME.search(text, text.find("\n") + 1)
    if frame is None:
        return -1
    return 0 if _SOURCE.match(text) else min(starts, default=frame.start())


def fill(document: ecs.Document, text: str) -> None:
    """Set ``error.type``, ``.message``, ``.stack_trace`` and ``.grouping_key`` from a trace, as far as it says them."""
    document.put("error.stack_trace", text)
    kind, message = _what(text)
    if kind:
        document.put("error.type", kind)
    if message:
        document.put("error.message", message)
    document.put("error.grouping_key", grouping_key(kind, text))


def member(head: bytes, rest: bytes) -> bytes | None:
    """``error`` as a member of a document, of a record in which behind the line ``head`` nothing but a trace follows.

    None if that is not certain, of the same trace that ``begins`` would find.
    """
    if not _ENDS.search(head):
        return None
    try:
        first, text = head.decode(), rest.decode().removesuffix("\r")
    except UnicodeDecodeError:
        return None
    starts = [found.start() for kind in _likely(text) if (found := kind.search(text))]
    frame = _FRAME.search(text)
    if _likely(first) or frame is None or min(starts, default=frame.start()):
        return None
    document = ecs.Document(Times("UTC"))
    fill(document, text)
    return b'"error":%b,' % orjson.dumps(document.fields["error"])


def grouping_key(kind: str, text: str) -> str:
    """A short hash that traces of the same fault share."""
    steady = list(filter(None, map(_steady, text.splitlines())))[:_MOST_FRAMES]
    return hashlib.blake2b("\n".join([kind, *steady]).encode("utf-8", "replace"), digest_size=8).hexdigest()


@functools.lru_cache(_REMEMBERED)
def _steady(line: str) -> str | None:
    """A frame without what moves, None if it is no frame; the same ones come again and again."""
    return _MOVING.sub("", line.strip()) if _FRAME.match(line) else None


def _likely(text: str) -> list[re.Pattern[str]]:
    """The patterns that may be found in a text, in the order in which they count."""
    found = []
    for kind, words in _WORDS:
        for word in words:
            if word in text:
                found.append(kind)
                break
    return found


def _what(text: str) -> tuple[str, str]:
    """The type and the message: of the first error, but of Python's the last, which is the one that was raised."""
    for kind in _likely(text):
        if found := kind.search(text):
            if kind is _PYTHON:
                return _python(text)
            name, message = _GROUPS[kind]
            said = found[message] or (found[2] if kind is _RUST else "") or ""
            return found[name] if name else "panic", said.strip()
    return "", ""


def _python(text: str) -> tuple[str, str]:
    if found := _GROUP.search(text):
        return found[1], found[2]
    raised = (_RAISED.match(line) for line in reversed(text.rstrip().splitlines()) if not line.startswith("  "))
    return next(((found[1], found[2] or "") for found in raised if found), ("", ""))
