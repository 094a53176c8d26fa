"""What is wanted and what was found to what changes, key by key. No I/O."""

import enum
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec


class Act(enum.Enum):
    """What setup does to one thing."""

    CREATE = "create"
    CHANGE = "change"
    KEEP = "keep"


class Key(msgspec.Struct, frozen=True):
    """One key that differs, as a dotted path; ``None`` where it is not there."""

    name: str
    before: Any
    after: Any


class Change(msgspec.Struct, frozen=True):
    """One thing that setup looks after (a topic, a template, a dashboard), and what happens to it.

    ``notes`` are sentences for the operator: what differs and is left alone, what the cluster lacks.
    """

    act: Act
    kind: str
    name: str
    keys: tuple[Key, ...] = ()
    notes: tuple[str, ...] = ()


def compare(
    kind: str, name: str, wanted: Mapping[str, Any], found: Mapping[str, Any] | None, *, with_empty: bool = False
) -> Change:
    """The change that makes ``found`` (nothing: ``None``) what is ``wanted``; both nested, keys of any depth.

    A key that was found and is not wanted is a difference too, because what we write replaces what is there.
    """
    after = flatten(wanted, with_empty=with_empty)
    if found is None:
        return Change(Act.CREATE, kind, name, tuple(Key(key, None, after[key]) for key in after))
    before = flatten(found, with_empty=with_empty)
    differing = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    keys = tuple(Key(key, before.get(key), after.get(key)) for key in sorted(differing))
    return Change(Act.CHANGE if keys else Act.KEEP, kind, name, keys)


def flatten(tree: Mapping[str, Any], *, with_empty: bool = False) -> dict[str, Any]:
    """A nested object to its leaves by dotted path; an empty object is one only ``with_empty``, else says nothing."""
    return dict(_leaves(tree, "", with_empty=with_empty))


def _leaves(tree: Mapping[str, Any], above: str, *, with_empty: bool) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        path = f"{above}{key}"
        if isinstance(value, Mapping) and (value or not with_empty):
            yield from _leaves(value, f"{path}.", with_empty=with_empty)
        else:
            yield path, value
