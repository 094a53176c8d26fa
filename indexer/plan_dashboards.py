"""Shipped saved objects and what Kibana has of them to what to import. No I/O.

Kibana migrates what it imports to its own version, so what it gives back never equals what we ship. What it does keep
is compared: names and patterns, and in the description a mark of the whole object as it was shipped. So a second setup
finds nothing to do, a newer tailrace replaces the object, and people's own edits stay until then.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from indexer.changes import Change, compare

KINDS = {"index-pattern": "data view", "search": "saved search", "dashboard": "dashboard"}
_KEPT = ("title", "name", "timeFieldName", "description")

SavedObject = dict[str, Any]


def marked(lines: bytes) -> list[SavedObject]:
    """The objects of an NDJSON file, each with the mark of its content at the end of its description, if it has one."""
    return [_mark(line) for line in lines.splitlines() if line.strip()]


def plan(wanted: SavedObject, found: Mapping[str, Any] | None) -> Change:
    """What to do to one saved object, given what Kibana says of it."""
    before = None if found is None else _comparable(found)
    return compare(KINDS[wanted["type"]], wanted["id"], _comparable(wanted), before)


def ndjson(objects: list[SavedObject]) -> bytes:
    """The file that Kibana imports."""
    return b"".join(msgspec.json.encode(one) + b"\n" for one in objects)


def _mark(line: bytes) -> SavedObject:
    saved: SavedObject = msgspec.json.decode(line)
    attributes = saved["attributes"]
    if "description" in attributes:
        mark = hashlib.sha256(line.strip()).hexdigest()[:12]
        attributes["description"] = f"{attributes['description']} (tailrace {mark})"
    return saved


def _comparable(saved: Mapping[str, Any]) -> dict[str, Any]:
    return {key: saved["attributes"][key] for key in _KEPT if saved["attributes"].get(key)}
