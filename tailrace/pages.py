"""Elasticsearch: all documents of a data stream, page by page."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from elasticsearch import AsyncElasticsearch

from tailrace.errors import ReachElasticsearch

_PAGE = 10_000
_KEEP_ALIVE = "2m"
_BARE = ["pit_id", "timed_out", "_shards.failed", "hits.hits.fields", "hits.hits.sort"]


async def pages(
    client: AsyncElasticsearch,
    stream: str,
    fields: Sequence[str],
    *,
    sort: str | Sequence[Mapping[str, Any]] = "_shard_doc",
    query: dict[str, Any] | None = None,
    bare: bool = False,
) -> AsyncGenerator[list[dict[str, Any]], None]:
    """The hits, with the values of those fields as the index holds them, of all backing indices at one point in time.

    With ``bare`` they have nothing else: ids are dear. Nothing if there is no such stream. Close the iterator if you
    leave it early (``contextlib.aclosing``).

    Raises:
        ReachElasticsearch: it gave only a part of them.
    """
    opened = await client.open_point_in_time(index=stream, keep_alive=_KEEP_ALIVE, ignore_unavailable=True)
    point: str = opened["id"]
    after: list[Any] | None = None
    try:
        while True:
            answer = await client.search(
                size=_PAGE,
                track_total_hits=False,
                pit={"id": point, "keep_alive": _KEEP_ALIVE},
                query=query,
                sort=[sort] if isinstance(sort, str) else [*sort],
                source=False,
                stored_fields="_none_" if bare else None,
                filter_path=_BARE if bare else None,
                docvalue_fields=[{"field": name} for name in fields],
                search_after=after,
            )
            if answer["timed_out"] or answer["_shards"]["failed"]:
                raise ReachElasticsearch(f"Elasticsearch gave only a part of {stream}; see its log, and ask again.")
            hits: list[dict[str, Any]] = answer.get("hits", {}).get("hits", [])
            yield hits
            if len(hits) < _PAGE:
                return
            point, after = answer["pit_id"], hits[-1]["sort"]
    finally:
        await client.close_point_in_time(id=point)
