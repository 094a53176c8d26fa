"""Fetched batches to records as they were decoded, without a copy of each.

For every record aiokafka makes another that also knows its topic and partition, which costs more than to decode it.
"""

import sys
from typing import Any

from aiokafka.consumer.fetcher import PartitionRecords


class DecodedRecords(PartitionRecords):  # type: ignore[misc]  # aiokafka is untyped
    """The records of one answer for one partition; they fit ``documents.Polled``."""

    def _consumer_record(self, tp: object, record: Any) -> Any:  # noqa: ANN401 - compiled, without a type
        return record if self._value_deserializer is as_decoded else super()._consumer_record(tp, record)


def as_decoded(value: bytes) -> bytes:
    """The ``value_deserializer`` of a consumer that is to hand out records as they were decoded."""
    return value


# aiokafka has no setting for it; other consumers of the process are left as they are.
vars(sys.modules[PartitionRecords.__module__])["PartitionRecords"] = DecodedRecords
