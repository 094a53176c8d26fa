"""A line to the fields that a grok pattern of one's own names. No I/O.

As Logstash and Elasticsearch have it, the pattern may match anywhere in the line: ``^`` and ``$`` hold it to the ends.
"""

from collections.abc import Callable, Mapping

from shipper import ecs
from shipper.formats.typed import field_of, fill_groups, raw_of
from tailrace.grok import grok_of


def make(pattern: str, definitions: Mapping[str, str], time_format: str) -> Callable[[bytes, ecs.Document], bool]:
    """A format from a pattern, with named patterns beside the common ones.

    Raises:
        BadPattern: it is wrong.
    """
    grok = grok_of(pattern, definitions)
    search = grok.pattern.search
    fields = [(field_of(one.name, one.kind), one.group) for one in grok.fields]

    def taken(line: bytes, document: ecs.Document) -> bool:
        raw = raw_of(line)
        found = search(raw)
        if found is None:
            return False
        values = found.groups()
        return fill_groups(document, line, raw, ((field, values[group - 1]) for field, group in fields), time_format)

    return taken
