"""Every metric of tailrace in one place, and the endpoint that shows them.

Counted per chunk, batch or slice, never per line. Names follow the Prometheus conventions.
"""

from collections.abc import Iterator

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, Metric, start_http_server
from prometheus_client.registry import Collector

from tailrace.errors import FixSettings

LINES = Counter("tailrace_shipper_records", "Records acknowledged by Kafka", ["dataset"])
BYTES = Counter("tailrace_shipper_bytes", "Bytes of files that acknowledged records cover", ["dataset"])
TOPIC_RECORDS = Counter("tailrace_shipper_topic_records", "Records acknowledged by Kafka, by topic", ["topic"])
TOPIC_BYTES = Counter("tailrace_shipper_topic_bytes", "Bytes of the documents of acknowledged records", ["topic"])
FLAGGED = Counter("tailrace_shipper_flagged_records", "Records shipped with a flag in log.flags", ["flag"])
DROPPED = Counter(
    "tailrace_shipper_dropped_records", "Records that a rule of the filters left out", ["dataset", "rule"]
)
REDACTED = Counter(
    "tailrace_shipper_redacted_values", "Values in acknowledged records made unreadable", ["dataset", "rule", "kind"]
)
SOURCES = Gauge("tailrace_shipper_sources", "Files being followed")
BEHIND = Gauge("tailrace_shipper_behind_bytes", "Bytes written to followed files and not yet acknowledged")
TRUNCATIONS = Counter("tailrace_shipper_truncations", "Files found shorter than, or different from, what was read")
LOST = Counter("tailrace_shipper_truncated_bytes", "Bytes that a truncation took before they could be read")
VANISHED = Counter("tailrace_shipper_vanished_bytes", "Bytes seen in files that vanished before they could be read")
DAMAGED = Counter("tailrace_shipper_damaged_files", "Compressed files that end early or cannot be decompressed")
UNREADABLE = Gauge("tailrace_shipper_unreadable_files", "Files that match an input and cannot be read")
HUNG_DISKS = Gauge("tailrace_shipper_hung_disks", "Disks and searches without an answer for five seconds")
UNWATCHED = Gauge("tailrace_shipper_unwatched_folders", "Folders for which the kernel grants no inotify watch")
WAITING = Gauge("tailrace_shipper_waiting_partitions", "Partitions that hold records and acknowledged none for 10 s")
IN_FLIGHT = Gauge("tailrace_shipper_in_flight_bytes", "Bytes of records sent and not yet acknowledged")
PRODUCER_RESTARTS = Counter("tailrace_shipper_producer_restarts", "Producers ended by a failed batch")
REGISTRY_COMMITS = Counter("tailrace_shipper_registry_commits", "Transactions on the registry")
ACK_SECONDS = Histogram(
    "tailrace_shipper_ack_seconds",
    "Time from reading a chunk to its acknowledgement",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)

POLLED = Counter("tailrace_indexer_polled_records", "Records received from Kafka")
STORED = Counter("tailrace_indexer_stored_records", "Records that Elasticsearch stored")
ALREADY = Counter("tailrace_indexer_already_stored_records", "Records found stored by an earlier try of ours")
DUPLICATES = Counter("tailrace_indexer_duplicate_records", "Records refused because their id was stored before")
TOMBSTONES = Counter("tailrace_indexer_tombstone_records", "Records without a value, of which nothing is stored")
ABANDONED = Counter(
    "tailrace_indexer_abandoned_records", "Records received and left, unfinished, to the partition's next owner"
)
DEAD = Counter("tailrace_indexer_dead_records", "Records sent to the dead letters", ["reason"])
EXPIRING = Gauge("tailrace_indexer_expiring_letters", "Open dead letters in the last fifth of their topic's retention")
FIELDS_SHARE = Gauge("tailrace_indexer_fields_share", "Largest share of its limit of fields that a stream has used")
RETRIED = Counter("tailrace_indexer_retried_records", "Items of bulk answers that were sent again", ["reason"])
BULKS = Counter("tailrace_indexer_bulk_requests", "Bulk requests by the outcome of the request", ["outcome"])
BULK_SECONDS = Histogram(
    "tailrace_indexer_bulk_seconds",
    "Time of one bulk request",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
PACE_BYTES = Gauge("tailrace_indexer_pace_bytes", "How large a bulk request may be now")
PACE_REQUESTS = Gauge("tailrace_indexer_pace_requests", "How many bulk requests may be in flight now")
REQUESTS_IN_FLIGHT = Gauge("tailrace_indexer_in_flight_requests", "Bulk requests in flight, each with its look-up")
SLOWDOWNS = Counter("tailrace_indexer_slowdowns", "How often the pace was halved", ["reason"])
WAITING_BYTES = Gauge("tailrace_indexer_waiting_bytes", "Memory of polled records that wait to be sent")
LOOKED_UP = Counter("tailrace_indexer_looked_up_records", "Records looked up because they may repeat", ["found"])
GAPS = Counter("tailrace_indexer_gap_records", "Records that retention deleted before they were read")
UNREADABLE_PARTITIONS = Gauge(
    "tailrace_indexer_unreadable_partitions", "Partitions that wait at a batch that cannot be read"
)
LAG = Gauge("tailrace_indexer_lag_records", "Records in the topic and not yet committed", ["topic", "partition"])
BLOCKED = Gauge("tailrace_indexer_blocked", "1 while Elasticsearch refuses or does not answer")
DELAY_SECONDS = Histogram(
    "tailrace_indexer_delay_seconds",
    "Time from sending a record to Kafka to its being stored, per slice, of the oldest record",
    buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
)


class _Own(Collector):
    """The metrics of one program and of its process; those of the other one would all be 0 for ever."""

    def __init__(self, program: str) -> None:
        self._prefix = f"tailrace_{program}_"

    def collect(self) -> Iterator[Metric]:
        for one in REGISTRY.collect():
            if one.name.startswith(self._prefix) or not one.name.startswith("tailrace_"):
                yield one


def serve(listen: str, program: str) -> None:
    """Show a program's metrics (``shipper``, ``indexer``) at ``http://<listen>/metrics``; an empty one does nothing.

    Raises:
        FixSettings: the address is not ``host:port`` or cannot be used.
    """
    if not listen:
        return
    host, _, port = listen.rpartition(":")
    own = CollectorRegistry(auto_describe=True)
    own.register(_Own(program))
    try:
        start_http_server(int(port), host or "127.0.0.1", own)
    except (ValueError, OSError) as error:
        raise FixSettings(f"Cannot serve metrics at {listen!r}: {error}; use host:port with a free port.") from error
