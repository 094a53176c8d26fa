"""What a person did with a player to the fields of an activity document. No I/O."""

import re

_KEYWORDS = """
action app.name app.version client.geo.city_name client.geo.country_iso_code content.genre content.id content.language
content.series.id content.title content.type device.id device.manufacturer device.model.name device.type network.type
player.name player.version profile.id quality session.id
""".split()
_DOUBLES = "bitrate_kbps duration_seconds from_seconds position_seconds rating speed watched_seconds".split()
_LONGS = "content.episode content.season stalls".split()
FIELDS: dict[str, str] = {
    **dict.fromkeys(_KEYWORDS, "keyword"),
    **dict.fromkeys(_DOUBLES, "double"),
    **dict.fromkeys(_LONGS, "long"),
    "session.start": "date",
}
"""The fields that activity has besides those of ECS, and their kinds; the template tailrace@activity maps them."""

_PREFIX = "logs-activity."
_VERSION = re.compile(r"v\d+", re.ASCII)


def is_activity(stream: str) -> bool:
    """Whether a data stream is one of activity: ``logs-activity.<name>-<namespace>``."""
    return stream.startswith(_PREFIX)


def action_of(kind: str) -> str:
    """The action in a CloudEvents type: its last word that is no version: ``play`` of ``com.example.Play.v2``."""
    words = [word for word in re.split(r"[./:]", kind) if word and not _VERSION.fullmatch(word)]
    return words[-1].lower() if words else ""
