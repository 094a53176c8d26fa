"""The ledger's record of a source, as the shipper of its host wrote it last. No I/O."""

from typing import Any

import msgspec

from tailrace.audit.chain import Amount
from tailrace.causes import NO_JSON

RECOUNTED = ""
"""A rule of this name, which no rule has, stands in a source's ``dropped`` once somebody has set its position by hand:
what was shipped before may be counted twice, or otherwise, since."""


class _Host(msgspec.Struct, frozen=True):
    name: str = ""


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    source: str
    host: _Host = _Host()
    path: str = ""
    data_stream: str = ""
    routes: tuple[str, ...] = ()
    position: int
    records: int
    bytes: int
    skipped_bytes: int = 0
    trailing_skipped_bytes: int = 0
    dropped: dict[str, Any] = {}
    ended: bool = False
    modified: str = ""
    time: str = msgspec.field(name="@timestamp", default="")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger says of one source.

    All before ``position`` is acknowledged by Kafka: ``bytes`` of it in ``records``, ``skipped`` in none, of which
    ``trailing`` stand behind the last record. ``dropped`` says by which rule records were left out; their bytes are
    among the skipped. ``modified`` is when the file was last written, as far as the shipper saw; ``time`` is when the
    ledger was told. Both are RFC 3339, and empty where nobody knows. ``routes`` are the streams that filters may send
    records to instead of ``data_stream``.
    """

    source: str
    host: str
    path: str
    data_stream: str
    routes: tuple[str, ...]
    position: int
    records: int
    bytes: int
    skipped: int
    trailing: int
    dropped: dict[str, Amount]
    ended: bool
    modified: str
    time: str
    recounted: bool = False
    """Somebody has set the shipper's position by hand: the counts need not be those of what is stored, to the byte."""

    @property
    def begin(self) -> int:
        """The first byte that counts; all of a file does, unless its first bytes were acknowledged by nobody."""
        return max(0, self.position - self.bytes - self.skipped)

    @property
    def chain_end(self) -> int:
        """Where the last record ends."""
        return self.position - self.trailing


def entry(value: bytes) -> Entry | None:
    """A record of the ledger; None if it is not one that we understand."""
    try:
        told = msgspec.json.decode(value, type=_Told)
    except NO_JSON:
        return None
    return Entry(
        source=told.source,
        host=told.host.name,
        path=told.path,
        data_stream=told.data_stream,
        routes=told.routes,
        position=told.position,
        records=told.records,
        bytes=told.bytes,
        skipped=told.skipped_bytes,
        trailing=min(told.trailing_skipped_bytes, told.position),
        dropped={rule: _amount(said) for rule, said in told.dropped.items() if rule != RECOUNTED},
        ended=told.ended,
        modified=told.modified,
        time=told.time,
        recounted=RECOUNTED in told.dropped,
    )


def _amount(said: object) -> Amount:
    try:
        return msgspec.convert(said, Amount)
    except msgspec.ValidationError:
        return Amount(said if isinstance(said, int) else 0)
