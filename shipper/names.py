"""A file's name to the log that it is, or was before rotation. No I/O."""

import posixpath
import re

_AGE = r"(?:[.\-_](?:\d[\d.\-_:T]*|old|prev))"
_PACKED = r"(?:\.(?:gz|zst|xz))"
_PACKING = re.compile(rf"{_PACKED}$")
_AGES = re.compile(rf"{_AGE}+$")
_SUFFIX = re.compile(rf"{_AGE}*{_PACKED}?$")


def shown(path: str) -> str:
    """A path as people and registries have it: what in it is no UTF-8 is replaced, for that can neither be stored."""
    return path if path.isascii() else path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def live_name(name: str) -> str:
    """The name of a log before rotation put an age, and perhaps a packing, behind it: ``a.log`` of ``a.log.2.gz``."""
    return name[: match.start()] if (match := _SUFFIX.search(name)) and match.start() else name


def is_live(path: str) -> bool:
    """Whether a name is not one that rotation made."""
    name = posixpath.basename(path)
    return live_name(name) == name


def live_path(path: str) -> str:
    """The path, as it is shown, of a log before rotation put something behind its name."""
    folder, name = posixpath.split(shown(path))
    return posixpath.join(folder, live_name(name))


def is_rotation(name: str, live: str) -> bool:
    """Whether a name is what rotation makes of ``live`` by putting something behind it."""
    return len(name) > len(live) and name.startswith(live) and _SUFFIX.match(name, len(live)) is not None


def is_dated(name: str, live: str) -> bool:
    """Whether a name is what rotation makes of ``live`` by putting an age before its ending: ``a-2026.log.gz``."""
    root, ending = posixpath.splitext(live)
    return re.fullmatch(rf"{re.escape(root)}{_AGE}+{re.escape(ending)}{_PACKED}?", name) is not None


def is_named_after(path: str, live: str) -> bool:
    """Whether a file's name is a log's, or what rotation makes of it, whatever their folders."""
    name, own = posixpath.basename(shown(path)), posixpath.basename(live)
    return name == own or is_rotation(name, own) or is_dated(name, own)


def origins(path: str) -> set[str]:
    """The names, without folders, that a log may have had before rotation made this one of it."""
    name = posixpath.basename(shown(path))
    root, ending = posixpath.splitext(plain_name(name))
    return {live_name(name), _AGES.sub("", root) + ending}


def is_packed(name: str) -> bool:
    """Whether a name says that the file is compressed."""
    return name.endswith((".gz", ".zst", ".xz"))


def plain_name(name: str) -> str:
    """The name of a compressed file before it was compressed."""
    return _PACKING.sub("", name)


def families(first: str, path: str) -> tuple[str, ...]:
    """The logs to which a file belongs that had the first of these names once and has the other now."""
    live = live_path(path)
    return (live,) if first in ("", live) else (first, live)
