"""One file per format: a line to fields. No I/O.

A format takes a line's bytes (without its delimiter; a CR may still be there) and a fresh document, fills the document
and returns True; or it returns False, leaving the document as it was, when the line is not of the format.
"""

from collections.abc import Mapping
from functools import cache

from shipper import ecs
from shipper.formats import (
    apache,
    auto,
    csv,
    foreign,
    grok,
    java,
    journal,
    json,
    klog,
    logfmt,
    nginx,
    plain,
    postgresql,
    python,
    redis,
    regex,
    rust,
    syslog,
    wrapped,
)
from shipper.formats.auto import Format
from tailrace.settings import Input

_UNWRAPS = {"cri": wrapped.cri, "docker": wrapped.docker}
_TELLING = frozenset(("cri", "docker", "journal", "klog", "redis", "nginx", "apache", "postgresql", "syslog", "logfmt"))
_FIXED: dict[str, Format] = {
    "journal": journal.fields,
    "klog": klog.fields,
    "redis": redis.fields,
    "nginx": nginx.fields,
    "apache": apache.fields,
    "postgresql": postgresql.fields,
    "syslog": syslog.fields,
    "java": java.fields,
    "python": python.fields,
    "rust": rust.fields,
    "logfmt": logfmt.fields,
    "json": json.fields,
    "plain": plain.fields,
}


def format_of(entry: Input) -> Format:
    """The format of an input's lines, made for one source: some of them learn from its lines.

    Raises:
        BadPattern: its pattern is wrong.
    """
    if entry.format in _UNWRAPS:
        return wrapped.Wrapped(_named(entry.inner, entry), _UNWRAPS[entry.format])
    return _named(entry.format, entry)


@cache  # for all files: none of these learns from the lines of one
def guessed() -> Mapping[str, Format]:
    """The formats that a file may be recognised as, the most telling first."""
    wrappers = {name: wrapped.Wrapped(auto.fields, unwrap) for name, unwrap in _UNWRAPS.items()}
    return {**wrappers, **{name: one for name, one in _FIXED.items() if name not in ("json", "plain")}}


def is_telling(name: str, line: bytes, document: ecs.Document) -> bool:
    """Whether a line by itself shows its format: what else would look so, with a time that was read and no doubt?

    The others (``java``, ``python``, ``rust``, and syslog with an ISO time) write lines much alike, and lose neither
    time nor level while they are taken for text.
    """
    alike = name == "syslog" and line[:1].isdigit()
    return name in _TELLING and not alike and "@timestamp" in document.fields and not document.flags


def _named(name: str, entry: Input) -> Format:
    if name == "auto":
        return auto.Auto(guessed(), is_telling)
    if name == "regex":
        return regex.make(entry.pattern, entry.time_format)
    if name == "grok":
        return grok.make(entry.pattern, entry.definitions, entry.time_format)
    if name == "csv":
        return csv.make(entry.csv, entry.time_format)
    return _FIXED[name] if name in _FIXED else foreign.Foreign(name)
