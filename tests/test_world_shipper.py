"""The shipper's core against a world that appends, cuts, truncates, crashes and refuses: no line lost, none twice.

The real Source, Encoder and identity run over a modelled file, registry and broker. Every line is written once in the
life of a world, so that what reaches the topic can be held against what was written.
"""

import os
import zlib
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shipper.identity import Place, begins_with, head_of, same
from shipper.records import Encoder
from shipper.registry_row import Row
from shipper.source import Source, Step, fresh_row
from tailrace.record import parse_header, record_id
from tailrace.settings import Input
from tailrace.watermark import Span

pytestmark = pytest.mark.world

ENTRY = Input(paths=["/x"], dataset="app", format="plain", timezone="UTC")
PLACE = Place(1, 1)
READ, MOST_LINE = 24, 40
BANNER = b"# started\n"
HEAD = 8
"""As many first bytes as this world compares: fewer than a banner has, so that truncated files may begin alike."""
LINE_ENDS = st.sampled_from([b"\n", b"\n", b"\r\n", b"", b"", b"", b"\n\n", b"\r", b"\n\0\0\n"])


class World(RuleBasedStateMachine):
    """One file, one agent, one registry, one broker."""

    def __init__(self) -> None:
        super().__init__()
        self.content = b""
        self.contents: dict[str, list[bytes]] = {}
        self.mistaken: set[str] = set()
        self.registry: dict[str, Row] = {}
        self.topic: list[tuple[bytes, bytes]] = []
        self.flying: list[tuple[Source, Step, Span]] = []
        self.sources = 0
        self.truncated = False
        self.lines = 0

    @initialize()
    def begin(self) -> None:
        """The agent starts for the first time."""
        self.source = self.start()

    @rule(length=st.integers(0, 60), end=LINE_ENDS)
    def append(self, length: int, end: bytes) -> None:
        """A service writes a line, or a part of one."""
        self.lines += 1
        self.content += b"%d." % self.lines + b"x" * length + end

    @rule(end=st.sampled_from([b"\n", b"\r\n"]))
    def end_line(self, end: bytes) -> None:
        """A delimiter comes late."""
        self.content += end

    @rule()
    def read(self) -> None:
        """The agent looks at the file once."""
        self.look()

    @rule(more=st.booleans())
    def give_up_waiting(self, more: bool) -> None:
        """The last line has waited long enough for its end: the cut is durable before anything of it is sent."""
        self.look()
        self.cut()
        self.look()
        if more:
            self.append(1, b"")

    @precondition(lambda self: self.flying)
    @rule(which=st.integers(0, 99))
    def acknowledge(self, which: int) -> None:
        """The brokers have one of the batches in flight, any."""
        source, step, span = self.flying.pop(which % len(self.flying))
        self.topic += step.records
        source.finish(span)

    @rule()
    def remember(self) -> None:
        """The positions are stored."""
        self.save()

    @rule(arrived=st.integers(0, 3))
    def fail(self, arrived: int) -> None:
        """A batch failed: some of those in flight did arrive, nobody knows which; the rest is read again."""
        self.topic += [record for _source, step, _span in self.flying[:arrived] for record in step.records]
        self.flying.clear()
        self.source.rewind()

    @rule(arrived=st.integers(0, 3))
    def crash(self, arrived: int) -> None:
        """The agent is killed; what was not stored is forgotten."""
        self.topic += [record for _source, step, _span in self.flying[:arrived] for record in step.records]
        self.flying.clear()
        self.source = self.start()

    @rule()
    def stop(self) -> None:
        """The agent drains and stops; nothing of it may repeat."""
        self.drain()
        before = self.source.repeat_until
        self.registry[self.source.name] = self.source.row(0, clean=True)
        self.source = self.start()
        assert self.source.repeat_until <= max(self.source.cursor, before)

    @rule(keep=st.booleans())
    def truncate(self, keep: bool) -> None:
        """The file is emptied, and perhaps gets its old banner again before anybody looks."""
        self.content = BANNER if keep else b""
        self.truncated = True

    @invariant()
    def nothing_is_hidden(self) -> None:
        """No id stands for two different lines, and a record comes twice only with the flag."""
        seen: dict[str, Any] = {}
        for header, value in self.topic:
            parsed = parse_header(header)
            assert parsed is not None
            message = orjson.loads(value)["message"]
            if parsed.record_id in seen:
                assert seen[parsed.record_id] == message
                assert parsed.may_repeat, "a record came twice without saying that it may"
            seen[parsed.record_id] = message

    def teardown(self) -> None:
        """In the end each source's records cover its bytes without hole or overlap, and say what was written."""
        for _ in range(400):
            if not self.look() and self.source.cursor == len(self.content):
                break
            self.cut()
        assert self.source.cursor == len(self.content), "the agent never came to the end of the file"
        self.drain()
        self.nothing_is_hidden()
        records: dict[str, dict[str, Any]] = {}
        for header, value in self.topic:
            parsed = parse_header(header)
            assert parsed is not None
            document = records[parsed.record_id] = orjson.loads(value)
            ours, offset = document["tailrace"], document["log"]["offset"]
            covered = [content[offset : offset + ours["bytes"]] for content in self.contents[ours["source"]]]
            ids = [record_id(ours["source"], offset, zlib.crc32(line.removesuffix(b"\n"))) for line in covered]
            assert parsed.record_id in ids, "a wrong id"
        chains: dict[str, list[dict[str, Any]]] = {}
        for document in records.values():
            chains.setdefault(document["tailrace"]["source"], []).append(document)
        for name, chain in chains.items():
            if name in self.mistaken:
                continue
            end = 0
            row = self.registry.get(name)
            arrived = row.position if row is not None else 0
            for document in sorted(chain, key=lambda found: int(found["log"]["offset"])):
                offset, ours = document["log"]["offset"], document["tailrace"]
                if name != self.source.name and offset >= arrived:
                    break  # the brokers of this world are not in order: a truncation took what was before it
                assert offset - ours["skipped"] == end, "the chain of a source is broken"
                end = offset + ours["bytes"]
                written = self.contents[name][-1][offset:end].removesuffix(b"\n").removesuffix(b"\r")
                assert written.startswith(document["message"].encode())
                assert len(document["message"]) >= min(len(written), MOST_LINE) - 1
            if name == self.source.name:
                assert end + self.source.mark.skipped == len(self.content)
                assert self.source.mark.records == len(chain)

    def drain(self) -> None:
        """Acknowledge all that is in flight."""
        for source, step, span in self.flying:
            self.topic += step.records
            source.finish(span)
        self.flying.clear()

    def cut(self) -> None:
        """End the last line if it is read and has no end."""
        source = self.source
        if source.open_bytes and source.cursor + source.open_bytes == len(self.content):
            source.make_cut()
            self.save()

    def save(self) -> None:
        """Store the source, as the agent does."""
        self.registry[self.source.name] = self.source.row(0)
        self.source.reach = self.source.asked

    def start(self) -> Source:
        """Open the file: the source we know, or a new one."""
        for row in self.registry.values():
            before = self.content[row.position - row.anchor.length : row.position]
            if not row.ended and same(self.content[:HEAD], before, row.head, row.anchor):
                if self.truncated:
                    # Nobody could tell: it begins as before, and is the same before our position. Lines are repeated
                    # or go on, none is hidden; but the chain is no longer that of one content.
                    self.mistaken.add(row.source)
                return Source(row, self.encoder(row.source), before)
        for name, row in self.registry.items():
            assert self.truncated or row.ended, "a known file was not recognised"
            self.registry[name] = msgspec.structs.replace(row, ended=True)
        self.truncated = False
        return self.fresh()

    def fresh(self) -> Source:
        """A source for a file never seen."""
        self.sources += 1
        name = f"s{self.sources}"
        return Source(fresh_row(name, "/x", PLACE), self.encoder(name), b"")

    def encoder(self, name: str) -> Encoder:
        """What makes the records of a source."""
        return Encoder(ENTRY, name, "/x", {"name": "h"}, 900_000, MOST_LINE)

    def look(self) -> bool:
        """One look at the file, as the reader takes it; True if something moved."""
        source, size = self.source, len(self.content)
        begin = source.at - len(source.anchor)
        window = self.content[begin : source.at + READ]
        first = self.content[:HEAD]
        if not begins_with(first, source.head) or source.is_truncated(size, window):
            assert self.truncated, "a file was taken for truncated that was not"
            self.truncated = False
            self.registry[source.name] = source.row(0, ended=True)
            self.source = self.fresh()
            return True
        source.head = head_of(first)
        if self.truncated:
            behind = self.content[begin : source.at]
            assert behind == source.anchor, "a truncation that could be seen was not"
            self.mistaken.add(source.name)
        self.truncated = False
        self.contents.setdefault(source.name, []).append(self.content)
        at = source.at
        step = source.read(window, 10**18, full=len(window) == len(source.anchor) + READ)
        if step is None:
            return source.at != at
        if source.ask_reach(step.end):
            self.save()
        assert step.end <= source.reach, "sent past what is durable"
        self.flying.append((source, step, source.begin(step)))
        return True


TestWorld = World.TestCase
TestWorld.settings = settings(
    max_examples=int(os.environ.get("TAILRACE_WORLD_EXAMPLES", "150")), stateful_step_count=40, deadline=None
)
