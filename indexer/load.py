"""One slice, from the first request to the last outcome: what to ask, what to send, what is left. No I/O.

The edge (writer.py) does what a load says and tells it what came of it, until ``left`` is 0.
"""

import enum
from collections.abc import Collection, Sequence
from itertools import compress
from typing import NamedTuple

from indexer import bulk
from indexer.bulk import Outcome, Reading, Verdict, Whole
from indexer.documents import Polled, Refusal, Translator, address, name
from indexer.ownership import Origin, Owned
from indexer.reasons import Reason
from indexer.rows import Rows
from indexer.slices import Part
from indexer.tally import Tally


class Doubt(enum.Enum):
    """Whether a record may be stored already."""

    NONE = 0
    ASK = 1
    """It may be: look it up before it is sent."""
    ASKED = 2
    """It was looked up and is not there; if its id exists after all, an earlier try of ours was late."""


class Spot(NamedTuple):
    """Where a record stands in Kafka."""

    origin: Origin
    offset: int


class Odd(NamedTuple):
    """A record that was refused for what may be its own fault, and what was said of it."""

    spot: Spot
    stream: str
    verdict: Verdict


class First(NamedTuple):
    """The record that goes next, by its place in Kafka, and the bytes of a request of it alone."""

    origin: Origin
    offset: int
    size: int


class Again(NamedTuple):
    """How many records must be sent again for one reason; ``full`` if only because a node is busy."""

    label: str
    text: str
    records: int
    full: bool


class Load:
    """The records of a slice that are not finished yet.

    Every record ends in ``tally``: stored, already stored, duplicate, tombstone, or dead. A dead one first stands in
    ``refusals``, and is counted by ``buried`` when the dead letters have it. ``left`` records are still to be sent.

    A record that may repeat goes last, alone with its like, and only when all before it in its partition is finished
    (``waits``): else it could be looked up, and found absent, while its first copy waits for another try, and the two
    be stored on both sides of a rollover. Where Elasticsearch makes the ids, no record can be looked up, so none is
    ever in doubt: it is sent, and stored, again.
    """

    def __init__(self, parts: Sequence[Part], translator: Translator) -> None:
        self.parts = parts
        self.polled = sum(len(part.records) for part in parts)
        self.oldest = min((part.records[0].timestamp for part in parts if part.records), default=-1)
        """The time of the oldest of the partitions' first records, in ms since 1970; -1 if it is not known."""
        self.tally = Tally()
        self.refusals: list[Refusal] = []
        self.odd: list[Odd] = []
        self.others: list[Spot] = []
        """Of the last answer, and what it refused in another way."""
        self.abandoned: set[Owned] = set()
        """Owners that left before all of theirs was finished: their spans must stay open."""
        self._records: list[Polled] = []
        self._lines: list[bytes] = []
        self._documents: list[bytes] = []
        self._doubts: list[Doubt] = []
        self._owners: list[Owned] = []
        self._asked: list[int] = []
        self._last: set[First] = set()
        self._unsure = Doubt.ASK if translator.own_ids else Doubt.NONE
        self._translator = translator
        self._most = 1
        self._whole = _whole(parts, translator)
        """The one request of all, until something is to be done with single records."""
        if self._whole is None:
            self._take_apart()

    @property
    def left(self) -> int:
        """How many records are still to be sent."""
        return len(self._lines) if self._whole is None else self.polled

    @property
    def left_bytes(self) -> int:
        """How many bytes these are, where it was taken apart."""
        return sum(map(len, self._documents))

    def drop_leaving(self) -> int:
        """Forget the records of partitions that we leave, their successor sees to them; returns how many."""
        leaving = {part.owned.origin: part.owned for part in self.parts if part.owned.leaving}
        if not leaving:
            return 0
        self._spread()
        keep = [not owned.leaving for owned in self._owners]
        refusals = [one for one in self.refusals if one.origin not in leaving]
        dropped = len(keep) - sum(keep) + len(self.refusals) - len(refusals)
        gone = {one.origin for one in self.refusals} & leaving.keys()
        self.abandoned |= {owned for owned in self._owners if owned.leaving} | {leaving[one] for one in gone}
        self.refusals = refusals
        self._keep(keep)
        return dropped

    @property
    def waits(self) -> bool:
        """Whether the next request must wait for earlier slices of the same partitions to finish."""
        if not self._lines or self._doubts[0] is Doubt.NONE:
            return False
        return any(part.owned.watermark.position < part.span.start and not part.owned.leaving for part in self.parts)

    def forget_look_ups(self) -> None:
        """What was not there a while ago may be stored by now: it is to be looked up anew."""
        self._doubts = [Doubt.ASK if doubt is Doubt.ASKED else doubt for doubt in self._doubts]

    def to_look_up(self, most_bytes: int) -> list[tuple[str, str]]:
        """The streams and ids of those of the next request that may be stored already; ``most_bytes`` as of ``body``.

        To be asked until it is empty: those found make room for others in the same request.
        """
        self._asked = self._doubtful(most_bytes)
        return [address(self._lines[number]) for number in self._asked]

    def looked_up(self, found: Sequence[bool]) -> int:
        """Take the answer to ``to_look_up``, in its order; returns how many were there."""
        keep = [True] * len(self._lines)
        for number, there in zip(self._asked, found, strict=True):
            keep[number] = not there
            self._doubts[number] = Doubt.ASKED
        count = sum(found)
        self.tally.already += count
        self._keep(keep)
        return count

    def body(self, most_bytes: int) -> tuple[bytes, int]:
        """The next request, of about ``most_bytes`` unless its first record is larger, and its number of actions."""
        if self._whole is not None:
            if len(self._whole) <= _with_crumbs(most_bytes):
                return self._whole, self.polled
            self._spread()
        count = self._next()
        body = self._body(count)
        if len(body) <= _with_crumbs(most_bytes):
            return body, count
        count = self._fitting(count, most_bytes)
        return self._body(count), count

    def streams(self, reading: Reading, count: int) -> set[str]:
        """The streams of which an answer to the first ``count`` records, not taken yet, says that some were stored."""
        self._spread()
        stored = [True] * count if reading.whole is Whole.ALL_STORED else []
        stored = stored or [verdict.outcome is Outcome.STORED for verdict in reading.verdicts]
        return {address(line)[0] for line in compress(self._lines, stored)}

    def answered(self, reading: Reading, count: int) -> list[Again]:
        """Take the answer to the first ``count`` records; returns which are to be sent again, and why."""
        self.odd, self.others = [], []
        if reading.whole is Whole.ALL_STORED:
            self.tally.stored += count
            self._keep([False] * count + [True] * (self.left - count))
            self._whole = None
            self._most *= 2
            return []
        self._spread()
        if reading.whole is Whole.MIXED:
            self._most *= 2
            return self._item_by_item(reading.verdicts)
        if reading.whole is Whole.BROKEN:  # its size may be why, or one of its records
            self._most = max(1, count // 2)
            if count == 1:
                self._put_off()
            else:
                self._doubt(count)
            return [Again("no_outcome", reading.text, count, full=False)]
        if reading.whole is Whole.FAILED:
            self._doubt(count)
            return [Again("no_outcome", reading.text, count, full=False)]
        if count > 1:
            if reading.whole is Whole.MALFORMED:
                self._doubt(count)
            self._most = count // 2
            return []
        if reading.whole is Whole.TOO_LARGE:
            self._refuse_first(
                Reason.TOO_LARGE,
                f"alone it is a request of {self.first.size:,} bytes, more than is taken (http.max_content_length): "
                f"{reading.text}",
            )
        else:
            self._refuse_first(Reason.MAPPING, reading.text)
        return []

    @property
    def first(self) -> First:
        """The first record of the next request; there must be one."""
        self._spread()
        size = len(self._lines[0]) + len(self._documents[0]) + 1
        return First(self._owners[0].origin, self._records[0].offset, size)

    def blame_first(self) -> None:
        """The first record is what breaks connections, though where ids are ours it was looked up and is not there."""
        self._refuse_first(
            Reason.RESET,
            f"alone it is a request of {self.first.size:,} bytes, and each time it was sent the connection ended "
            "without an answer, while others were stored: does a proxy limit sizes, or filter?",
        )

    def blame(self, some: Collection[Odd]) -> None:
        """These are refused for their own fault."""
        known = {one.spot: one.verdict for one in some}
        keep = [True] * len(self._lines)
        for number, record in enumerate(self._records):
            verdict = known.get(Spot(self._owners[number].origin, record.offset))
            if verdict is not None:
                self._refuse(number, Reason.REFUSED, verdict)
                keep[number] = False
        self._keep(keep)

    def buried(self) -> None:
        """The dead letters have all ``refusals``."""
        for refusal in self.refusals:
            self.tally.dead[refusal.reason] = self.tally.dead.get(refusal.reason, 0) + 1
        self.refusals = []

    def _spread(self) -> None:
        if self._whole is not None:
            self._whole = None
            self._take_apart()

    def _take_apart(self) -> None:
        """Give each record a line and a document of its own; the batches they came in are let go."""
        for part in self.parts:
            found = self._translator.translate(list(part.records), part.owned.origin, part.owned.inherited)
            self._records += found.records
            self._lines += found.lines
            self._documents += found.documents
            if True in found.repeats:
                self._doubts += [self._unsure if repeat else Doubt.NONE for repeat in found.repeats]
            else:
                self._doubts += [Doubt.NONE] * len(found.lines)
            self._owners += [part.owned] * len(found.lines)
            self.refusals += found.refusals
            self.tally.tombstones += found.tombstones
        self.parts = [part._replace(records=()) for part in self.parts]
        self._sure_first()
        self._most = max(1, len(self._lines))

    def _item_by_item(self, verdicts: Sequence[Verdict]) -> list[Again]:
        keep = [True] * len(self._lines)
        again: dict[str, Again] = {}
        for number, verdict in enumerate(verdicts):
            outcome = verdict.outcome
            if outcome is Outcome.STORED:
                self.tally.stored += 1
                keep[number] = False
            elif outcome is Outcome.EXISTS:
                if self._doubts[number] is Doubt.NONE:
                    self.tally.duplicates += 1
                else:
                    self.tally.already += 1
                keep[number] = False
            elif outcome is Outcome.REJECTED or outcome is Outcome.DIVERTED:
                diverted = outcome is Outcome.DIVERTED
                self._refuse(number, Reason.FAILURE_STORE if diverted else Reason.MAPPING, verdict)
                keep[number] = False
            else:
                spot = Spot(self._owners[number].origin, self._records[number].offset)
                if outcome is Outcome.ODD:
                    self.odd.append(Odd(spot, address(self._lines[number])[0], verdict))
                else:
                    self.others.append(spot)
                if outcome is not Outcome.FULL or self._doubts[number] is Doubt.ASKED:
                    self._doubts[number] = self._unsure
                label = verdict.error_type
                known = again.get(label) or Again(label, f"{label}: {verdict.text}"[:300], 0, outcome is Outcome.FULL)
                again[label] = known._replace(records=known.records + 1)
        self._keep(keep)
        return list(again.values())

    def _refuse_first(self, reason: Reason, text: str) -> None:
        self._refuse(0, reason, Verdict(Outcome.REJECTED, "", text))
        self._keep([False] + [True] * (self.left - 1))

    def _refuse(self, number: int, reason: Reason, verdict: Verdict) -> None:
        stream, _ = address(self._lines[number])
        record, origin = self._records[number], self._owners[number].origin
        self.refusals.append(
            Refusal(
                record,
                origin,
                reason,
                verdict.text,
                verdict.error_type,
                verdict.field,
                stream,
                name(record, origin),
            )
        )

    def _body(self, count: int) -> bytes:
        if count == len(self._lines):
            return bulk.body(self._lines, self._documents)
        return bulk.body(self._lines[:count], self._documents[:count])

    def _fitting(self, count: int, most_bytes: int) -> int:
        """How many of the first ``count`` records, one at least, make a request of so many bytes."""
        size = fitting = 0
        for number in range(count):
            size += len(self._lines[number]) + len(self._documents[number]) + 1
            if size <= most_bytes:
                fitting = number + 1
            elif size > _with_crumbs(most_bytes):
                return max(1, fitting)
        return count

    def _doubtful(self, most_bytes: int) -> list[int]:
        if not self._doubts or self._doubts[0] is Doubt.NONE:
            return []
        count = self._fitting(self._next(), most_bytes)
        return [number for number in range(count) if self._doubts[number] is Doubt.ASK]

    def _doubt(self, count: int) -> None:
        self._doubts[:count] = [self._unsure] * count
        self._sure_first()

    def _put_off(self) -> None:
        """What breaks connections alone is not to keep the others from being sent: once each it goes last.

        So the sure ones stay first: one of them goes behind all, and else there are none.
        """
        self._doubts[0] = self._unsure
        if self.first not in self._last:
            self._last.add(self.first)
            self._records.append(self._records.pop(0))
            self._lines.append(self._lines.pop(0))
            self._documents.append(self._documents.pop(0))
            self._doubts.append(self._doubts.pop(0))
            self._owners.append(self._owners.pop(0))

    def _next(self) -> int:
        """How many records the next request is of: the sure ones first."""
        return min(self._most, self._doubts.count(Doubt.NONE) or len(self._doubts))

    def _sure_first(self) -> None:
        if self._doubts.count(Doubt.NONE) in (0, len(self._doubts)):
            return
        sure = [doubt is Doubt.NONE for doubt in self._doubts]
        unsure = [not one for one in sure]
        self._records = [*compress(self._records, sure), *compress(self._records, unsure)]
        self._lines = [*compress(self._lines, sure), *compress(self._lines, unsure)]
        self._documents = [*compress(self._documents, sure), *compress(self._documents, unsure)]
        self._doubts = [*compress(self._doubts, sure), *compress(self._doubts, unsure)]
        self._owners = [*compress(self._owners, sure), *compress(self._owners, unsure)]

    def _keep(self, keep: Sequence[bool]) -> None:
        if True not in keep:
            self._records, self._lines, self._documents, self._doubts, self._owners = [], [], [], [], []
            return
        self._records = list(compress(self._records, keep))
        self._lines = list(compress(self._lines, keep))
        self._documents = list(compress(self._documents, keep))
        self._doubts = list(compress(self._doubts, keep))
        self._owners = list(compress(self._owners, keep))
        self._sure_first()


def _whole(parts: Sequence[Part], translator: Translator) -> bytes | None:
    """The request that stores all records, if none of them needs to be looked at."""
    filled = [part for part in parts if part.records]
    rows = [part.records for part in filled if isinstance(part.records, Rows)]
    if len(rows) < max(1, len(filled)) or any(part.records[0].offset < part.owned.inherited for part in filled):
        return None
    return translator.body(rows)


def _with_crumbs(size: int) -> int:
    """The most that is still one request: slices are cut by an estimate, and their crumbs would be requests, too."""
    return size + size // 8
