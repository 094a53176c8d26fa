"""What must not leave a host: the kinds that can be told by how they are written. No I/O.

The patterns are RE2. Each also finds what it is meant for in JSON as it was written, if there is no backslash: they are
looked for in whole lines (``scan.py``).
"""

import ipaddress
import re
from collections.abc import Callable
from typing import NamedTuple

_WORD = (
    r"pass(?:word|wd|phrase)?|pwd|secret(?:[_-]?key)?|(?:api|access|private|account|shared)[_-]?key"
    r"|(?:access|refresh|auth|id|session|csrf|api)?[_-]?token|credentials?|authorization"
)


class Kind(NamedTuple):
    """One kind: what may be one, how much of that is one (None: it is none), and what equal ones have in common.

    ``probe`` is a short pattern that matches wherever ``pattern`` does: many of these can be looked for at once.
    """

    probe: str
    pattern: str
    part: Callable[[str], str | None]
    common: Callable[[str], str]
    holder: str = ""
    """A label whose name matches this holds one, whatever its value looks like."""


def card_of(text: str) -> str | None:
    """The payment card's number that text begins with: it passes Luhn's check (ISO/IEC 7812-1); None if there is none.

    Behind it, and apart from it, other digits may stand: its last month, its check number.
    """
    while len(digits := _digits(text)) >= _LEAST_DIGITS:
        doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
        if (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0:
            return text
        text = text[: max(text.rfind(" "), text.rfind("-"), 0)]
    return None


def _address_of(text: str) -> str | None:
    try:
        return text if ipaddress.ip_address(text).packed.strip(b"\0") else None
    except ValueError:
        return None


def _value_of(text: str) -> str | None:
    """Not a label that stands in place of something, and not a word that says there is nothing; less what ends it."""
    if LABELLED.fullmatch(text.rstrip(",;.)}")):
        return None
    value = text.rstrip(",;.)}]")
    if _OPEN_LABEL.search(value) and text[len(value) :].startswith("]"):
        value += "]"
    return None if value.lower() in NO_VALUES else value


def _all_of(text: str) -> str:
    return text


def _digits(text: str) -> str:
    return text.replace(" ", "").replace("-", "")


def _canonical(text: str) -> str:
    return ipaddress.ip_address(text).compressed


_LEAST_DIGITS = 13
LABELLED = re.compile(r"\[(?:email|card|ipv4|ipv6|jwt|bearer|cloud_key|password|redacted)(?::[0-9a-f]{16})?\]")
"""What stands in place of a secret: not to be replaced again."""
_OPEN_LABEL = re.compile(LABELLED.pattern.removesuffix(r"\]") + "$")
NO_VALUES = frozenset(("", "null", "none", "true", "false", "undefined", "nil"))
_SCHEME = r"(?:bearer|basic)(?:\s|%20|\+)+"
SCHEME_TOKEN = re.compile(rf"(?is)\s*{_SCHEME}(.+)")
"""A whole ``Authorization`` header's value; the token (RFC 6750) or credentials (RFC 7617) in it are the group."""
_HEX = "[0-9A-Fa-f]{1,4}"
_HEXES = f"{_HEX}(?::{_HEX}){{0,6}}"
_IPV4 = r"\d{1,3}(?:\.\d{1,3}){3}"

KINDS: dict[str, Kind] = {
    "email": Kind("@|%40", r"[\pL\pN._%+'-]+(?:@|%40)(?:[\pL\pN-]+\.)+\pL{2,24}", _all_of, str.lower),
    "card": Kind(
        r"(?:\b|_)[2-6]\d{3}[ -]?\d{4}[ -]?\d{2}",
        r"(?:\b|_)(?:((?:4\d{3}|5[1-5]\d\d|2[2-7]\d\d|6\d{3}|3\d{3})[ -]?\d{4}[ -]?\d{4}[ -]?\d{1,4}"
        r"(?:[ -]?\d{1,3})?)|(3[47]\d\d[ -]?\d{6}[ -]?\d{5}))(?:\b|_)",
        card_of,
        _digits,
    ),
    "ipv4": Kind(r"\d\.\d{1,3}\.\d{1,3}\.\d", rf"\b{_IPV4}\b", _address_of, _all_of),
    "ipv6": Kind(
        rf"::|(?::{_HEX}){{5}}:",
        rf"\b(?:{_HEX}:){{7}}{_HEX}\b|\b(?:{_HEX}:){{6}}{_IPV4}\b"
        rf"|(?:\b{_HEXES}|\B)::(?:(?:{_HEX}:){{0,5}}{_IPV4}\b|{_HEXES}\b)?",
        _address_of,
        _canonical,
    ),
    "jwt": Kind("eyJ", r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*", _all_of, _all_of),
    "bearer": Kind(
        r"(?i)(?:bearer|basic)(?:\s|%20|\+)",
        rf"(?i)\b{_SCHEME}([A-Za-z0-9._~+/=-]{{8,}})",
        _all_of,
        _all_of,
    ),
    "cloud_key": Kind(
        r"A(?:KIA|SIA|BIA|CCA)|AIza|ya29\.|gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|[rs]k_(?:live|test)_|SG\."
        "|PRIVATE KEY|(?i:aws|AccountKey=)",
        r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b|\bAIza[0-9A-Za-z_-]{35}|\bya29\.[0-9A-Za-z_-]{20,}"
        r"|\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_[A-Za-z0-9_]{40,}|\bglpat-[A-Za-z0-9_-]{20,}"
        r"|\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"
        r"|\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"
        r"|(?i:aws\w{0,20}secret\w{0,20}[\"']?\s*[=:]\s*[\"']?([A-Za-z0-9/+]{40}))"
        r"|(?i:AccountKey=([A-Za-z0-9+/]{40,}={0,2}))"
        r"|-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[A-Za-z0-9+/=\s]*(?:-----END [A-Z ]{0,20}PRIVATE KEY-----)?",
        _all_of,
        _all_of,
        r"(?i)(?:aws\w{0,20}secret\w{0,20}|AccountKey)$",
    ),
    "password": Kind(
        rf"(?i)(?:{_WORD})\s*\\*[\"'\]]?\s*(?:=>|[=:])",
        rf"(?i)(?:{_WORD})\s*\\*[\"'\]]?\s*(?:=>|[=:])\s*"
        # A list of texts; a text with escaped quotes; either without its end, to the end of the line.
        r"(?:\[\s*\\*[\"'](?:(.+?)\\*[\"']\s*\]|(.+))|\\+[\"'](?:(.+?)\\+[\"']|(.+))|"
        r"\"([^\"]+)\"?|'([^']+)'?|((?:(?:bearer|basic|token)\s+)?[^\s\"'&,;)}}\]][^\s\"'&]*))",
        _value_of,
        _all_of,
        rf"(?i)(?:{_WORD})$",
    ),
}
"""The built-in ones by name. Where a pattern has groups, what the first one that matched holds is the secret."""
