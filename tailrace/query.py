"""What someone looks for to an Elasticsearch query, and to a yes or no about one document. No I/O."""

import datetime
import fnmatch
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from tailrace import levels
from tailrace.period import Period
from tailrace.show import lookup

SHORT_NAMES = {
    "level": "log.level",
    "service": "service.name",
    "host": "host.name",
    "logger": "log.logger",
    "trace": "trace.id",
    "file": "log.file.path",
    "dataset": "data_stream.dataset",
    "error": "error.type",
}
"""What people type before the colon, and the ECS field that it means."""

_FIELDS = ["message", "error.message", "error.type", "error.stack_trace", "labels.*"]
"""Where a word without a field is looked for."""

_FIRST = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_LAST = datetime.datetime(2262, 1, 1, tzinfo=datetime.UTC)
"""Elasticsearch's date_nanos ends in April 2262, and sorting by it refuses a single later document."""

_NAMES = "|".join(SHORT_NAMES)
_TOKEN = re.compile(
    rf"""
      "(?:\\.|[^"\\])*(?:"|\Z)            # a phrase: left alone
    | \\.                                 # an escaped character: left alone
    | (?<![^\s(+\-!&|])                   # only where a term may begin:
      (?: _exists_:(?P<exists>{_NAMES})\b(?![.\w])
        | (?P<name>{_NAMES}):(?P<value>\([^()"]*\) | >=?\w+ | [^\s()"\[\]{{}}]*)
      )
    | /(?:\\.|[^/\\])*/                   # a regular expression: left alone
    """,
    re.VERBOSE,
)
_WORD = re.compile(r"[^\W\d_]+")
_REGEX = re.compile(r"/(.+)/", re.DOTALL)


class Wanted(msgspec.Struct, frozen=True):
    """What to look for: all that is given must hold. ``services`` and ``hosts`` may have ``*`` and ``?``."""

    text: str = ""
    services: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    level: str = ""
    """This level and worse; empty means all, lines without a level too."""


def expand(text: str) -> str:
    """A query string with the short names of fields replaced by those of ECS, outside of quotes.

    The values of ``level:`` find every spelling, ``level:>=warn`` finds warn and worse, and the slashes of a path after
    ``file:`` do not begin a regular expression.
    """
    return _TOKEN.sub(_expanded, text)


def to_elasticsearch(wanted: Wanted, period: Period) -> dict[str, Any]:
    """The ``query`` of a search request."""
    span = {"gte": _iso(max(period.since, _FIRST)), "lt": _iso(min(period.until or _LAST, _LAST))}
    filters: list[dict[str, Any]] = [{"range": {"@timestamp": span | {"format": "strict_date_optional_time"}}}]
    for field, names in (("service.name", wanted.services), ("host.name", wanted.hosts)):
        if names:
            either = [
                {"wildcard": {field: name}} if re.search(r"[*?]", name) else {"term": {field: name}} for name in names
            ]
            filters.append({"bool": {"should": either, "minimum_should_match": 1}})
    if wanted.level:
        filters.append({"terms": {"log.level": levels.spellings(levels.at_least(wanted.level))}})
    query: dict[str, Any] = {"filter": filters}
    if wanted.text.strip():
        query["must"] = [
            {
                "query_string": {
                    "query": expand(wanted.text),
                    "fields": _FIELDS,
                    "default_operator": "AND",
                    "analyze_wildcard": True,
                    "lenient": True,
                }
            }
        ]
    return {"bool": query}


def matcher(text: str) -> re.Pattern[str]:
    """A plain text to the pattern that finds it in any case; between slashes it is a regular expression already.

    Raises:
        ValueError: the regular expression is none.
    """
    found = _REGEX.fullmatch(text)
    try:
        return re.compile(found[1] if found else re.escape(text), re.IGNORECASE)
    except re.error as error:
        message = f"{text} is no regular expression: {error}."
        raise ValueError(message) from None


def matches(wanted: Wanted, pattern: re.Pattern[str], document: Mapping[str, Any]) -> bool:
    """Whether a document is wanted; ``pattern`` is the ``matcher`` of ``wanted.text``."""
    for field, names in (("service.name", wanted.services), ("host.name", wanted.hosts)):
        if names and not any(fnmatch.fnmatchcase(str(lookup(document, field)), name) for name in names):
            return False
    if wanted.level:
        level = levels.rank(str(lookup(document, "log.level")))
        least = levels.rank(wanted.level)
        if level is None or (least is not None and level < least):
            return False
    if not pattern.pattern:
        return True
    texts = (lookup(document, field) for field in ("message", "error.message", "error.type", "error.stack_trace"))
    return any(pattern.search(text) for text in texts if isinstance(text, str))


def _expanded(found: re.Match[str]) -> str:
    if found["exists"]:
        return f"_exists_:{SHORT_NAMES[found['exists']]}"
    if not found["name"]:
        return found[0]
    name, value = found["name"], found["value"]
    if name == "level":
        value = _levels(value)
    elif name == "file" and not value.startswith("("):
        value = re.sub(r"(?<!\\)/", r"\/", value)
    return f"{SHORT_NAMES[name]}:{value}"


def _levels(value: str) -> str:
    if value.startswith(">") and levels.rank(value.lstrip(">=")) is not None:
        names = levels.at_least(value.lstrip(">="))
        if not value.startswith(">="):
            names = [name for name in names if levels.rank(name) != levels.rank(value[1:])]
        return _any_of(levels.spellings(names)) if names else '""'
    if value.startswith("("):
        return _WORD.sub(lambda word: word[0] if word[0] in ("AND", "OR", "NOT") else _any_spelling(word[0]), value)
    return _any_spelling(value) if _WORD.fullmatch(value) else value.lower()


def _any_spelling(word: str) -> str:
    return _any_of(levels.spellings([word]))


def _any_of(words: list[str]) -> str:
    return f"({' OR '.join(words)})"


def _iso(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
