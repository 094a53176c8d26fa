"""Grok patterns: what the common names match, and what a mistake is told like."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.grok import check_definition, grok_of
from tailrace.grok_patterns import PATTERNS
from tailrace.patterns import BadPattern

WHOLE = {
    "INT": ("-17", "1.5"),
    "POSINT": ("17", "0"),
    "NONNEGINT": ("0", "-1"),
    "NUMBER": ("-1.5e3", "x"),
    "BASE16NUM": ("0xBEEF", "xyz"),
    "BASE16FLOAT": ("0xA.8", "."),
    "WORD": ("word_1", "two words"),
    "NOTSPACE": ("a-b", "a b"),
    "SPACE": ("  ", "x"),
    "DATA": ("anything", None),
    "GREEDYDATA": ("a\nb", None),
    "QUOTEDSTRING": (r'"a \" b"', '"a'),
    "UUID": ("0f8fad5b-d9cb-469f-a165-70867728950e", "0f8fad5b"),
    "URN": ("urn:isbn:0451450523", "urn:"),
    "USERNAME": ("jane.doe", "jane doe"),
    "EMAILADDRESS": ("jane+x@shop.example", "jane@"),
    "LOGLEVEL": ("Warning", "loud"),
    "IPV4": ("10.0.0.255", "10.0.0.256"),
    "IPV6": ("2001:db8::8:800:200c:417a", "05:04:15"),
    "IP": ("::ffff:10.0.0.7", "10.0.0"),
    "HOSTNAME": ("web-1.shop.example", "a b"),
    "HOSTPORT": ("web:80", "web"),
    "MAC": ("00:1b:44:11:3a:b7", "00:1b"),
    "UNIXPATH": ("/var/log/a.log", "var"),
    "WINPATH": (r"C:\logs\a.log", "/c"),
    "TTY": ("/dev/pts/3", "/dev/null"),
    "URI": ("https://jane@shop.example:8443/a?b=c", "shop"),
    "URIPATHPARAM": ("/a?b=c", "a"),
    "MONTH": ("September", "Sem"),
    "MONTHDAY": ("31", "32"),
    "DAY": ("Tue", "Tux"),
    "YEAR": ("2026", "x"),
    "TIME": ("23:59:60,123", "24:00"),
    "DATE_US": ("12/31/2026", "31/12/2026"),
    "DATE_EU": ("31.12.2026", "12.31.2026"),
    "TIMESTAMP_ISO8601": ("2026-11-24T05:04:15.123+01:00", "2026-11-24"),
    "HTTPDATE": ("24/Nov/2026:05:04:15 +0100", "24/Nov/2026"),
    "SYSLOGTIMESTAMP": ("Nov  4 05:04:15", "2026"),
    "DATESTAMP_RFC2822": ("Tue, 24 Nov 2026 05:04:15 +0100", "Tue"),
    "DATESTAMP_EVENTLOG": ("20261124050415", "2026"),
    "JAVACLASS": ("org.shop.Cart$Item", "1"),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_every_common_pattern_compiles(name: str) -> None:
    """With no mistake in it, and naming nothing that is not there."""
    check_definition(name, {name: PATTERNS[name]})
    grok_of(f"%{{{name}:x}}", {})


@pytest.mark.parametrize("name", WHOLE)
def test_a_common_name_matches_what_it_says(name: str) -> None:
    """The whole of an example, and not of a counter-example."""
    pattern = grok_of(f"^%{{{name}:x}}$", {}).pattern
    good, bad = WHOLE[name]
    assert pattern.search(good)["tlr_0"] == good
    assert bad is None or pattern.search(bad) is None


def test_fields_are_dotted_or_in_brackets_and_have_types() -> None:
    """Groups of a person's own are fields too; the order is that of the line."""
    grok = grok_of(r"(?<log__level>\w+) %{ORDER:[shop][order]} (x|y) %{NUMBER:took:float}", {"ORDER": "(A|B)[0-9]+"})
    assert [(one.name, one.kind) for one in grok.fields] == [
        ("log.level", "text"),
        ("shop.order", "text"),
        ("took", "number"),
    ]
    found = grok.pattern.search("INFO A12 y 1.5")
    assert [found[one.group] for one in grok.fields] == ["INFO", "A12", "1.5"]


@pytest.mark.parametrize(
    ("pattern", "definitions", "place", "reason"),
    [
        ("a %{IPX:a}", {}, 4, "no pattern is called IPX; did you mean IP?"),
        ("%{IP:a:flot}", {}, 7, "flot is no type; write int, float or string"),
        ("%{IP:a b}", {}, 0, "write %{NAME}, %{NAME:field} or %{NAME:field:int}"),
        ("%{IP:a} (%{IP:b}", {}, 8, "missing )"),
        ("%{IP:a} x[z-a]", {}, 10, "invalid character class range"),
        ("%{IP:a}(?=x)", {}, 7, "look-around is not supported"),
        ("x%{A}", {"A": "%{B}", "B": "%{A}"}, 1, "A stands for itself"),
        ("x%{A}", {"A": "%{B}"}, 1, "A uses B, which is not known"),
    ],
)
def test_a_mistake_is_told_with_its_place(pattern: str, definitions: dict[str, str], place: int, reason: str) -> None:
    """In what the person wrote, not in what it stands for."""
    with pytest.raises(BadPattern) as caught:
        grok_of(pattern, definitions)
    assert (caught.value.pattern, caught.value.place, str(caught.value)) == (pattern, place, reason)


def test_patterns_that_double_do_not_fill_the_memory() -> None:
    """Thirty names, each twice the one before, would be a thousand million characters."""
    doubling = {f"A{number}": f"%{{A{number - 1}}}" * 2 for number in range(1, 30)} | {"A0": "x"}
    with pytest.raises(BadPattern, match="too long a pattern"):
        grok_of("%{A29}", doubling)


@settings(deadline=None)
@given(st.text(alphabet="%{}()[]:aIPNUMBER?*+|<>\\.", max_size=40))
def test_whatever_a_person_writes_is_a_pattern_or_a_mistake(text: str) -> None:
    """Nothing else comes out."""
    mistake = None
    try:
        grok_of(text, {"A": "x+"})
    except BadPattern as error:
        mistake = error
    assert mistake is None or (0 <= mistake.place <= len(text) and mistake.pointed())
