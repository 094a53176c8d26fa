"""What the ledger says of a source, and what was found of it, to a verdict. No I/O."""

import enum
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise

import msgspec

from tailrace.audit.chain import Amount, Cover, Double, Kept, Range
from tailrace.audit.entry import Entry


class Result(enum.Enum):
    """The worst that is to be said of a source."""

    MISSING = "missing"
    DOUBLED = "doubled"
    WAITING = "waiting"
    EXPIRED = "expired"
    WHOLE = "whole"


class Buried(msgspec.Struct, frozen=True):
    """A dead letter of a source that nobody replayed; ``is_cut``: not enough of it is left to say where it ends."""

    kept: Kept
    reason: str
    is_cut: bool = False


class Sums(msgspec.Struct):
    """The documents of a source before its position, added up.

    ``mixed`` says that the offsets in one backing index lie among those in another: only then can one id be in both.
    ``last`` is the greatest offset of all; -1 if there is no document.
    """

    records: int = 0
    bytes: int = 0
    skipped: int = 0
    mixed: bool = False
    last: float = -1


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one source, for programs too.

    ``shipped`` is what Kafka acknowledged; ``skipped_bytes`` gave no record, for they are blank or a rule (``dropped``)
    left them out. Missing bytes should be stored and are nowhere; waiting ones may still be on their way;
    expired ones cannot be checked any more. Hidden ones were sent in records, and what is stored, all of it without a
    gap, says that they gave none. ``walked``: not only the sums were compared.
    """

    host: str
    path: str
    source: str
    data_stream: str
    ended: bool
    time: str
    position: int
    result: Result
    shipped: Amount
    skipped_bytes: int
    dropped: dict[str, Amount]
    stored: Amount
    dead: Amount
    dead_reasons: dict[str, int]
    missing: list[Range] = []
    waiting: list[Range] = []
    expired: list[Range] = []
    doubled: list[Double] = []
    hidden_bytes: int = 0
    missing_bytes: int = 0
    missing_record_bytes: int = 0
    """At least so many of all missing bytes were in records, not between them; 0 where nobody can tell."""
    walked: bool = False


class Totals(msgspec.Struct, kw_only=True):
    """All sources together."""

    sources: int = 0
    hosts: int = 0
    shipped: Amount = msgspec.field(default_factory=Amount)
    skipped_bytes: int = 0
    dropped: dict[str, Amount] = msgspec.field(default_factory=dict)
    stored: Amount = msgspec.field(default_factory=Amount)
    dead: Amount = msgspec.field(default_factory=Amount)
    dead_reasons: dict[str, int] = {}
    missing_bytes: int = 0
    waiting_bytes: int = 0
    expired_bytes: int = 0
    doubled_bytes: int = 0
    hidden_bytes: int = 0
    results: dict[str, int] = {}


def agree(entry: Entry, sums: Sums, letters: Collection[Buried]) -> bool:
    """Whether the sums alone prove that a source is whole.

    They do if they are those of the ledger and no id can be stored twice, for the offsets of each backing index are
    apart: then a record that is missing cannot be made up for by another that is there twice.
    """
    told = (entry.records, entry.bytes, entry.skipped - entry.trailing)
    return not letters and not sums.mixed and told == (sums.records, sums.bytes, sums.skipped)


def by_sums(entry: Entry, sums: Sums) -> Verdict:
    """The verdict on a source whose sums agree."""
    return _verdict(entry, Result.WHOLE, Amount(sums.records, sums.bytes))


def by_chain(
    entry: Entry,
    cover: Cover,
    doubled: list[Double],
    letters: Collection[Buried],
    *,
    waits: bool,
    expired: bool,
    routed: bool = False,
) -> Verdict:
    """The verdict on a source of which all documents were seen, from what they cover and which have the same bytes.

    ``waits``: records of it may still be on their way from Kafka, or be where nobody can look now. ``expired``: data of
    its age have been deleted, so what would stand before its first document cannot be checked. ``routed``: they may
    have been deleted of one of several data streams that have its records, so no gap can be checked.
    """
    known = {letter.kept.record_id: letter for letter in letters}
    first = cover.first
    buried = [known[one.record_id] for one in cover.bury(letter.kept for letter in letters)]
    cuts = {letter.kept.offset for letter in buried if letter.is_cut}
    found: dict[Result, list[Range]] = {Result.EXPIRED: [], Result.WAITING: [], Result.MISSING: []}
    unclear = []
    for gap in _parted(cover.gaps(entry.begin, entry.chain_end), cuts):
        if gap.start in cuts or gap.end in cuts:
            unclear.append(gap)
            continue
        before = routed or first is None or gap.end <= first
        found[Result.EXPIRED if expired and before else Result.WAITING if waits else Result.MISSING].append(gap)
    countable = not (entry.recounted or doubled or any(found.values()))
    if countable and entry.records > cover.stored.records + len(buried):  # not only of the letters is it unclear
        found[Result.WAITING if waits else Result.MISSING] += unclear
    else:
        found[Result.EXPIRED] = sorted([*found[Result.EXPIRED], *unclear], key=lambda gap: gap.start)
    dead = Amount(len(buried), sum(letter.kept.bytes for letter in buried))
    lacking = max(0, entry.bytes - cover.stored.bytes - dead.bytes)
    if entry.recounted or doubled or cuts or found[Result.EXPIRED] or found[Result.WAITING]:
        lacking = 0  # nobody can tell
    hidden = 0 if found[Result.MISSING] else lacking
    result = next((what for what in (Result.MISSING, Result.WAITING, Result.EXPIRED) if found[what]), Result.WHOLE)
    if hidden:
        result = Result.MISSING
    if doubled and result is not Result.MISSING:
        result = Result.DOUBLED
    return msgspec.structs.replace(
        _verdict(entry, result, cover.stored),
        dead=dead,
        dead_reasons=dict(Counter(letter.reason for letter in buried)),
        missing=found[Result.MISSING],
        waiting=found[Result.WAITING],
        expired=found[Result.EXPIRED],
        doubled=doubled,
        hidden_bytes=hidden,
        missing_bytes=size(found[Result.MISSING]),
        missing_record_bytes=lacking - hidden,
        walked=True,
    )


def _parted(gaps: Iterable[Range], cuts: Collection[int]) -> Iterator[Range]:
    """Gaps, parted where a dead letter begins of which nobody knows where it ends."""
    for gap in gaps:
        places = sorted({gap.start, gap.end, *(cut for cut in cuts if gap.start < cut < gap.end)})
        yield from (Range(start, end) for start, end in pairwise(places))


class Tally:
    """Adds verdicts up."""

    def __init__(self) -> None:
        self.totals = Totals()
        self._hosts: set[str] = set()

    @property
    def is_proved(self) -> bool:
        """Whether there is something to prove, and no bytes of it are missing, stored twice, or not stored yet."""
        totals = self.totals
        faults = (totals.missing_bytes, totals.hidden_bytes, totals.doubled_bytes, totals.waiting_bytes)
        return bool(totals.sources) and not any(faults)

    def add(self, one: Verdict) -> None:
        """One source more."""
        totals = self.totals
        self._hosts.add(one.host)
        totals.sources += 1
        totals.hosts = len(self._hosts)
        totals.skipped_bytes += one.skipped_bytes
        for total, amount in ((totals.shipped, one.shipped), (totals.stored, one.stored), (totals.dead, one.dead)):
            _add(total, amount)
        for rule, amount in one.dropped.items():
            _add(totals.dropped.setdefault(rule, Amount()), amount)
        _count(totals.dead_reasons, one.dead_reasons)
        _count(totals.results, {one.result.value: 1})
        totals.missing_bytes += size(one.missing)
        totals.waiting_bytes += size(one.waiting)
        totals.expired_bytes += size(one.expired)
        totals.doubled_bytes += size(one.doubled)
        totals.hidden_bytes += one.hidden_bytes


def size(ranges: Collection[Range | Double]) -> int:
    """The bytes of all of them."""
    return sum(one.size for one in ranges)


def _add(total: Amount, amount: Amount) -> None:
    total.records += amount.records
    total.bytes += amount.bytes


def _count(total: dict[str, int], counts: Mapping[str, int]) -> None:
    for name, count in counts.items():
        total[name] = total.get(name, 0) + count


def _verdict(entry: Entry, result: Result, stored: Amount) -> Verdict:
    return Verdict(
        host=entry.host,
        path=entry.path,
        source=entry.source,
        data_stream=entry.data_stream,
        ended=entry.ended,
        time=entry.time,
        position=entry.position,
        result=result,
        shipped=Amount(entry.records, entry.bytes),
        skipped_bytes=entry.skipped,
        dropped=entry.dropped,
        stored=stored,
        dead=Amount(),
        dead_reasons={},
    )
