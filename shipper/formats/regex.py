r"""A line to the fields that a pattern of one's own names. No I/O.

Groups are named like ECS fields, with two underscores for a dot: ``(?P<source__ip>\S+)``; names that ECS does not know
become labels. ``time`` is read by ``time_format`` where there is one. The engine is RE2: no line takes more than linear
time.
"""

from collections.abc import Callable

from shipper import ecs
from shipper.formats.fill import fill, finish, finish_untimed, text_of
from tailrace.patterns import pattern_of

_TIMES = ("time", "timestamp", "@timestamp")


def make(pattern: str, time_format: str) -> Callable[[bytes, ecs.Document], bool]:
    """A format from a pattern that a line matches from its beginning to its end.

    Raises:
        BadPattern: it is wrong.
    """
    compiled = pattern_of(pattern)
    named = {number: name.replace("__", ".") for name, number in compiled.groupindex.items()}
    names = [named.get(number) for number in range(1, compiled.groups + 1)]

    def fields(line: bytes, document: ecs.Document) -> bool:
        text = text_of(line)
        found = compiled.fullmatch(text)
        if found is None:
            return False
        pairs = [(name, value) for name, value in zip(names, found.groups(), strict=True) if name is not None]
        fill(document, (pair for pair in pairs if pair[0] not in _TIMES))
        document.fields.setdefault("message", text)
        time = next((value for name, value in pairs if name in _TIMES and value), None)
        if time is None:
            return finish_untimed(document, line)
        times = document.times
        return finish(document, line, times.by_format(time, time_format) if time_format else times.of_text(time))

    return fields
