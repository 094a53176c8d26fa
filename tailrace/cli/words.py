"""Numbers to words for people. No I/O."""

from collections.abc import Iterable


def several(count: int, noun: str) -> str:
    """``1 file``, ``2 files``, ``10,000 files``; of several words the last gets its s."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def spoken_bytes(size: float) -> str:
    """``512 bytes``, ``1.5 MiB``."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            break
        size /= 1024
    return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"


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
