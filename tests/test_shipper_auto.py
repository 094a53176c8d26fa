"""A file whose format nobody named: what is learnt of it, from how many lines, and how long it is kept."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from shipper import ecs
from shipper.formats.auto import Auto
from shipper.lines import cut
from shipper.records import Encoder
from shipper.times import Times
from tailrace.settings import Input

SAMPLES = Path(__file__).parent / "samples" / "formats"
NOW = 1_795_500_000 * 10**9
"""2026-11-24T06:00:00Z"""
ACCESS = b'10.0.0.7 - - [23/Nov/2026:18:00:00 +0000] "GET / HTTP/1.1" 200 7 "-" "curl/8"'
JAVA = b"2026-11-23 18:00:00.123 [main] INFO a.B - text"
WRAPPED = {
    "cri": b"2026-11-24T03:57:40.123456789Z stdout F text",
    "docker": b'{"log":"text\\n","stream":"stdout","time":"2026-11-24T03:57:40.123456789Z"}',
}
TELLING = {
    path.stem: path.read_bytes().split(b"\n")[0]
    for path in sorted(SAMPLES.glob("*.log"))
    if path.stem.partition("_")[0] in ("nginx", "apache", "klog", "redis", "postgresql", "syslog", "logfmt")
    and path.stem != "syslog_iso"
} | WRAPPED


def encoder(name: str) -> Encoder:
    """An encoder of one source."""
    entry = Input(paths=["/x"], dataset="app", format=name, timezone="UTC")  # type: ignore[arg-type]
    return Encoder(entry, "s" * 20, "/x", {"name": "h"}, 900_000, 1_000_000)


def documents(found: list[tuple[bytes, bytes]]) -> list[dict[str, Any]]:
    """What records say."""
    return [orjson.loads(value) for _, value in found]


def learnt(*chunks: list[bytes]) -> str:
    """What is known of a source after these chunks; ``auto`` if nothing."""
    format_ = encoder("auto")._format
    assert isinstance(format_, Auto)
    for chunk in chunks:
        format_.learn(chunk)
    return format_.name


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("sample", TELLING)
def test_one_line_is_enough_for_a_format_that_nothing_else_looks_like(sample: str, count: int) -> None:
    """Its fields and its time are there, as if the format had been named, also of a line without its end."""
    name = sample.partition("_")[0]
    lines = [TELLING[sample]] * count
    found, wanted = (encoder(each).chunk(lines, 0, 0, 0, NOW).records for each in ("auto", name))
    named = [*wanted, *encoder(name).single(cut(lines[0]), 0, 0, 0, NOW).records]
    guessed = [*found, *encoder("auto").single(cut(lines[0]), 0, 0, 0, NOW).records]
    assert [header for header, _ in guessed] == [header for header, _ in named], "the ids do not depend on it"
    assert documents(guessed) == documents(named)
    assert all(one["@timestamp"] != one["event"]["created"] for one in documents(guessed))


@pytest.mark.parametrize(
    "lines",
    [
        [b"hello"],
        [b"a=1 b=2"],
        [b'{"a":1}'],
        [b"2026-11-23T18:00:00Z INFO app: text"],
        [JAVA],
        [b"took 7 - 8 [x] 200 300"],
        [ACCESS.replace(b"Nov", b"Nox")],
        [ACCESS, b"something else"],
        [b"", b" "],
    ],
)
def test_one_line_that_may_be_anything_teaches_nothing(lines: list[bytes]) -> None:
    """Nor one whose time cannot be read, nor one of two: it is text, with the time and the level that text has."""
    assert learnt(lines) == "auto"


def test_a_file_that_grows_line_by_line_changes_its_mind_only_for_good_reason() -> None:
    """An odd line does not; many of another format do, before and after twenty lines."""
    odd = [b"something else"]
    assert learnt([ACCESS], odd) == "nginx"
    assert learnt([ACCESS], odd, odd, [ACCESS]) == "nginx"
    assert learnt([ACCESS], *[[JAVA]] * 2) == "nginx"
    assert learnt([ACCESS], *[[JAVA]] * 3) == "java"
    assert learnt([ACCESS], *[odd] * 4) == "auto"
    assert learnt([ACCESS], *[[ACCESS], odd] * 20) == "nginx"
    assert learnt(*[[ACCESS]] * 30, [JAVA] * 30) == "java"
    assert learnt([JAVA], [JAVA], odd) == "", "two of three: nobody is sure"
    assert learnt([JAVA], [JAVA], odd, [JAVA]) == "java"


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ([JAVA, JAVA, b"odd", JAVA], "java"),
        ([JAVA, b"odd", b"odd", JAVA, JAVA], ""),
        ([ACCESS, b"odd", ACCESS], "nginx"),
        ([ACCESS, b"odd", b"odd", ACCESS, b"odd", ACCESS, ACCESS], "nginx"),
        ([ACCESS, b"odd", b"odd", ACCESS], ""),
        ([b"odd"] * 9 + [ACCESS], "auto"),
    ],
)
def test_one_odd_line_among_a_few_hides_no_format(lines: list[bytes], name: str) -> None:
    """Of unmistakable lines more than half are enough; else four fifths, or all but one."""
    assert learnt(lines) == name
    if name:
        made = documents(encoder("auto").chunk(lines, 0, 0, 0, NOW).records)
        flags = [one["log"].get("flags") for one in made if one["message"] == "odd"]
        assert flags[0] == (None if name == "auto" else ["format"])


class Counted:
    """A format that counts how often it is asked."""

    def __init__(self, first: bytes) -> None:
        self.first = first
        self.asked = 0

    def __call__(self, line: bytes, _document: ecs.Document) -> bool:
        """Take lines that begin so."""
        self.asked += 1
        return line.startswith(self.first)


def test_what_was_learnt_is_kept_until_it_no_longer_fits() -> None:
    """Not line by line; a few odd lines change nothing; JSON and text need no learning."""
    first, second = Counted(b"a"), Counted(b"b")
    auto = Auto({"first": first, "second": second})

    def flags(line: bytes) -> list[str]:
        made = ecs.Document(Times("UTC"))
        assert auto(line, made)
        return made.flags

    auto.learn([b"a 1"] * 30)
    assert (flags(b"a 2"), second.asked) == ([], 20)
    auto.learn([b"a 1", b"x"] * 30)
    with pytest.raises(AssertionError):
        flags(b"x")
    auto.learn([b"b 1"] * 30)
    assert flags(b"b 2") == []
    auto.learn([b"b 1", b"x", b"y"] * 30)
    auto.learn([b"x"] * 30)
    assert flags(b"x") == [], "text"
    auto.learn([b"a 1", b"x"] * 30)
    assert flags(b"x") == ["auto"], "half of the lines: nobody is sure"
    auto.learn([b'{"a":1}'] * 30)
    assert flags(b'{"a":1}') == []
