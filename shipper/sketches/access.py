"""Simple lines of access logs (formats/access.py) to documents. No I/O."""

import ipaddress
import re

from shipper.columns import Column
from shipper.sketch import Given, Known, Parts, Rated, Sketch, Text, Whole
from shipper.times import Times

_OCTETS = frozenset(b"%d" % number for number in range(256))
_HOST = re.compile(r"(?!-)[\w.:-]+", re.ASCII)
_METHOD = re.compile("[A-Z]+")
_VERSION = re.compile(r"\d\.\d", re.ASCII)
_STATUS = re.compile(r"[1-9]\d\d", re.ASCII)
_VHOST = re.compile(r"([\w.*][\w.*-]*)(?::(\d{1,5}))?", re.ASCII)
_PATTERN = rb'([^ ]+) - ([!-Z^-~]+) \[([^]]+)\] \\"([^ ]+) (/[^ \\]*) HTTP/([^\\]+)\\" ([^ ]+) (0|[1-9]\d{0,15}|-)'


def _are_ipv4(column: Column) -> bool:
    """Whether all of them are IPv4 addresses in their usual form."""
    together = b"\n".join(column)
    dots = together.translate(None, b"0123456789")
    return dots == b"\n".join([b"..."] * len(column)) and _OCTETS.issuperset(together.replace(b"\n", b".").split(b"."))


def _source(text: str, _times: Times) -> str | None:
    if not _HOST.fullmatch(text):
        return None
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return f'"source":{{"address":"{text}","domain":"{text}"}},'
    return f'"source":{{"address":"{text}","ip":"{text}"}},'


def _time(text: str, times: Times) -> str | None:
    return times.clf(text)


def _method(text: str, _times: Times) -> str | None:
    return text if _METHOD.fullmatch(text) else None


def _version(text: str, _times: Times) -> str | None:
    return text if _VERSION.fullmatch(text) else None


def _status(text: str, _times: Times) -> str | None:
    return f'"response":{{"status_code":{text}' if _STATUS.fullmatch(text) else None


def _outcome(text: str, _times: Times) -> str:
    return '"outcome":"failure",' if text >= "4" else '"outcome":"success",'


def _domain(text: str, _times: Times) -> str | None:
    found = _VHOST.fullmatch(text)
    if found is None:
        return None
    return f',"domain":"{found[1]}"' + (f',"port":{int(found[2])}' if found[2] else "")


def _duration(text: str, _times: Times) -> str:
    return f'"duration":{round(float(text) * 10**9)},'


def _fields(first: int, domain: Parts, referrer: Parts, agent: Parts) -> Parts:
    """The parts of a line whose client's address is that group."""
    source = (b'"source":{"address":"', Text(first), b'","ip":"', Text(first), b'"},')
    return (
        *(b'"message":"', Whole(), b'",', Rated(first, _are_ipv4, source, _source, b"4")),
        *(Given(first + 1, b'"user":{"name":"', b'"},'), b'"http":{"request":{"method":"', Known(first + 3, _method)),
        *(b'"', *referrer, b'},"version":"', Known(first + 5, _version), b'",', Known(first + 6, _status)),
        *(
            Given(first + 7, b',"body":{"bytes":', b"}"),
            b'}},"url":{"original":"',
            Text(first + 4),
            b'"',
            *domain,
            b"},",
        ),
        *(*agent, b'"@timestamp":"', Known(first + 2, _time), b'",'),
    )


def _combined(first: int, domain: Parts) -> Parts:
    agent = Given(first + 9, b'"user_agent":{"original":"', b'"},')
    return _fields(first, domain, (Given(first + 8, b',"referrer":"'),), (agent,))


_PROBES = (
    b'192.0.2.7 - alice [03/Feb/2001:04:05:06 +0000] "GET /a HTTP/1.1" 200 7',
    b'host - - [04/Feb/2001:04:05:06 +0000] "PUT /b HTTP/2.0" 503 -',
)
_COMBINED_PROBES = (_PROBES[0] + b' "http://c/" "Agent/1"', _PROBES[1] + b' "-" "Agent/2"')
_AGENT = rb' \\"([^\\]*)\\" \\"([^\\]*)\\"'
_END = rb"(?=\\n)"
COMBINED = Sketch(
    pattern=_PATTERN + _AGENT + _END,
    fields=_combined(0, ()),
    event=(Known(6, _outcome),),
    probes=_COMBINED_PROBES,
)
COMMON = Sketch(pattern=_PATTERN + _END, fields=_fields(0, (), (), ()), event=(Known(6, _outcome),), probes=_PROBES)
TIMED = Sketch(
    pattern=_PATTERN + _AGENT + rb' (\d{1,8}\.\d{1,9})(?: \\"-\\")?' + _END,
    fields=_combined(0, ()),
    event=(Known(6, _outcome), Known(10, _duration)),
    probes=(_COMBINED_PROBES[0] + b" 0.125", _COMBINED_PROBES[1] + b' 1.5 "-"'),
)
"""With how long the request took, forwarded for nobody."""
VHOST = Sketch(
    pattern=rb"([^ ]+) " + _PATTERN + _AGENT + _END,
    fields=_combined(1, (Known(0, _domain),)),
    event=(Known(7, _outcome),),
    probes=(b"a.example:80 " + _COMBINED_PROBES[0], b"b.example " + _COMBINED_PROBES[1]),
)
"""With the virtual host before."""
SKETCHES = (COMBINED, COMMON, VHOST, TIMED)
