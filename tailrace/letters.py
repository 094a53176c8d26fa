"""Records of the dead letter topic to letters, and to what became of them. No I/O.

A letter is about one record of a record topic: its ``Subject``. It is open until a *settlement* stands behind it in the
same partition: a record without a value whose headers name the subject and say what was done. Retention deletes from
the front, so no letter is ever seen without its settlement. A second letter about the same subject (the indexer sends
a letter again after a crash) is the same letter.
"""

import enum
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
import orjson

from tailrace.show import lookup

PREFIX = "tailrace."
"""All headers of ours in that topic begin so."""
_MOST_BYTES = 1024
"""Most bytes of one header of ours."""
_MOST_LEVELS = 200
"""Elasticsearch maps 20 of them."""
_LAST_TIME = 253_370_764_800_000
"""The year 9999 in milliseconds, which a stranger's later time is taken for: no calendar has that."""


class Polled(Protocol):
    """What we need of a record of Kafka's."""

    @property
    def offset(self) -> int: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...  # noqa: D102


class Subject(NamedTuple):
    """The record that was refused; its ``timestamp`` (ms) tells it from one of a topic that was made anew."""

    topic: str
    partition: int
    offset: int
    timestamp: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


class Settled(enum.Enum):
    """How a letter was settled."""

    REPLAYED = "replayed"
    """Sent again to where it came from, acknowledged; refused again, it is another letter."""
    DROPPED = "dropped"
    """Somebody decided that it is not to be stored, and why."""


class Settlement(NamedTuple):
    """What became of a letter, when (ms), by whom, and why."""

    how: Settled
    time: int
    by: str
    note: str


class Settling(NamedTuple):
    """A settlement and the subject of the letter that it settles."""

    subject: Subject
    settlement: Settlement


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter: the record as it came, and why it was refused.

    ``partition`` and ``offset`` are its own in the dead letter topic; those of the record are in ``subject``.
    ``stream`` and ``record_id`` are empty where the record's header could not be read. ``length`` is the value's before
    it had to be cut (else its own). ``time`` is the refusal's, in milliseconds.
    """

    partition: int
    offset: int
    subject: Subject
    reason: str
    error: str
    error_type: str
    field: str
    stream: str
    record_id: str
    time: int
    length: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    settlement: Settlement | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing was done about it yet."""
        return self.settlement is None

    @property
    def is_cut(self) -> bool:
        """Whether only the first bytes of the value are here."""
        return self.length > len(self.value)

    @property
    def dataset(self) -> str:
        """The dataset in the stream's name; empty if there is none."""
        return self.stream.split("-")[1] if self.stream.count("-") > 1 else ""

    def document(self) -> dict[str, Any] | None:
        """The value as an object; None if it is cut or is none, or is nested too deeply to be looked into."""
        if self.is_cut:
            return None
        try:
            found = orjson.loads(self.value)
        except orjson.JSONDecodeError:
            return None
        return found if isinstance(found, dict) and not _is_deep(found) else None


def _is_deep(tree: dict[str, Any]) -> bool:
    level: list[Any] = [tree]
    for _ in range(_MOST_LEVELS):
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
        level = [one for one in level if isinstance(one, (dict, list))]
        if not level:
            return False
    return True


def read(partition: int, record: Polled) -> Letter | Settling | None:
    """The letter or settlement in a record of the dead letter topic; None if it is neither, but a stranger's."""
    said = {name[len(PREFIX) :]: _text(value) for name, value in record.headers if name.startswith(PREFIX)}
    subject = _subject(said)
    if subject is None:
        return None
    if "settled" in said:
        return _settling(subject, said)
    if "reason" not in said or record.value is None:
        return None
    return Letter(
        partition=partition,
        offset=record.offset,
        subject=subject,
        reason=said["reason"],
        error=said.get("error", ""),
        error_type=said.get("error_type", ""),
        field=said.get("field", ""),
        stream=said.get("stream", ""),
        record_id=said.get("id", ""),
        time=_time(said),
        length=_number(said.get("truncated", "")) or len(record.value),
        key=record.key,
        value=record.value,
        headers=tuple((name, value) for name, value in record.headers if not name.startswith(PREFIX)),
    )


def settling_headers(settling: Settling) -> list[tuple[str, bytes]]:
    """The headers of the record without a value that settles a letter; it belongs in the letter's own partition."""
    subject, settlement = settling
    return headers(
        {
            "settled": settlement.how.value,
            "topic": subject.topic,
            "partition": str(subject.partition),
            "offset": str(subject.offset),
            "timestamp": str(subject.timestamp),
            "time": str(settlement.time),
            "by": settlement.by,
            "note": settlement.note,
        }
    )


def headers(said: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """Texts by their names to headers of ours, each of limited length and cut between characters; none if empty."""
    return [(PREFIX + name, _short(text)) for name, text in said.items() if text]


def service(document: Mapping[str, Any] | None) -> str:
    """Which service wrote it; empty if the document does not say, or there is none."""
    return str((document and lookup(document, "service.name")) or "")


def host(document: Mapping[str, Any] | None) -> str:
    """On which host; empty if the document does not say, or there is none."""
    return str((document and lookup(document, "host.name")) or "")


def _settling(subject: Subject, said: Mapping[str, str]) -> Settling | None:
    try:
        how = Settled(said["settled"])
    except ValueError:
        return None
    return Settling(subject, Settlement(how, _time(said), said.get("by", ""), said.get("note", "")))


def _subject(said: Mapping[str, str]) -> Subject | None:
    partition, offset = _number(said.get("partition", "")), _number(said.get("offset", ""))
    if partition is None or offset is None or not said.get("topic"):
        return None
    timestamp = _number(said.get("timestamp", ""))
    return Subject(said["topic"], partition, offset, -1 if timestamp is None else timestamp)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None


def _time(said: Mapping[str, str]) -> int:
    """When it was, in milliseconds; 0 if nobody says."""
    return min(_number(said.get("time", "")) or 0, _LAST_TIME)


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")  # a header may be null


def _short(text: str) -> bytes:
    return text.encode("utf-8", "replace")[:_MOST_BYTES].decode("utf-8", "ignore").encode()
