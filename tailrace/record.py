"""A log line's document to the one thing that crosses Kafka, and back. No I/O.

The value is the finished ECS document as one line of JSON. What the indexer must know without decoding it stands in one
header, ``t``: ``version|flags|stream|id``.
"""

import re
from typing import NamedTuple

HEADER = "t"
VERSION = "1"
MAY_REPEAT = "r"
"""The flag of a record that may have been sent before: the indexer looks it up before it stores it."""

_STREAM = re.compile(r"(?:logs|metrics|traces|synthetics)-[^A-Z\\/*?\"<>| ,#:\-]{1,100}-[^A-Z\\/*?\"<>| ,#:\-]{1,100}")
_PART = re.compile(r"[^A-Z\\/*?\"<>| ,#:\-]{1,100}")
STREAM_PART_RULE = 'use lower case, at most 100 characters, and none of \\ / * ? " < > | , # : - or a space'
"""What ``is_stream_part`` wants, in words."""
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
TOPIC_RULE = "use letters, digits, dots, - and _, at most 249"
"""What ``is_topic`` wants, in words."""
_PARTS = ("type", "dataset", "namespace")
SAFE_ID = bytes(byte for byte in range(0x21, 0x7F) if byte not in b'"\\|')
"""The bytes that an id may have."""
_SAFE_ID = re.compile(r"[!#-\[\]-{}~]{1,512}")


class Header(NamedTuple):
    """The header of a record that our shipper sent.

    ``stream`` is a data stream's name, ``record_id`` the document's id; both safe to place inside a JSON string.
    """

    may_repeat: bool
    stream: str
    record_id: str


def record_id(source: str, offset: int, checksum: int) -> str:
    """The id of the record of ``source`` that starts at byte ``offset`` and covers bytes with this CRC-32.

    The checksum is there so that a mistaken identity can only repeat a line, never hide one behind another's id.
    """
    return f"{source}:{offset:016d}:{checksum:08x}"


def header_prefix(stream: str, *, may_repeat: bool) -> str:
    """What stands before the id in the header, the same for all records of a chunk."""
    return f"{VERSION}|{MAY_REPEAT if may_repeat else ''}|{stream}|"


def parse_header(header: bytes) -> Header | None:
    """The header's fields, or None if it is not one of ours (wrong version, shape, or characters unsafe in JSON)."""
    parts = header.split(b"|", 3)
    if len(parts) != 4 or parts[0] != b"1" or parts[3].translate(None, SAFE_ID) or not 0 < len(parts[3]) <= 512:
        return None
    stream = parts[2].decode("utf-8", "replace")
    if not is_stream(stream):
        return None
    return Header(b"r" in parts[1], stream, parts[3].decode("ascii"))


def is_stream(name: str) -> bool:
    """Whether a name is a valid data stream ``type-dataset-namespace`` (Elastic's naming scheme)."""
    return _STREAM.fullmatch(name) is not None and name.isprintable()


def stream_fields(stream: str) -> dict[str, str]:
    """What the documents of a data stream have in ``data_stream`` (Elastic's naming scheme)."""
    return dict(zip(_PARTS, stream.split("-", 2), strict=True))


def is_stream_part(name: str) -> bool:
    """Whether a name may be a dataset or a namespace: lower case, at most 100 characters, no space, no punctuation."""
    return _PART.fullmatch(name) is not None and name.isprintable()


def is_topic(name: str) -> bool:
    """Whether Kafka takes a name for a topic."""
    return _TOPIC.fullmatch(name) is not None and name not in (".", "..")


def is_record_id(name: str) -> bool:
    """Whether an id is printable ASCII that needs no escape in JSON, at most 512 characters (Elasticsearch's limit)."""
    return _SAFE_ID.fullmatch(name) is not None
