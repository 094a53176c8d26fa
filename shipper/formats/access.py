"""A line of a web server's access log (common, combined, with a virtual host before, with more behind) to ECS. No I/O.

``message`` is the whole line, as people search for it.
"""

import re

from shipper import ecs
from shipper.formats.fill import address, fill, finish, text_of

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_LINE = re.compile(
    r"(?:([\w.*\[\]:-]+) )?(?!-)(\S+) (\S+) (\S[^\[]*) \[(\d\d/[A-Z][a-z][a-z]/\d{4}:[^\]]+)\] "
    + _QUOTED
    + r" (\d{3}|-) (\d+|-)(?: "
    + _QUOTED
    + " "
    + _QUOTED
    + r")?(?: (.*))?",
    re.DOTALL,
)
_REQUEST = re.compile(r"([A-Z][A-Z_-]*) (\S.*?)(?: HTTP/(\d(?:\.\d)?))?")
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.))")
_SECONDS = re.compile(r"\d{1,8}\.\d{1,9}")
_FAILED = "4"
"""What statuses of failure begin with, or a later digit."""


def fields(line: bytes, document: ecs.Document) -> bool:
    """Fill the document from a line of an access log; False if it is none."""
    text = text_of(line)
    found = _LINE.fullmatch(text)
    if found is None:
        return False
    vhost, host, ident, user, time, request, status, size, referrer, agent, more = found.groups()
    document.fields["message"] = text
    address(document, "source", host)
    what = _REQUEST.fullmatch(request)
    method, url, version = what.groups() if what else (None, request, None)
    fill(
        document,
        (
            ("user.name", user if user == "-" else unescaped(user)),
            ("http.request.method", method),
            ("url.original", unescaped(url)),
            ("http.version", version),
            ("http.response.status_code", status),
            ("http.response.body.bytes", size),
            ("http.request.referrer", referrer and unescaped(referrer)),
            ("user_agent.original", agent and unescaped(agent)),
            ("ident", ident),
        ),
    )
    if vhost:
        name, colon, port = vhost.rpartition(":")
        fill(document, (("url.domain", name if colon and port.isdigit() else vhost),))
        if colon and port.isdigit():
            fill(document, (("url.port", port),))
    if status != "-":
        document.put("event.outcome", "failure" if status >= _FAILED else "success")
    if more:
        _more(document, more)
    return finish(document, line, document.times.clf(time))


def unescaped(text: str) -> str:
    r"""What a server wrote as ``\xHH``, ``\"`` or ``\\``, as it was; what gives no UTF-8 stays as it was written."""
    if "\\" not in text:
        return text
    parts = _ESCAPE.split(text)
    raw = bytearray(parts[0].encode())
    for at in range(1, len(parts), 3):
        raw += bytes((int(parts[at], 16),)) if parts[at] else parts[at + 1].encode()
        raw += parts[at + 2].encode()
    try:
        plain = raw.decode()
    except UnicodeDecodeError:
        return text
    return plain if plain.isprintable() else text


def _more(document: ecs.Document, more: str) -> None:
    """What stands behind: a lone time in seconds is how long the request took; the rest is kept as it is."""
    words = more.split(" ")
    if _SECONDS.fullmatch(words[0]):
        document.put("event.duration", round(float(words[0]) * 10**9))
        more = more[len(words[0]) :].lstrip()
    fill(document, (("extra", more.strip('"')),))
