"""The text of stack traces to error.*."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from shipper import ecs, traces
from shipper.multiline import joiner_of
from shipper.records import Encoder
from shipper.times import Times
from tailrace.settings import Input

SAMPLES = Path(__file__).parent / "samples" / "traces"


def documents(text: str, **keys: Any) -> list[dict[str, Any]]:
    """What is shipped of a file with this text."""
    entry = Input(paths=["/x"], dataset="d", timezone="UTC", **keys)
    joiner = joiner_of(entry, 262_144)
    assert joiner is not None
    lines = joiner.join(text.encode().split(b"\n")[:-1], b"", final=True).records
    encoder = Encoder(entry, "s", "/x", {"name": "h"}, 900_000, 1_000_000)
    return [orjson.loads(value) for _, value in encoder.chunk(lines, 0, 0, 0, 1_795_500_000 * 10**9).records]


@pytest.mark.parametrize(
    ("name", "errors"),
    [
        ("python", [("KeyError", "'x'"), ("KeyError", "'y'"), ("ExceptionGroup", "several (1 sub-exception)")]),
        ("go", [("panic", "runtime error: index out of range [3] with length 0")]),
        (
            "java",
            [("java.lang.RuntimeException", "wrapped"), ("java.lang.IllegalArgumentException", "deep")],
        ),
        ("node", [("Error", "outer"), ("Error", "ENOENT: no such file or directory, open '/nonexistent'")]),
        (
            "rust",
            [
                ("panic", "index out of bounds: the len is 0 but the index is 3"),
                ("panic", 'called `Result::unwrap()` on an `Err` value: "no"'),
            ],
        ),
        ("ruby", [("RuntimeError", "outer"), ("ArgumentError", "bad 2")]),
    ],
)
def test_a_trace_fills_the_fields_of_an_error(name: str, errors: list[tuple[str, str]]) -> None:
    """Its type and message, the whole text, and a key to group by; a plain line has none of it."""
    made = documents((SAMPLES / f"{name}.log").read_text("utf-8"), format="plain")
    assert [(one["error"]["type"], one["error"]["message"]) for one in made if "error" in one] == errors
    assert all("\n" in one["error"]["stack_trace"] for one in made if "error" in one)
    assert all(len(one["error"]["grouping_key"]) == 16 for one in made if "error" in one)
    assert all("\n" not in one["message"] for one in made)


def test_the_message_is_what_the_log_said() -> None:
    """The trace below it stands apart."""
    text = "java.io.IOException: gone\n\tat a.B.c(B.java:7)"
    (made,) = documents(f"2026-11-24 05:04:15,123 [main] ERROR c.e.App - cannot play\n{text}\n", format="java")
    assert made["message"] == "cannot play"
    assert made["log"]["logger"] == "c.e.App"
    assert made["error"]["type"] == "java.io.IOException"
    assert made["error"]["message"] == "gone"
    assert made["error"]["stack_trace"] == text
    (made,) = documents(
        'ERROR:app:cannot\nTraceback (most recent call last):\n  File "x"\nKeyError: 1\n', format="python"
    )
    assert (made["message"], made["error"]["type"]) == ("cannot", "KeyError")
    (made,) = documents("2026-11-24 05:04:15,123 [main] INFO c.e.App - values:\n  a = 1\n  b = 2\n", format="java")
    assert (made["message"], "error" in made) == ("values:\n  a = 1\n  b = 2", False)


def test_the_key_to_group_by_ignores_what_moves() -> None:
    """Line numbers, addresses and messages; not the types, nor the places."""

    def key(text: str) -> str:
        made = ecs.Document(Times("UTC"))
        traces.fill(made, text)
        return str(made.fields["error"]["grouping_key"])

    java = "java.io.IOException: {}\n\tat a.B.c(B.java:{})\n\tat a.B$$Lambda/0x{}.run(Unknown Source)"
    assert key(java.format("gone", 7, "0f3a")) == key(java.format("lost 12", 19, "77bc"))
    assert key(java.format("x", 7, "0")) != key(java.format("x", 7, "0").replace("a.B.c", "a.B.d"))
    assert key(java.format("x", 7, "0")) != key(java.format("x", 7, "0").replace("IOException", "EOFException"))
    python = 'Traceback (most recent call last):\n  File "/a.py", line {}, in f\nValueError: {}'
    assert key(python.format(3, "x")) == key(python.format(40, "y"))
    go = "panic: {}\n\ngoroutine {} [running]:\nmain.main(0x{})\n\t/a.go:{} +0x1d"
    assert key(go.format("a", 1, "c0", 5)) == key(go.format("b", 22, "d1", 66))


@pytest.mark.parametrize(
    "piece", ["a.", "A", "$", ": ", "x.rb:1:in ", "panic: ", "Traceback ", "File ", "at ", "[ ", "Error"]
)
def test_a_long_record_takes_no_time(piece: str) -> None:
    """Quadratic time would not end."""
    for text in (piece * 30_000, "x\n\tat " + piece * 30_000, f"{piece}\n" * 10_000):
        if traces.begins(text) >= 0:
            traces.fill(ecs.Document(Times("UTC")), text)
