"""A log level's name to how bad it is, under all its spellings. No I/O."""

from collections.abc import Iterable

_RANKS = {
    "trace": 0,
    "debug": 1,
    "info": 2,
    "notice": 3,
    "warn": 4,
    "error": 5,
    "critical": 6,
    "fatal": 6,
    "alert": 7,
    "emergency": 8,
    "panic": 8,
}
_SAME = {
    "warning": "warn",
    "err": "error",
    "severe": "error",
    "crit": "critical",
    "emerg": "emergency",
    "information": "info",
    "informational": "info",
}

NAMES = tuple(_RANKS)
"""The levels under their common names, harmless first."""


def common(level: str) -> str:
    """The name under which our documents have this level: ``WARNING`` is ``warn``; unknown names in lower case."""
    name = level.strip().lower()
    return _SAME.get(name, name)


def rank(level: str) -> int | None:
    """How bad a level is, 0 for trace to 8 for emergency; None if nobody knows."""
    return _RANKS.get(common(level))


def at_least(level: str) -> list[str]:
    """The common names of this level and all that are worse; only itself if it is unknown."""
    least = rank(level)
    return [common(level)] if least is None else [name for name, other in _RANKS.items() if other >= least]


def spellings(levels: Iterable[str]) -> list[str]:
    """All names that documents of others may have for these levels, in lower, upper and title case."""
    common_names = [common(level) for level in levels]
    names = common_names + [other for other, name in _SAME.items() if name in common_names]
    return [spelling for name in names for spelling in (name, name.upper(), name.title())]
