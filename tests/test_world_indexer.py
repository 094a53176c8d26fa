"""The core of the indexer against a model: crashes, losses, rollovers, and yet every record is stored exactly once."""

import random
from collections.abc import Callable, Sequence

import fakes
import pytest
from fakes import FakeElasticsearch, FakePolled
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from indexer import bulk
from indexer.documents import Polled, Translator
from indexer.load import Load
from indexer.ownership import Commit, Owned, decode_metadata, encode_metadata
from indexer.slices import Waiting
from tailrace.record import header_prefix, record_id

STREAM = "logs-app-default"
PARTITIONS = 2
_SIZES = (1, 200, 2000)
"""Of requests, in bytes: as the pace may change between any two."""
_FAULTS = ("none", "none", "none", "none", "lost", "broken", "unsent", "full", "odd", "large", "nonsense")


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
        self.reach = 4
        self.most_bytes = 2000

    @initialize(form=st.sampled_from([fakes.as_objects, fakes.as_rows]))
    def begin(self, form: Callable[[Sequence[FakePolled]], Sequence[Polled]]) -> None:
        self.form = form
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

    @rule(
        partition=st.integers(0, PARTITIONS - 1),
        written=st.integers(0, 4),
        bad=st.booleans(),
        polled=st.integers(1, 6),
        committed=st.booleans(),
    )
    def advance(self, partition: int, written: int, bad: bool, polled: int, committed: bool) -> None:
        """The usual order of things: write, poll, commit, take; nothing can be taken without a commit before."""
        for _ in range(written):
            name = record_id("s", len(self.ids), 1)
            self.ids.append(name)
            if bad:
                self.bad.add(name)
            self._append(partition, name, may_repeat=False)
        self._poll(partition, polled)
        if committed:
            self.commit(partition, stored=True, heard=True)
        self._take()

    @rule(number=st.integers(0, 50))
    def write_again(self, number: int) -> None:
        """The shipper repeats a record, which it flags, in the partition of its source."""
        if self.ids:
            name = self.ids[number % len(self.ids)]
            partition = next(place for place, log in enumerate(self.log) if any(_id(one) == name for one in log))
            self._append(partition, name, may_repeat=True)

    def _append(self, partition: int, name: str, *, may_repeat: bool) -> None:
        value = b'{"bad":true}' if name in self.bad else b'{"bad":false}'
        header = (header_prefix(STREAM, may_repeat=may_repeat) + name).encode()
        log = self.log[partition]
        log.append(FakePolled(value, (("t", header),), offset=len(log)))

    def _poll(self, partition: int, count: int) -> None:
        owned = self.owned[partition]
        records = self.log[partition][owned.expected : owned.expected + count]
        if records:
            owned.expected += len(records)
            self.waiting.add(owned, self.form(records), owned.expected)

    def _take(self) -> None:
        parts = self.waiting.take() if len(self.flying) < 3 else []
        if parts:
            self.flying.append(Load(parts, self.translator))

    @rule(
        steps=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(_FAULTS), st.booleans()), min_size=1, max_size=4),
        size=st.sampled_from(_SIZES),
    )
    def step(self, steps: list[tuple[int, str, bool]], size: int = 2000) -> None:
        """Some requests, and what may become of them."""
        self.most_bytes = size
        for number, fault, rolled in steps:
            if self.flying:
                self._step(self.flying[number % len(self.flying)], fault)
            if rolled:
                self.elastic.rollover(STREAM)
            self._take()

    def _step(self, load: Load, fault: str) -> None:
        if load.refusals:
            if fault == "none":
                self.dead |= {refusal.record_id for refusal in load.refusals}
                load.buried()
        elif load.waits:
            assert load is not self.flying[0]
        elif asked := load.to_look_up(self.most_bytes):
            if fault == "none":
                load.looked_up(self.elastic.look_up(asked))
        elif load.left:
            body, count = load.body(self.most_bytes)
            load.answered(bulk.read(*self._answer(body, count, fault), count, broken=fault == "broken"), count)
        self._end(load)

    def _answer(self, body: bytes, count: int, fault: str) -> tuple[int, bytes]:
        if fault == "unsent":
            return 0, b""
        if fault == "large" and count > 1:
            return 413, b""
        full = frozenset(range(0, count, 2)) if fault in ("full", "odd") else frozenset[int]()
        status, answer = self.elastic.bulk(body, full=full)
        if fault == "odd":  # the same ones, for a reason that nobody knows
            answer = answer.replace(b'"status":429', b'"status":400')
        if fault in ("lost", "broken"):
            return 0, b""
        return status, answer[: len(answer) // 2] if fault == "nonsense" else answer

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
        commit = owned.next_commit(self.reach)
        if commit is not None and stored:
            self._store(partition, commit)
            if heard:
                owned.stored(commit)

    def _store(self, partition: int, commit: Commit) -> None:
        self.commits[partition] = (commit.offset, encode_metadata(commit))

    @rule(
        how=st.sampled_from(["crash", "crash", "crash in flight", "leave", "reset"]),
        rolled=st.booleans(),
        reach=st.integers(1, 6),
    )
    def end(self, how: str, rolled: bool, reach: int) -> None:
        """The owner ends, and another begins, maybe after a rollover, maybe with another setting."""
        if how.startswith("crash"):
            self._crash(sent=how != "crash")
        else:
            self._leave()
        if how == "reset":  # by a tool that knows nothing of our metadata
            self.commits = [commit and (max(0, commit[0] - 3), "") for commit in self.commits]
        if rolled:
            self.elastic.rollover(STREAM)
        self.reach = reach
        self.adopt()

    def _crash(self, *, sent: bool) -> None:
        """All that was in memory is gone; requests that were on their way may still be carried out."""
        for load in self.flying:
            if sent and load.left and not load.refusals and not load.to_look_up(self.most_bytes):
                self.elastic.bulk(load.body(self.most_bytes)[0])

    def _leave(self) -> None:
        """A farewell; what is in flight when our patience ends is the next owner's."""
        for number, owned in enumerate(self.owned):
            owned.leaving = True
            self.waiting.drop(owned)
            commit = owned.last_commit(self.reach)
            if commit is not None:
                self._store(number, commit)
        self._crash(sent=True)

    @invariant()
    def nothing_is_stored_twice(self) -> None:
        copies = self.elastic.copies(STREAM)
        assert len(copies) == len(set(copies))

    def teardown(self) -> None:
        """In the end, with no more faults, every record is stored or dead, and all is committed."""
        for _ in range(1000):
            for number in range(PARTITIONS):
                self._poll(number, 6)
                self.commit(number, stored=True, heard=True)
            self._take()
            for load in list(self.flying):
                while load in self.flying:  # the first never waits, and the others follow it
                    self._step(load, "none")
            if all(commit and commit[0] == len(log) for commit, log in zip(self.commits, self.log, strict=True)):
                break
        copies = self.elastic.copies(STREAM)
        assert len(copies) == len(set(copies))
        assert set(copies) | self.dead == set(self.ids)
        assert self.dead == self.bad


def _id(record: FakePolled) -> str:
    return str(record.headers[0][1].rpartition(b"|")[2].decode())


IndexerWorld.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestIndexerWorld = pytest.mark.world(IndexerWorld.TestCase)


@pytest.mark.world
@pytest.mark.parametrize("seed", range(150))
def test_a_long_busy_life(seed: int) -> None:
    """The same world, its steps drawn as often as they happen: the machine above shrinks, this one goes far."""
    dice = random.Random(seed)
    world = IndexerWorld()
    world.begin(fakes.as_rows if seed % 2 else fakes.as_objects)
    for _ in range(120):
        draw = dice.random()
        partition = dice.randrange(PARTITIONS)
        if draw < 0.4:
            committed = dice.random() < 0.7
            world.advance(partition, dice.randrange(4), dice.random() < 0.1, dice.randint(1, 6), committed)
        elif draw < 0.75:
            world.step([(dice.randrange(3), dice.choice(_FAULTS), dice.random() < 0.1)], dice.choice(_SIZES))
        elif draw < 0.85:
            world.commit(partition, dice.random() < 0.8, dice.random() < 0.8)
        elif draw < 0.92:
            world.write_again(dice.randrange(50))
        else:
            how = dice.choice(("crash", "crash", "crash in flight", "leave", "reset"))
            world.end(how, dice.random() < 0.5, dice.randint(1, 6))
        world.nothing_is_stored_twice()
    world.teardown()
