"""Sources to what the ledger says of them: how much of each was shipped. No I/O."""

from collections.abc import Iterable

import orjson

from shipper.source import Source
from shipper.times import from_nanoseconds


class Ledger:
    """Knows what the ledger was told last, and says only what is news."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._told: dict[str, int] = {}
        self._leaving: list[Source] = []

    def farewell(self, sources: Iterable[Source]) -> None:
        """These have ended and all of them is acknowledged; the ledger is told once more."""
        self._leaving += sources

    def news(self, sources: Iterable[Source], now: str) -> list[tuple[str, bytes]]:
        """(key, value) of each source whose position moved since it was last told, and of those that ended."""
        moved = [one for one in sources if self._told.get(one.name) != one.watermark.position]
        self._told |= {one.name: one.watermark.position for one in moved}
        ended, self._leaving = self._leaving, []
        for one in ended:
            self._told.pop(one.name, None)
        told = [(one, False) for one in moved] + [(one, True) for one in ended]
        return [(one.name, _entry(one, self._host, now, ended=gone)) for one, gone in told]

    def drop(self, names: Iterable[str]) -> None:
        """These sources will never be told of again."""
        for name in names:
            self._told.pop(name, None)

    def forget(self) -> None:
        """The ledger may not have what it was told last: tell it all again."""
        self._told.clear()


def _entry(source: Source, host: str, now: str, *, ended: bool) -> bytes:
    """The ledger's record of a source, as JSON; its key in the topic is the source's name.

    ``position``, ``records`` and the bytes are those that the brokers have acknowledged: ``bytes`` gave records,
    ``skipped_bytes`` gave none, and ``trailing_skipped_bytes`` of them stand after the last record. ``dropped`` are the
    records, and the bytes among the skipped, that each rule of the filters left out. ``modified`` is when the file was
    last written, as far as was seen: its last lines cannot be in an index that was full before. ``routes`` are the data
    streams that the filters of now may send records to instead of ``data_stream``.
    """
    mark = source.mark
    return orjson.dumps(
        {
            "source": source.name,
            "host": {"name": host},
            "path": source.path,
            "data_stream": source.stream,
            "routes": source.encoder.streams,
            "position": source.watermark.position,
            "records": mark.records,
            "bytes": mark.bytes,
            "skipped_bytes": mark.blank,
            "trailing_skipped_bytes": mark.skipped,
            "dropped": {
                rule: {"records": records, "bytes": covered} for rule, (records, covered) in mark.dropped.items()
            },
            "ended": ended,
            "modified": from_nanoseconds(source.modified) if source.modified else "",
            "@timestamp": now,
        }
    )
