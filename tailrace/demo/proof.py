"""A file's bytes and what became of its records to what is stored, repeated, missing or dead. No I/O.

The lines are found here anew, in the plainest way, and not with the shipper's code: a proof that shares the mistakes of
what it proves is none.
"""

import zlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from tailrace.audit.chain import Kept, Range, walked
from tailrace.record import record_id

_EXAMPLES = 5
_HOLE = b"\0\r\n\t "


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one file, in lines; blank lines say nothing and are not counted."""

    service: str
    path: str
    source: str
    """The shipper's name for it; empty if it never saw the file."""
    bytes: int
    lines: int
    stored: int
    """Lines that are in Elasticsearch, each counted once."""
    repeated: int
    """Documents more than there should be."""
    missing: int
    dead: int
    """Lines that are in the dead letters and not in Elasticsearch."""
    strange: int
    """Documents that no line of the file accounts for."""
    broken: int
    """Places where a record does not begin where the one before it ended."""
    remarks: tuple[str, ...] = ()
    """The first few faults, each by the offset of its line."""

    @property
    def is_exact(self) -> bool:
        """Whether every line is in Elasticsearch exactly once, or dead, and nothing else is there."""
        return not (self.missing or self.repeated or self.strange or self.broken)


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """The accounts of all files, added up."""

    files: int
    bytes: int
    lines: int
    stored: int
    repeated: int
    missing: int
    dead: int
    strange: int
    broken: int


def lines(content: bytes) -> list[int]:
    """The offset of each line that is not blank; a last line without its end counts as it is."""
    found: list[int] = []
    offset = 0
    for line in content.split(b"\n"):
        if not _is_blank(line):
            found.append(offset)
        offset += len(line) + 1
    return found


def _covered(content: bytes, places: list[int], source: str, one: Kept) -> list[int]:
    """The lines that a record says it holds, by their offsets; none if its id is not that of these bytes."""
    end = one.offset + one.bytes
    checksum = zlib.crc32(content[one.offset : end].removesuffix(b"\n"))
    covered = places[bisect_left(places, one.offset) : bisect_left(places, end)]
    is_theirs = one.record_id == record_id(source, one.offset, checksum)
    return covered if is_theirs and one.offset in covered[:1] else []


def examine(
    content: bytes, kept: Sequence[Kept], dead: Sequence[Kept], *, service: str, path: str, source: str
) -> Account:
    """Compare a file's bytes with the documents of its source, in the order of their offsets, and its dead letters."""
    places = lines(content)
    genuine = {one: _covered(content, places, source, one) for one in {*kept, *dead}}
    counts = Counter(one.record_id for one in kept)
    found = Counter(place for one in set(kept) for place in genuine[one])
    buried = {place for one in dead for place in genuine[one]} - found.keys()
    missing = [place for place in places if place not in found and place not in buried]
    twice = [name for name, count in counts.items() if count > 1]
    overlaid = [place for place, count in found.items() if count > 1]
    strange = sorted({one.record_id for one in kept if not genuine[one]})
    first = {one.record_id: one for one in reversed((*kept, *dead))}
    breaks = _breaks(sorted(first.values(), key=lambda one: one.offset))
    faults = [f"missing: the line at byte {offset}" for offset in missing[:_EXAMPLES]]
    faults += [f"stored {counts[name]} times: {name}" for name in twice[:_EXAMPLES]]
    faults += [f"in {found[place]} documents: the line at byte {place}" for place in overlaid[:_EXAMPLES]]
    faults += [f"not a line of the file: {name}" for name in strange[:_EXAMPLES]]
    faults += [f"chain broken at bytes {one.start} to {one.end}" for one in breaks[:_EXAMPLES]]
    return Account(
        service=service,
        path=path,
        source=source,
        bytes=len(content),
        lines=len(places),
        stored=len(found),
        repeated=sum(count - 1 for count in (*counts.values(), *found.values())),
        missing=len(missing),
        dead=len(buried),
        strange=len(strange),
        broken=len(breaks),
        remarks=tuple(faults),
    )


def total(accounts: Iterable[Account]) -> Totals:
    """All files together."""
    every = list(accounts)
    names = (name for name in Totals.__struct_fields__ if name != "files")
    return Totals(files=len(every), **{name: sum(getattr(one, name) for one in every) for name in names})


def _is_blank(line: bytes) -> bool:
    """Only white space, or the zeros that a truncation leaves behind: the shipper makes no record of it."""
    return not line or line.isspace() or (line[0] == 0 and not line.strip(_HOLE))


def _breaks(records: Sequence[Kept]) -> list[Range]:
    """Where a record does not begin at the end of the one before: behind it, or before it."""
    walk = walked(records)
    return sorted([*walk.gaps, *walk.claims, *(Range(one.start, one.end) for one in walk.doubles)], key=_start)


def _start(place: Range) -> int:
    return place.start
