"""Lines to records of several lines."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.identity import Place
from shipper.multiline import Joiner, joiner_of
from shipper.records import Encoder
from shipper.source import Source, fresh_row
from shipper.trace_lines import LANGUAGES, Traces
from tailrace.settings import Input, Multiline

SAMPLES = Path(__file__).parent / "samples" / "traces"
ALL = Traces(LANGUAGES, attach=False)
DOTNET = """info: started
Unhandled exception. System.InvalidOperationException: outer
 ---> System.ArgumentException: inner
   at App.Run(Int32 n) in /srv/app/Program.cs:line 3
   --- End of inner exception stack trace ---
   at App.Main() in /srv/app/Program.cs:line 9
info: stopped"""


def entry(**keys: object) -> Input:
    """An input with these keys under ``multiline``."""
    return Input(paths=["/x"], dataset="d", format="plain", multiline=Multiline(**keys))  # type: ignore[arg-type]


def joined(rule: Traces, text: str, *, final: bool = True) -> list[str]:
    """The records of a text."""
    return [
        record.decode() for record in Joiner(rule, 500, 100_000).join(text.encode().split(b"\n"), b"", final=final)[0]
    ]


@pytest.mark.parametrize(
    ("name", "traces", "others"),
    [
        ("python", 3, ["INFO before", "INFO between", "INFO group", "INFO after"]),
        ("go", 1, ["INFO before"]),
        ("race", 1, ["INFO before", "INFO after 2", "Found 1 data race(s)", "exit status 66"]),
        ("node", 2, ["INFO before", "INFO between", "Node.js v20.20.2"]),
        ("java", 2, ["INFO before", "INFO after"]),
        ("rust", 2, ["INFO before", "INFO after"]),
        ("ruby", 2, ["INFO before", "INFO between"]),
        ("php", 2, ["INFO before", "INFO between"]),
    ],
)
def test_the_traces_of_real_programs_are_in_one_piece(name: str, traces: int, others: list[str]) -> None:
    """Each is one record; the lines of the log around them stay alone."""
    text = (SAMPLES / f"{name}.log").read_text("utf-8").removesuffix("\n")
    records = joined(ALL, text)
    assert "\n".join(records) == text
    assert [record for record in records if record.strip() and "\n" not in record.strip()] == others
    assert len([record for record in records if "\n" in record.strip()]) == traces


def test_a_trace_of_dotnet_is_in_one_piece() -> None:
    """With the inner exception."""
    assert [len(record.split("\n")) for record in joined(ALL, DOTNET)] == [1, 5, 1]


@pytest.mark.parametrize("name", [*LANGUAGES, "race"])
def test_a_trace_is_attached_to_the_line_of_its_log_where_that_is_asked(name: str) -> None:
    """As loggers print it: the message, and below it the trace."""
    text = DOTNET if name == "dotnet" else (SAMPLES / f"{name}.log").read_text("utf-8")
    rule = Traces(("go" if name == "race" else name,), attach=True)
    records = joined(rule, text.replace("INFO before\n", "").replace("INFO between\n", ""))
    assert "\n".join(records) == text.replace("INFO before\n", "").replace("INFO between\n", "")
    java = "12:00:01 ERROR failed\njava.lang.IllegalStateException: x\n\tat a.B.c(B.java:1)\n12:00:02 INFO next"
    python = "ERROR:root:failed\nTraceback (most recent call last):\n  File\nKeyError: 1\nINFO:root:next"
    assert [len(record.split("\n")) for record in joined(Traces(("java",), attach=True), java)] == [3, 1]
    assert [len(record.split("\n")) for record in joined(Traces(("python",), attach=True), python)] == [4, 1]


def test_lines_that_only_look_like_errors_stay_alone() -> None:
    """Other lines must not be swallowed by one that names an exception."""
    lines = ["java.lang.Error: a", "java.lang.Error: b", "INFO Exception handling is on", "INFO next"]
    lines += ["Error: x", "Error: y", '{"Error": 1}', "\tat odd"]
    assert joined(ALL, "\n".join(lines)) == lines


def test_only_a_line_that_a_trace_may_follow_waits() -> None:
    """Most lines of a log must not be late."""
    assert joined(ALL, "INFO a\nINFO b", final=False) == ["INFO a", "INFO b"]
    assert joined(ALL, '{"level":"error","message":"Exception"}', final=False) != []
    assert joined(ALL, "INFO a\nERROR java.lang.Error: b", final=False) == ["INFO a"]
    assert joined(ALL, "INFO a\nTraceback (most recent call last):\n  File", final=False) == ["INFO a"]
    assert joined(Traces(("java",), attach=True), "INFO a\nINFO b", final=False) == ["INFO a"]


@pytest.mark.parametrize(
    ("keys", "records"),
    [
        ({"start": r"\d{4}-"}, ["2026-01 a\n b\nc", "2026-02 d"]),
        ({"continues": r"\s|c"}, ["2026-01 a\n b\nc", "2026-02 d"]),
        ({"rule": "indent"}, ["2026-01 a\n b", "c", "2026-02 d"]),
        ({"count": 2}, ["2026-01 a\n b", "c\n2026-02 d"]),
        ({"rule": "off"}, None),
        ({"start": r"\d{4}-", "max_lines": 2}, ["2026-01 a\n b", "c", "2026-02 d"]),
        ({"start": r"\d{4}-", "max_bytes": 14}, ["2026-01 a\n b", "c", "2026-02 d"]),
    ],
)
def test_rules_of_ones_own(keys: dict[str, object], records: list[str] | None) -> None:
    """Patterns, a number of lines, and the limits."""
    joiner = joiner_of(entry(**keys), 262_144)
    assert (joiner is None) is (records is None)
    if joiner is not None:
        found = joiner.join([b"2026-01 a", b" b", b"c", b"2026-02 d"], b"", final=True)
        assert [record.decode() for record in found.records] == records


def test_the_rest_of_a_record_is_marked() -> None:
    """What follows a limit or a stored cut is known as a piece by how it looks."""
    joiner = Joiner(Traces(("java",), attach=True), 3, 100_000)
    found = joiner.join([b"\tat a.b", b"INFO x", b"INFO y", *[b"\tat c.d"] * 4, b"INFO z"], b"", final=True)
    assert found.pieces == {0, 3}
    assert [record.count(b"\n") for record in found.records] == [0, 0, 2, 1, 0]


LINES = st.lists(
    st.sampled_from(
        [
            "INFO x", "java.lang.Error: b", "\tat a.b(C.java:1)", "Caused by: x.Y: z", "panic: x",
            "Traceback (most recent call last):", '  File "x"', "KeyError: 1", "", "    x = 1", "goroutine 1 [x]:",
            "During handling of the above exception, another", "thread 'm' panicked at a.rs:1:", "stack backtrace:",
            "main.main()", "=" * 18, "WARNING: DATA RACE", '{"a":"Error"}', "é" * 40,
        ]
    ),
    max_size=30,
)  # fmt: skip


@pytest.mark.parametrize("rule", ["traces", "java", "python", "go", "node", "indent", "rust", "php"])
@given(lines=LINES, sizes=st.lists(st.integers(1, 200), max_size=40), most=st.integers(1, 6), data=st.data())
def test_how_a_file_is_read_makes_no_difference(
    rule: str, lines: list[str], sizes: list[int], most: int, data: st.DataObject
) -> None:
    """Records follow from the bytes: not from how much one read brings, nor from where a crash made it begin again."""
    text = "".join(line + "\n" for line in lines).encode()
    ours = entry(rule=rule, max_lines=most, max_bytes=100)

    def source(position: int) -> Source:
        encoder = Encoder(ours, "s", "/x", {"name": "h"}, 900_000, 1_000_000, joiner_of(ours, 262_144))
        made = Source(fresh_row("s", "/x", Place(1, 1)), encoder, b"")
        made.cursor = made.at = position
        return made

    def headers(reader: Source, reads: list[int]) -> tuple[dict[bytes, bytes], list[int]]:
        found: dict[bytes, bytes] = {}
        stops = []
        end = reader.at
        for size in [*reads, len(text)]:
            end = min(len(text), end + size)
            window = text[reader.at - len(reader.anchor) : end]
            step = reader.read(window, 0, full=False)
            found |= dict(step.records) if step else {}
            stops += [step.end] if step else []
        if reader.open_bytes:
            reader.make_cut()
            step = reader.read(text[reader.at - len(reader.anchor) :], 0, full=False)
            assert step is not None
            found |= dict(step.records)
        return {header: value.split(b'"log"')[0] for header, value in found.items()}, stops

    whole, _ = headers(source(0), [])
    pieces, stops = headers(source(0), sizes)
    assert pieces == whole
    if stops:
        again = data.draw(st.sampled_from(stops))
        rest, _ = headers(source(again), [])
        assert rest.items() <= whole.items()
        assert all(header in rest for header in whole if int(header.split(b":")[1]) >= again)
