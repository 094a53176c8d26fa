"""The template files, the settings and what the cluster lacks to the templates it should have. No I/O."""

import copy
import fnmatch
import re
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import msgspec

from indexer.changes import Act, Change, compare
from tailrace.settings import Settings

PREFIX = "tailrace"
_SERVERS_OWN = {"created_date", "created_date_millis", "modified_date", "modified_date_millis"}
_ROLLOVER = "indices that exist keep theirs; it takes effect when their data streams roll over"
_RETENTION = "data streams that exist keep their retention; change it with PUT _data_stream/<name>/_lifecycle"

_MOST_NAMED = 5
_MOST_SAID = 600
_STRANDED = re.compile(r"would cause data streams \[(.*?)\] to no longer match")

Body = dict[str, Any]


class Template(msgspec.Struct, frozen=True):
    """One template that should be there; ``once`` is True for the user's own, made empty and never overwritten."""

    kind: str
    name: str
    body: Body
    once: bool = False
    notes: tuple[str, ...] = ()


class Feature(msgspec.Struct, frozen=True):
    """Something a cluster may lack: by version, by licence, or because it is not the full distribution.

    ``probe`` is a template that only a cluster that has it accepts; ``remove`` takes it out of a template's body in
    place; ``sentence`` tells the operator what that means.
    """

    name: str
    concerns: str
    probe: Body
    remove: Callable[[Body], None]
    sentence: str


def templates(files: Mapping[str, Body], settings: Settings, lacks: Collection[str], prefix: str) -> list[Template]:
    """The templates in the order in which they must be made: components before what is composed of them.

    ``files`` are the shipped bodies by file name (``tailrace@mappings``); ``prefix`` stands for
    ``tailrace`` in all names.
    """
    wanted = []
    for name in ("mappings", "settings", "custom"):
        full = f"{PREFIX}@{name}"
        body = copy.deepcopy(files[full])
        if name == "settings":
            _apply(body["template"], settings)
        notes = []
        for feature in FEATURES:
            if feature.concerns == name and feature.name in lacks:
                feature.remove(body["template"])
                notes.append(feature.sentence)
        wanted.append(Template("component template", f"{prefix}@{name}", body, name == "custom", tuple(notes)))
    wanted.append(_index_template(files, PREFIX, prefix, list(settings.indexer.allowed_streams)))
    for name, narrow in (("activity", activity_patterns), ("metrics", metrics_patterns)):
        if patterns := narrow(settings.indexer.allowed_streams):
            body = copy.deepcopy(files[f"{PREFIX}@{name}"])
            wanted.append(Template("component template", f"{prefix}@{name}", body))
            wanted.append(_index_template(files, f"{PREFIX}-{name}", prefix, patterns))
    return wanted


def activity_patterns(allowed: Iterable[str]) -> list[str]:
    """Which streams of activity the allowed patterns let through: of ``logs-*-*`` those of ``logs-activity.*-*``."""
    return _narrowed(allowed, "logs", "activity.")


def metrics_patterns(allowed: Iterable[str]) -> list[str]:
    """Which streams of measurements the allowed patterns let through."""
    return _narrowed(allowed, "metrics", "")


def _narrowed(allowed: Iterable[str], kind: str, begins: str) -> list[str]:
    """Patterns for streams of one type whose dataset begins so, out of those that let others through, too."""
    found = []
    for pattern in allowed:
        parts = pattern.split("-", 2)
        if not fnmatch.fnmatchcase(kind, parts[0]):
            continue
        parts += ["*"] * (3 - len(parts) if pattern.endswith("*") else 0)
        if len(parts) < 3:  # it lets nothing through
            continue
        if fnmatch.fnmatchcase(begins, parts[1]):
            found.append(f"{kind}-{begins}*-{parts[2]}")
        elif parts[1].startswith(begins):
            found.append(f"{kind}-{parts[1]}-{parts[2]}")
    return list(dict.fromkeys(found))


def plan(wanted: Template, found: Body | None) -> Change:
    """What to do to one template, given what the server says of it."""
    if wanted.once and found is not None:
        return Change(Act.KEEP, wanted.kind, wanted.name)
    change = compare(wanted.kind, wanted.name, normal(wanted.body), None if found is None else normal(found))
    notes = wanted.notes
    if change.act is Act.CHANGE:
        notes += (_ROLLOVER,)
        notes += (_RETENTION,) if any("lifecycle" in key.name for key in change.keys) else ()
        notes += _uncovered(wanted.body, found or {})
    return msgspec.structs.replace(change, notes=notes)


def normal(body: Mapping[str, Any]) -> Body:
    """A template's body in the one form in which ours and the server's can be compared.

    Elasticsearch answers with settings nested and every scalar a string, fills in defaults of ``data_stream``, leaves
    out empty objects, and newer ones add dates of their own.
    """
    result: Body = {key: value for key, value in body.items() if key not in _SERVERS_OWN}
    if "data_stream" in result:
        result["data_stream"] = {
            "enabled": True,
            **{key: True for key, value in result["data_stream"].items() if value},
        }
    template = dict(result.get("template") or {})
    if "settings" in template:
        template["settings"] = _settings(template["settings"])
    return {**result, "template": template}


def _index_template(files: Mapping[str, Body], name: str, prefix: str, patterns: list[str]) -> Template:
    body = copy.deepcopy(files[name])
    body["index_patterns"] = patterns
    body["composed_of"] = [prefix + component.removeprefix(PREFIX) for component in body["composed_of"]]
    return Template("index template", prefix + name.removeprefix(PREFIX), body)


def _uncovered(wanted: Body, found: Body) -> tuple[str, ...]:
    """A warning if names that the template covers now would not be covered any more."""
    after = wanted.get("index_patterns", [])
    lost = [
        old
        for old in found.get("index_patterns", [])
        if not any(fnmatch.fnmatchcase(old, pattern) for pattern in after)
    ]
    if not lost:
        return ()
    warning = (
        f"{' and '.join(lost)} would not be covered any more: Elasticsearch refuses that while a data stream exists "
        "that needs it; keep it in indexer.allowed_streams, or delete those data streams first"
    )
    return (warning,)


def refusal(reason: str) -> str:
    """What Elasticsearch says against a template, no name in it cut, and the next step."""
    if stranded := _STRANDED.search(reason):
        names = sorted(stranded[1].split(", "))
        more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
        return (
            f"its new patterns would leave data streams that exist without a template ({', '.join(names[:_MOST_NAMED])}"
            f"{more}); put a pattern that covers them back into indexer.allowed_streams, or delete them first."
        )
    said = textwrap.shorten(reason, _MOST_SAID, placeholder=" …")
    if "same priority" in reason:
        return f"{said}; narrow indexer.allowed_streams, or give the other template another priority."
    return f"{said}; the log of Elasticsearch says more."


def _settings(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        path = f"{above}{key}"
        if isinstance(value, Mapping):
            flat |= _settings(value, f"{path}.")
        else:
            name = path if path.startswith("index.") else f"index.{path}"
            flat[name] = [_text(item) for item in value] if isinstance(value, list) else _text(value)
    return flat


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _apply(template: Body, settings: Settings) -> None:
    elastic = settings.elasticsearch
    template["settings"]["index.number_of_shards"] = elastic.shards
    template["settings"]["index.number_of_replicas"] = elastic.replicas
    if elastic.retention_days > 0:
        template["lifecycle"]["data_retention"] = f"{elastic.retention_days}d"


def _plain_text(template: Body) -> None:
    def walk(properties: Body) -> None:
        for field in properties.values():
            if field.get("type") == "match_only_text":
                field["type"] = "text"
            walk(field.get("properties", {}))

    walk(template["mappings"]["properties"])


def _without(*names: str) -> Callable[[Body], None]:
    def remove(template: Body) -> None:
        for name in names:
            template.pop(name, None)
            template.get("settings", {}).pop(name, None)

    return remove


FEATURES = (
    Feature(
        "match_only_text",
        "mappings",
        {"mappings": {"properties": {"message": {"type": "match_only_text"}}}},
        _plain_text,
        "match_only_text is not on this cluster: message and other texts are mapped as text, which takes more room",
    ),
    Feature(
        "logsdb",
        "settings",
        {"settings": {"index.mode": "logsdb", "index.mapping.source.mode": "stored"}},
        _without("index.mode", "index.mapping.source.mode"),
        "logsdb with a stored source is not on this cluster: indices are of the standard mode",
    ),
    Feature(
        "ignore_dynamic_beyond_limit",
        "settings",
        {"settings": {"index.mapping.total_fields.ignore_dynamic_beyond_limit": True}},
        _without("index.mapping.total_fields.ignore_dynamic_beyond_limit"),
        "ignore_dynamic_beyond_limit is not on this cluster: a document beyond the limit of fields is a dead letter",
    ),
    Feature(
        "shards",
        "settings",
        {"settings": {"index.number_of_shards": 1, "index.number_of_replicas": 1}},
        _without("index.number_of_shards", "index.number_of_replicas"),
        "this cluster decides on shards and replicas itself: those of the settings are not used",
    ),
    Feature(
        "lifecycle",
        "settings",
        {"lifecycle": {"enabled": True, "data_retention": "1d"}},
        _without("lifecycle"),
        "data stream lifecycle is not on this cluster: nothing rolls over or is deleted, elasticsearch.retention_days "
        "has no effect; use an ILM policy in tailrace@custom",
    ),
    Feature(
        "failure_store",
        "settings",
        {"data_stream_options": {"failure_store": {"enabled": False}}},
        _without("data_stream_options"),
        "data_stream_options is not on this cluster: it has no failure store to switch off",
    ),
)
"""All that a cluster may lack, and the only place that knows what to do about it."""
