"""An index's mapping to its fields, how many they are, and what would become of new ones. No I/O."""

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from tailrace.drift.kinds import Kind

Tree = Mapping[str, Any]

OBJECT = "object"
_ALIKE = {
    "match_only_text": "text",
    "constant_keyword": "keyword",
    "wildcard": "keyword",
    "date_nanos": "date",
    "nested": OBJECT,
}
"""Types that are searched as if they were the same."""
_DEFAULTS = {
    Kind.TEXT: "text",
    Kind.INTEGER: "long",
    Kind.NUMBER: "float",
    Kind.BOOLEAN: "boolean",
    Kind.OBJECT: OBJECT,
}
_THEIR_NAMES = {
    Kind.TEXT: "string",
    Kind.INTEGER: "long",
    Kind.NUMBER: "double",
    Kind.BOOLEAN: "boolean",
    Kind.OBJECT: "object",
}


class Fields(msgspec.Struct, frozen=True):
    """The fields of a mapping.

    ``types`` has the type of each by dotted name, objects included. ``flat`` are the objects whose keys may have dots
    of their own, ``closed`` those that take no new fields. ``count`` is what Elasticsearch holds against
    ``index.mapping.total_fields.limit``, ``by_root`` the same by the first part of the name. ``rules`` are the dynamic
    templates; ``adds`` says whether new fields are mapped at all, ``dates`` whether texts that look like dates become
    such.
    """

    types: Mapping[str, str]
    flat: frozenset[str]
    closed: frozenset[str]
    count: int
    by_root: Mapping[str, int]
    rules: tuple[Tree, ...]
    adds: bool
    dates: bool

    def takes(self, name: str) -> bool:
        """Whether a field that is not in the mapping would be added to it."""
        if not self.adds:
            return False
        above = [name[:place] for place, character in enumerate(name) if character == "."]
        return not any(one in self.closed or self.types.get(one, OBJECT) != OBJECT for one in above)

    def type_for(self, name: str, kind: Kind) -> str:
        """The type that a new field of this name gets from a value of this kind, as ``alike`` names it."""
        return self._made(name, _THEIR_NAMES[kind], _DEFAULTS[kind])

    def types_for(self, name: str, kinds: Iterable[Kind]) -> set[str]:
        """All types that a field may have here once a value of one of these kinds came; none if it is not mapped."""
        if name in self.types:
            return {self.types[name]}
        if not self.takes(name):
            return set()
        among = set(kinds)
        date = {self._made(name, "date", "date")} if self.dates and Kind.TEXT in among else set()
        return {self.type_for(name, kind) for kind in among} | date

    def _made(self, name: str, theirs: str, usual: str) -> str:
        """What the first rule makes of a new field whose value Elasticsearch calls ``theirs``, else ``usual``."""
        for rule in self.rules:
            if _holds(rule, name, theirs):
                made = (rule.get("mapping") or rule.get("runtime") or {}).get("type", "{dynamic_type}")
                # An object that a rule makes anything else of is refused: it stays one.
                plain = made == "{dynamic_type}" or (theirs == OBJECT and made != "flattened")
                return usual if plain else alike(made)
        return usual


def alike(kind: str) -> str:
    """A type under the name of those that are searched like it."""
    return _ALIKE.get(kind, kind)


def fields(mapping: Tree) -> Fields:
    """The fields in what ``_mapping`` or a template says, which may be nothing."""
    leaves = list(_walk(mapping.get("properties") or {}, ""))
    by_root: dict[str, int] = {}
    for name, field in leaves:
        root = name.partition(".")[0]
        by_root[root] = by_root.get(root, 0) + 1 + len(field.get("fields") or {})
    runtime = len(mapping.get("runtime") or {})
    rules = tuple(rule for named in mapping.get("dynamic_templates") or () for rule in named.values())
    return Fields(
        types={name: alike(field.get("type", OBJECT)) for name, field in leaves},
        flat=frozenset(name for name, field in leaves if field.get("subobjects") in (False, "false")),
        closed=frozenset(name for name, field in leaves if _is_closed(field)),
        count=sum(by_root.values()) + runtime,
        by_root=by_root,
        rules=rules,
        adds=str(mapping.get("dynamic", "true")).lower() in ("true", "runtime"),
        dates=mapping.get("date_detection") not in (False, "false"),
    )


def _walk(properties: Tree, above: str) -> Iterator[tuple[str, Tree]]:
    for name, field in properties.items():
        yield above + name, field
        yield from _walk(field.get("properties") or {}, f"{above}{name}.")


def _is_closed(field: Tree) -> bool:
    adds = str(field.get("dynamic", "true")).lower() in ("true", "runtime")
    return not adds or field.get("enabled") in (False, "false")


def _holds(rule: Tree, name: str, theirs: str) -> bool:
    """Whether a dynamic template is for a field; without a condition on the kind it is for all kinds."""
    kinds = _several(rule.get("match_mapping_type"))
    if kinds and "*" not in kinds and theirs not in kinds:
        return False
    last = name.rpartition(".")[2]
    is_regex = rule.get("match_pattern") == "regex"
    for key, text in (("match", last), ("path_match", name)):
        wanted, unwanted = _several(rule.get(key)), _several(rule.get(key.replace("match", "unmatch")))
        if wanted and not any(_matches(pattern, text, is_regex=is_regex) for pattern in wanted):
            return False
        if any(_matches(pattern, text, is_regex=is_regex) for pattern in unwanted):
            return False
    return True


def _matches(pattern: str, text: str, *, is_regex: bool) -> bool:
    if not is_regex:
        return fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))
    try:
        return re.fullmatch(pattern, text) is not None
    except re.error:  # Java's patterns are not all Python's
        return False


def _several(value: object) -> list[str]:
    if value is None:
        return []
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]
