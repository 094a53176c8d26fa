"""The filters of an input to findings: can they be, and what can hardly be meant by them."""

from collections.abc import Iterator

from shipper.ecs import CLAIMS, FIELDS
from shipper.filter_keys import filter_rules
from tailrace.cli.finding import Finding, look, ok, wrong
from tailrace.condition_doubts import doubts
from tailrace.errors import FixSettings
from tailrace.filter_settings import Filter, names_of
from tailrace.settings import Input

KINDS = {
    **dict.fromkeys(CLAIMS, "text"),
    **FIELDS,
    **dict.fromkeys(("event.dataset", "event.original", "log.file.path", "log.flags"), "text"),
    "log.offset": "long",
}
"""The fields of a record before the settings add to them, and what they hold: ``long``, or another word for text."""


def findings(entry: Input, subject: str) -> Iterator[Finding]:
    """What can be said of the filters of one input; nothing if it has none."""
    if not entry.filters:
        return
    try:
        filter_rules(entry)
    except FixSettings as error:
        yield wrong(subject, str(error), "see docs/filters.md")
        return
    names = names_of(entry.filters)
    yield ok(subject, f"filters: {', '.join(names)}")
    for name, one in zip(names, entry.filters, strict=True):
        for doubt in doubts(one.when, _known(entry)):
            yield look(subject, f"filter {name}: {doubt.text}", doubt.next_step)
        yield from _renamed(one, f"filter {name}", subject)
    if entry.format == "auto" and any(one.drop or one.keep or one.sample or one.throttle for one in entry.filters):
        yield look(
            subject,
            "format auto is learnt anew after a restart, and a filter that drops might then decide otherwise",
            "name the format, which `tailrace try` tells",
        )


def _known(entry: Input) -> dict[str, str]:
    """The fields that a record of this input may have, with their types where the settings do not make them."""
    made = [name for one in entry.filters for name in (*one.rename.values(), *one.set)]
    return {**dict.fromkeys((*entry.fields, *made), ""), **KINDS}


def _renamed(one: Filter, name: str, subject: str) -> Iterator[Finding]:
    for new in dict.fromkeys(one.rename.values()):
        old = [key for key, value in one.rename.items() if value == new]
        if len(old) > 1:
            yield look(
                subject,
                f"{name}: {' and '.join(old)} are both renamed to {new}, which holds one value",
                "a record that has both keeps the second under its old name; give it another",
            )
