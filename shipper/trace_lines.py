"""Which lines are stack traces, as the runtimes of several languages print them. No I/O.

A state says which lines may follow in the same record; a line that none of its steps takes begins another record.
Most lines are never looked at: only those behind a line that holds one of a few words, found in all lines at once.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from tailrace.patterns import pattern_of

LANGUAGES = ("java", "python", "go", "node", "dotnet", "ruby", "php", "rust")


class Marks(NamedTuple):
    """For each of some lines whether it goes on with the record before it; and whether a line behind the last may.

    ``pieces`` are the numbers of lines that begin a record only because something ended the one before too early.
    """

    continues: list[bool]
    pieces: list[int]
    may_go_on: bool


class _Step(NamedTuple):
    """A line that matches leads from one state to another, in these languages."""

    state: str
    languages: tuple[str, ...]
    pattern: str
    to: str


_FRAMED = ("java", "node", "dotnet")
_PY = ("python",)
_GO = ("go",)
_TRACEBACK = r"[ |+]*(?:Exception Group )?Traceback \(most recent call last\):"
_STEPS = (
    # Behind a line of the log itself, or one with the name of an exception in it.
    _Step("log", _FRAMED, r"[ \t]+at \S", "frames"),
    _Step("log", ("java",), r"(?:[a-z_]\w*\.)+[A-Z][\w$]*(?:Exception|Error|Throwable)\b", "frames"),
    _Step("log", ("java",), r"[ \t]*(?:Caused by: |Suppressed: |\.\.\. \d+ (?:more|common))", "frames"),
    _Step("log", ("dotnet",), r"(?:[A-Z]\w*\.)+\w*(?:Exception|Error)\b| +---> ", "frames"),
    _Step("log", ("node",), r"(?:Uncaught )?\w*(?:Error|Exception)(?: \[\w+\])?: ", "frames"),
    _Step("log", _PY, _TRACEBACK + r'|[ |]+File "', "python"),
    _Step("log", _GO, r"goroutine \d+ \[", "go"),
    _Step("log", ("ruby",), r"\t *(?:\d+: )?from |\S+\.rb:\d+:in ", "frames"),
    _Step("log", ("php",), r"Stack trace:|#\d+ |\[(?:stacktrace|previous exception)\]", "php"),
    _Step("log", ("rust",), r"stack backtrace:| +\d+: ", "rust"),
    # Frames: whatever is indented goes on, and what joins one trace to the next.
    _Step("frames", (*_FRAMED, "ruby"), r"[ \t]+\S", "frames"),
    _Step("frames", ("java",), r"Caused by: |Suppressed: |Wrapped by: |\.\.\. \d+ (?:more|common)", "frames"),
    _Step("frames", ("node",), r"\}", "frames"),
    _Step("frames", ("ruby",), r"\S+\.rb:\d+:in ", "frames"),
    # Python: what is indented, the exception itself, and behind an empty line the next of a chain.
    _Step("python", _PY, r"[ \t]+\S", "python"),
    _Step("python", _PY, r"[A-Za-z_][\w.]*(?::.*)?\r?$", "raised"),
    _Step("raised", _PY, r"\r?$", "gap"),
    _Step("raised", _PY, r" +[|+]", "python"),
    _Step("gap", _PY, r"During handling of the above exception|The above exception was the direct cause", "chain"),
    _Step("chain", _PY, r"\r?$", "chain"),
    _Step("chain", _PY, _TRACEBACK, "python"),
    # Go: goroutines, each behind an empty line; and the race detector's report between two rules.
    _Step("go", _GO, r"\r?$|\t|goroutine \d+ \[|\[signal |created by |exit status \d|panic: ", "go"),
    _Step("go", _GO, r"[\w./*()\[\]{}$·-]+\(.*\)\r?$|r[a-z0-9]{1,5} +0x", "go"),
    _Step("rule", _GO, r"WARNING: DATA RACE", "race"),
    _Step("race", _GO, r"={18}\r?$", "closed"),
    _Step("race", _GO, r"", "race"),
    # Node shows the place in the source first.
    _Step("source", ("node",), r"\s*\^+\s*$", "caret"),
    _Step("source", ("node",), r"[^\s^].*|\s+\S", "source"),
    _Step("caret", ("node",), r"\r?$", "caret"),
    _Step("caret", ("node",), r"(?:Uncaught )?[\w.]*(?:Error|Exception)\b|\[", "frames"),
    _Step("php", ("php",), r"\r?$|Stack trace:|#\d+ |\s+thrown in |Next |\[(?:stacktrace|previous exception)\]", "php"),
    # Rust: the message stands behind the place.
    _Step("panicked", ("rust",), r"(?!note: |stack backtrace:).+", "rust"),
    _Step("panicked", ("rust",), r"", "rust"),
    _Step("rust", ("rust",), r"stack backtrace:| +\d+: | +at |note: ", "rust"),
)
_ATTACHED = (
    # What else a line of a log may go on with, where traces are attached to it.
    _Step("log", ("java",), r"[ \t]+\S", "frames"),
    _Step("log", _PY, r"[ \t]+\S", "indented"),
    _Step("indented", _PY, r"[ \t]+\S", "indented"),
)
_FIRST = (
    # What a line that begins a record leads to.
    _Step("", _PY, _TRACEBACK, "python"),
    _Step("", _GO, r"panic: |fatal error: |goroutine \d+ \[", "go"),
    _Step("", _GO, r"={18}\r?$", "rule"),
    _Step("", ("node",), r"(?:/|file://|node:|[A-Z]:\\)\S+\.?\w*:\d+\r?$", "source"),
    _Step("", ("java",), r"(?:[a-z_]\w*\.)+[A-Z][\w$]*(?:Exception|Error|Throwable)\b", "frames"),
    _Step("", ("node",), r"(?:Uncaught )?\w*(?:Error|Exception)(?: \[\w+\])?: ", "frames"),
    _Step("", ("dotnet",), r"Unhandled exception\. |(?:[A-Z]\w*\.)+\w*(?:Exception|Error)\b", "frames"),
    _Step("", ("ruby",), r"\S+\.rb:\d+:in .*\(\w[\w:]*\)\r?$", "frames"),
    _Step("", ("php",), r"(?:\[[^\]]*\] )?(?:PHP )?(?:Fatal|Parse) error: ", "php"),
    _Step("", ("rust",), r"(?:\r?$)?thread '.*' (?:\(\d+\) )?panicked at .*:\r?$", "panicked"),
    _Step("", ("rust",), r"thread '.*' (?:\(\d+\) )?panicked at ", "rust"),
)
_WORDS = {
    "java": (b"Exception", b"Error", b"Throwable"),
    "python": (b"Error", b"Exception", b"Traceback"),
    "go": (b"panic: ", b"fatal error: ", b"goroutine ", b"=================="),
    "node": (b"Error", b"Exception", b"Uncaught", b".js:", b".mjs:", b".cjs:", b".ts:", b"node:"),
    "dotnet": (b"Exception", b"Error", b"Unhandled exception"),
    "ruby": (b".rb:",),
    "php": (b"Uncaught", b"Fatal error", b"Parse error", b"Exception", b"Error"),
    "rust": (b" panicked at ",),
}
"""A line with none of these begins no trace; one that has one is a line that a trace may go on with."""


class Traces:
    """Marks the stack traces of some languages.

    With ``attach`` a trace goes on with whatever line stands before it, as where a logger prints it below its message;
    without, only with a line that says that there is an error, so that no other line need wait for the next.
    """

    def __init__(self, languages: Iterable[str], *, attach: bool) -> None:
        languages = tuple(languages)
        self._attach = attach
        steps = [
            step
            for step in (*_STEPS, *(_ATTACHED if attach else ()), *_FIRST)
            if not set(languages).isdisjoint(step.languages)
        ]
        self._states = {state: _state(steps, state) for state in {"", "log", "closed", *(step.to for step in steps)}}
        self._words = tuple(dict.fromkeys(word for language in languages for word in _WORDS[language]))
        words = "|".join(re.escape(word.decode()) for word in self._words)
        following = "|".join(step.pattern for step in steps if step.state == "log")
        self._seek = pattern_of(rf"{words}|\n(?:{following})").search

    def __call__(self, lines: Sequence[bytes], most_lines: int, most_bytes: int) -> Marks:
        """Mark lines, in records of at most so many lines and bytes.

        What a line is depends on the record it stands in, and never on what was before that.
        """
        continues = [False] * len(lines)
        pieces: list[int] = []
        together = b"\n".join([b"", *lines])
        # Objects of JSON have their traces inside.
        objects = lines[0][:1] == b"{" and together.count(b"\n{") == len(lines)
        found = None if objects else self._seek(together)
        if found is None:
            return Marks(continues, pieces, self._attach)
        ends = list(accumulate([len(line) + 1 for line in lines]))
        starts = [0, *ends]
        begin = done = 0
        state = ""
        while found is not None:
            number = bisect_right(ends, found.start())
            line = lines[number]
            state = self._next("log", line) or ""
            if state and self._attach and number:
                if number > done:
                    begin = number - 1
                if number - begin < most_lines and ends[number] - starts[begin] <= most_bytes:
                    continues[number] = True
                else:
                    begin = number
                    pieces.append(number)
            else:
                begin = number
                if head := self._next("", line):
                    state = head
                elif state:
                    pieces.append(number)
                else:
                    state = self._other(line)
            done = number + 1
            match, to = self._states[state]
            last = min(len(lines), begin + most_lines, bisect_right(ends, starts[begin] + most_bytes))
            while done < last and (step := match(lines[done])):
                continues[done] = True
                done += 1
                following = to[step.lastindex or 0]
                if following is not state:
                    state = following
                    match, to = self._states[state]
            found = self._seek(together, starts[done]) if done < len(lines) else None
        return Marks(continues, pieces, self._attach or (done == len(lines) and state != "closed"))

    def _other(self, line: bytes) -> str:
        """What a line leads to that begins a record and no trace; objects of JSON have their traces inside."""
        likely = self._attach or any(word in line for word in self._words)
        return "log" if likely and line[:1] != b"{" else "closed"

    def _next(self, state: str, line: bytes) -> str | None:
        match, to = self._states[state]
        found = match(line)
        return None if found is None else to[found.lastindex or 0]


def _state(steps: Sequence[_Step], state: str) -> tuple[Callable[[bytes], re.Match[bytes] | None], tuple[str, ...]]:
    """What the lines that may follow in a state match, and by the number of the group that did, the next state."""
    ours = [step for step in steps if step.state == state]
    pattern = "|".join(f"({step.pattern})" for step in ours) or r"(?!)"
    return re.compile(pattern.encode()).match, ("", *(step.to for step in ours))
