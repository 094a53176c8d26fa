"""A mistake in the settings to one plain sentence that names the key.

Each function returns ``path: sentence`` without the file's name, or None where nothing is wrong.
"""

import difflib
import math
import re
import typing
import zoneinfo
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import msgspec

from tailrace.filter_mistakes import wrong_filters
from tailrace.format_mistakes import wrong_format, wrong_pattern
from tailrace.record import STREAM_PART_RULE, TOPIC_RULE, is_stream, is_stream_part, is_topic

if TYPE_CHECKING:
    from tailrace.settings import Input, Multiline, Settings

_LOCATED = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?$")
_EXPECTED = re.compile(r"Expected `(?P<expected>.*)`, got `(?P<got>.*)`")
_MISSING = re.compile(r"Object missing required field `(?P<key>.*)`")
_POSITIVE = {
    "kafka": ("partitions", "request_timeout_seconds", "retention_hours", "dead_letter_retention_hours"),
    "elasticsearch": ("request_timeout_seconds", "shards"),
    "shipper": (
        *("poll_seconds", "rescan_seconds", "ledger_seconds", "chunk_bytes", "batch_bytes", "budget_bytes"),
        *("max_line_bytes", "max_record_bytes", "open_files"),
    ),
    "indexer": (
        *("slice_bytes", "slice_actions", "in_flight", "buffer_bytes", "reach_records"),
        *("commit_seconds", "session_seconds", "slow_seconds"),
    ),
}
_NOT_NEGATIVE = {
    "kafka": ("replication_factor",),
    "elasticsearch": ("retention_days", "replicas"),
    "shipper": ("partial_line_seconds", "linger_seconds", "drain_seconds", "forget_seconds"),
    "indexer": ("linger_seconds", "drain_seconds"),
}
_NEEDED = {
    "topics": "names no topic; give at least one.",
    "group": "is empty; indexers that share the topics need a name in common.",
    "allowed_streams": "allows no data stream; every record would be a dead letter.",
}
_WANTED = {
    "str": "text in quotes",
    "int": "a whole number without quotes",
    "float": "a number without quotes",
    "bool": "true or false without quotes",
    "array": "a list in square brackets",
    "object": "a table",
}
_GIVEN = {"str": "text", "int": "a number", "float": "a number with a fraction", "bool": "true or false"}
_GIVEN |= {"array": "a list", "object": "a table"}
_AS_TABLES = {
    "sample": "{ rate = 0.1 }",
    "throttle": "{ most = 100, per_seconds = 60 }",
    "route": '{ dataset = "other" }',
    "redact": '{ kinds = ["email"] }',
}
"""How keys that are small tables are written."""


def unknown_key(table: Any, kind: type[msgspec.Struct]) -> str | None:  # noqa: ANN401 - the tree of a TOML file
    """The first key of a table, at any depth, that its section does not have, with the nearest that it has."""
    return next(_unknown(table, kind, kind, ""), None)


def wrong_type(error: str, kind: type[msgspec.Struct]) -> str:
    """What msgspec says of a value of the wrong type, in words of the settings file."""
    found = _LOCATED.match(error)
    what, path = (found["what"], found["path"] or "") if found else (error, "")
    path = path.replace("[...]", "")
    choices = _choices(kind, path)
    where = path or "the file"
    if missing := _MISSING.match(what):
        return f"{where}: the key {missing['key']} is missing."
    if choices:
        near = difflib.get_close_matches(what.split("'")[1] if "'" in what else "", choices, n=1, cutoff=0.4)
        advice = f"; did you mean {near[0]}?" if near else "."
        given = what.removeprefix("Invalid enum value ") if what.startswith("Invalid enum") else "this"
        return f"{where}: {given} is not known; known are {', '.join(choices)}{advice}"
    if expected := _EXPECTED.match(what):
        wanted, got = expected["expected"].split(" | "), expected["got"]
        if wanted == ["array"] and got == "object":
            return f"{where}: must be a list of tables; write [[{where}]] with two brackets."
        key = path.rpartition(".")[2]
        if "object" in wanted and key in _AS_TABLES:
            return f"{where}: write {key} = {_AS_TABLES[key]}."
        words = " or ".join(_WANTED.get(name, name) for name in wanted if name != "null")
        return f"{where}: must be {words}, not {_GIVEN.get(got, f'a {got}')}."
    return f"{where}: {what[:1].lower()}{what[1:]}."


def wrong_value(settings: "Settings") -> str | None:
    """The first value that has the right type and still cannot be."""
    return next(_wrong_values(settings), None)


def _unknown(table: Any, kind: Any, root: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - a TOML tree and its types
    if not isinstance(table, dict):
        return
    hints = typing.get_type_hints(kind)
    for key, value in table.items():
        here = f"{path}.{key}" if path else key
        if key not in hints:
            yield f"unknown key {here}; {_advice(key, hints, root)}"
            continue
        inner = _section(hints[key])
        if inner is None:
            continue
        for number, item in enumerate(value if isinstance(value, list) else [value]):
            yield from _unknown(item, inner, root, f"{here}[{number}]" if isinstance(value, list) else here)


def _advice(key: str, hints: dict[str, Any], root: Any) -> str:  # noqa: ANN401 - a type
    homes = [
        f"[{section}]"
        for section, hint in typing.get_type_hints(root).items()
        if (inner := _section(hint)) and key in typing.get_type_hints(inner) and key not in hints
    ]
    if homes:
        return f"it belongs in {' or '.join(homes)}."
    near = difflib.get_close_matches(key, hints, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(hints)}."


def _section(hint: Any) -> type[msgspec.Struct] | None:  # noqa: ANN401 - a type annotation
    if isinstance(hint, type) and typing.get_origin(hint) is None and issubclass(hint, msgspec.Struct):
        return hint
    return next((found for found in map(_section, typing.get_args(hint)) if found), None)


def _choices(kind: type[msgspec.Struct], path: str) -> tuple[str, ...]:
    """The values of the closed set at a path such as ``shipper.inputs[0].format``; empty if it is none."""
    hint: Any = kind
    for part in path.split("."):
        section = _section(hint)
        hint = typing.get_type_hints(section).get(part.partition("[")[0]) if section else None
        if typing.get_origin(hint) is dict:
            hint = typing.get_args(hint)[1]
    return typing.get_args(hint) if typing.get_origin(hint) is Literal else ()


def _wrong_values(settings: "Settings") -> Iterator[str]:
    yield from _wrong_numbers(settings)
    yield from _wrong_addresses(settings)
    if not settings.host.cloud_url.startswith("http://") or not _is_url(settings.host.cloud_url, with_port=False):
        yield f"host.cloud_url: {settings.host.cloud_url!r} is no address; write it as http://169.254.169.254."
    yield from _wrong_names(settings)
    if not settings.shipper.state_dir.startswith("/"):
        yield f"shipper.state_dir: {settings.shipper.state_dir!r} is not absolute; a service has no current folder."
    for number, entry in enumerate(settings.shipper.inputs):
        yield from _wrong_input(entry, f"shipper.inputs[{number}]")
        yield from _wrong_ages(entry, f"shipper.inputs[{number}]")


def _wrong_numbers(settings: "Settings") -> Iterator[str]:
    for limits, lowest, words in ((_POSITIVE, 1, "more than 0"), (_NOT_NEGATIVE, 0, "0 or more")):
        for section, keys in limits.items():
            for key in keys:
                value = getattr(getattr(settings, section), key)
                if not math.isfinite(value) or value < 0 or (lowest and not value):
                    yield f"{section}.{key}: must be {words}, not {value}."


def _wrong_addresses(settings: "Settings") -> Iterator[str]:
    if not settings.kafka.bootstrap_servers:
        yield "kafka.bootstrap_servers: names no broker; give at least one host:port."
    for number, server in enumerate(settings.kafka.bootstrap_servers):
        if not _is_address(server):
            yield f"kafka.bootstrap_servers[{number}]: {server!r} is no address; write host:port, as 127.0.0.1:9092."
    if not settings.elasticsearch.hosts:
        yield "elasticsearch.hosts: names no node; give at least one, as http://127.0.0.1:9200."
    for number, host in enumerate(settings.elasticsearch.hosts):
        if not _is_url(host, with_port=True):
            yield f"elasticsearch.hosts[{number}]: {host!r} is no address; write it as http://127.0.0.1:9200."
    if settings.kibana.url and not _is_url(settings.kibana.url, with_port=False):
        yield f"kibana.url: {settings.kibana.url!r} is no address; write it as http://127.0.0.1:5601."
    for key in ("shipper_listen", "indexer_listen"):
        listen = getattr(settings.metrics, key)
        if listen and not _is_address("127.0.0.1" + listen if listen.startswith(":") else listen):
            yield f"metrics.{key}: {listen!r} is no address; write host:port, as 127.0.0.1:9401."


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and not host.startswith(("/", "http")) and port.isdecimal() and 0 < int(port) < 65536


def _is_url(text: str, *, with_port: bool) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not (with_port and parts.port is None)
    except ValueError:
        return False


def _wrong_names(settings: "Settings") -> Iterator[str]:
    topics = {
        "kafka.ledger_topic": settings.kafka.ledger_topic,
        "kafka.dead_letter_topic": settings.kafka.dead_letter_topic,
        "shipper.topic": settings.shipper.topic,
    }
    for number, entry in enumerate(settings.indexer.topics):
        path = f"indexer.topics[{number}]"
        if entry.startswith("^"):
            yield from wrong_pattern(entry, path)
        else:
            topics[path] = entry
    for path, topic in topics.items():
        if not is_topic(topic):
            yield f"{path}: {topic!r} cannot be a topic's name; {TOPIC_RULE}."
    yield from _shared_topics(topics, settings)
    for key, lack in _NEEDED.items():
        if not getattr(settings.indexer, key):
            yield f"indexer.{key}: {lack}"
    if settings.indexer.member and not is_topic(settings.indexer.member):
        yield f"indexer.member: {settings.indexer.member!r} cannot be; {TOPIC_RULE}."
    for topic, stream in settings.indexer.streams.items():
        if not is_stream(stream):
            yield f"indexer.streams.{topic}: {stream!r} is no data stream like logs-app-default."


def _shared_topics(topics: dict[str, str], settings: "Settings") -> Iterator[str]:
    """The ledger's and the letters' topics by the paths that name them, where anything else has them, too."""
    own = {path: topic for path, topic in topics.items() if path.startswith("kafka.")}
    records = {path: topic for path, topic in topics.items() if path not in own} | dict(_routes(settings))
    for path, topic in own.items():
        others = own if path == "kafka.dead_letter_topic" else {}
        also = [other for other, name in {**records, **others}.items() if name == topic and other != path]
        if also:
            yield f"{path}: {topic} is {also[0]} too; each needs a topic of its own."


def _routes(settings: "Settings") -> Iterator[tuple[str, str]]:
    for number, entry in enumerate(settings.shipper.inputs):
        for place, one in enumerate(entry.filters):
            if one.route is not None and one.route.topic:
                yield f"shipper.inputs[{number}].filters[{place}].route.topic", one.route.topic


def _wrong_multiline(multiline: "Multiline", here: str) -> Iterator[str]:
    ways = [key for key in ("start", "continues", "count") if getattr(multiline, key)]
    ways += ["rule"] if multiline.rule != "auto" else []
    if len(ways) > 1:
        yield f"{here}: {' and '.join(ways)} exclude each other; keep one."
    for key in ("max_lines", "max_bytes"):
        if getattr(multiline, key) < 1:
            yield f"{here}.{key}: must be more than 0, not {getattr(multiline, key)}."
    for key in ("count", "flush_seconds"):
        if not getattr(multiline, key) >= 0:
            yield f"{here}.{key}: must be 0 or more, not {getattr(multiline, key)}."
    for key in ("start", "continues"):
        yield from wrong_pattern(getattr(multiline, key), f"{here}.{key}")


def _wrong_ages(entry: "Input", here: str) -> Iterator[str]:
    for key in ("ignore_older_seconds", "close_inactive_seconds"):
        value = getattr(entry, key)
        if not math.isfinite(value) or value < 0:
            yield f"{here}.{key}: must be 0 or more, not {value}."


def _wrong_input(entry: "Input", here: str) -> Iterator[str]:
    if not entry.paths:
        yield f"{here}.paths: names no file; give at least one path or pattern."
    for key in ("paths", "exclude"):
        for path in getattr(entry, key):
            if not path.startswith("/"):
                yield f"{here}.{key}: {path!r} is not absolute; a service has no current folder."
    for key in ("dataset", "namespace"):
        if not is_stream_part(getattr(entry, key)):
            yield f"{here}.{key}: {getattr(entry, key)!r} cannot be part of a data stream's name; {STREAM_PART_RULE}."
    yield from wrong_format(entry, here)
    yield from _wrong_multiline(entry.multiline, f"{here}.multiline")
    yield from wrong_filters(entry.filters, f"{here}.filters")
    if entry.timezone != "local":
        try:
            zoneinfo.ZoneInfo(entry.timezone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            yield f"{here}.timezone: {entry.timezone!r} is no zone; give local, UTC or a name such as Europe/Paris."
