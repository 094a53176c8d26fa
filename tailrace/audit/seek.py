"""One line of a file, by its offset or its text, to where it is in Elasticsearch, Kafka and the dead letters."""

import datetime
import json
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from elasticsearch import AsyncElasticsearch

from tailrace import kafka
from tailrace.audit import topics
from tailrace.audit.chain import Kept
from tailrace.audit.line import Document, Refused, Sent
from tailrace.audit.topics import consumer_of, kept_in
from tailrace.errors import ReachElasticsearch
from tailrace.letter_topic import partitions_of, read_letters
from tailrace.record import HEADER, parse_header
from tailrace.settings import Settings
from tailrace.show import lookup

_MOST_HITS = 10
_MOST_SOURCES = 10_000
_EARLY_MS = 5_000
_LATE_MS = 3_600_000
"""A record is sent so soon after it was read; what was read again later is a repetition."""
_AT_ONCE = 5000
_POLL_MS = 500
_TEXTS = ["message", "error.message", "error.stack_trace", "event.original"]


class Found(NamedTuple):
    """A document that covers a byte of a source, and when it was read (ms), if it says so."""

    kept: Kept
    source: str
    document: Document
    read: int | None


class Documents:
    """Looks for documents in ``index``: names or patterns of data streams, with commas between them."""

    def __init__(self, client: AsyncElasticsearch, index: str) -> None:
        self._client = client
        self.index = index

    async def sources(self, host: str, path: str) -> list[str]:
        """The sources that ever had this path on this host."""
        terms = {"terms": {"field": "tailrace.source", "size": _MOST_SOURCES}}
        answer = await self._search(query=_of(host, path), size=0, aggregations={"sources": terms})
        return [bucket["key"] for bucket in answer.get("aggregations", {}).get("sources", {}).get("buckets", [])]

    async def at(self, source: str, offset: int) -> list[Found]:
        """The documents of a source that have the line at a byte."""
        found = await self._beside(source, {"lte": offset}, "desc")
        return [one for one in found if one.kept.offset + one.kept.bytes > offset]

    async def skips(self, source: str, offset: int) -> bool:
        """Whether the next document says that this byte gave no record."""
        found = (await self._beside(source, {"gt": offset}, "asc"))[:1]
        return any(one.kept.offset - one.kept.skipped <= offset for one in found)

    async def end(self, source: str) -> int:
        """Behind which byte of a source no document has anything."""
        found = await self._beside(source, {"gte": 0}, "desc")
        return max((one.kept.offset + one.kept.bytes for one in found), default=0)

    async def saying(self, host: str, path: str, text: str, most: int) -> list[Found]:
        """Documents of a file that have a text in them, the newest first, at most so many."""
        phrase = {"multi_match": {"query": text, "type": "phrase", "fields": _TEXTS, "lenient": True}}
        query = {"bool": {"must": [phrase], "filter": _of(host, path)["bool"]["filter"]}}
        sort = [{"@timestamp": {"order": "desc", "unmapped_type": "date_nanos"}}]
        answer = await self._search(query=query, size=most, sort=sort)
        return _found(answer["hits"]["hits"])

    async def _beside(self, source: str, span: dict[str, int], order: str) -> list[Found]:
        query = {"bool": {"filter": [{"term": {"tailrace.source": source}}, {"range": {"log.offset": span}}]}}
        sort = [{"log.offset": {"order": order, "unmapped_type": "long"}}]
        answer = await self._search(query=query, size=_MOST_HITS, sort=sort)
        return _found(answer["hits"]["hits"])

    async def _search(self, **what: Any) -> dict[str, Any]:  # noqa: ANN401 - as the client takes them
        answer = await self._client.search(index=self.index, ignore_unavailable=True, allow_no_indices=True, **what)
        body: dict[str, Any] = answer.body
        if body["timed_out"] or body["_shards"]["failed"]:
            raise ReachElasticsearch(f"Elasticsearch gave only a part of {self.index}; see its log, and ask again.")
        return body


class Wish(NamedTuple):
    """Which record of a source to look for: that of an id, or the one that has a byte or a text in it.

    A record has the bytes that it covers, and those before it that it says gave none.
    """

    source: str
    record_id: str = ""
    offset: int | None = None
    text: str = ""
    read: int | None = None
    """When the line was read (ms): the search begins there, and ends an hour later; None: all that is there."""


async def sent(settings: Settings, wish: Wish) -> tuple[list[tuple[Kept, Sent]], str]:
    """The copies of the record that is wished for, the newest last, with what each covers; else why there is none.

    Only the partition of the source's name is read: to its end, for a repair or a replay may have sent the record
    again; but only to the first copy where it is known when the line was read, or only its text is.
    """
    found: list[tuple[Kept, Sent]] = []
    async with aclosing(_copies(settings, wish)) as copies:
        async for one in copies:
            found.append(one)
            if wish.read is not None or wish.text:
                break
    why = "not retained any more, or never sent" if wish.read is None else "not retained any more"
    return found, "" if found else why


async def letters(settings: Settings, wish: Wish, sources: Collection[str]) -> list[tuple[Kept | None, str, Refused]]:
    """The dead letters that are wished for, of any of these sources: what they cover, their ids, why; oldest first."""
    found: list[tuple[int, str, Kept | None, Refused]] = []
    needle = _needle(wish)
    async with aclosing(read_letters(settings.kafka)) as pieces:
        async for some in pieces:
            for one in some:
                if one.record_id.partition(":")[0] not in sources:
                    continue
                kept = None if one.is_cut else kept_in(one.record_id, one.value)
                if _is_wished(one.record_id, kept, one.value, wish, needle):
                    how = one.settlement.how.value if one.settlement else ""
                    why = Refused(one.reason, one.error, one.field, one.partition, one.offset, how)
                    found.append((one.time, one.record_id, kept, why))
    return [(kept, name, why) for _, name, kept, why in sorted(found, key=lambda one: one[:2])]


async def _copies(settings: Settings, wish: Wish) -> AsyncGenerator[tuple[Kept, Sent], None]:
    """All records that are wished for, topic by topic, in their order.

    Where a source's records go now there may be none: then also what the indexers have not finished of where they went
    before the topic got more partitions.
    """
    key = wish.source.encode()
    needle = _needle(wish)
    once: list[TopicPartition] = []
    found = False
    for topic in await kafka.record_topics(settings):
        now, *before = kafka.partitions_ever(key, len(await partitions_of(settings.kafka, topic)))
        once += [TopicPartition(topic, number) for number in before]
        async with aclosing(_of_key(settings, TopicPartition(topic, now), wish, needle)) as some:
            async for one in some:
                found = True
                yield one
    if once and not found and wish.read is None:  # else it is stored, and waits nowhere
        ends = await topics.ends(settings)
        rest = await topics.left(settings, {partition: ends[partition] for partition in once})
        for partition, count in rest.items():
            async with aclosing(_of_key(settings, partition, wish, needle, ends[partition] - count)) as some:
                async for one in some:
                    yield one


async def _of_key(
    settings: Settings, partition: TopicPartition, wish: Wish, needle: str, first: int = 0
) -> AsyncGenerator[tuple[Kept, Sent], None]:
    key = wish.source.encode()
    async with aclosing(_records(settings, partition, wish.read, first)) as pieces:
        async for record in pieces:
            if record.key == key and (kept := _wished(record, wish, needle)) is not None:
                place = (partition.topic, partition.partition, record.offset)
                yield kept[0], Sent(*place, _iso(record.timestamp), kept[1])


def _wished(record: Any, wish: Wish, needle: str) -> tuple[Kept, bool] | None:  # noqa: ANN401 - aiokafka's
    header = next((parse_header(value or b"") for name, value in record.headers if name == HEADER), None)
    if header is None or record.value is None:
        return None
    kept = kept_in(header.record_id, record.value)
    if kept is None or not _is_wished(header.record_id, kept, record.value, wish, needle):
        return None
    return kept, header.may_repeat


def _is_wished(record_id: str, kept: Kept | None, value: bytes, wish: Wish, needle: str) -> bool:
    if wish.record_id:
        return record_id == wish.record_id
    if wish.offset is not None:
        if kept is None:  # it was cut: only where it begins is known
            return record_id.split(":")[1:2] == [f"{wish.offset:016d}"]
        return kept.offset - kept.skipped <= wish.offset < kept.offset + kept.bytes
    return bool(needle) and needle in value.decode("utf-8", "replace").casefold()


def _needle(wish: Wish) -> str:
    """The text as JSON has it, without case as the index."""
    return json.dumps(wish.text, ensure_ascii=False)[1:-1].casefold()


async def _records(
    settings: Settings, partition: TopicPartition, read: int | None, least: int
) -> AsyncGenerator[Any, None]:
    """The records of a partition from an offset on that are there now, or of those the ones sent soon after a time."""
    consumer = consumer_of(settings)
    await consumer.start()
    try:
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        first = (await consumer.beginning_offsets([partition]))[partition]
        if read is not None:
            found = (await consumer.offsets_for_times({partition: max(0, read - _EARLY_MS)}))[partition]
            first = end if found is None else found.offset
        consumer.seek(partition, max(first, min(least, end)))
        while await consumer.position(partition) < end:
            polled = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_AT_ONCE)
            for record in polled.get(partition, ()):
                if record.offset >= end or (read is not None and record.timestamp > read + _LATE_MS):
                    return
                yield record
    finally:
        await kafka.stop(consumer)


def _of(host: str, path: str) -> dict[str, Any]:
    return {"bool": {"filter": [{"term": {"host.name": host}}, {"term": {"log.file.path": path}}]}}


def _found(hits: list[dict[str, Any]]) -> list[Found]:
    found = []
    for hit in hits:
        said = hit["_source"]
        numbers = [lookup(said, name) for name in ("log.offset", "tailrace.bytes", "tailrace.skipped")]
        source = lookup(said, "tailrace.source")
        if source is None or not all(isinstance(number, int) for number in numbers):
            continue  # a stranger's
        parts = (lookup(said, f"data_stream.{name}") for name in ("type", "dataset", "namespace"))
        document = Document("-".join(map(str, parts)), hit["_index"], hit["_id"], str(lookup(said, "message") or ""))
        found.append(Found(Kept(hit["_id"], *numbers), str(source), document, _ms(lookup(said, "event.created"))))
    return found


def _ms(time: object) -> int | None:
    try:
        return int(datetime.datetime.fromisoformat(str(time)).timestamp() * 1000)
    except ValueError:
        return None


def _iso(milliseconds: int) -> str:
    moment = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
