"""Elasticsearch to the documents of many sources: their sums, their chains, and what retention has taken."""

import contextlib
import re
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import elasticsearch
from elasticsearch import AsyncElasticsearch

from tailrace.audit.chain import Double, Kept
from tailrace.audit.verdict import Sums
from tailrace.errors import ReachElasticsearch
from tailrace.pages import pages
from tailrace.words import listed

Covered = tuple[int, int, int]
"""What a record covers: its offset, its bytes, and those before it that gave no record."""

CHUNK = 500
"""So many sources are asked for in one request."""
_PAGE = 1000
_MOST_COPIES = 1000
_FIELDS = ("tailrace.source", "log.offset", "tailrace.bytes", "tailrace.skipped")
_MOST_INDICES = 10_000
_UNSEEN = "The user may not refresh the indices: what was stored last may not be seen yet."
_CLOSED_NOTE = "Closed: {}. What is in there is not seen: open it (POST /INDEX/_open), or delete it."
_CLOSED = "index.verified_before_close"
"""A setting that only closed indices have."""
_MOST_NAMES = 3000
"""Names in an address may be so long together; else we look wherever the indexers may write."""
_BACKING = re.compile(r"^\.ds-(.+)-\d{4}\.\d{2}\.\d{2}-\d{6,}$")
_NUMBER = re.compile(r"-(\d{6,})$")
_BY_OFFSET = ({"log.offset": {"order": "asc", "unmapped_type": "long"}},)


class Stored:
    """The documents of data streams whose names match ``patterns``, as they are when ``begin`` is called."""

    def __init__(self, client: AsyncElasticsearch, patterns: Sequence[str]) -> None:
        self._client = client
        self.index = ",".join(patterns)
        self.closed: dict[str, str] = {}
        """The closed indices among them, each with its data stream: no search sees what is in them."""
        self._seen = True
        self._oldest: dict[str, int | None] = {}

    async def begin(self, streams: Iterable[str], hosts: Iterable[str]) -> None:
        """Look from now on only where something of these hosts is stored, or should be: in ``streams``.

        Streams that are others' may be many, and some may not answer.
        """
        await self.refresh()  # all that we may: a filter's stream is known by what a search sees in it
        await self._narrow(streams, hosts)
        self.closed = await self._closed()
        self._seen = await self.refresh()

    async def _narrow(self, streams: Iterable[str], hosts: Iterable[str]) -> None:
        some = list(dict.fromkeys(hosts))
        ours: dict[str, Any] = {"exists": {"field": "tailrace.source"}}
        if len(some) <= CHUNK:
            ours = {"bool": {"filter": [ours, {"terms": {"host.name": some}}]}}
        answer = await self._client.search(
            index=self.index,
            ignore_unavailable=True,
            allow_no_indices=True,
            size=0,
            track_total_hits=False,
            query=ours,
            aggregations={"indices": {"terms": {"field": "_index", "size": _MOST_INDICES}}},
        )
        buckets = answer.get("aggregations", {}).get("indices", {}).get("buckets", [])
        found = {_BACKING.sub(r"\1", bucket["key"]) for bucket in buckets}
        names = ",".join(sorted({*filter(None, streams), *found}))
        if names and len(names) <= _MOST_NAMES:
            self.index = names

    @property
    def notes(self) -> list[str]:
        """What the reader of anything that was looked up must know besides."""
        notes = [] if self._seen else [_UNSEEN]
        return [*notes, _CLOSED_NOTE.format(listed(sorted(self.closed)))] if self.closed else notes

    def may_hide(self, streams: Iterable[str]) -> bool:
        """Whether one of these data streams has a closed index."""
        return not set(self.closed.values()).isdisjoint(streams)

    async def _closed(self) -> dict[str, str]:
        with contextlib.suppress(elasticsearch.AuthorizationException, elasticsearch.NotFoundError):
            said = await self._client.indices.get_settings(
                index=self.index, name=_CLOSED, ignore_unavailable=True, allow_no_indices=True, expand_wildcards="all"
            )
            if names := list(said.body):
                found = await self._client.indices.resolve_index(name=names, expand_wildcards="all")
                return {one["name"]: one.get("data_stream", "") for one in found["indices"]}
        return {}

    async def refresh(self) -> bool:
        """Let searches see all that is stored; False if we may not, and the last seconds may be missing."""
        try:
            await self._client.indices.refresh(index=self.index, ignore_unavailable=True, allow_no_indices=True)
        except elasticsearch.AuthorizationException:
            return False
        return True

    async def sums(self, sources: Iterable[str]) -> dict[str, Sums]:
        """What is stored of each source, added up; at most ``CHUNK``."""
        return await self._sums(_of(sources))

    async def sums_before(self, positions: Mapping[str, int]) -> dict[str, Sums]:
        """The same of documents before a position in each source; dearer."""
        return await self._sums(_before(positions))

    async def _sums(self, query: dict[str, Any]) -> dict[str, Sums]:
        found: dict[str, list[tuple[float, float, Sums]]] = {}
        after: dict[str, Any] | None = None
        while True:
            answer = await self._client.search(
                index=self.index,
                ignore_unavailable=True,
                allow_no_indices=True,
                size=0,
                track_total_hits=False,
                query=query,
                aggregations={"chains": _chains(after)},
            )
            _whole(answer.body, self.index)
            chains = answer["aggregations"]["chains"] if "aggregations" in answer else {"buckets": []}
            for bucket in chains["buckets"]:
                sums = Sums(bucket["doc_count"], int(bucket["bytes"]["value"]), int(bucket["skipped"]["value"]))
                here = found.setdefault(bucket["key"]["source"], [])
                here.append((bucket["first"]["value"], bucket["last"]["value"], sums))
            after = chains.get("after_key")
            if after is None or len(chains["buckets"]) < _PAGE:
                return {source: _together(parts) for source, parts in found.items()}

    async def scan(self, sources: Iterable[str]) -> AsyncGenerator[dict[str, list[Covered]], None]:
        """All documents of these sources, at most ``CHUNK``, in pages as they lie in the indices: the quickest order.

        Close the generator if you leave it early.
        """
        query = _of(sources)
        async with aclosing(pages(self._client, self.index, _FIELDS, query=query, bare=True)) as found:
            async for hits in found:
                page: dict[str, list[Covered]] = {}
                for hit in hits:
                    fields = hit["fields"]
                    covered = fields["log.offset"][0], fields["tailrace.bytes"][0], fields["tailrace.skipped"][0]
                    page.setdefault(fields["tailrace.source"][0], []).append(covered)
                yield page

    async def chain(self, source: str, start: int, end: int | None) -> AsyncGenerator[list[Kept], None]:
        """The documents of a source whose offsets are from ``start`` to before ``end`` (None: all), by these, in pages.

        Each page costs as much as the whole stretch: ask for a short one. Close the generator if you leave it early.
        """
        span = {"gte": start} if end is None else {"gte": start, "lt": end}
        query = _lines({"term": {"tailrace.source": source}}, {"range": {"log.offset": span}})
        async with aclosing(pages(self._client, self.index, _FIELDS, sort=_BY_OFFSET, query=query)) as found:
            async for hits in found:
                yield [Kept(hit["_id"], *(hit["fields"][name][0] for name in _FIELDS[1:])) for hit in hits]

    async def copies(self, doubles: Sequence[Double]) -> dict[str, list[str]]:
        """In which indices the documents of some doubles are, by their ids."""
        ids = list({name: None for one in doubles for name in one.records})[:_MOST_COPIES]
        found: dict[str, list[str]] = {}
        for start in range(0, len(ids), CHUNK):
            answer = await self._client.search(
                index=self.index,
                ignore_unavailable=True,
                query={"ids": {"values": ids[start : start + CHUNK]}},
                source=False,
                size=10_000,
            )
            for hit in answer["hits"]["hits"]:
                found.setdefault(hit["_id"], []).append(hit["_index"])
        return found

    async def oldest(self, stream: str) -> int | None:
        """When the oldest index of a data stream was made (ms), if there were older ones; None if all are there."""
        if stream not in self._oldest:
            self._oldest[stream] = await self._look_for_oldest(stream)
        return self._oldest[stream]

    async def _look_for_oldest(self, stream: str) -> int | None:
        if not stream:
            return None
        with contextlib.suppress(elasticsearch.NotFoundError):
            resolved = await self._client.indices.resolve_index(name=stream, expand_wildcards="all")
            names = [name for one in resolved["data_streams"] for name in one["backing_indices"]]
            numbered = sorted((int(number[1]), name) for name in names if (number := _NUMBER.search(name)))
            if numbered and numbered[0][0] > 1:
                name = numbered[0][1]
                answer = await self._client.indices.get_settings(index=name, name="index.creation_date")
                return int(answer[name]["settings"]["index"]["creation_date"])
        return None


def _lines(*filters: Mapping[str, Any]) -> dict[str, Any]:
    """Documents for which all of this holds, and that say which bytes of a file they are; a stranger's need not."""
    return {"bool": {"filter": [*filters, *({"exists": {"field": name}} for name in _FIELDS[1:])]}}


def _of(sources: Iterable[str]) -> dict[str, Any]:
    return _lines({"terms": {"tailrace.source": list(sources)}})


def _before(positions: Mapping[str, int]) -> dict[str, Any]:
    either = [
        {"bool": {"filter": [{"term": {"tailrace.source": source}}, {"range": {"log.offset": {"lt": position}}}]}}
        for source, position in positions.items()
    ]
    return _lines({"bool": {"should": either, "minimum_should_match": 1}})


def _chains(after: Mapping[str, Any] | None) -> dict[str, Any]:
    names = [{"source": {"terms": {"field": "tailrace.source"}}}, {"index": {"terms": {"field": "_index"}}}]
    composite: dict[str, Any] = {"size": _PAGE, "sources": names}
    if after is not None:
        composite["after"] = dict(after)
    sums = {name: {"sum": {"field": f"tailrace.{name}"}} for name in ("bytes", "skipped")}
    ends = {"first": {"min": {"field": "log.offset"}}, "last": {"max": {"field": "log.offset"}}}
    return {"composite": composite, "aggregations": sums | ends}


def _together(parts: list[tuple[float, float, Sums]]) -> Sums:
    """The sums of all backing indices, and whether the offsets in any two of them are mixed."""
    parts.sort(key=lambda part: part[:2])
    total = Sums()
    for first, end, sums in parts:
        total.records += sums.records
        total.bytes += sums.bytes
        total.skipped += sums.skipped
        total.mixed = total.mixed or first <= total.last
        total.last = max(total.last, end)
    return total


def _whole(body: Mapping[str, Any], index: str) -> None:
    if body["timed_out"] or body["_shards"]["failed"]:
        raise ReachElasticsearch(f"Elasticsearch gave only a part of {index}; see its log, and ask again.")
