"""A refused record to the record that says why, and can be sent again. No I/O."""

from typing import NamedTuple

from indexer.documents import Refusal
from tailrace.letters import PREFIX, headers
from tailrace.record import HEADER

_TRUNCATED = PREFIX + "truncated"
_MOST_HEADER_BYTES = 4096
"""One of the shipper's is some hundred bytes."""


class Letter(NamedTuple):
    """A record of the dead letter topic: value, key and headers as they came, and our headers after them.

    Ours are ``tailrace.reason`` (one word), ``.error`` (what was said), and where known ``.error_type``, ``.field``,
    ``.stream``, ``.id``; ``.topic``, ``.partition``, ``.offset``, ``.timestamp`` of the record, and ``.time`` of the
    refusal, both in milliseconds; ``.truncated`` is the value's length if it had to be cut.
    """

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


def letter(refusal: Refusal, now_ms: int) -> Letter:
    """The dead letter of a refusal; headers of an earlier refusal of the same record are replaced."""
    record = refusal.record
    ours = {
        "reason": refusal.reason.value,
        "error": refusal.text,
        "error_type": refusal.error_type,
        "field": refusal.field,
        "stream": refusal.stream,
        "id": refusal.record_id,
        "topic": refusal.origin.topic,
        "partition": str(refusal.origin.partition),
        "offset": str(record.offset),
        "timestamp": str(record.timestamp),
        "time": str(now_ms),
    }
    theirs = [(name, value) for name, value in record.headers if not name.startswith(PREFIX)]
    # Without a value it would be no letter; a CloudEvent in binary mode may come without.
    return Letter(record.key, record.value or b"", theirs + headers(ours))


def place(one: Letter) -> bytes:
    """Where the record stands that a letter is about: topic, partition and offset, as bytes that no other place has."""
    said = dict(one.headers)
    return b"/".join(said.get(PREFIX + name, b"") for name in ("topic", "partition", "offset"))


def bare(whole: Letter) -> Letter:
    """A letter that says only why, and where the record stands: its key and its headers are too large for the topic."""
    said = cut(whole, 0)
    size = str(len(whole.value or b"") or 1).encode()  # of one without a value nothing is here either
    ours = [(name, size if name == _TRUNCATED else one) for name, one in said.headers if name.startswith(PREFIX)]
    theirs = [(name, one) for name, one in said.headers if name == HEADER and len(one or b"") <= _MOST_HEADER_BYTES]
    return Letter(None, b"", theirs + ours)


def cut(whole: Letter, length: int) -> Letter:
    """A letter whose value is only the first ``length`` bytes: the topic takes no larger one."""
    value = whole.value or b""
    headers = [header for header in whole.headers if header[0] != _TRUNCATED]
    known = next((said for name, said in whole.headers if name == _TRUNCATED), str(len(value)).encode())
    return Letter(whole.key, value[:length], [*headers, (_TRUNCATED, known)])
