"""Names of what other packages bring to the thing itself, by their entry points."""

import functools
from typing import TYPE_CHECKING

from tailrace.errors import FixSettings

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def names_of(group: str) -> tuple[str, ...]:
    """The names that installed packages bring, in order; loads nothing."""
    return tuple(sorted(_points(group)))


def package_of(group: str, name: str) -> str:
    """The package that brings a name, with its version, for people."""
    point = _points(group).get(name)
    if point is None or point.dist is None:
        return "an unknown package"
    return f"{point.dist.name} {point.dist.version}"


def load(group: str, name: str) -> object:
    """What an installed package brings under that name.

    Raises:
        FixSettings: none does, or it cannot be loaded.
    """
    point = _points(group).get(name)
    if point is None:
        raise FixSettings(f"No installed package brings {name} as one of {group}; install the one that does.")
    try:
        return point.load()
    except Exception as error:
        raise FixSettings(
            f"{name} of {package_of(group, name)} cannot be loaded: {type(error).__name__}: {error}; mend the package."
        ) from error


@functools.cache
def _points(group: str) -> "dict[str, EntryPoint]":
    from importlib.metadata import entry_points  # noqa: PLC0415 - most commands need none of it

    return {point.name: point for point in entry_points(group=group)}
