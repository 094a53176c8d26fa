"""A data stream's indices, its next index, and its latest documents to what will conflict. No I/O."""

import enum
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from tailrace.drift.kinds import Kind, Kinds
from tailrace.drift.mapping import OBJECT, Fields

NEAR = 0.8
"""From this share of the limit of fields on, a stream is near it."""
_TEXTS = ("keyword", "text", "flattened")
_OBJECTS = ("object", "nested", "passthrough")
_LABELS, _NUMBERS = "labels.", "numeric_labels."
_MOST_ROOTS = 3
_MOST_NAMES = 5


class What(enum.Enum):
    """What is found; the last three are no conflicts."""

    DIFFERS = "differs"
    """The field has another type in another index of the stream: searches over both fail, or miss some."""
    CHANGES = "changes"
    """It will have another type in the next index, or in the newest once it comes there."""
    MIXED = "mixed"
    """It brings values of several types: which one the next index has depends on which comes first."""
    MALFORMED = "malformed"
    """Values do not fit its type: these documents are not found by it."""
    FULL = "full"
    """The index has no room for more fields; ``seen`` are documents by the name that is not indexed in them."""
    NEAR = "near"
    """The index has not much room for more fields."""
    SPLIT = "split"
    """A label is a text here and a number there: each is found under a name of its own."""
    LONG = "long"
    """Texts are too long to be indexed: these documents are not found by it."""


CONFLICTS = frozenset(What) - {What.NEAR, What.SPLIT, What.LONG}


class Finding(msgspec.Struct, frozen=True):
    """One field, or with an empty name the whole stream, and what is to be said of it.

    ``types`` are the indices by the type that the field has there, ``seen`` the documents by the kind of its values.
    """

    what: What
    field: str
    text: str
    types: Mapping[str, Sequence[str]] = {}
    seen: Mapping[str, int] = {}

    @property
    def is_conflict(self) -> bool:
        """Whether searches suffer, or will after the next rollover."""
        return self.what in CONFLICTS


class Facts(msgspec.Struct, frozen=True):
    """What is known of a data stream.

    ``indices`` are the fields of its backing indices by name, the oldest first; ``limit`` is that of the newest;
    ``next_index`` are the fields that the template gives the next one, None if we may not know; ``kinds`` are of the
    latest documents; ``ignored`` counts documents of the newest index by the field that was not indexed in them.
    """

    name: str
    indices: Mapping[str, Fields]
    limit: int
    next_index: Fields | None
    kinds: Kinds
    ignored: Mapping[str, int]

    @property
    def newest(self) -> Fields:
        """The fields of the index that is written to."""
        return self.indices[self.write_index]

    @property
    def write_index(self) -> str:
        """Its name."""
        return list(self.indices)[-1]


def findings(facts: Facts) -> list[Finding]:
    """All that is to be said of a stream, conflicts first; of a field that is mixed not also that it changes."""
    found = [*_differing(facts), *_coming(facts)]
    told = {one.field for one in found}
    found += [one for one in _returning(facts) if one.field not in told]
    found += [*_ignored(facts), *_split(facts), *_budget(facts)]
    order = list(What)
    return sorted(found, key=lambda one: (order.index(one.what), one.field))


def _differing(facts: Facts) -> Iterator[Finding]:
    for name, types in _types(facts).items():
        if len(types) > 1:
            told = ", ".join(f"{kind} in {_some(where)}" for kind, where in types.items())
            yield Finding(What.DIFFERS, name, told, types=types)


def _types(facts: Facts) -> dict[str, dict[str, list[str]]]:
    """Of each field, the indices by the type that it has there."""
    found: dict[str, dict[str, list[str]]] = {}
    for index, fields in facts.indices.items():
        for name, kind in fields.types.items():
            found.setdefault(name, {}).setdefault(kind, []).append(index)
    return found


def _coming(facts: Facts) -> Iterator[Finding]:
    """What the next index will do otherwise."""
    coming = facts.next_index
    if coming is None:
        return
    newest = facts.newest.types
    for name, kind in coming.types.items():
        if name in newest and newest[name] != kind:
            text = f"{newest[name]} now, {kind} by the template"
            yield Finding(What.CHANGES, name, text, types={newest[name]: [facts.write_index]})
    for name, kinds in facts.kinds.fields.items():
        if name in coming.types or not coming.takes(name):
            continue
        types = {coming.type_for(name, kind) for kind in kinds}
        seen = {kind.value: count for kind, count in kinds.most_common()}
        told = ", ".join(f"{kind} in {count:,}" for kind, count in seen.items())
        now = newest.get(name)
        if len(types) > 1:
            refused = ": the others or the objects will be refused" if OBJECT in types else ""
            text = f"{told} of the latest{f'; {now} now' if now else ''}{refused}"
            yield Finding(What.MIXED, name, text, seen=seen)
        elif now is not None and {now} != types:
            text = f"{now} now, {types.pop()} by the latest ({told})"
            yield Finding(What.CHANGES, name, text, types={now: [facts.write_index]}, seen=seen)


def _returning(facts: Facts) -> Iterator[Finding]:
    """Fields of older indices that the newest lacks, if no value that may come gives them the same type again.

    Which kind of value comes is told by the latest documents that have the field; without any it may be each.
    """
    newest, coming = facts.newest, facts.next_index
    places = [(newest, f"in {_some([facts.write_index])} as soon as it comes")]
    places += [] if coming is None else [(coming, "by the template")]
    for name, types in _types(facts).items():
        if name in newest.types or len(types) > 1:
            continue
        ((before, where),) = types.items()
        seen = facts.kinds.fields.get(name, Counter[Kind]())
        for fields, when in places:
            made = fields.types_for(name, seen or Kind)
            if made and before not in made:
                told = " or ".join(sorted(made - {OBJECT} or made))
                text = f"{before} in {_some(where)}, {told} {when}"
                counts = {kind.value: count for kind, count in seen.items()}
                yield Finding(What.CHANGES, name, text, types=types, seen=counts)
                break


def _ignored(facts: Facts) -> Iterator[Finding]:
    newest = facts.newest.types
    for name, count in facts.ignored.items():
        kind = newest.get(name)
        if kind in _TEXTS:
            yield Finding(What.LONG, name, f"too long for a {kind} in {count:,} of the newest index's documents")
        elif kind is not None:
            seen = {one.value: number for one, number in facts.kinds.fields.get(name, {}).items()}
            yield Finding(What.MALFORMED, name, f"no {kind} in {count:,} of the newest index's documents", seen=seen)


def _split(facts: Facts) -> Iterator[Finding]:
    for name, kinds in facts.kinds.fields.items():
        numbers = facts.kinds.fields.get(_NUMBERS + name.removeprefix(_LABELS))
        if name.startswith(_LABELS) and numbers:
            texts, others = kinds.total(), numbers.total()
            text = f"a text in {texts:,} of the latest, a number (numeric_labels) in {others:,}"
            yield Finding(What.SPLIT, name, text, seen={"text": texts, "number": others})


def _budget(facts: Facts) -> Iterator[Finding]:
    fields = facts.newest
    share = fields.count / facts.limit if facts.limit else 0.0
    roots = sorted(((count, root) for root, count in fields.by_root.items() if count > 1), reverse=True)[:_MOST_ROOTS]
    most = f" ({', '.join(f'{root} {count:,}' for count, root in roots)})" if roots else ""
    text = f"{fields.count:,} of {facts.limit:,} fields{most}"
    unknown = {name: count for name, count in facts.ignored.items() if name not in fields.types}
    # What stands below a value is a multi-field of it (message.keyword): no matter of the limit.
    beyond = {name: count for name, count in unknown.items() if fields.types.get(_above(name), "object") in _OBJECTS}
    if beyond:
        some = ", ".join(list(beyond)[:_MOST_NAMES]) + (", …" if len(beyond) > _MOST_NAMES else "")
        yield Finding(What.FULL, "", f"{text}; {len(beyond):,} not indexed: {some}", seen=beyond)
    elif share >= 1:
        yield Finding(What.FULL, "", text)
    elif share >= NEAR:
        yield Finding(What.NEAR, "", text)


def _above(name: str) -> str:
    return name.rpartition(".")[0]


def _some(indices: Sequence[str]) -> str:
    """The numbers of backing indices, the first and the last."""
    first, last = indices[0].rpartition("-")[2], indices[-1].rpartition("-")[2]
    return first if len(indices) == 1 else f"{first}, {last}" if len(indices) == 2 else f"{first} … {last}"
