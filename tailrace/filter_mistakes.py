"""A mistake in the filters of an input to one plain sentence that names the key. No I/O."""

import difflib
import math
from collections.abc import Iterator

from tailrace.conditions import condition_of
from tailrace.filter_settings import VERBS, Filter, Redact, Route, Sample, Throttle, names_of
from tailrace.patterns import BadPattern, pattern_of
from tailrace.record import STREAM_PART_RULE, TOPIC_RULE, is_stream_part, is_topic

KINDS = ("email", "card", "ipv4", "ipv6", "jwt", "bearer", "cloud_key", "password")
"""The kinds of secrets that can be redacted by name."""
_OURS = (
    *("tailrace", "data_stream", "ecs", "agent", "host", "log.offset", "log.file", "log.flags"),
    *("event.created", "event.dataset", "@timestamp"),
)
"""Fields that the shipper writes, and the proof rests on."""


def wrong_filters(filters: list[Filter], here: str) -> Iterator[str]:
    """Every mistake in the filters of one input; ``here`` is the path of the list."""
    names = names_of(filters)
    for number, one in enumerate(filters):
        place = f"{here}[{number}]"
        yield from _wrong_verbs(one, place)
        if one.when:
            yield from _wrong_condition(one.when, f"{place}.when")
        if names[number] in names[:number]:
            yield f"{place}.name: {names[number]} is the name of another filter of this input; each needs its own."
        yield from _wrong_fields(one, place)
        if one.sample is not None:
            yield from _wrong_sample(one.sample, f"{place}.sample")
        if one.throttle is not None:
            yield from _wrong_throttle(one.throttle, f"{place}.throttle")
        if one.route is not None:
            yield from _wrong_route(one.route, f"{place}.route")
        if one.redact is not None:
            yield from _wrong_redact(one.redact, f"{place}.redact")


def _wrong_verbs(one: Filter, here: str) -> Iterator[str]:
    if len(one.verbs) > 1:
        yield f"{here}: {' and '.join(one.verbs)} are two things to do; make a filter of each."
    if not one.verbs:
        yield f"{here}: it does nothing; give it one of {', '.join(VERBS)}."
    if (one.drop or one.keep) and not one.when:
        yield f"{here}.when: {'drop' if one.drop else 'keep'} needs a condition that says for which records it is."


def _wrong_condition(text: str, here: str) -> Iterator[str]:
    try:
        condition_of(text)
    except BadPattern as error:
        yield f"{here}: {error}.\n{error.pointed()}"


def _wrong_fields(one: Filter, here: str) -> Iterator[str]:
    named = {"rename": [*one.rename, *one.rename.values()], "set": [*one.set], "remove": one.remove}
    for verb, fields in named.items():
        for field in fields:
            if any(field == name or field.startswith(f"{name}.") for name in _OURS):
                yield f"{here}.{verb}: {field} belongs to the shipper itself and cannot be changed."
            if not field.strip():
                yield f"{here}.{verb}: the name of a field is empty."


def _wrong_sample(sample: Sample, here: str) -> Iterator[str]:
    if not 0 < sample.rate < 1:
        yield f"{here}.rate: must be more than 0 and less than 1, not {sample.rate}; 0.1 keeps one in ten."


def _wrong_throttle(throttle: Throttle, here: str) -> Iterator[str]:
    if throttle.most < 1:
        yield f"{here}.most: must be more than 0, not {throttle.most}; to leave all out use drop."
    if not math.isfinite(throttle.per_seconds) or throttle.per_seconds < 1:
        yield f"{here}.per_seconds: must be 1 or more, not {throttle.per_seconds}."


def _wrong_route(route: Route, here: str) -> Iterator[str]:
    if not route.dataset and not route.namespace and not route.topic:
        yield f"{here}: it leads nowhere; give it a dataset, a namespace or a topic."
    if route.topic and not is_topic(route.topic):
        yield f"{here}.topic: {route.topic!r} cannot be a topic's name; {TOPIC_RULE}."
    for key in ("dataset", "namespace"):
        name = getattr(route, key)
        if name and not is_stream_part(name):
            yield f"{here}.{key}: {name!r} cannot be part of a data stream's name; {STREAM_PART_RULE}."


def _wrong_redact(redact: Redact, here: str) -> Iterator[str]:
    if not redact.kinds and not redact.patterns:
        yield f"{here}: it looks for nothing; give it kinds or patterns."
    for number, kind in enumerate(redact.kinds):
        if kind not in KINDS:
            near = difflib.get_close_matches(kind, KINDS, n=1)
            advice = f"did you mean {near[0]}?" if near else f"known are {', '.join(KINDS)}."
            yield f"{here}.kinds[{number}]: {kind!r} is not known; {advice}"
    for number, pattern in enumerate(redact.patterns):
        try:
            if pattern_of(pattern).search("") is not None:
                yield f"{here}.patterns[{number}]: it matches where there is nothing; a + for a * often mends it."
        except BadPattern as error:
            yield f"{here}.patterns[{number}]: {error}.\n{error.pointed()}"
    if not redact.label.isprintable() or not redact.label or set(redact.label) & set('"\\[]'):
        yield f"{here}.label: {redact.label!r} cannot be a label; use letters, digits and dashes."
