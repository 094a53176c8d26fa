"""Lines of real programs to ECS documents; see tests/samples/README.md for how the samples were made."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper import ecs
from shipper.formats import format_of, guessed
from shipper.formats.auto import guess
from shipper.multiline import joiner_of
from shipper.times import Times
from tailrace.settings import Input

SAMPLES = Path(__file__).parent / "samples" / "formats"
READ = 1_795_500_000 * 10**9
"""2026-11-24T06:00:00Z"""
ALONE = sorted(name for name in guessed() if name not in ("cri", "docker"))


def document(name: str, line: str | bytes, **keys: Any) -> dict[str, Any] | None:
    """What a format makes of a line, whole; None if it refuses it."""
    times = Times("UTC")
    times.now = READ
    made = ecs.Document(times)
    entry = Input(paths=["/x"], dataset="d", format=name, **keys)  # type: ignore[arg-type]
    taken = format_of(entry)(line if isinstance(line, bytes) else line.encode(), made)
    parts = {"labels": made.labels, "numbers": made.numbers, "flags": made.flags}
    tree = made.fields | ({"log": made.fields.get("log", {}) | made.log} if made.log else {})
    whole = orjson.loads(orjson.dumps(tree | {key: value for key, value in parts.items() if value}))
    if not taken:
        assert whole == {}, "refused, so nothing may be set"
        return None
    return dict(whole)


def records(sample: Path, name: str) -> list[bytes]:
    """The records of a sample, joined as the format's input would."""
    lines = sample.read_bytes().split(b"\n")[:-1]
    joiner = joiner_of(Input(paths=["/x"], dataset="d", format=name), 262_144)  # type: ignore[arg-type]
    return joiner.join(lines, b"", final=True).records if joiner else lines


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.log")), ids=lambda path: path.stem)
def test_every_line_of_a_real_log_is_of_its_format(sample: Path) -> None:
    """With a time that was read, unless the format has none; and ``auto`` finds the format by itself."""
    name = sample.stem.partition("_")[0]
    found = records(sample, name)
    made = [document(name, record) for record in found]
    assert None not in made
    assert len(made) >= 6
    assert all("flags" not in one for one in made if one)
    if sample.stem != "python_0":
        assert all(one["@timestamp"].startswith("2026-11-2") for one in made if one)
    alike = {"java": {"java", ""}, "apache": {"nginx", "apache"}, "json": {""}, "plain": {""}}.get(name, {name})
    assert guess(found[:20], guessed()).name in alike


COMBINED = r'10.0.0.7 - jane doe [24/Nov/2026:05:04:15 +0100] "GET /a/\xC3\xA9?q=1 HTTP/1.1" 404 153 "-" "M \x22q\x22"'

REFUSED = (
    "connect() failed (111: refused), client: 10.0.0.7, server: _, "
    'request: "POST /up HTTP/1.1", upstream: "http://10.0.0.1:1/up", host: "shop.example:80"'
)


@pytest.mark.parametrize(
    ("name", "line", "wanted"),
    [
        (
            "nginx",
            COMBINED + ' 0.250 "10.1.2.3"',
            {
                "@timestamp": "2026-11-24T04:04:15Z",
                "message": COMBINED + ' 0.250 "10.1.2.3"',
                "source": {"address": "10.0.0.7", "ip": "10.0.0.7"},
                "user": {"name": "jane doe"},
                "http": {
                    "request": {"method": "GET"},
                    "version": "1.1",
                    "response": {"status_code": 404, "body": {"bytes": 153}},
                },
                "url": {"original": "/a/é?q=1"},
                "user_agent": {"original": 'M "q"'},
                "event": {"outcome": "failure", "duration": 250_000_000},
                "labels": {"extra": "10.1.2.3"},
            },
        ),
        (
            "apache",
            r'shop.example:443 host.example - - [24/Nov/2026:05:04:15 +0000] "\x16\x03\x01" 400 -',
            {
                "@timestamp": "2026-11-24T05:04:15Z",
                "message": r'shop.example:443 host.example - - [24/Nov/2026:05:04:15 +0000] "\x16\x03\x01" 400 -',
                "source": {"address": "host.example", "domain": "host.example"},
                "http": {"response": {"status_code": 400}},
                "url": {"original": r"\x16\x03\x01", "domain": "shop.example", "port": 443},
                "event": {"outcome": "failure"},
            },
        ),
        (
            "journal",
            (
                '{"PRIORITY":"3","_PID":"77","_COMM":"app","MESSAGE":[27,91,195,169],"__REALTIME_TIMESTAMP":'
                '"1795719504354302","_SOURCE_REALTIME_TIMESTAMP":"1795719504354264","TAG":["a","b"],"BIG":null,'
                '"CODE_LINE":"x"}'
            ),
            {
                "@timestamp": "2026-11-26T18:58:24.354264Z",
                "message": "\x1b[é",
                "process": {"pid": 77, "name": "app"},
                "log": {
                    "level": "error",
                    "syslog": {"severity": {"code": 3, "name": "Error"}},
                },
                "labels": {
                    "log.origin.file.line": "x",
                    "journald.realtime_timestamp": "1795719504354302",
                    "journald.tag": "a\nb",
                },
            },
        ),
        (
            "nginx",
            "2026/11/24 05:04:15 [error] 7#8: *9 " + REFUSED,
            {
                "@timestamp": "2026-11-24T05:04:15Z",
                "message": REFUSED,
                "log": {"level": "error"},
                "process": {"pid": 7, "thread": {"id": 8}},
                "source": {"address": "10.0.0.7", "ip": "10.0.0.7"},
                "http": {"request": {"method": "POST"}},
                "url": {"original": "/up", "domain": "shop.example"},
                "labels": {"connection": "9", "server": "_", "upstream": "http://10.0.0.1:1/up"},
            },
        ),
        (
            "apache",
            "[Tue Nov 24 05:04:16.245383 2026] [authz_core:error] [pid 5:tid 6] [client 10.0.0.7:587] AH01630: denied",
            {
                "@timestamp": "2026-11-24T05:04:16.245383Z",
                "message": "denied",
                "log": {"level": "error", "logger": "authz_core"},
                "process": {"pid": 5, "thread": {"id": 6}},
                "error": {"code": "AH01630"},
                "source": {"address": "10.0.0.7", "ip": "10.0.0.7", "port": 587},
            },
        ),
        (
            "syslog",
            r'<165>1 2026-11-24T05:04:15.003Z web shop 8710 ID47 [x@32473 iut="3" n="a\"b\]"][y k="v"] an event',
            {
                "@timestamp": "2026-11-24T05:04:15.003Z",
                "message": "an event",
                "log": {
                    "level": "notice",
                    "syslog": {
                        "priority": 165,
                        "facility": {"code": 20, "name": "local4"},
                        "severity": {"code": 5, "name": "Notice"},
                        "version": "1",
                        "hostname": "web",
                        "appname": "shop",
                        "procid": "8710",
                        "msgid": "ID47",
                    },
                },
                "process": {"name": "shop", "pid": 8710},
                "labels": {"x@32473.iut": "3", "x@32473.n": 'a"b]', "y.k": "v"},
            },
        ),
        (
            "syslog",
            "Nov  4 05:04:15 web kernel: [12.5] eth0: up",
            {
                "@timestamp": "2026-11-04T05:04:15Z",
                "message": "[12.5] eth0: up",
                "log": {"syslog": {"hostname": "web", "appname": "kernel"}},
                "process": {"name": "kernel"},
            },
        ),
        (
            "logfmt",
            r'ts=2026-11-24T05:04:15.5Z lvl=WARN msg="slow \"play\"" took=1.5 n=3 cached user="jane doe" empty=',
            {
                "@timestamp": "2026-11-24T05:04:15.5Z",
                "message": 'slow "play"',
                "log": {"level": "warn"},
                "labels": {"user": "jane doe", "cached": "true", "empty": ""},
                "numbers": {"took": 1.5, "n": 3},
            },
        ),
        (
            "klog",
            "E1124 05:05:51.041900   25566 main.go:7] sync failed",
            {
                "@timestamp": "2026-11-24T05:05:51.041900Z",
                "message": "sync failed",
                "log": {"level": "error", "origin": {"file": {"name": "main.go", "line": 7}}},
                "process": {"thread": {"id": 25566}},
            },
        ),
        (
            "java",
            "2026-11-24T05:04:15.123+01:00  WARN 12 --- [shop] [nio-8080-exec-1] c.e.shop.Cart  : slow: 3 s",
            {
                "@timestamp": "2026-11-24T04:04:15.123Z",
                "message": "slow: 3 s",
                "log": {"level": "warn", "logger": "c.e.shop.Cart"},
                "process": {"pid": 12, "thread": {"name": "nio-8080-exec-1"}},
            },
        ),
        (
            "java",
            "05:04:15.123 [main] INFO  c.e.App - started",
            {
                "@timestamp": "2026-11-24T05:04:15.123Z",
                "message": "started",
                "log": {"level": "info", "logger": "c.e.App"},
                "process": {"thread": {"name": "main"}},
            },
        ),
        (
            "rust",
            '2026-11-24T05:04:15.123456Z  INFO request{id=7 path="/a"}:order{n="A"}: shop::cart: placed: x took=1.5',
            {
                "@timestamp": "2026-11-24T05:04:15.123456Z",
                "message": "placed: x took=1.5",
                "log": {"level": "info", "logger": "shop::cart"},
                "labels": {"spans": 'request{id=7 path="/a"}:order{n="A"}'},
            },
        ),
        (
            "json",
            '{"timestamp":"2026-11-24T05:04:15Z","level":"WARN","fields":{"message":"slow","order":"A"},"target":"shop"}',
            {
                "@timestamp": "2026-11-24T05:04:15Z",
                "message": "slow",
                "log": {"level": "warn"},
                "labels": {"fields.order": "A", "target": "shop"},
            },
        ),
        (
            "syslog",
            "Okt  4 05:04:15 web kernel: auf",
            {
                "@timestamp": "2026-10-04T05:04:15Z",
                "message": "auf",
                "log": {"syslog": {"hostname": "web", "appname": "kernel"}},
                "process": {"name": "kernel"},
            },
        ),
        (
            "python",
            "[2026-11-24 05:04:15 +0100] [77] [INFO] Booting worker",
            {
                "@timestamp": "2026-11-24T04:04:15Z",
                "message": "Booting worker",
                "log": {"level": "info"},
                "process": {"pid": 77},
            },
        ),
        (
            "postgresql",
            "2026-11-24 05:04:15.9 UTC [43] jane@shop LOG:  duration: 12.5 ms  statement: select 1",
            {
                "@timestamp": "2026-11-24T05:04:15.9Z",
                "message": "duration: 12.5 ms  statement: select 1",
                "log": {"level": "info"},
                "process": {"pid": 43},
                "user": {"name": "jane"},
                "event": {"duration": 12_500_000},
                "labels": {"database": "shop"},
            },
        ),
        (
            "cri",
            "2026-11-24T05:04:15.1Z stdout P INFO:app.play:long\n2026-11-24T05:04:15.2Z stdout F  line",
            {
                "@timestamp": "2026-11-24T05:04:15.1Z",
                "message": "INFO:app.play:long line",
                "log": {"level": "info"},
                "labels": {"stream": "stdout"},
            },
        ),
        (
            "docker",
            '{"log":"{\\"msg\\":\\"hi\\",\\"n\\":1}\\n","stream":"stderr","time":"2026-11-24T05:04:15.1Z"}',
            {
                "@timestamp": "2026-11-24T05:04:15.1Z",
                "message": "hi",
                "labels": {"stream": "stderr"},
                "numbers": {"n": 1},
            },
        ),
    ],
)
def test_a_line_becomes_this_document(name: str, line: str, wanted: dict[str, Any]) -> None:
    """Whole: nothing more, nothing less."""
    assert document(name, line) == wanted


def test_a_pattern_of_ones_own_names_fields() -> None:
    """Types are those of the fields; other names are labels; a time in any form, or in one's own."""
    pattern = r"(?P<time>\S+ \S+) (?P<source__ip>\S+) (?P<http__response__status_code>\d+) (?P<kind>\w+)"
    made = document("regex", "24.11.2026 05:04:15 10.0.0.7 200 play", pattern=pattern, time_format="%d.%m.%Y %H:%M:%S")
    assert made == {
        "@timestamp": "2026-11-24T05:04:15Z",
        "message": "24.11.2026 05:04:15 10.0.0.7 200 play",
        "source": {"ip": "10.0.0.7"},
        "http": {"response": {"status_code": 200}},
        "labels": {"kind": "play"},
    }
    made = document("regex", "2026-11-24 05:04:15 host 200 play", pattern=pattern)
    assert made is not None
    assert made["labels"] == {"kind": "play", "source.ip": "host"}
    assert document("regex", "something else", pattern=pattern) is None
    made = document("regex", "today now 10.0.0.7 200 play", pattern=pattern)
    assert made is not None
    assert made["flags"] == ["time"]


@pytest.mark.parametrize("name", sorted(guessed()))
@given(
    st.binary(max_size=120)
    | st.builds(
        lambda line, at, piece: line[: at % (len(line) + 1)] + piece + line[at % (len(line) + 1) + len(piece) :],
        st.sampled_from([line for path in SAMPLES.glob("*.log") for line in path.read_bytes().split(b"\n")[:4]]),
        st.integers(0, 400),
        st.binary(max_size=4),
    )
)
def test_whatever_the_bytes_a_document_comes_out_or_nothing(name: str, line: bytes) -> None:
    """No exception; a refused line leaves the document as it was; what comes out is JSON."""
    document(name, line.replace(b"\n", b" "))


@pytest.mark.parametrize(
    "value",
    [
        "[" * 1000 + "1" + "]" * 1000,
        '{"a":' * 1000 + "1" + "}" * 1000,
        "9" * 5000,
        f'"{"9" * 5000}"',
        '["3","4"]',
        "null",
    ],
    ids=["lists", "objects", "number", "digits", "twice", "null"],
)
@pytest.mark.parametrize("key", ["MESSAGE", "PRIORITY", "_PID", "OTHER", "__REALTIME_TIMESTAMP"])
def test_no_value_in_the_journal_raises(key: str, value: str) -> None:
    """Whoever writes to the journal chooses its fields; what cannot be an entry is refused, or loses only its time."""
    entry = {"MESSAGE": '"said"', "__REALTIME_TIMESTAMP": '"1795719504354302"', key: value}
    members = ",".join(f'"{name}":{text}' for name, text in entry.items())
    made = document("journal", f"{{{members}}}")
    assert made is None or "@timestamp" in made or "time" in made["flags"]
    assert guess([f"{{{members}}}".encode()] * 5, guessed()).name == ("journal" if made else "")


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize(
    "text", ["a", " ", "[", '"', "\\", "=", "a=", '"a" ', "[a] ", "- ", "1 ", "a.", "::", '\\"', '=" ']
)
def test_a_line_that_almost_fits_takes_no_time(name: str, text: str) -> None:
    """A long line of repetitions, as it stands and behind the beginning of a real one: quadratic time would not end."""
    sample = next(path for path in sorted(SAMPLES.glob(f"{name}*.log")))
    beginning = sample.read_text("utf-8").split("\n")[0]
    for line in (text * 60_000, beginning[:60] + text * 60_000, beginning + text * 60_000):
        document(name, line)
