"""Secrets in a record to labels that say what stood there, or to a keyed hash of it. No I/O."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import accumulate
from typing import Any, NamedTuple

import orjson

from shipper import ecs
from shipper.filters.edit import label, take
from shipper.filters.facts import Path, Values, walk
from shipper.filters.scan import has_anchor, rows_of, seeker
from shipper.filters.secrets import KINDS, LABELLED, NO_VALUES, SCHEME_TOKEN, Kind
from tailrace.filter_settings import Redact as Settings
from tailrace.patterns import pattern_of

_OURS = {("tailrace",), ("@timestamp",), ("log", "file"), ("log", "offset"), ("log", "flags")}
_OURS |= {("event", "dataset"), ("event", "created")}
"""What the shipper itself says in a record."""
_TYPED = frozenset(name for name, kind in ecs.FIELDS.items() if kind in ("ip", "long", "date"))
"""Fields that cannot hold a label."""
_Counts = Counter[tuple[str, str]]
"""How often something was found, by rule and kind."""
_FLAT = ("labels", "numeric_labels")
_MOST_NAMES = 4096
_ORIGINAL = ("event", "original")
_LABELLED = re.compile(LABELLED.pattern.encode())


class _Finder(NamedTuple):
    """One pattern, compiled."""

    rule: str
    name: str
    kind: Kind
    compiled: Any
    seeks: Any
    blind: bool
    holder: Any
    key: bytes
    bears: bool
    """Whether its rule hides bearer tokens too: then what it finds, and is written as one, is told as one."""


class _Leaf(NamedTuple):
    """A value in a document, and all its text: with a label's name, for a service chose that too."""

    path: Path
    value: Any
    text: str


class Order(NamedTuple):
    """What one rule wants hidden; ``key`` is the secret of its hashes, empty for none."""

    rule: str
    settings: Settings
    key: bytes


class Redaction:
    """Replaces what its patterns find, in every text of a record and in the names of its labels.

    Rules that follow each other are one redaction, for a record is gone through once. With a key, a label also holds a
    hash (BLAKE2b with that key) of 64 bits: equal values stay equal, and who has no key cannot try values out.
    """

    paths: tuple[Path, ...] = ()

    def __init__(self, orders: Sequence[Order]) -> None:
        self.kinds = [name for order in orders for name in order.settings.kinds]
        self.own = [pattern for order in orders for pattern in order.settings.patterns]
        finders = [finder for order in orders for finder in _finders(order)]
        self._holders = [finder for finder in finders if finder.holder is not None]
        self._held: dict[str, _Finder | None] = {}
        """What the names of labels were found to say, for services use the same ones again and again."""
        # Those first that hide all of a value for its name: nothing of it must be left beside another's label.
        self._finders = self._holders + [finder for finder in finders if finder.holder is None]

    def touches(self, _values: Values, *, suspect: bool) -> bool:
        """Whether a pattern may be found in it."""
        return suspect

    def change(self, fields: dict[str, Any]) -> dict[tuple[str, str], int]:
        """Replace what is found; returns how often, by rule and kind."""
        found: _Counts = Counter()
        leaves: list[_Leaf] = []
        _gather(fields, (), leaves)
        for row, finders in self._hits(leaves).items():
            self._leaf(fields, leaves[row], finders, found)
        original = walk(fields, _ORIGINAL)
        if found and original is not None and "\\" in original:
            fields["event"]["original"] = self._unescaped(original)
        return found

    def text(self, text: str, found: _Counts) -> str:
        """A text without what is found in it."""
        return self._safe(text, self._finders, found)

    def _unescaped(self, original: str) -> str:
        """A line that may still say behind its escapes what was found elsewhere, so that it does not."""
        try:
            return orjson.dumps(self._tree(orjson.loads(original))).decode()
        except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):
            return "[redacted]"

    def _tree(self, value: Any) -> Any:  # noqa: ANN401 - a JSON value
        """A JSON value without what is found in its texts and names."""
        nothing: _Counts = Counter()
        if type(value) is dict:
            return {
                self.text(key, nothing): self._hidden(finder, inner, nothing)
                if (finder := self._holder(key)) is not None and type(inner) is not dict
                else self._tree(inner)
                for key, inner in value.items()
            }
        return [*map(self._tree, value)] if type(value) is list else self._value(value, self._finders, nothing)

    def _holder(self, key: str) -> _Finder | None:
        """Whose secrets a field of that name holds, if any."""
        if key not in self._held:
            if len(self._held) >= _MOST_NAMES:
                self._held.clear()
            self._held[key] = next((one for one in self._holders if one.holder.search(key) is not None), None)
        return self._held[key]

    def _hits(self, leaves: list[_Leaf]) -> dict[int, list[_Finder]]:
        """The leaves in whose text or name something may be found, by whom; all are searched together."""
        texts = [leaf.text.encode("utf-8", "replace") for leaf in leaves]
        together = b"\n".join(texts)
        starts: list[int] = list(accumulate([len(text) + 1 for text in texts], initial=0))
        hits: dict[int, list[_Finder]] = {}
        for finder in self._finders:
            rows = range(len(leaves)) if finder.blind else dict.fromkeys(rows_of(finder.seeks, together, starts))
            for row in rows:
                hits.setdefault(row, []).append(finder)
        if self._holders:
            for row, leaf in enumerate(leaves):
                if leaf.path[0] in _FLAT and self._holder(leaf.path[1]) is not None:
                    hits.setdefault(row, [])
        return hits

    def _leaf(self, fields: dict[str, Any], leaf: _Leaf, finders: list[_Finder], found: _Counts) -> None:
        if leaf.path[0] in _FLAT:
            self._label_leaf(fields, leaf, finders, found)
        elif (safe := self._value(leaf.value, finders, found)) != leaf.value:
            place = walk(fields, leaf.path[:-1])
            name = ".".join(leaf.path)
            if name in _TYPED:
                take(fields, leaf.path)
                label(fields, name, safe)
            else:
                place[leaf.path[-1]] = safe

    def _label_leaf(self, fields: dict[str, Any], leaf: _Leaf, finders: list[_Finder], found: _Counts) -> None:
        """Labels also have names that a service gave them; what is no number any more goes to the texts."""
        key = leaf.path[1]
        holder = self._holder(key)
        value = leaf.value if holder is None else self._hidden(holder, leaf.value, found)
        safe = self._value(value, finders, found)
        named = self._safe(key, finders, found)
        if named != key or safe != leaf.value:
            take(fields, leaf.path)
            label(fields, named, safe)

    def _hidden(self, finder: _Finder, value: Any, found: _Counts) -> Any:  # noqa: ANN401 - a JSON value
        """What stands in place of all of a value, for the name of its label says what it is."""
        text = ecs.as_text(value)
        if LABELLED.fullmatch(text) or text.lower() in NO_VALUES:
            return value
        name, common = _said(finder, text)
        found[finder.rule, name] += 1
        return _label(name, common, finder.key)

    def _value(self, value: Any, finders: list[_Finder], found: _Counts) -> Any:  # noqa: ANN401 - a JSON value
        if type(value) is str:
            return self._safe(value, finders, found)
        if type(value) in (int, float):
            text = self._safe(str(value), finders, found)
            return value if text == str(value) else text
        if type(value) is list:
            items = [self._value(item, finders, found) for item in value]
            return value if items == value else list(map(str, items))
        return value

    def _safe(self, text: str, finders: list[_Finder], found: _Counts) -> str:
        for finder in finders:
            text = self._replaced(finder, text, found)
        return text

    def _replaced(self, finder: _Finder, text: str, found: _Counts) -> str:
        encoded = text.encode("utf-8", "replace")
        labels = [label.span() for label in _LABELLED.finditer(encoded)] if b"[" in encoded else []
        pieces: list[bytes] = []
        done = at = 0
        while (match := finder.compiled.search(encoded, at)) is not None:
            begin, end = _secret(match)
            before = bisect_right(labels, (begin, len(encoded))) - 1
            if before >= 0 and (end if begin == labels[before][0] else begin + 1) <= labels[before][1]:
                at = labels[before][1]
                continue
            part = finder.kind.part(encoded[begin:end].decode("utf-8", "replace")) if begin < end else None
            if part is None:
                at = match.start() + 1
                continue
            name, common = _said(finder, part)
            found[finder.rule, name] += 1
            pieces += encoded[done:begin], _label(name, common, finder.key).encode()
            done = at = begin + len(part.encode("utf-8", "replace"))
        if not pieces:
            return text
        return b"".join([*pieces, encoded[done:]]).decode("utf-8", "replace")


def _finders(order: Order) -> Iterator[_Finder]:
    own = [(order.settings.label, Kind(pattern, pattern, str, str)) for pattern in order.settings.patterns]
    for name, kind in [*((name, KINDS[name]) for name in order.settings.kinds), *own]:
        holder = pattern_of(kind.holder) if kind.holder else None
        compiled, seeks = pattern_of(kind.pattern), seeker(kind.pattern)
        bears = kind is KINDS["password"] and "bearer" in order.settings.kinds
        yield _Finder(order.rule, name, kind, compiled, seeks, has_anchor(kind.pattern), holder, order.key, bears)


def _said(finder: _Finder, secret: str) -> tuple[str, str]:
    """The name of the kind that a secret is of, and what equal ones have in common."""
    token = SCHEME_TOKEN.fullmatch(secret) if finder.bears else None
    return ("bearer", token[1]) if token else (finder.name, finder.kind.common(secret))


def _label(name: str, secret: str, key: bytes) -> str:
    if not key:
        return f"[{name}]"
    digest = blake2b(secret.encode("utf-8", "replace"), digest_size=8, key=key[:64]).hexdigest()
    return f"[{name}:{digest}]"


def _gather(tree: dict[str, Any], path: Path, leaves: list[_Leaf]) -> None:
    """Add the values of a tree that a service may have said."""
    flat = path and path[0] in _FLAT
    for key, value in tree.items():
        here = (*path, key)
        if here in _OURS:
            continue
        kind = type(value)
        if kind is dict:
            _gather(value, here, leaves)
        else:
            text = value if kind is str else "\n".join(map(str, value)) if kind is list else str(value)
            leaves.append(_Leaf(here, value, f"{key}\n{text}" if flat else text))


def _secret(match: Any) -> tuple[int, int]:  # noqa: ANN401 - the library has no types
    """Where in what was found the secret stands: what the first group matched, or all."""
    spans: Sequence[tuple[int, int]] = [match.span(number) for number in range(1, match.re.groups + 1)]
    return next((span for span in spans if span[0] >= 0), match.span())
