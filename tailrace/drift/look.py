"""Elasticsearch to what is known of its data streams: their indices, their next index, their latest documents."""

import contextlib
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, NamedTuple

import elasticsearch
from elasticsearch import AsyncElasticsearch

from tailrace.drift.findings import Facts
from tailrace.drift.kinds import Kinds
from tailrace.drift.mapping import Fields, fields

_JSON = {"accept": "application/json", "content-type": "application/json"}
_LIMIT = "index.mapping.total_fields.limit"
_NUMBER = re.compile(r"-(\d{6,})$")
_MOST_IGNORED = 1000


class Budget(NamedTuple):
    """How many fields the newest index of a data stream has, and how many it may have."""

    stream: str
    fields: int
    limit: int

    @property
    def share(self) -> float:
        """How much of it is used; 1 is all."""
        return self.fields / self.limit if self.limit else 0.0


async def facts(client: AsyncElasticsearch, patterns: Sequence[str], sample: int) -> AsyncGenerator[Facts, None]:
    """What is known of each data stream whose name matches, with its latest ``sample`` documents."""
    for stream, indices in sorted((await _streams(client, patterns)).items()):
        with contextlib.suppress(elasticsearch.NotFoundError):  # deleted since
            yield await _facts(client, stream, indices, sample)


async def budgets(client: AsyncElasticsearch, patterns: Sequence[str]) -> list[Budget]:
    """How near each data stream is to its limit; one small request for each."""
    found = []
    for stream, indices in (await _streams(client, patterns)).items():
        with contextlib.suppress(elasticsearch.NotFoundError):
            newest = indices[-1]
            mapping = (await client.indices.get_mapping(index=newest))[newest]["mappings"]
            found.append(Budget(stream, fields(mapping).count, await _limit(client, newest)))
    return found


async def _streams(client: AsyncElasticsearch, patterns: Sequence[str]) -> dict[str, list[str]]:
    """The backing indices of each data stream, the oldest first."""
    try:
        found = await client.indices.resolve_index(
            name=list(patterns), expand_wildcards=["open", "hidden"], ignore_unavailable=True
        )
    except elasticsearch.NotFoundError:
        return {}
    return {one["name"]: sorted(one["backing_indices"], key=_number) for one in found["data_streams"]}


async def _facts(client: AsyncElasticsearch, stream: str, indices: Sequence[str], sample: int) -> Facts:
    mappings = await client.indices.get_mapping(index=stream)
    there = {name: fields(mappings[name]["mappings"]) for name in indices if name in mappings}
    newest = list(there)[-1]
    coming = await _next(client, stream)
    kinds = Kinds((there[newest] if coming is None else coming).flat)
    seen: dict[str, int] = {}
    for hit in await _latest(client, stream, sample):
        kinds.add(hit.get("_source") or {})
        for name in hit.get("_ignored") or ():
            seen[name] = seen.get(name, 0) + 1
    ignored = await _ignored(client, newest)
    return Facts(stream, there, await _limit(client, newest), coming, kinds, seen if ignored is None else ignored)


async def _next(client: AsyncElasticsearch, stream: str) -> Fields | None:
    """The fields that the templates give the next index; None if we may not know."""
    path = f"/_index_template/_simulate_index/{stream}"
    try:
        answer = await client.perform_request("POST", path, headers=_JSON)
    except (elasticsearch.AuthorizationException, elasticsearch.BadRequestError):
        return None
    template: Mapping[str, Any] = answer.body.get("template") or {}
    return fields(template.get("mappings") or {})


async def _latest(client: AsyncElasticsearch, stream: str, sample: int) -> list[dict[str, Any]]:
    newest_first = [{"@timestamp": {"order": "desc", "unmapped_type": "date"}}]
    answer = await client.search(
        index=stream, size=sample, sort=newest_first, track_total_hits=False, ignore_unavailable=True
    )
    hits: list[dict[str, Any]] = answer["hits"]["hits"]
    return hits


async def _ignored(client: AsyncElasticsearch, index: str) -> dict[str, int] | None:
    """How many documents of an index have each field that was not indexed; None before Elasticsearch 8.15."""
    names = {"names": {"terms": {"field": "_ignored", "size": _MOST_IGNORED}}}
    try:
        answer = await client.search(index=index, size=0, track_total_hits=False, aggregations=names)
    except elasticsearch.BadRequestError:
        return None
    return {bucket["key"]: bucket["doc_count"] for bucket in answer["aggregations"]["names"]["buckets"]}


async def _limit(client: AsyncElasticsearch, index: str) -> int:
    answer = await client.indices.get_settings(index=index, name=_LIMIT, flat_settings=True, include_defaults=True)
    told = answer[index]
    return int({**told.get("defaults", {}), **told.get("settings", {})}.get(_LIMIT, 1000))


def _number(index: str) -> tuple[int, str]:
    found = _NUMBER.search(index)
    return (int(found[1]) if found else 0, index)
