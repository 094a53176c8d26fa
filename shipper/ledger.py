"""A source to what the ledger says of it: how much of it was shipped. No I/O."""

import orjson

from shipper.source import Source


def entry(source: Source, host: str, now: str, *, ended: bool) -> bytes:
    """The ledger's record of a source, as JSON; its key in the topic is the source's name.

    ``position``, ``records`` and the bytes are those that the brokers have acknowledged: ``bytes`` gave records,
    ``skipped_bytes`` gave none, and ``trailing_skipped_bytes`` of them stand after the last record.
    """
    mark = source.mark
    return orjson.dumps(
        {
            "source": source.name,
            "host": {"name": host},
            "path": source.path,
            "data_stream": source.stream,
            "position": source.watermark.position,
            "records": mark.records,
            "bytes": mark.bytes,
            "skipped_bytes": mark.blank,
            "trailing_skipped_bytes": mark.skipped,
            "dropped": {},
            "ended": ended,
            "@timestamp": now,
        }
    )
