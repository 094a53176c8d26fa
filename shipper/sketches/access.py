"""Simple lines of access logs (formats/access.py) to documents. No I/O."""

import ipaddress
import re

from shipper.columns import Column
from shipper.sketch import Given, Known, Maker, Rated, Sketch, Text, Whole
from shipper.times import Times

_OCTETS = frozenset(b"%d" % number for number in range(256))
_HOST = re.compile(r"(?!-)[\w.:-]+", re.ASCII)
_METHOD = re.compile("[A-Z]+")
_VERSION = re.compile(r"\d\.\d", re.ASCII)
_STATUS = re.compile(r"[1-9]\d\d", re.ASCII)
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


def _common(referrer: tuple[bytes | Given, ...], agent: tuple[bytes | Given, ...]) -> tuple[bytes | Maker, ...]:
    return (
        *(b'"message":"', Whole(), b'",'),
        Rated(0, _are_ipv4, (b'"source":{"address":"', Text(0), b'","ip":"', Text(0), b'"},'), _source),
        Given(1, b'"user":{"name":"', b'"},'),
        *(b'"http":{"request":{"method":"', Known(3, _method), b'"', *referrer),
        *(b'},"version":"', Known(5, _version), b'",', Known(6, _status), Given(7, b',"body":{"bytes":', b"}")),
        *(b'}},"url":{"original":"', Text(4), b'"},', *agent),
        *(b'"@timestamp":"', Known(2, _time), b'",'),
    )


_PROBES = (
    b'192.0.2.7 - alice [03/Feb/2001:04:05:06 +0000] "GET /a HTTP/1.1" 200 7',
    b'host - - [04/Feb/2001:04:05:06 +0000] "PUT /b HTTP/2.0" 503 -',
)
COMBINED = Sketch(
    pattern=_PATTERN + rb' \\"([^\\]*)\\" \\"([^\\]*)\\"(?=\\n)',
    fields=_common((Given(8, b',"referrer":"'),), (Given(9, b'"user_agent":{"original":"', b'"},'),)),
    event=(Known(6, _outcome),),
    probes=(_PROBES[0] + b' "http://c/" "Agent/1"', _PROBES[1] + b' "-" "Agent/2"'),
)
COMMON = Sketch(pattern=_PATTERN + rb"(?=\\n)", fields=_common((), ()), event=(Known(6, _outcome),), probes=_PROBES)
SKETCHES = (COMBINED, COMMON)
