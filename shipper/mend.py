"""Where the bytes of a source stand now, and the records that they gave, made again."""

import posixpath
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from shipper.disk import Disk, Opened, Wanted
from shipper.identity import Anchor, same
from shipper.names import is_named_after, is_packed, live_path
from shipper.plan import Found
from shipper.registry_row import Row
from shipper.rotated import input_of
from shipper.scan import siblings
from shipper.source import Source, Step
from shipper.sources import Sources
from shipper.unpack import Handle, read_at
from tailrace.settings import Settings


class Standing(NamedTuple):
    """An open file in which a source stands, as far as it was acknowledged."""

    path: str
    handle: Handle
    device: int


async def find(row: Row, disk: Disk) -> Standing | str:
    """The file of a source, or one that rotation made of it, compressed or not; else why there is none."""
    candidates = _candidates(row)
    wanted = [Wanted(one.path, one.place.device, row.position, row.anchor.length) for one in candidates]
    found: Standing | None = None
    reasons = []
    for one, opened in zip(candidates, await disk.open(wanted), strict=True):
        if opened.late:
            reasons.append(f"the disk of {one.path} does not answer")
        elif opened.refused:
            reasons.append(f"cannot read {one.path}: {opened.refused}")
        elif found is None and _stands_in(row, opened):
            found = Standing(one.path, opened.handle, one.place.device)
        else:
            disk.close(one.place.device, opened.handle)
    if found is not None:
        return found
    gone = (
        f"neither {row.path} nor a file that rotation made of it holds these bytes any more: restore it, and ask again"
    )
    return "; ".join(reasons) or gone


def source_of(row: Row, start: int, end: int, settings: Settings, sources: Sources) -> Source | None:
    """The source as if it had been read up to ``start`` only, to be read to ``end``; None if no input has its path.

    The last of its cuts is at ``end``, for the record that begins there is stored already. Its throttles remember
    nothing, and so let through at least what they did at the time.
    """
    inputs = settings.shipper.inputs
    number = input_of(row.path, inputs)
    number = input_of(live_path(row.path), inputs) if number is None else number
    if number is None:
        return None
    cuts = sorted({cut for cut in row.cuts if start < cut < end} | {end})
    back = msgspec.structs.replace(
        row,
        position=start,
        skipped=0,
        reach=end,
        anchor=Anchor(0, 0),
        cuts=tuple(cuts),
        records=0,
        bytes=0,
        blank=0,
        dropped=(),
        memory=b"",
    )
    return sources.known(back, number, b"")


def steps(source: Source, handle: Handle, end: int, most: int, now: int) -> Iterator[Step]:
    """Read a source of ``source_of`` to its end, ``most`` bytes at a time; ends early where the file does.

    ``now`` is in nanoseconds since 1970. Hazard: each step reads from the disk.
    """
    while source.cursor < end:
        back, at = len(source.anchor), source.at
        window = read_at(handle, most + back, at - back)
        full = len(window) == most + back
        step = source.read(window, now, full=full)
        if step is not None:
            yield step
        elif not full or source.at == at:
            return


def _candidates(row: Row) -> list[Found]:
    """Files that may be the one: first in its place, then under its name, then what rotation may have made of it."""
    ranked = []
    for folder in dict.fromkeys(map(posixpath.dirname, (row.path, *row.families))):
        for one in siblings(folder, 0):
            kin = any(is_named_after(one.path, live) for live in row.families)
            if one.place == row.place or one.path == row.path or kin:
                ranked.append((one.place != row.place, one.path != row.path, is_packed(one.path), -one.modified, one))
    return [one for *_, one in sorted(ranked)]


def _stands_in(row: Row, opened: Opened) -> bool:
    return not opened.early and same(opened.first, opened.before, row.head, row.anchor)
