"""The indexer's calls that go over every record: compiled if they are, else in Python. No I/O.

The sources are in ``c/``, and built with the package where there is a C compiler (hatch_build.py). Both ways give the
same; property tests hold them equal.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tailrace import extension
from tailrace.record import HEADER, SAFE_ID

if TYPE_CHECKING:
    from indexer.documents import Polled
    from indexer.rows import Rows, Stretch

compiled: Any = extension.built("indexer", interface=2)
"""The compiled calls (``_native.pyi`` has their types), or None if the package was built without a compiler."""

_MOST_ID = 512
"""Elasticsearch's limit."""
ACTION_END = b'"}}\n'
"""What follows the id in an action line."""


def records(stretch: "Stretch", *, numbered: bool = True) -> list["Polled"]:
    """Some records of a batch as objects, their offsets as each says unless they are ``numbered``; compiled alone."""
    found: list[Polled] = compiled.records(*stretch[:5], numbered, *stretch[5:])
    return found


def body(rows: Sequence["Rows"], known: dict[bytes, bytes], *, own_ids: bool) -> bytes | None:
    """The bulk request that stores all these records, or None if one of them needs a second look; compiled alone.

    ``known`` is that of ``plain``.
    """
    stretches = [stretch for some in rows for stretch in some.stretches]
    made: bytes | None = compiled.body(stretches, known, own_ids)
    return made


class Plain(NamedTuple):
    """Records that are plainly our shipper's, with their action lines and documents in parallel; and the ``rest``."""

    records: list["Polled"]
    lines: list[bytes]
    documents: list[bytes]
    rest: list["Polled"]


def plain(records: Sequence["Polled"], known: dict[bytes, bytes], *, own_ids: bool) -> Plain:
    """Those records whose header and value need no second look.

    ``known`` has, for what stands in a header before the id, the beginning of the action line (all of it without
    ``own_ids``). A value must be one line of valid UTF-8 in braces; what is wrong within them can only be its own
    fault. The rest may hold records that are plain, too.
    """
    if compiled is not None and records and type(records[0]) is compiled.Record:
        return Plain(*compiled.plain(records, known, own_ids))
    kept: list[Polled] = []
    ids: list[bytes] = []
    lines: list[bytes] = []
    documents: list[bytes] = []
    rest: list[Polled] = []
    begun = known.get
    for record in records:
        value = record.value
        headers = record.headers
        if value and len(headers) == 1 and value[0] == 0x7B and value[-1] == 0x7D:
            name, header = headers[0]
            if name == HEADER and header:
                prefix, _, record_id = header.rpartition(b"|")
                line = begun(prefix)
                if line is not None and 0 < len(record_id) <= _MOST_ID:
                    kept.append(record)
                    ids.append(record_id)
                    lines.append(line + record_id + ACTION_END if own_ids else line)
                    documents.append(value)
                    continue
        rest.append(record)
    # Characters are checked over all together.
    together = b"".join(documents)
    broken = b"\n" in together or b"\r" in together or not is_utf8(together)
    if broken or b"".join(ids).translate(None, SAFE_ID):
        return Plain([], [], [], list(records))
    return Plain(kept, lines, documents, rest)


def is_utf8(value: bytes) -> bool:
    """Elasticsearch takes some bytes that are none, and then no client can read an answer with that document in it."""
    if value.isascii():
        return True
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
