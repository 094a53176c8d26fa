"""The examples and exit codes of a help text to lines that fit a terminal of 80 columns. No I/O."""

import re
import textwrap
from collections.abc import Iterator

WIDTH = 78
"""Of 80, less what the help is indented by."""
_EXAMPLE = re.compile(r"^  (?P<command>\S.*?)(?:   +(?P<comment>\S.*))?$")
_AS_IT_IS = "\b"
"""Click leaves what stands below it as it is."""
_PARAGRAPH = re.compile(rf"{_AS_IT_IS}$|[A-Z][a-z ]+:")
"""What begins a line of its own: that mark, or what the text after it is about."""
_GAP = " " * 4
_UNDER = " " * 6


def fitted(epilog: str) -> str:
    """The same text: no line is too long, and none is broken inside a word or between quotes.

    Where an example leaves no room for its comment, that stands below it; a pipe goes on below.
    """
    blocks = re.split(r"\n\s*\n", epilog.strip("\n"))
    return "\n\n".join("\n".join(_block(block.splitlines())) for block in blocks) + "\n"


def _block(lines: list[str]) -> Iterator[str]:
    column = _column(lines)
    text: list[str] = []
    for line in lines:
        found = _EXAMPLE.match(line)
        if found is None and not _PARAGRAPH.match(line):
            text.append(line)
            continue
        yield from _filled(text)
        text = []
        if found is not None:
            yield from _example(found, column)
        elif line == _AS_IT_IS:
            yield line
        else:
            text = [line]
    yield from _filled(text)


def _filled(text: list[str]) -> list[str]:
    if all(len(line) <= WIDTH for line in text):
        return text
    return textwrap.wrap(" ".join(text), WIDTH, break_long_words=False, break_on_hyphens=False)


def _column(lines: list[str]) -> int | None:
    """Where comments begin so that those fit that can; None: where they stand, for all of them do."""
    found = [one for one in map(_EXAMPLE.match, lines) if one is not None and one["comment"]]
    if all(len(one.string) <= WIDTH for one in found):
        return None
    room = [len(one["command"]) for one in found if len(one["command"]) + len(one["comment"]) + len(_GAP) + 2 <= WIDTH]
    return max(room, default=0) + len(_GAP) + 2


def _example(found: re.Match[str], column: int | None) -> Iterator[str]:
    if column is None and len(found.string) <= WIDTH:
        yield found.string
        return
    command, comment = f"  {found['command']}", found["comment"] or ""
    beside = command.ljust(column or 0) + comment
    if comment and len(beside) <= WIDTH and len(command) + len(_GAP) <= (column or 0):
        yield beside
        return
    while len(command) > WIDTH and (pipe := _pipe(command)):
        yield command[: pipe + 2]
        command = _UNDER + command[pipe + 3 :]
    yield command
    yield from (_UNDER + one for one in textwrap.wrap(comment, WIDTH - len(_UNDER), break_on_hyphens=False))


def _pipe(command: str) -> int:
    """The last pipe, outside of quotes, behind which a command may go on below; 0 if there is none."""
    places = [found.start() for found in re.finditer(r" \| ", command[: WIDTH + 1])]
    return max((place for place in places if command.count("'", 0, place) % 2 == 0), default=0)
