"""Lines of text formats that go the quick way: the same documents as the ordinary way makes."""

import itertools
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shipper.multiline import joiner_of
from shipper.records import Encoder
from shipper.sketches import SKETCHES
from tailrace.bench.samples import SAMPLES
from tailrace.settings import Input

pytestmark = pytest.mark.usefixtures("both_ways")

REAL = Path(__file__).parent / "samples" / "formats"
NOW = 1_795_456_800_500_000_000
TIMES = st.sampled_from(
    [
        *(
            "2026-11-23 18:00:00",
            "2026-11-23T18:00:00.5Z",
            "2026-11-23 18:00:00,123456789",
            "2026-11-23 18:00:00 +0100",
        ),
        *("2026-11-23T18:00:00.1234567890", "2026-11-23 18:00:00.12x", "2026-11-23 18:00:00+02:00", "18:00:00.123"),
        *(
            "0000-01-01 00:00:00",
            "9999-01-01 00:00:00",
            "2026-13-01 00:00:00",
            "2026-11-23 18:00:00Z",
            "2026-11-23",
            "-",
        ),
        *(
            "23/Nov/2026:18:00:00 +0000",
            "23/Nov/2026:18:00:00 -0330",
            "31/Feb/2026:18:00:00 +0000",
            "23/Xyz/2026:1:2:3 Z",
        ),
        *("2026-11-23 18:00:00 Z", "2026-11-23 18:00:00é", "2026-03-29 02:30:00", "2026-11-23 18:00:00.", "x"),
    ]
)
HOSTS = [
    b"1.1.1",
    b"01.1.1.1",
    b"1.2.3.4.5",
    b"1..2.3",
    b"256.1.1.1",
    b"::1",
    b"fe80::1%eth0",
    b"a.example",
    b"1.2.3.4",
]
LOG4J, PYTHON = b"2026-11-23 18:00:00.123 INFO [main] app - text", b"2026-11-23 18:00:00.123 app INFO: text"
LEVELS = st.sampled_from(
    [
        "INFO",
        "WARN",
        "WARNING",
        "ERROR",
        "DEBUG",
        "TRACE",
        "FATAL",
        "SEVERE",
        "NOTICE",
        "INFOé",
        "info",
        "CRITICAL",
        "x",
    ]
)
WORDS = st.one_of(
    st.sampled_from(
        [
            *(
                "",
                "-",
                " ",
                "a",
                "main",
                "com.example.App",
                "o.a.k.Consumer$1",
                "[main]",
                "--- 12",
                "é",
                "\\",
                '"',
                "\\x22",
            ),
            *(
                "\t",
                "\x00",
                "\x1a",
                "\x0b",
                "\x85",
                "\xa0",
                "\u2028",
                "'",
                "%s",
                "ERROR",
                "x INFO y",
                "\\u001a",
                "\\n",
                "n",
            ),
            *(
                "\\\\",
                "\r",
                "\r\r",
                "{",
                "}",
                "127.0.0.1",
                "::1",
                "256.1.1.1",
                "1.1.1",
                "01.1.1.1",
                "host.example",
                "a" * 90,
            ),
            *(
                "https://example.com/a?b=c",
                "GET",
                "POST /x",
                "777000000000001",
                "2002-03-04T05:06:07.080Z",
                "10.0.0.1.",
                "^",
            ),
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=8),
)
TRACES = [
    *(b"\nmore", b"\n", b"\n\tat a.B.c(B.java:7)", b"\nx.YException: only"),
    b"\njava.io.IOException: lost\n\tat a.B.c(B.java:1)\nCaused by: x.Y\n\t... 3 more\r",
    b"\r\nx.Error: \xff\n\tat a.B(C.java:2)",
    b"\nmore\nx.YException\n\tat a.B.c(B.java)",
    b": x.Error\n\tat a.B.c(B.java:1)",
    b" \nx.Error\n\tat a.B(C.java:2)",
    b"/a:1\nx.Error\n\tat a.B(C.java:2)",
    b'\nTraceback (most recent call last):\n  File "a.py", line 3, in f\nValueError: "no"',
    b"\n \nx.Error\n\tat a.B.c(B.java)",
]
JUNK = st.binary(max_size=6).map(lambda some: some.replace(b"\n", b""))


def _java(time: str, level: str, words: list[str]) -> list[str]:
    a, b, c = words[:3]
    return [
        f"{time} [{a}] {level}  {b} - {c}",
        f"[{time}] [{a}] [{level}] {b}: {c}",
        f"{time} {level} [{a}] {b} - {c}",
        f"{time} {level}  {b}: {c}",
        f"[{time}][{level} ][{a}] [{b}] {c}",
        f"{time}  {level} 12 --- [{a}] {b} : {c}",
        f"[{time}] {level} {c} ({b})",
    ]


def _access(time: str, _level: str, words: list[str]) -> list[str]:
    a, b, c, d, e, f = words[:6]
    return [
        f'{a} - {b} [{time}] "GET /{c} HTTP/1.1" 200 {len(d)} "{e}" "{f}"',
        f'{a} - - [{time}] "{b} /{c} HTTP/1.1" 404 - "{d}" "{e}"',
        f'1.2.3.4 {a} - [{time}] "GET {b} HTTP/2" 099 07 "-" "{c}" {d}',
        f'1.2.3.4 - - [{time}] "GET /{a}" 500 12',
        f'{a} 1.2.3.4 - {b} [{time}] "GET /{c} HTTP/1.0" 301 9',
        f'{a} 1.2.3.4 - - [{time}] "GET /{b} HTTP/1.0" 301 9 "{c}" "{d}"',
        f'1.2.3.4 - - [{time}] "GET /{a} HTTP/1.0" 301 9 "{b}" "{c}" {d}0.25 "-"',
    ]


def _plain(time: str, level: str, words: list[str]) -> list[str]:
    a, b, c = words[:3]
    return [f"{time} {level} {a}", f"[{time}] {a} {level}:{b}", f"{a}{b} {level}{c}", a + time, f"{time},{a}", f" {a}"]


def _python(time: str, level: str, words: list[str]) -> list[str]:
    a, b, c = words[:3]
    return [
        f"{time} - {a} - {level} - {b}",
        f"{time} [{level}]  [{a}] {b}",
        f"{time} {level} {a}: {b}",
        f"{time} {level} {a}:{b}: {c}",
        f"{time} {a} {level}: {b}",
        f"[{time}] [{a}] [{level}] {b}",
        f"{level}:{a}:{b}",
    ]


FORMS = {"python": _python, "java": _java, "nginx": _access, "apache": _access, "plain": _plain, "auto": _plain}


@st.composite
def chunks(draw: st.DrawFn) -> tuple[str, list[bytes]]:
    """A format, and lines that are or might be of it; some of one form and some of others."""
    name = draw(st.sampled_from(sorted(FORMS)))
    lines = []
    form = draw(st.integers(0, 6))
    for _ in range(draw(st.integers(4, 8))):
        words = draw(st.lists(WORDS, min_size=6, max_size=6))
        made = FORMS[name](draw(TIMES), draw(LEVELS), words)
        line = made[(draw(st.integers(0, 6)) if draw(st.integers(0, 3)) == 0 else form) % len(made)].encode()
        if draw(st.integers(0, 9)) == 0:
            line = draw(
                st.one_of(JUNK, JUNK.map(lambda some, line=line: line + some), st.just(b" \t"), st.just(b"\0a"))
            )
        lines.append(line + draw(st.sampled_from([b"", b"", b"", b"\r", *TRACES])))
    return name, lines


def encoder(name: str, fields: dict[str, Any] | None = None) -> Encoder:
    """An encoder whose constant parts need escapes."""
    entry = Input(paths=["/x"], dataset="app", format=name, timezone="Europe/Berlin", fields=fields or {})  # type: ignore[arg-type]
    return Encoder(entry, "a" * 20, '/var/log/%d "é".log', {"name": "h"}, 900_000, 1_000_000)


def same_both_ways(name: str, lines: list[bytes], fields: dict[str, Any] | None = None) -> None:
    """The quick way and an encoder without it give the same records, with bytes skipped before them and without."""
    quick, ordinary = encoder(name, fields), encoder(name, fields)
    ordinary._quick = None
    for skipped in (0, 3, 0):
        got, wanted = (one.chunk(lines, 100, skipped, 0, NOW) for one in (quick, ordinary))
        assert [header for header, _ in got.records] == [header for header, _ in wanted.records]
        assert [orjson.loads(value) for _, value in got.records] == [orjson.loads(value) for _, value in wanted.records]
        assert got[1:] == wanted[1:]


@settings(max_examples=200, deadline=None)
@given(chunks())
@example(("plain", [b"", b"a", b" ", b"b"]))
@example(("plain", [b"x" + b'"' * 6 + b"x" * 67 + b" INFO"] * 4))
@example(("plain", [b"x" * 73 + b" INFORMED", b"x" * 74 + b" INFO", b"x" * 76 + b" INFO", b"x" * 77 + b" INFO"]))
@example(("nginx", [b'1.2.3.4 - - [23/Nov/2026:18:00:00 +0000] "GET / HTTP/1.1" 200 07 "-" "x"'] * 4))
@example(("nginx", [b'%b - - [23/Nov/2026:18:00:00 +0000] "GET / HTTP/1.1" 200 7' % host for host in HOSTS]))
@example(("nginx", [b'1.2.3.4.5 - - [23/Nov/2026:18:00:00 +0000] "GET / HTTP/1.1" 200 7'] * 4))
@example(("nginx", [b'01.2.3.4 - - [23/Nov/2026:18:00:00 +0000] "GET / HTTP/1.1" 200 7'] * 4))
@example(("java", [b"2026-11-23 18:00:00.123  INFO 12 --- [main] a.B : text"] * 4))
@example(("java", [b"2026-11-23 18:00:00.123 INFO 12 - [main] a.B : text"] * 4))
@example(("java", [b"2026-11-23 18:00:00.123 [INFO] ERROR - - text"] * 4))
@example(("java", [b"2026-11-23 18:00:00.123 [INFO] [ERROR] app - text"] * 4))
@example(("java", [LOG4J] * 8 + [b"2026-11-23 18:00:00.123 [INFO] [ERROR] app - text"] * 2))
@example(("python", [b"2026-11-23 18:00:00 Z [INFO]  [-] "] * 4))
@example(("python", [PYTHON] * 8 + [b"2026-11-23 18:00:00.123 INFO ERROR: text"] * 2))
@example(("java", [b"2026-11-23 18:00:00.123 [main] ERROR app - x.IOException: y" + trace for trace in TRACES]))
@example(("java", [b"2026-11-23 18:00:00.123 [-] ERROR app - text"] * 4))
@example(("java", [b"2026-11-23 18:00:00.123 [main] ERROR app - text" + trace for trace in TRACES]))
@example(("java", [b"2026-11-23 18:00:00.123 [main] ERROR app - /some:12" + trace for trace in TRACES]))
@example(("plain", [b"2026-11-23 18:00:00.123 ERROR text" + trace for trace in TRACES]))
@example(("plain", [b"a\\n", b"b\\", b"\\n", b"\\\\n"]))
@example(("plain", [b"a\\n", b"b\x1a", b"\\u001a", b"c"]))
def test_a_line_that_goes_the_quick_way_gives_the_document_of_the_ordinary_way(chunk: tuple[str, list[bytes]]) -> None:
    """Whatever the line, and whatever stands around it; none raises."""
    same_both_ways(*chunk)


def test_a_piece_that_is_almost_that_of_the_line_before_is_not_taken_for_it() -> None:
    """The same second in another zone; beginnings of a name, and what it begins; such as end apart, and long ones."""
    tails, long = ("", "Z", ",5", ".5Z"), "a" * 32
    names = ("main", "mai", "main-1", "main-2", long, long + "b", long + "bc", long + "bd")
    lines = [
        f"2026-11-23 18:00:00{tail} {level} [{name}] {name}.B - text".encode()
        for name in names
        for level in ("INFO", "WARN")
        for tail in tails
    ]
    same_both_ways("java", lines)
    ways = encoder("java")._quick
    assert ways is not None
    assert None not in ways.documents(lines, 0, b"2026-11-23T18:00:03.000Z")


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(SKETCHES)),
    st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), min_size=4),
)
def test_no_bytes_raise(name: str, lines: list[bytes]) -> None:
    """Of any format."""
    same_both_ways(name, lines)


@pytest.mark.parametrize("name", [*SKETCHES, "auto"])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"environment": "test", "service": {"name": "s"}},
        {"log.level": "info"},
        {"log.level": "INFO", "message": "said"},
        {"http.request.method": "GET"},
        {"source.ip": "192.0.2.7"},
        {"event": {"outcome": "success"}},
        {"@timestamp": "2001-02-03T04:05:06.789Z"},
        {"note": "\x1a \\u001a 777000000000001"},
    ],
    ids=str,
)
def test_fields_from_the_settings_are_as_in_the_ordinary_way(name: str, fields: dict[str, Any]) -> None:
    """Also such as are in the way of what a line says."""
    some = SAMPLES.get(name, SAMPLES["java" if name == "python" else "nginx"])
    lines = [line[:-1] for line in some(40, 1, 1_795_000_000)]
    same_both_ways(name, [*lines, b"\\" + lines[0], lines[1]], fields)
    same_both_ways(name, [b"a", b"2026-11-23 18:00:00 b", b"c", b"[2026-11-23 18:00:00] d"] * 3, fields)


@pytest.mark.parametrize(
    "sketch", [(name, number) for name in SKETCHES for number in range(len(SKETCHES[name]))], ids=str
)
def test_every_sketch_makes_the_lines_it_is_for(sketch: tuple[str, int]) -> None:
    """Otherwise the tests above would prove nothing, and the speed would be gone unseen."""
    name, number = sketch
    lines = list(itertools.islice(itertools.cycle(SKETCHES[name][number].probes), 6))
    ways = encoder(name)._quick
    assert ways is not None
    assert None not in ways.documents(lines, 0, b"2026-11-23T18:00:03.000Z")
    assert all(at_work._parts for at_work in ways._sketched.values())


def test_a_file_whose_format_was_learnt_goes_the_quick_way() -> None:
    """As if somebody had named it."""
    lines = [line[:-1] for line in SAMPLES["nginx"](40, 1, 1_795_000_000)]
    quick = encoder("auto")
    quick.chunk(lines, 0, 0, 0, NOW)
    assert quick._quick is not None
    assert [at_work._parts != () for at_work in quick._quick._sketched.values()] == [True]


def test_a_record_with_its_stack_trace_goes_the_quick_way() -> None:
    """They are few, but each would cost as much as fifty others."""
    lines = [b"2026-11-23 18:00:00.123 [main] ERROR app - text" + TRACES[4]] * 5
    ways = encoder("java")._quick
    assert ways is not None
    single = [b"2026-11-23 18:00:00.123 [main] INFO app - text"] * 5
    made = ways.documents(lines + single, 0, b"2026-11-23T18:00:03.000Z")
    assert [b'"stack_trace":"java.io.IOException: lost' in one for one in made if one] == [True] * 5 + [False] * 5


@pytest.mark.parametrize("sample", sorted(REAL.glob("*.log")), ids=lambda path: path.stem)
def test_every_line_of_a_real_log_gives_the_same_document_both_ways(sample: Path) -> None:
    """As its own format, as text, and as what it is recognised as."""
    name = sample.stem.partition("_")[0]
    joiner = joiner_of(Input(paths=["/x"], dataset="d", format=name), 262_144)  # type: ignore[arg-type]
    lines = sample.read_bytes().split(b"\n")[:-1]
    records = joiner.join(lines, b"", final=True).records if joiner else lines
    for each in (name, "plain", "auto"):
        same_both_ways(each, records * 2)
