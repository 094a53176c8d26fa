"""A line to as many as a terminal needs for it, all with the indent of the first. No I/O."""

import re
import unicodedata

import click

_PIECE = re.compile(r"\x1b\[[0-9;]*m|.", re.DOTALL)
"""A code that colours what follows, or a character."""
_HEAD = re.compile(r"\s*(?:[-+]\s+|[✓✗] |\d+\. )?")
"""What stands before the text of a line: its indent, and the sign or the number that belongs to it."""
_TAB = 8


def hung(line: str, width: int | None) -> str:
    """A line, styled or not, broken wherever a terminal of ``width`` columns would break it; None: it is none.

    The terminal would go on at its left edge; here what goes on stands below the beginning of the text, but never
    behind the middle. No character is lost or added but for these breaks.
    """
    if width is None:
        return line
    head = _HEAD.match(click.unstyle(line))
    indent = min(_end(head[0] if head else "", 0), width // 2)
    made, column = "", 0
    for piece in _PIECE.findall(line):
        end = _end(piece, column)
        if end > width > indent:
            made += "\n" + " " * indent
            end = _end(piece, indent)
        made += piece
        column = end
    return made


def _end(text: str, column: int) -> int:
    """The column behind a text that begins at that one."""
    for char in text if text[:1] != "\x1b" else "":
        if char == "\t":
            column += _TAB - column % _TAB
        elif unicodedata.category(char) not in ("Mn", "Me", "Cf"):
            column += 2 if unicodedata.east_asian_width(char) in "WF" else 1
    return column
