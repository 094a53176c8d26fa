r"""A line to the fields that a pattern of one's own names. No I/O.

Groups are named like ECS fields, with two underscores for a dot: ``(?P<source__ip>\S+)``; names that ECS does not know
become labels. ``time`` is read by ``time_format`` where there is one. The engine is RE2: no line takes more than linear
time.
"""

from collections.abc import Callable

from shipper import ecs
from shipper.formats.typed import field_of, fill_groups, raw_of
from tailrace.patterns import pattern_of


def make(pattern: str, time_format: str) -> Callable[[bytes, ecs.Document], bool]:
    """A format from a pattern that a line matches from its beginning to its end.

    Raises:
        BadPattern: it is wrong.
    """
    compiled = pattern_of(pattern)
    fields = [(field_of(name.replace("__", ".")), number) for name, number in compiled.groupindex.items()]
    fields.sort(key=lambda one: one[1])

    def taken(line: bytes, document: ecs.Document) -> bool:
        raw = raw_of(line)
        found = compiled.fullmatch(raw)
        if found is None:
            return False
        values = found.groups()
        return fill_groups(document, line, raw, ((field, values[number - 1]) for field, number in fields), time_format)

    return taken
