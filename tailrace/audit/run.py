"""Ledger, dead letters and Elasticsearch to the verdict on every source."""

import asyncio
import datetime
import fnmatch
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing

from elasticsearch import AsyncElasticsearch

from tailrace.audit import topics
from tailrace.audit.chain import Cover, Double, Walk, joined
from tailrace.audit.entry import Entry
from tailrace.audit.stored import CHUNK, Stored
from tailrace.audit.verdict import Buried, Sums, Verdict, agree, by_chain, by_sums
from tailrace.settings import Settings

_LOOK_SECONDS = 0.3
_RECORDS = 5000
"""About so many records are asked for in the order of their offsets at once."""


class Audit:
    """One audit; ``counts`` tells how far it is, ``notes`` what its reader must know besides.

    First ``begin``, which reads what is in Kafka, then ``verdicts``.
    """

    def __init__(self, settings: Settings, client: AsyncElasticsearch, *, full: bool) -> None:
        self.counts = {"sources": 0, "done": 0, "records": 0, "unfinished": 0}
        self.notes: list[str] = []
        self.unfinished = 0
        """Records that the indexers had not finished when no longer waited for."""
        self._settings = settings
        # Sums prove nothing where one index may hold a record twice, which only our own ids rule out.
        self._full = full or settings.indexer.ids == "auto"
        self._stored = Stored(client, settings.indexer.allowed_streams)
        self._entries: list[Entry] = []
        self._dead: dict[str, list[Buried]] = {}
        self._goal: topics.Ends = {}
        self._rest: topics.Ends = {}

    async def begin(self, wanted: Callable[[Entry], bool], wait_seconds: float) -> int:
        """Read the ledger, and wait so long for the indexers to finish what it tells of; how many sources it has.

        Raises:
            RunSetup: a topic is missing.
            KafkaError: Kafka does not answer, or not to us.
        """
        entries = await topics.ledger(self._settings, wanted)
        self._entries = sorted(entries.values(), key=lambda one: (one.host, one.path, one.time, one.source))
        self.counts["sources"] = len(entries)
        if not entries:
            return 0
        replayed = await topics.replayed(self._settings, entries.keys())
        self._goal = await topics.ends(self._settings)
        until = time.monotonic() + wait_seconds
        while True:
            self._rest = await topics.left(self._settings, self._goal)
            self.unfinished = self.counts["unfinished"] = sum(self._rest.values())
            if not self._rest or time.monotonic() >= until:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        self._dead = await topics.buried(self._settings, entries.keys(), replayed, self._passes)
        return len(entries)

    async def verdicts(self) -> AsyncGenerator[Verdict, None]:
        """The verdict on each source, some hundreds of sources at a time.

        Raises:
            ReachElasticsearch: it gave only a part of what was asked for.
        """
        if not self._entries:
            return
        streams = {stream for one in self._entries for stream in (one.data_stream, *one.routes)}
        await self._stored.begin(streams, {one.host for one in self._entries})
        self.notes += self._stored.notes
        for start in range(0, len(self._entries), CHUNK):
            chunk = {one.source: one for one in self._entries[start : start + CHUNK]}
            summed = {} if self._full else await self._summed(chunk)
            for name, one in chunk.items():
                if name in summed:
                    self._count(summed[name].records)
                    yield by_sums(one, summed[name])
            rest = {name: one for name, one in chunk.items() if name not in summed}
            covers = await self._covers(rest) if rest else {}
            for name, one in rest.items():
                self._count(0)
                yield await self._judge(one, covers[name])

    def _passes(self, source: str) -> bool:
        return topics.waits(source, self._goal, self._rest)

    async def copies(self, verdict: Verdict) -> dict[str, list[str]]:
        """In which indices the documents are that a source has twice, by their ids."""
        return await self._stored.copies(verdict.doubled)

    async def _summed(self, chunk: Mapping[str, Entry]) -> dict[str, Sums]:
        """The sources that are proved by their sums: of all that is stored, or of what is before their positions."""
        sums = await self._stored.sums(chunk)
        # One that was read on since the ledger told of it: a line behind its position must not stand in for a lost one.
        grown = {name: chunk[name].position for name, one in sums.items() if one.last >= chunk[name].position}
        agreed = self._agreed([name for name in chunk if name not in grown], sums, chunk)
        if grown:
            agreed |= self._agreed(grown, await self._stored.sums_before(grown), chunk)
        return agreed

    def _agreed(self, names: Iterable[str], sums: Mapping[str, Sums], chunk: Mapping[str, Entry]) -> dict[str, Sums]:
        found = {name: sums.get(name, Sums()) for name in names}
        return {name: one for name, one in found.items() if agree(chunk[name], one, self._dead.get(name, ()))}

    async def _covers(self, chunk: Mapping[str, Entry]) -> dict[str, Cover]:
        """What the documents of each source cover, of those before its position."""
        covers = {name: Cover() for name in chunk}
        async with aclosing(self._stored.scan(chunk)) as pages:
            async for page in pages:
                for name, covered in page.items():
                    begin, position = chunk[name].begin, chunk[name].position
                    covers[name].take([one for one in covered if begin <= one[0] < position])
                    self.counts["records"] += len(covered)
        return covers

    async def _judge(self, entry: Entry, cover: Cover) -> Verdict:
        doubled = await self._doubles(entry, cover) if cover.conflicts else []
        whole = not cover.gaps(entry.begin, entry.chain_end)
        streams = () if whole else (entry.data_stream, *entry.routes)
        oldest = [one for one in [await self._stored.oldest(stream) for stream in streams] if one is not None]
        written = _milliseconds(entry.modified)
        ended = any(written is None or written <= one for one in oldest)
        waits = not whole and (self._stored.may_hide(streams) or self._passes(entry.source))
        expired = bool(oldest) and (cover.first is not None or ended)
        dead = self._dead.get(entry.source, ())
        letters = [one for one in dead if entry.begin <= one.kept.offset < entry.position]
        routed = ended and bool(entry.routes)
        return by_chain(entry, cover, doubled, letters, waits=waits, expired=expired, routed=routed)

    async def _doubles(self, entry: Entry, cover: Cover) -> list[Double]:
        """Which documents have the same bytes: the chain is walked where some are covered more than once."""
        doubles: dict[Double, None] = {}
        window = max(1, _RECORDS * cover.stored.bytes // max(1, cover.stored.records))
        for stretch in joined(cover.conflicts, cover.largest):
            walk = Walk(stretch.start)
            for start in range(stretch.start, stretch.end, window):
                end = min(start + window, stretch.end, entry.position)
                async with aclosing(self._stored.chain(entry.source, start, end)) as pages:
                    async for page in pages:
                        walk.take(page)
            doubles |= dict.fromkeys(walk.doubles)
        return list(doubles)

    def _count(self, records: int) -> None:
        self.counts["done"] += 1
        self.counts["records"] += records


def chosen(hosts: Iterable[str], paths: Iterable[str], since: datetime.datetime | None) -> Callable[[Entry], bool]:
    """Whether a source is of one of these hosts, at one of these paths (globs; none: all), and moved ``since``."""
    hosts, paths = tuple(hosts), tuple(paths)

    def wanted(entry: Entry) -> bool:
        if hosts and not any(fnmatch.fnmatchcase(entry.host, one) for one in hosts):
            return False
        if paths and not any(fnmatch.fnmatchcase(entry.path, one) for one in paths):
            return False
        told = _milliseconds(entry.time)
        return since is None or told is None or told >= since.timestamp() * 1000

    return wanted


def _milliseconds(time_text: str) -> float | None:
    """An RFC 3339 time in milliseconds since 1970; None if it is none."""
    try:
        return datetime.datetime.fromisoformat(time_text).timestamp() * 1000
    except ValueError:
        return None
