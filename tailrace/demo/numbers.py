"""Counters, metrics and counts in Elasticsearch to the numbers of one moment."""

import asyncio
import contextlib
import http.client
import re
import time
from pathlib import Path
from typing import NamedTuple, Self

from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch
from prometheus_client.parser import text_string_to_metric_families

from tailrace.demo.cast import NAMESPACE, Folder, Member
from tailrace.demo.fleet import read_counts
from tailrace.demo.latency import Percentiles, Sampler

_COUNT_SECONDS = 0.5
_BACKING = re.compile(r"\.ds-(.+)-\d{4}\.\d\d\.\d\d-\d{6}")
"""A data stream's name in that of an index behind it (Elasticsearch's naming)."""
_NONE = Percentiles(0, 0.0, 0.0)


class Row(NamedTuple):
    """One service in lines: ``written`` to its files, ``shipped`` (Kafka has them), ``stored`` (Elasticsearch does)."""

    name: str
    written: int = 0
    shipped: int = 0
    stored: int = 0
    rotations: int = 0
    latency: Percentiles = _NONE


class Numbers(NamedTuple):
    """One moment of the demo; ``seconds`` since the fleet began."""

    seconds: float
    rows: list[Row]
    behind_bytes: int = 0
    in_flight_bytes: int = 0
    lag: int = 0
    latency: Percentiles = _NONE

    @property
    def total(self) -> Row:
        """All services together."""
        return Row(
            "total",
            sum(row.written for row in self.rows),
            sum(row.shipped for row in self.rows),
            sum(row.stored for row in self.rows),
            sum(row.rotations for row in self.rows),
            self.latency,
        )


class Numerals:
    """Takes the numbers: writers say what they wrote, the two endpoints what passed, Elasticsearch what it has.

    What Elasticsearch stored is taken from the statistics of its indices, so that nothing need become searchable for
    it: between ``async with`` and its end these are the documents that the demo adds. The proof looks at each document.
    """

    def __init__(self, folder: Folder, cast: list[Member], ports: tuple[int, int], client: AsyncElasticsearch) -> None:
        self._folder = folder
        self._cast = cast
        self._ports = ports
        self._client = client
        self._begun = time.monotonic()
        self._tallies = {member.name: _Tally(member.live) for member in cast if not member.is_ours}
        self._before: dict[str, int] = {}
        self._stored: dict[str, int] = {}
        self._counting: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._before = self._stored = await self._documents()
        self._counting = asyncio.create_task(self._count())
        return self

    async def __aexit__(self, *_exception: object) -> None:
        if self._counting is not None:
            self._counting.cancel()
            await asyncio.gather(self._counting, return_exceptions=True)

    def begin(self) -> None:
        """The fleet begins to write now."""
        self._begun = time.monotonic()

    async def take(self, sampler: Sampler) -> Numbers:
        """The numbers of now; what does not answer keeps its last value, or 0."""
        # Against the flow, so that no stage seems to be ahead of the one before it.
        stored = dict(self._stored)
        indexer, shipper = await scrape(self._ports[1]), await scrape(self._ports[0])
        rows = []
        for member in self._cast:
            counts = read_counts(self._folder.counts(member.name))
            rows.append(
                Row(
                    member.name,
                    counts.lines if member.is_ours else self._tallies[member.name].lines(),
                    int(shipper.get(("tailrace_shipper_records_total", member.dataset), 0)),
                    stored.get(member.stream, 0) - self._before.get(member.stream, 0),
                    counts.rotations,
                    sampler.percentiles(member.stream),
                )
            )
        return Numbers(
            time.monotonic() - self._begun,
            rows,
            int(shipper.get(("tailrace_shipper_behind_bytes", ""), 0)),
            int(shipper.get(("tailrace_shipper_in_flight_bytes", ""), 0)),
            int(sum(value for (name, _), value in indexer.items() if name == "tailrace_indexer_lag_records")),
            sampler.percentiles(),
        )

    async def _count(self) -> None:
        while True:
            with contextlib.suppress(ApiError, TransportError):  # the proof asks again, and insists
                self._stored = await self._documents()
            await asyncio.sleep(_COUNT_SECONDS)

    async def _documents(self) -> dict[str, int]:
        """Documents indexed into each stream since its indices were opened."""
        streams = f"logs-*-{NAMESPACE}"
        answer = await self._client.indices.stats(index=streams, metric="indexing", level="indices")
        found: dict[str, int] = {}
        for index, its in answer.get("indices", {}).items():
            if stream := _BACKING.fullmatch(index):
                counts = its["primaries"]["indexing"]
                found[stream[1]] = found.get(stream[1], 0) + counts["index_total"]
        return found


async def scrape(port: int) -> dict[tuple[str, str], float]:
    """The metrics at a port of the loopback address by name and first label; empty if nobody answers."""
    try:
        text = await asyncio.to_thread(_get, port)
    except (OSError, http.client.HTTPException):
        return {}
    values: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            label = "/".join(sample.labels[name] for name in ("dataset", "topic", "partition") if name in sample.labels)
            values[sample.name, label] = sample.value
    return values


def _get(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


class _Tally:
    """Counts the lines of a file that others write, reading only what is new."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._lines = 0

    def lines(self) -> int:
        """Whole lines until now that are not blank."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._position)
                news = file.read()
        except OSError:
            return self._lines
        whole = news[: news.rfind(b"\n") + 1]
        self._position += len(whole)
        self._lines += sum(not line.isspace() for line in whole.splitlines(keepends=True))
        return self._lines
