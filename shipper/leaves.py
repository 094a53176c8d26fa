"""A document to its dotted names and their values. No I/O."""

from collections.abc import Iterator
from typing import Any

EVERYWHERE = frozenset(
    ("agent", "data_stream", "ecs", "host", "tailrace", "event.created", "event.dataset", "log.file.path", "log.offset")
)
"""What every document has, whatever its line said."""


def leaves(tree: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values, in the order of the document; an empty object is a value."""
    for key, value in tree.items():
        name = f"{path}.{key}" if path else key
        if isinstance(value, dict) and value:
            yield from leaves(value, name)
        else:
            yield name, value


def is_everywhere(name: str) -> bool:
    """Whether every document has that field, or an object that holds it."""
    return name in EVERYWHERE or name.partition(".")[0] in EVERYWHERE
