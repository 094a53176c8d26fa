"""The bytes of one incarnation of one file, as they come, to records and the position they reach. No I/O."""

from collections.abc import Sequence
from typing import NamedTuple

from shipper.identity import ANCHOR_BYTES, NO_HEAD, Anchor, Head, Place, anchor_of
from shipper.lines import Cut, LongLine, cut, split
from shipper.names import families, live_path
from shipper.records import Chunk, Encoder
from shipper.registry_row import Row
from shipper.rows import Record
from tailrace.record import MAY_REPEAT, VERSION
from tailrace.watermark import Span, Watermark

_LEAST_WINDOW = 65_536
_MOST_WINDOW = 4_194_304
_MAY_REPEAT = f"{VERSION}|{MAY_REPEAT}".encode()
"""How the header of a record begins that may have been sent before."""


Dropped = dict[str, tuple[int, int]]
"""Records and bytes that each rule of the filters left out; never changed once made."""


class Mark(NamedTuple):
    """What belongs to a position: the bytes just before it, how many of them gave no record, the counts so far.

    ``dropped`` are records and bytes by rule, ``memory`` is what the filters remember.
    """

    anchor: bytes
    memory: bytes
    skipped: int
    records: int
    bytes: int
    blank: int
    dropped: Dropped


class Step(NamedTuple):
    """What one read brought: records up to ``end``, and the mark that belongs to it."""

    records: Sequence[Record]
    end: int
    mark: Mark
    flagged: dict[str, int]
    dropped: Dropped
    redacted: dict[tuple[str, str], int]


class Source:
    """One incarnation of one file: what was read of it, what is acknowledged, and where it was cut.

    ``cursor`` is the start of the first line not yet handed on; ``at`` is where the next read begins (further on only
    within an over-long line), ``anchor`` the bytes just before ``at``: they are read again each time, and if they
    differ the file was truncated and this source has ended. Nothing at or past ``reach`` may be sent before a larger
    reach is durable; ``asked`` is the largest that was handed to the registry. Lines before ``repeat_until`` may have
    been sent before. ``size`` and ``modified`` are the file's as last looked at, which was at ``looked`` (seconds since
    1970; 0: never): a file that Kafka has no room for is not looked at.
    """

    def __init__(self, row: Row, encoder: Encoder, anchor: bytes) -> None:
        self.name = row.source
        self.path = row.path
        self.family = row.family
        self.place: Place = row.place
        self.born = row.born
        self.head: Head = row.head
        self.encoder = encoder
        self.stream = encoder.stream
        self.cursor = self.at = row.position
        self.anchor = anchor
        self._stored = row.anchor
        self.cuts = list(row.cuts)
        self.reach = self.asked = self.repeat_until = row.reach
        self.open_bytes = 0
        self.waits_for_delimiter = False
        """Whether the last of the open bytes are a line without its end; else they are a record that may go on."""
        self.repeated = 0
        """Records sent from here with the flag ``r``."""
        self.size, self.modified, self.looked = row.size, row.modified, row.updated
        self.read_at = self.acknowledged_at = self.behind_since = 0.0
        dropped = {rule: (records, covered) for rule, records, covered in row.dropped}
        mark = Mark(anchor, row.memory, row.skipped, row.records, row.bytes, row.blank, dropped)
        self.watermark = Watermark(row.position, mark)
        encoder.remember(row.memory)
        self._mark = self.mark
        self._long: LongLine | None = None
        self._window = _LEAST_WINDOW

    @property
    def families(self) -> tuple[str, ...]:
        """As of ``Row``."""
        return families(self.family, self.path)

    @property
    def mark(self) -> Mark:
        """What belongs to the acknowledged position."""
        mark = self.watermark.remark
        if not isinstance(mark, Mark):
            raise TypeError(mark)
        return mark

    def saw(self, size: int, modified: int, now: float) -> None:
        """The file was looked at, and what is new of it is being read; ``now`` is in seconds since 1970."""
        if size > self.watermark.position >= self.size or not self.behind_since:
            self.behind_since = now
        self.size, self.modified, self.read_at = size, modified, now

    def shorten(self, size: int | None) -> int:
        """It stands in a copy of this size now: how many bytes were seen that are not there; None: it is not known."""
        lost = 0 if size is None else max(0, self.size - size)
        self.size = self.size if size is None else min(self.size, size)
        self.open_bytes = 0
        return lost

    def is_read_to(self, end: int) -> bool:
        """Whether whole lines beyond ``end`` were not seen when the file was last looked at."""
        return end + self.open_bytes >= self.size

    def acknowledged(self, read: float, now: float, *, whole: bool) -> None:
        """For people: when bytes read at ``read`` were acknowledged; ``whole`` if they were all there was then."""
        self.acknowledged_at = now
        if whole:
            self.behind_since = read

    @property
    def known_anchor(self) -> Anchor:
        """What stands before ``at``, by which a copy is told; also of a source whose own bytes cannot be read now."""
        return self._anchor_of(self.anchor, self.at)

    def is_truncated(self, size: int, window: bytes) -> bool:
        """Whether a file of ``size`` bytes, with these bytes from ``at - len(anchor)`` on, is no longer this source.

        It is enough that it was larger.
        """
        return size < max(self.at, self.size) or window[: len(self.anchor)] != self.anchor

    def read(self, window: bytes, now: int, *, full: bool) -> Step | None:
        """Take what stands in the file from ``at - len(anchor)`` on; None if no line ended and nothing moved.

        ``full`` says that the read ended for its size and not at the end of the file; ``now`` is in nanoseconds since
        1970. Hazard: only after ``is_truncated`` said no.
        """
        body = window[len(self.anchor) :]
        first = self.at if self._long is not None else self.at + 1
        limit = next((offset for offset in self.cuts if offset >= first), None)
        ends_at_cut = limit is not None and self.at + len(body) >= limit
        if limit is not None:
            body = body[: limit - self.at]
        self.open_bytes = 0
        start, skipped = self.cursor, self._mark.skipped
        if self._long is not None:
            return self._continue_long(body, now, ends_at_cut=ends_at_cut)
        # A delimiter that comes after a cut is a blank line here: skipped, and counted with the next record.
        lines, rest, covered = split(body)
        if rest and full and not covered and not ends_at_cut:
            self._long = LongLine(self.encoder.most_line_bytes)
            return self._continue_long(body, now, ends_at_cut=False)
        last = b""
        pieces: frozenset[int] = frozenset()
        if rest and ends_at_cut:
            lines.append(rest)
        if self.encoder.joiner is not None:
            lines, self.open_bytes, pieces = self.encoder.joiner.join(lines, rest, final=ends_at_cut)
            covered -= self.open_bytes
        if rest and ends_at_cut:
            last = lines.pop()
            covered = len(body) - len(last)
        chunk = self.encoder.chunk(lines, start, skipped, self.repeat_until, now, pieces)
        if last:
            chunk = _join(chunk, self.encoder.single(cut(last), start + covered, chunk.skipped, self.repeat_until, now))
            covered += len(last)
        else:
            self.waits_for_delimiter = bool(rest)
            self.open_bytes += len(rest)
        return self._advance(chunk, covered, window) if covered else None

    def make_cut(self) -> int:
        """End the unterminated line where the file ended; takes effect at the next read, and must be durable first."""
        offset = self.cursor + self.open_bytes
        if offset not in self.cuts:
            self.cuts.append(offset)
            self.cuts.sort()
        return offset

    def needs_reach(self, window: bytes) -> bool:
        """As ``ask_reach``, for whatever may be in a window as that of ``read``; not for one with nothing new."""
        new = len(window) - len(self.anchor)
        return new > 0 and self.ask_reach(self.at + new)

    def ask_reach(self, end: int) -> bool:
        """Whether records up to ``end`` need a larger reach, now or soon: ``asked`` is then what to make durable."""
        if end <= self.asked - self._window // 2:
            return False
        self._window = min(_MOST_WINDOW, self._window * 2)
        self.asked = max(self.asked, end + self._window)
        return True

    def begin(self, step: Step) -> Span:
        """The records of a step are about to be sent."""
        span = self.watermark.begin(step.end, step.mark)
        if span.start < self.repeat_until:
            self.repeated += sum(header.startswith(_MAY_REPEAT) for header, _ in step.records)
        return span

    def finish(self, span: Span) -> bool:
        """They are acknowledged; True if the position moved."""
        moved = self.watermark.finish(span)
        if moved and self.cuts and self.cuts[0] <= self.watermark.position:
            self.cuts = [offset for offset in self.cuts if offset > self.watermark.position]
        return moved

    def rewind(self) -> None:
        """What was sent and not acknowledged will be read and sent again."""
        self.repeat_until = max(self.repeat_until, self.watermark.begun)
        self.cursor = self.at = self.watermark.reset()
        self._mark = self.mark
        self.encoder.remember(self._mark.memory)
        self.anchor = self._mark.anchor
        self._long = None
        self.open_bytes = 0

    def abandon(self) -> int:
        """The file was truncated, so what is not acknowledged cannot be read again: how many bytes that is."""
        sent = self.watermark.begun
        return sent - self.watermark.reset()

    @property
    def settled(self) -> bool:
        """Whether all that was sent is acknowledged."""
        return not self.watermark.in_flight

    @property
    def is_clean(self) -> bool:
        """Whether all that was seen has been acknowledged, and no reach stands past it."""
        return self.asked == self.watermark.position >= self.size

    def row(self, now: int, *, ended: bool = False, clean: bool = False) -> Row:
        """What to store; ``now`` is when somebody last looked at the file system, in seconds since 1970.

        With ``clean`` nothing more will be sent: only what an earlier run may have sent is still past the position.
        """
        mark = self.mark
        return Row(
            source=self.name,
            path=self.path,
            place=self.place,
            head=self.head,
            anchor=self._anchor_of(mark.anchor, self.watermark.position),
            position=self.watermark.position,
            skipped=mark.skipped,
            reach=max(self.watermark.position, self.repeat_until) if clean and self.settled else self.asked,
            records=mark.records,
            bytes=mark.bytes,
            blank=mark.blank,
            ended=ended,
            updated=min(now, self.looked or now),
            cuts=tuple(self.cuts),
            size=max(self.watermark.position, self.size),
            modified=self.modified,
            born=self.born,
            family=self.family,
            dropped=tuple((rule, *counts) for rule, counts in mark.dropped.items()),
            memory=mark.memory,
        )

    def _anchor_of(self, before: bytes, at: int) -> Anchor:
        return anchor_of(before) if before or not at else self._stored

    def _continue_long(self, body: bytes, now: int, *, ends_at_cut: bool) -> Step | None:
        long = self._long
        if long is None:
            raise TypeError
        line: Cut | None = long.feed(body)
        if line is None and ends_at_cut:
            line = long.cut()
        if line is None:
            self.at = self.cursor + long.length
            self.anchor = (self.anchor + body)[-ANCHOR_BYTES:]
            self.open_bytes = long.length
            self.waits_for_delimiter = True
            return None
        self._long = None
        read_before = self.at - self.cursor
        chunk = self.encoder.single(line, self.cursor, self._mark.skipped, self.repeat_until, now)
        return self._advance(chunk, line.covered, self.anchor + body[: line.covered - read_before], read_before)

    def _advance(self, chunk: Chunk, covered: int, window: bytes, before: int = 0) -> Step:
        """Move the cursor over ``covered`` bytes; ``before`` of them had been read by earlier reads."""
        self.anchor = window[: len(self.anchor) + covered - before][-ANCHOR_BYTES:]
        self.cursor = self.at = self.cursor + covered
        last = self._mark
        self._mark = Mark(
            self.anchor,
            self.encoder.memory or last.memory,
            chunk.skipped,
            last.records + len(chunk.records),
            last.bytes + covered - chunk.blank,
            last.blank + chunk.blank,
            _sum(last.dropped, chunk.dropped) if chunk.dropped else last.dropped,
        )
        return Step(chunk.records, self.cursor, self._mark, chunk.flagged, chunk.dropped, chunk.redacted)


def fresh_row(name: str, path: str, place: Place, head: Head = NO_HEAD, size: int = 0) -> Row:
    """The row of a file seen for the first time, with what was seen of it."""
    return Row(
        source=name,
        path=path,
        place=place,
        head=head,
        anchor=Anchor(0, 0),
        position=0,
        skipped=0,
        reach=0,
        records=0,
        bytes=0,
        blank=0,
        ended=False,
        updated=0,
        cuts=(),
        size=size,
        family=live_path(path),
    )


def _join(first: Chunk, second: Chunk) -> Chunk:
    flagged = {
        flag: first.flagged.get(flag, 0) + second.flagged.get(flag, 0) for flag in {**first.flagged, **second.flagged}
    }
    redacted = {
        what: first.redacted.get(what, 0) + second.redacted.get(what, 0)
        for what in {**first.redacted, **second.redacted}
    }
    records = [*first.records, *second.records]
    dropped = _sum(first.dropped, second.dropped)
    return Chunk(records, second.skipped, first.blank + second.blank, flagged, dropped, redacted)


def _sum(first: Dropped, second: Dropped) -> Dropped:
    found = dict(first)
    for rule, (records, covered) in second.items():
        before = found.get(rule, (0, 0))
        found[rule] = (before[0] + records, before[1] + covered)
    return found
