"""A line of ``key=value`` pairs, as logrus, Go's slog and Heroku write them, to ECS fields. No I/O."""

import re

import orjson

from shipper import ecs
from shipper.columns import is_utf8
from shipper.formats import json
from shipper.formats.fill import text_of

_PAIR = re.compile(r'\s*([^\s="]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*)))?(?=\s|$)')
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,9})?")
_LEAST = 2
"""A line with fewer pairs is a text with an equals sign in it."""
_MOST = 512


def fields(line: bytes, document: ecs.Document) -> bool:
    """Fill the document from a line that is nothing but pairs; a key alone is true, of two the last counts."""
    text = text_of(line).rstrip()
    tree: dict[str, object] = {}
    at = pairs = 0
    while at < len(text) and len(tree) <= _MOST:
        found = _PAIR.match(text, at)
        if found is None:
            return False
        key, quoted, bare = found.groups()
        if quoted is None and bare is None:
            tree[key] = True
        else:
            pairs += 1
            tree[key] = _unquoted(quoted) if quoted is not None else _value(bare)
        at = found.end()
    if pairs < _LEAST or pairs * 2 < len(tree) or len(tree) > _MOST:
        return False
    json.take(tree, document)
    if not is_utf8(line):
        document.flags.append("encoding")
    return True


def _value(text: str) -> object:
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text


def _unquoted(text: str) -> str:
    if "\\" not in text:
        return text
    try:
        return str(orjson.loads(f'"{text}"'))
    except orjson.JSONDecodeError:  # an escape that JSON does not know
        return text.replace('\\"', '"')
