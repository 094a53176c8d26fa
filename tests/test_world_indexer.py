"""The core of the indexer against a model: crashes, losses, rollovers, and yet every record is stored exactly once."""

from typing import Any

import pytest
from fakes import FakeElasticsearch, FakePolled
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from indexer import bulk
from indexer.documents import Translator
from indexer.load import Load
from indexer.ownership import Commit, Owned, decode_metadata, encode_metadata
from indexer.slices import Waiting
from tailrace.record import header_prefix, record_id

STREAM = "logs-app-default"
REACH = 4
PARTITIONS = 2


class IndexerWorld(RuleBasedStateMachine):
    """One owner at a time polls, sends, commits, crashes and leaves, while Kafka and Elasticsearch outlive it."""

    def __init__(self) -> None:
        super().__init__()
        self.elastic = FakeElasticsearch()
        self.log: list[list[FakePolled]] = [[] for _ in range(PARTITIONS)]
        self.commits: list[tuple[int, str] | None] = [None] * PARTITIONS
        self.ids: list[str] = []
        self.bad: set[str] = set()
        self.dead: set[str] = set()

    @initialize()
    def begin(self) -> None:
        self.adopt()

    def adopt(self) -> None:
        """A new owner begins where the last commit says."""
        self.waiting = Waiting(2000, 3)
        self.translator = Translator(["logs-*-*"], {})
        self.flying: list[Load] = []
        self.owned = []
        for number, commit in enumerate(self.commits):
            offset, metadata = commit or (0, '{"reach":0}')
            reach = decode_metadata(metadata)
            self.owned.append(Owned("t", number, offset, len(self.log[number]) if reach is None else reach))

    @rule(partition=st.integers(0, PARTITIONS - 1), count=st.integers(1, 5), bad=st.booleans())
    def write(self, partition: int, count: int, bad: bool) -> None:
        for _ in range(count):
            name = record_id("s", len(self.ids), 1)
            self.ids.append(name)
            if bad:
                self.bad.add(name)
            self._append(partition, name, may_repeat=False)

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def write_again(self, data: Any) -> None:
        """The shipper repeats a record, which it flags, in the partition of its source."""
        name = data.draw(st.sampled_from(self.ids))
        partition = next(number for number, log in enumerate(self.log) if any(name.encode() in r[1][0][1] for r in log))
        self._append(partition, name, may_repeat=True)

    def _append(self, partition: int, name: str, *, may_repeat: bool) -> None:
        value = b'{"bad":true}' if name in self.bad else b'{"bad":false}'
        header = (header_prefix(STREAM, may_repeat=may_repeat) + name).encode()
        log = self.log[partition]
        log.append(FakePolled(value, (("t", header),), offset=len(log), partition=partition))

    @rule(partition=st.integers(0, PARTITIONS - 1), count=st.integers(1, 6))
    def poll(self, partition: int, count: int) -> None:
        owned = self.owned[partition]
        records = self.log[partition][owned.expected : owned.expected + count]
        if records:
            owned.expected += len(records)
            self.waiting.add(owned, records, owned.expected)

    @precondition(lambda self: len(self.flying) < 3)
    @rule()
    def take(self) -> None:
        parts = self.waiting.take()
        if parts:
            self.flying.append(Load(parts, self.translator))

    @precondition(lambda self: self.flying)
    @rule(
        data=st.data(), fault=st.sampled_from(["none", "none", "none", "lost", "unsent", "full", "large", "nonsense"])
    )
    def step(self, data: Any, fault: str) -> None:
        """One request of one load, and what may become of it."""
        load = data.draw(st.sampled_from(self.flying))
        if load.refusals:
            self.dead |= {refusal.record_id for refusal in load.refusals}
            load.buried()
        elif asked := load.to_look_up():
            if fault == "none":
                load.looked_up(self.elastic.look_up(asked))
        elif load.left:
            body, count = load.body()
            status, answer = 0, b""
            if fault == "large":
                status = 413
            elif fault != "unsent":
                full = frozenset(range(0, count, 2)) if fault == "full" else frozenset[int]()
                status, answer = self.elastic.bulk(body, full=full)
            if fault == "lost":
                status, answer = 0, b""
            elif fault == "nonsense":
                answer = answer[: len(answer) // 2]
            if fault != "large" or count > 1:
                load.answered(bulk.read(status, answer, count), count)
        self._end(load)

    def _end(self, load: Load) -> None:
        if load.left or load.refusals:
            return
        assert load.tally.finished == load.polled
        self.flying.remove(load)
        for part in load.parts:
            part.owned.watermark.finish(part.span)

    @rule(partition=st.integers(0, PARTITIONS - 1), stored=st.booleans(), heard=st.booleans())
    def commit(self, partition: int, stored: bool, heard: bool) -> None:
        """A commit may fail, and may be stored without our hearing of it."""
        owned = self.owned[partition]
        commit = owned.next_commit(REACH)
        if commit is not None and stored:
            self._store(partition, commit)
            if heard:
                owned.stored(commit)

    def _store(self, partition: int, commit: Commit) -> None:
        self.commits[partition] = (commit.offset, encode_metadata(commit))

    @rule()
    def roll_over(self) -> None:
        self.elastic.rollover(STREAM)

    @rule(sent=st.booleans())
    def crash(self, sent: bool) -> None:
        """All that was in memory is gone; requests that were on their way may still be carried out."""
        for load in self.flying:
            if sent and load.left and not load.refusals and not load.to_look_up():
                self.elastic.bulk(load.body()[0])
        self.adopt()

    @rule()
    def leave(self) -> None:
        """A clean farewell: what is not finished is the next owner's."""
        for number, owned in enumerate(self.owned):
            owned.leaving = True
            self.waiting.drop(owned)
            commit = owned.last_commit(REACH)
            if commit is not None:
                self._store(number, commit)
        self.adopt()

    @rule(partition=st.integers(0, PARTITIONS - 1), back=st.integers(0, 5))
    def reset(self, partition: int, back: int) -> None:
        """An operator sets the group back with a tool that knows nothing of our metadata, while nobody reads."""
        self.leave()
        commit = self.commits[partition]
        if commit is not None:
            self.commits[partition] = (max(0, commit[0] - back), "")
            self.adopt()

    @invariant()
    def nothing_is_stored_twice(self) -> None:
        copies = self.elastic.copies(STREAM)
        assert len(copies) == len(set(copies))

    def teardown(self) -> None:
        """In the end, with no more faults, every record is stored or dead, and all is committed."""
        for _ in range(1000):
            for number in range(PARTITIONS):
                self.poll(number, 6)
                self.commit(number, stored=True, heard=True)
            if parts := self.waiting.take():
                self.flying.append(Load(parts, self.translator))
            for load in list(self.flying):
                while load in self.flying:
                    self._finish(load)
            if all(commit and commit[0] == len(log) for commit, log in zip(self.commits, self.log, strict=True)):
                break
        copies = self.elastic.copies(STREAM)
        assert len(copies) == len(set(copies))
        assert set(copies) | self.dead == set(self.ids)
        assert self.dead == self.bad

    def _finish(self, load: Load) -> None:
        if load.refusals:
            self.dead |= {refusal.record_id for refusal in load.refusals}
            load.buried()
        elif asked := load.to_look_up():
            load.looked_up(self.elastic.look_up(asked))
        elif load.left:
            body, count = load.body()
            load.answered(bulk.read(*self.elastic.bulk(body), count), count)
        self._end(load)


IndexerWorld.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestIndexerWorld = pytest.mark.world(IndexerWorld.TestCase)
