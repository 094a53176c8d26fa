"""The records of one source to those that are left of them, by the rules of its input. No I/O.

A record comes as a finished document, or as the tree that it is made of. In most documents there is nothing to change:
of these only the fields that conditions ask for are decoded, for a whole chunk together. At the first rule that would
change one, its tree is made, and the rules go on from there.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from shipper.filters.facts import Facts, Values
from shipper.filters.redact import Redaction
from shipper.filters.rule import Home, Memory, Rule, Spot, Window
from shipper.filters.scan import Scanner
from shipper.filters.secrets import KINDS
from shipper.filters.throttle import Limit, is_doubtful

NOWHERE = Home("", "", "")
_NONE: frozenset[int] = frozenset()
_Memories = dict[str, dict[str, tuple[int, int]]]


class Rules:
    """The compiled rules of an input, shared by its sources."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.all = tuple(rules)
        self.facts = Facts([path for rule in rules for path in rule.paths])
        for rule in rules:
            rule.bind(self.facts)
        self.redactions = [rule.changer for rule in rules if isinstance(rule.changer, Redaction)]
        kinds = {name: KINDS[name] for one in self.redactions for name in one.kinds}
        own = [pattern for one in self.redactions for pattern in one.own]
        self.scanner = Scanner([*kinds.values()], own) if self.redactions else None
        self.limits = [rule.name for rule in rules if isinstance(rule.chooser, Limit)]
        self.homes = _homes([rule.home for rule in rules if rule.home is not None])
        """All that a record may be sent to; what is left out is the input's, or the shipper's."""


class Look(NamedTuple):
    """What is known of a chunk's lines before the first rule: values of documents, and lines where a pattern may be."""

    values: Sequence[Values | None]
    suspects: frozenset[int]


class Fate(NamedTuple):
    """What becomes of a record: dropped by a rule, or kept and sent to a home.

    ``stopped`` is the number of the rule that asks for the record's tree, with which the rules go on; else -1.
    """

    dropped: str
    home: Home
    stopped: int


KEPT = Fate("", NOWHERE, -1)


class Sieve:
    """Applies the rules to the records of one source, in the order of the file.

    Counts what it does until ``counted`` takes the counts; ``memory`` is what it remembers of the records before, and
    must be set to what it was at the position from which a file is read again. ``constant`` are fields that all of the
    source's records have, whatever is in the line.
    """

    def __init__(self, rules: Rules, source: str, constant: dict[str, Any]) -> None:
        self._rules = rules
        self._source = source
        self._dropped: dict[str, tuple[int, int]] = {}
        self._redacted: Counter[tuple[str, str]] = Counter()
        self._memories: dict[str, Memory] = {name: {} for name in rules.limits}
        copy = msgspec.json.decode(msgspec.json.encode(constant))
        self._blind = any(one.change(copy) for one in rules.redactions)
        """Whether there is something to redact in every record."""

    @property
    def memory(self) -> bytes:
        """What is remembered of the records so far, as JSON; empty if nothing."""
        return msgspec.json.encode(self._memories) if any(self._memories.values()) else b""

    @memory.setter
    def memory(self, stored: bytes) -> None:
        told = msgspec.json.decode(stored, type=_Memories) if stored else {}
        self._memories = {
            name: {key: Window(*window) for key, window in told.get(name, {}).items()} for name in self._rules.limits
        }

    def counted(self) -> tuple[dict[str, tuple[int, int]], dict[tuple[str, str], int]]:
        """Records and bytes dropped by rule, and values redacted by rule and kind, since it was last asked."""
        counts = self._dropped, dict(self._redacted)
        self._dropped, self._redacted = {}, Counter()
        return counts

    def look(self, lines: Sequence[bytes], documents: Sequence[bytes | None]) -> Look:
        """Look at a chunk's lines, and at the documents that there are of them (their values stand in the lines)."""
        rules = self._rules
        there = [document for document in documents if document is not None]
        suspects = _NONE
        if rules.scanner is not None and there:
            suspects = frozenset(range(len(lines))) if self._blind else rules.scanner.suspects(lines)
        if len(there) == len(documents):
            return Look(rules.facts.of_documents(there), suspects)
        found = iter(rules.facts.of_documents(there))
        return Look([None if document is None else next(found) for document in documents], suspects)

    def quick(self, values: Values, offset: int, size: int, *, suspect: bool) -> Fate:
        """What becomes of a record of ``size`` bytes at ``offset`` of which there is a document with these values."""
        return self._walk(values, None, 0, NOWHERE, offset, size, suspect=suspect)

    def whole(self, fields: dict[str, Any], offset: int, size: int, before: Fate | None) -> Fate:
        """As ``quick``, of a record of which there is a tree, which is changed; goes on where ``quick`` stopped."""
        values = self._rules.facts.of_tree(fields)
        first, home = (before.stopped, before.home) if before is not None else (0, NOWHERE)
        return self._walk(values, fields, first, home, offset, size, suspect=True)

    def _walk(
        self,
        values: Values,
        fields: dict[str, Any] | None,
        first: int,
        home: Home,
        offset: int,
        size: int,
        *,
        suspect: bool,
    ) -> Fate:
        rules = self._rules.all
        for number in range(first, len(rules)):
            rule = rules[number]
            if not rule.concerns(values):
                continue
            if rule.home is not None:
                home = _joined(rule.home, home)
            elif rule.changer is not None:
                if not rule.changer.touches(rule.pick(values), suspect=suspect):
                    continue
                if fields is None:
                    return Fate("", home, number)
                self._redacted.update(rule.changer.change(fields))
                values = self._rules.facts.of_tree(fields)
            elif fields is None and rule.name in self._memories and is_doubtful(rule.pick(values)):
                return Fate("", home, number)
            elif self._drops(rule, values, offset, size):
                return Fate(rule.name, home, -1)
        return KEPT if home is NOWHERE else Fate("", home, -1)

    def _drops(self, rule: Rule, values: Values, offset: int, size: int) -> bool:
        memory = self._memories.get(rule.name, {})
        if rule.chooser is None or not rule.chooser.drops(rule.pick(values), Spot(self._source, offset), memory):
            return False
        records, covered = self._dropped.get(rule.name, (0, 0))
        self._dropped[rule.name] = (records + 1, covered + size)
        return True


def _joined(route: Home, home: Home) -> Home:
    return Home(route.dataset or home.dataset, route.namespace or home.namespace, route.topic or home.topic)


def _homes(routes: Iterable[Home]) -> list[Home]:
    found = dict.fromkeys([NOWHERE])
    for route in routes:
        found |= dict.fromkeys(_joined(route, one) for one in [*found])
    return [*found]
