"""Lines of a till, ``A12|jane|3.50``, to fields."""

from tailrace.formats import Fields


def till(line: str) -> Fields | None:
    """The order, who paid, and how much."""
    parts = line.split("|")
    if len(parts) != 3:
        return None
    return {"order": parts[0], "user.name": parts[1], "price": float(parts[2])}
