"""A JSON object to ECS fields. No I/O.

Objects of one kind share their keys, so what becomes of each key is decided once per set of keys, not per line.
"""

import json
from typing import Any

import orjson

from shipper import ecs
from shipper.columns import is_utf8

_SHAPES = 2048
_SHAPE_KEYS = 256
_SHAPE_CHARACTERS = 4096
"""More keys, or longer ones, are not remembered: those that never come again would fill the memory."""
_DEEP = 100
"""An object nested deeper than this is kept as text: writing it out again would need more stack than there is."""
_shapes: dict[tuple[str, ...], list[tuple[Any, str]]] = {}
_EXACT = float(ecs.EXACT)


def fields(line: bytes, document: ecs.Document) -> bool:
    """Fill the document from a line that is one JSON object; False if it is none."""
    try:
        tree = orjson.loads(line)
    except orjson.JSONDecodeError:
        tree = _lenient(line, document)
    if type(tree) is not dict or is_deep(line, tree):
        return False
    huge = take(tree, document)
    if huge:
        _keep_digits(line, document, huge)
    return True


def take(tree: dict[str, Any], document: ecs.Document) -> set[str]:
    """Fill the document from an object; returns the names of the labels that are too large to be exact."""
    shape = tuple(tree)
    steps = _shapes.get(shape) or _learn(shape)
    labels = document.labels
    huge: set[str] = set()
    for (claim, name), value in zip(steps, tree.values(), strict=True):
        if claim is None and type(value) is str:
            labels[name] = value
        elif claim is None or not claim(document, name, value):
            document.label(name, value)
            if type(value) is float and not -_EXACT < value < _EXACT:
                huge.add(name)
    return huge


def is_deep(line: bytes, tree: Any) -> bool:
    """Whether what a line held is nested so deeply that it cannot be written out again."""
    if line.count(b"{") + line.count(b"[") <= _DEEP:
        return False
    level = [tree]
    for _ in range(_DEEP):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def _learn(shape: tuple[str, ...]) -> list[tuple[Any, str]]:
    if len(_shapes) >= _SHAPES:
        _shapes.clear()
    steps = ecs.plan(shape)
    if len(shape) <= _SHAPE_KEYS and sum(map(len, shape)) <= _SHAPE_CHARACTERS:
        _shapes[shape] = steps
    return steps


def _lenient(line: bytes, document: ecs.Document) -> Any:
    """What the strict parser refuses and others write: NaN, raw control characters, odd escapes, bad UTF-8."""
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        tree = json.loads(line.decode("utf-8", "replace"), strict=False)
        if b"\\ud" in line.lower():
            # A lone surrogate cannot be written as UTF-8: it becomes a replacement character.
            text = json.dumps(tree, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            tree = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not is_utf8(line):
        document.flags.append("encoding")
    return tree


def _keep_digits(line: bytes, document: ecs.Document, names: set[str]) -> None:
    """Numbers too large for a double to hold, as the text that was written; the line is parsed once for all of them."""
    text = line.decode("utf-8", "replace")
    tree = json.loads(text, parse_int=str, parse_float=str, strict=False)
    for key, value in tree.items():
        name = ecs.label_of(ecs.key_of(key))
        if name in names:
            document.labels[name] = value if isinstance(value, str) else str(value)
