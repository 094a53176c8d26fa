"""What was found of one line of a file, to where it is now. No I/O."""

import enum

import msgspec

from tailrace.audit.entry import Entry


class State(enum.Enum):
    """Where a line is."""

    STORED = "stored"
    DOUBLED = "doubled"
    DEAD = "dead"
    SKIPPED = "skipped"
    WAITING = "waiting"
    UNREAD = "unread"
    UNKNOWN = "unknown"
    MISSING = "missing"


class Told(msgspec.Struct, frozen=True):
    """How far a source is, as the ledger or the registry of its host has it; ``time`` (RFC 3339) is when it said so."""

    position: int
    reach: int | None
    ended: bool
    time: str
    path: str


class Sent(msgspec.Struct, frozen=True):
    """Where a record stands in Kafka; ``time`` is that of its sending, RFC 3339."""

    topic: str
    partition: int
    offset: int
    time: str
    may_repeat: bool


class Document(msgspec.Struct, frozen=True):
    """A document: its data stream, the index behind it, its id, and what it says."""

    data_stream: str
    index: str
    id: str
    message: str


class Refused(msgspec.Struct, frozen=True):
    """A dead letter: why, and where it stands in its topic; ``settled`` says what was done about it."""

    reason: str
    error: str
    field: str
    partition: int
    offset: int
    settled: str


class Trace(msgspec.Struct, kw_only=True):
    """One line of one source, and all that was found of it.

    ``start`` and ``end`` are the bytes of the record that has the line, ``record_id`` its id; of a record that was not
    found they are empty. ``size`` is how long the file is now, where this host has it.
    """

    host: str
    path: str
    source: str
    offset: int
    state: State = State.MISSING
    record_id: str = ""
    start: int | None = None
    end: int | None = None
    size: int | None = None
    registry: Told | None = None
    ledger: Told | None = None
    sent: list[Sent] = []
    kafka: str = ""
    """Why it was not found in Kafka, if it was not."""
    documents: list[Document] = []
    letters: list[Refused] = []

    @property
    def told(self) -> str:
        """When registry or ledger last said something of the source (RFC 3339); empty if neither has it."""
        return max((one.time for one in (self.registry, self.ledger) if one is not None), default="")

    @property
    def shipped(self) -> int | None:
        """How far registry and ledger say that the source was shipped; None if neither has it."""
        return max((one.position for one in (self.registry, self.ledger) if one is not None), default=None)

    @property
    def is_unread(self) -> bool:
        """Whether nobody says that so much of the file was shipped."""
        return self.shipped is not None and self.offset >= self.shipped


def told_by(entry: Entry) -> Told:
    """What the ledger says of a source."""
    return Told(entry.position, None, entry.ended, entry.time, entry.path)


def judge(trace: Trace, *, waits: bool) -> State:
    """Where a line is, by all that was found; ``waits``: the indexers have not finished what Kafka has of it."""
    if trace.start is not None and trace.offset < trace.start:
        return State.SKIPPED
    if trace.documents:
        return State.DOUBLED if len(trace.documents) > 1 else State.STORED
    if any(letter.settled != "replayed" for letter in trace.letters):
        return State.DEAD
    return State.WAITING if trace.sent and waits else State.MISSING
