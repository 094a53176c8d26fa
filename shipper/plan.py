"""The last look at the files and this one to what changed. No I/O."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from shipper.identity import Place


class Found(NamedTuple):
    """A file that matches an input; ``number`` is the input's place in the settings."""

    place: Place
    path: str
    size: int
    modified: int
    number: int


class Refused(NamedTuple):
    """Something that matches an input and cannot be read as a log file."""

    path: str
    reason: str


class Snapshot(NamedTuple):
    """One look at all inputs; ``empty`` are the patterns that match nothing."""

    found: dict[Place, Found]
    refused: dict[str, Refused]
    empty: list[str]


class Changes(NamedTuple):
    """What is to be done about the files: each file of the snapshot is in at most one of the lists."""

    opened: list[Found]
    renamed: list[Found]
    gone: list[Place]


def merged(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Several looks as one; of several names of one file the first counts, once."""
    whole = Snapshot({}, {}, [])
    for one in snapshots:
        for place, found in one.found.items():
            whole.found.setdefault(place, found)
        whole.refused.update(one.refused)
        whole.empty.extend(one.empty)
    return whole


def changes(followed: Mapping[Place, str], snapshot: Snapshot) -> Changes:
    """Compare the files being followed (their path by their place) with a snapshot.

    Files that appear are opened oldest first, so that a rotated file comes before its successor. A followed file that
    no pattern matches any more is ``gone``: renamed out of sight, or deleted; its open handle is still good.
    """
    opened = [found for place, found in snapshot.found.items() if place not in followed]
    renamed = [found for place, found in snapshot.found.items() if followed.get(place, found.path) != found.path]
    return Changes(
        sorted(opened, key=lambda found: found.modified),
        renamed,
        [place for place in followed if place not in snapshot.found],
    )
