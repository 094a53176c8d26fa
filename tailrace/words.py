"""Numbers to words for people. No I/O."""

from collections.abc import Iterable


def several(count: int, noun: str) -> str:
    """``1 file``, ``2 files``, ``10,000 files``; of several words the last gets its s."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def size(count: float) -> str:
    """Bytes in three digits or so, for tables and totals: ``0``, ``512 B``, ``1.5 KiB``, ``99 MiB``."""
    if count < 1000:
        return f"{count:.0f} B" if count else "0"
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if count < 999.5:
            return f"{count:.1f} {unit}" if count < 99.95 else f"{count:.0f} {unit}"
    return f"{count / 1024:,.1f} TiB"


def spoken_bytes(count: float) -> str:
    """Bytes in a sentence: ``1 byte``, ``512 bytes``, ``1.5 MiB``."""
    return several(round(count), "byte") if count < 1000 else size(count)


def age(seconds: float) -> str:
    """A length of time for people: ``0 s``, ``45 s``, ``3 min``, ``5 h``, ``12 d``."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def spoken_seconds(seconds: float) -> str:
    """``0.3 s``, ``42 s``, ``3 min 5 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds // 60:,.0f} min {seconds % 60:.0f} s"


def listed(names: Iterable[str], most: int = 5) -> str:
    """Names in a row, the first few and how many more."""
    names = list(names)
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
