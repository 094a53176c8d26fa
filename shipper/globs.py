"""A path and the patterns of an input to whether the path is one of its files. No I/O."""

import fnmatch
import functools
import re
from collections.abc import Iterable

from tailrace.settings import Input

_PIECES = re.compile(r"\*+|\?|\[!?[^\]]+\]|\[|[^*?\[]+")


def input_of(path: str, inputs: Iterable[Input]) -> Input | None:
    """The first input that names an absolute path, as a scan of the inputs would say; None if none does."""
    return next((entry for entry in inputs if names(entry, path)), None)


def names(entry: Input, path: str) -> bool:
    """Whether an input names an absolute path and does not exclude it."""
    named = any(_pattern(pattern).fullmatch(path) for pattern in entry.paths)
    return named and not any(fnmatch.fnmatchcase(path, excluded) for excluded in entry.exclude)


@functools.lru_cache(maxsize=256)
def _pattern(glob: str) -> re.Pattern[str]:
    """As ``glob.glob`` with ``recursive``: ``*`` stays within a folder, ``**`` alone stands for any depth."""
    parts = glob.split("/")
    made = ""
    for at, part in enumerate(parts):
        last = at == len(parts) - 1
        if part == "**":
            made += ".*" if last else "(?:[^/]+/)*"
        else:
            made += _one(part) + ("" if last else "/")
    return re.compile(made, re.DOTALL)


def _one(part: str) -> str:
    """The pattern of one folder's or file's name, which holds no slash."""
    return "".join(_piece(piece) for piece in _PIECES.findall(part))


def _piece(piece: str) -> str:
    if piece[0] in "*?":
        return "[^/]*" if piece[0] == "*" else "[^/]"
    if piece[0] == "[" and len(piece) > 1:
        inside = piece[1:-1].replace("\\", r"\\").replace("[", r"\[")
        return f"[^/{inside[1:]}]" if inside[0] == "!" else f"[{inside}]"
    return re.escape(piece)
