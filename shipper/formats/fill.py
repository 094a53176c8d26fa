"""What a format found in a line to the document. No I/O."""

from collections.abc import Iterable

from shipper import ecs
from shipper.columns import is_utf8

NO_FORMAT = (ArithmeticError, LookupError, TypeError, ValueError, RecursionError)
"""What a format might raise of a line that nobody thought of: it is none of that format then, and ends nobody."""
_NOTHING = frozenset((None, "", "-"))


def text_of(line: bytes) -> str:
    """A line as text, without the CR of its delimiter; what is not UTF-8 is replaced (see ``finish``)."""
    return line.decode("utf-8", "replace").removesuffix("\r")


def fill(document: ecs.Document, pairs: Iterable[tuple[str, str | None]]) -> None:
    """Set ECS fields by their dotted names; a value that does not fit its field, or has none, becomes a label.

    Nothing is set for None, empty text and ``-``.
    """
    for name, value in pairs:
        if value not in _NOTHING:
            claim = ecs.CLAIMS.get(name)
            if claim is None or not claim(document, name, value):
                document.label(name, value)


def address(document: ecs.Document, side: str, host: str | None, port: str | None = None) -> None:
    """Set ``<side>.address`` as it was written, ``.ip`` if it is one, else ``.domain``; and the port."""
    if host in _NOTHING or host is None:
        return
    host = host.strip("[]")
    fill(document, ((f"{side}.address", host), (f"{side}.port", port)))
    if not ecs.CLAIMS[f"{side}.ip"](document, f"{side}.ip", host):
        fill(document, ((f"{side}.domain", host),))


def finish(document: ecs.Document, line: bytes, time: str | None) -> bool:
    """Set the time, or flag that there was none that could be read, and what was no UTF-8; True."""
    if time is None:
        document.flags.append("time")
    else:
        document.fields["@timestamp"] = time
    return finish_untimed(document, line)


def finish_untimed(document: ecs.Document, line: bytes) -> bool:
    """As ``finish``, of a line that does not say when it was written."""
    if not is_utf8(line):
        document.flags.append("encoding")
    return True
