"""What the agent and the registry know of files to one line each for people and programs. No I/O."""

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from shipper.identity import Place
from shipper.names import is_packed, shown
from shipper.plan import Found
from shipper.registry_row import Row

if TYPE_CHECKING:
    from shipper.file import File
    from shipper.source import Source


class State(enum.Enum):
    """What is happening to a file."""

    READING = "reading"
    IDLE = "idle"
    KAFKA = "waits for Kafka"
    REGISTRY = "waits for the state folder"
    HUNG = "disk does not answer"
    UNREADABLE = "cannot be read"
    TRUNCATED = "truncated"
    """Its source has ended and is not yet all acknowledged."""
    GONE = "gone"
    """No name of it matches an input any more; what is open is read to its end."""
    CLOSED = "closed"
    """Known, and not open now."""
    NEW = "not begun"
    ENDED = "ended"


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One source, or a file that has none yet (``source`` is empty).

    ``behind_bytes`` are written and not acknowledged; ``in_flight_bytes`` of them are sent. Times are in seconds since
    1970, 0 where nobody knows; ``behind_since`` is when the oldest byte that is behind was first seen.
    """

    path: str
    source: str
    device: int
    inode: int
    size: int
    position: int
    behind_bytes: int
    state: State
    in_flight_bytes: int = 0
    read_at: float = 0.0
    acknowledged_at: float = 0.0
    behind_since: float = 0.0
    detail: str = ""


class Slow(msgspec.Struct, frozen=True):
    """A partition that has records of ours and has not answered for so many seconds."""

    topic: str
    partition: int
    seconds: float


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What the agent says of itself, before the lines; ``waiting``: the partitions that do not answer."""

    pid: int
    began: float
    connected: bool
    refusal: str = ""
    """Why positions cannot be saved now."""
    waiting: list[Slow] = []


class Troubles(msgspec.Struct, frozen=True):
    """What holds files up: whether Kafka was reached, why the registry refuses, the lanes that wait, by their names."""

    head: Head
    slow: Mapping[int, str]
    lanes_of: "Callable[[Source], Iterable[int]]"
    is_hung: Callable[[int], bool]


def line_of_file(file: "File", troubles: Troubles) -> Line:
    """An open file."""
    size = file.source.size if file.seen is not None else max(file.source.size, file.goal)
    state, detail = _state(file, size, troubles)
    return _line(file.source, size, state, detail)


def line_of_ended(source: "Source") -> Line:
    """A source that a truncation ended, while some of it is in flight."""
    return _line(source, source.size, State.TRUNCATED, "")


def line_of_row(row: Row, found: Found | None, missed: int, *, running: bool) -> Line:
    """A source that no agent has open: ``found`` is its file now, ``missed`` since when it is not there."""
    packed = is_packed(row.path)
    # Without the room that its writer made for later lines, if it was not written since.
    size = row.size if found is None or packed or found.modified == row.modified else found.size
    state = State.CLOSED
    detail = ""
    if row.ended:
        state = State.ENDED
    elif found is None:
        state = State.GONE
    elif found.size < row.position and not packed:
        state, detail = State.TRUNCATED, "since it was last read"
    elif size <= row.position:
        state = State.IDLE if not running else State.CLOSED
    size = max(size, row.position) if state is not State.TRUNCATED else size
    behind = 0 if row.ended or state is State.GONE else max(0, size - row.position)
    if state is State.TRUNCATED:
        behind = size
    return Line(
        path=shown(found.path) if found else row.path,
        source=row.source,
        device=row.place.device,
        inode=row.place.inode,
        size=size,
        position=row.position,
        behind_bytes=behind,
        state=state,
        acknowledged_at=float(row.updated),
        behind_since=float(row.updated) if behind else 0.0,
        detail=detail or (f"since {missed}" if missed and state is State.GONE else ""),
    )


def line_of_new(found: Found) -> Line:
    """A file that matches an input and has no source."""
    return Line(
        path=shown(found.path),
        source="",
        device=found.place.device,
        inode=found.place.inode,
        size=found.size,
        position=0,
        behind_bytes=found.size,
        state=State.NEW,
        behind_since=found.modified / 1e9 if found.size else 0.0,
    )


def lines_of_rest(
    answered: Iterable[Line],
    rows: Iterable[Row],
    gone: Mapping[str, int],
    found: Mapping[Place, Found],
    *,
    running: bool,
) -> list[Line]:
    """Lines of what the agent did not answer for: sources that it has not open, and files that are none yet."""
    told = {line.source for line in answered}
    places = {Place(line.device, line.inode) for line in answered}
    rest = []
    for row in rows:
        if not row.ended:
            places.add(row.place)
        if row.source not in told:
            there = None if row.ended else found.get(row.place)
            rest.append(line_of_row(row, there, gone.get(row.source, 0), running=running))
    return rest + [line_of_new(one) for place, one in found.items() if place not in places]


def _state(file: "File", size: int, troubles: Troubles) -> tuple[State, str]:
    source = file.source
    head = troubles.head
    behind = max(size, source.at) > source.watermark.position
    if troubles.is_hung(source.place.device):
        return State.HUNG, ""
    if file.fault:
        return State.UNREADABLE, file.fault
    if behind and head.refusal:
        return State.REGISTRY, head.refusal
    slow = next((name for lane in troubles.lanes_of(source) if (name := troubles.slow.get(lane))), "")
    if behind and (not head.connected or slow):
        return State.KAFKA, slow if head.connected else ""
    if file.gone:
        return State.GONE, ""
    return (State.READING if behind else State.IDLE), ""


def _line(source: "Source", size: int, state: State, detail: str) -> Line:
    position = source.watermark.position
    return Line(
        path=source.path,
        source=source.name,
        device=source.place.device,
        inode=source.place.inode,
        size=max(size, position),
        position=position,
        behind_bytes=max(0, size - position),
        state=state,
        in_flight_bytes=max(0, source.watermark.begun - position),
        read_at=source.read_at,
        acknowledged_at=source.acknowledged_at,
        behind_since=source.behind_since if size > position else 0.0,
        detail=detail,
    )
