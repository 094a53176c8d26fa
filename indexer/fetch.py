"""Fetched batches to records as they were decoded, without a copy of each.

For every record aiokafka makes another that also knows its topic and partition, which costs more than to decode it.
"""

import sys
from typing import Any

from aiokafka.consumer.fetcher import PartitionRecords


class DecodedRecords(PartitionRecords):  # type: ignore[misc]  # aiokafka is untyped
    """The records of one answer for one partition; they fit ``documents.Polled``."""

    def _consumer_record(self, tp: object, record: Any) -> Any:  # noqa: ANN401 - compiled, without a type
        del tp
        return record


def install() -> None:
    """Let the consumers of this process hand out decoded records; aiokafka has no setting for it."""
    vars(sys.modules[PartitionRecords.__module__])["PartitionRecords"] = DecodedRecords
