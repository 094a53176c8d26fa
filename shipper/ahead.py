"""The registry and the files to what an agent would find at its start; reads, and changes nothing."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from shipper.copies import Copies, Take, Wait
from shipper.disk import Opened, Wanted, opened
from shipper.extent import text_end
from shipper.identity import Place
from shipper.names import is_packed
from shipper.plan import Found, Snapshot
from shipper.recognise import Memory
from shipper.registry_row import Row
from shipper.rotated import beside, moved_rows, newest, oldest_first
from shipper.sources import is_same
from shipper.unpack import Handle, Unpacked, close
from tailrace.settings import Input

_STEP = 1_048_576


def ahead(rows: Iterable[Row], snapshot: Snapshot, inputs: Sequence[Input]) -> tuple[list[Row], dict[Place, Found]]:
    """The rows, each in the place where its source would go on, and the files that would be read.

    A row whose file was truncated has ended. A compressed file that would be read has the size of what was compressed.
    Files that hold nothing new are left out. Hazard: reads compressed files whole.
    """
    known = {row.source: _judged(row, snapshot) for row in rows}
    memory = Memory(known.values())
    moved = moved_rows(memory, snapshot, newest(memory))
    rotated = beside(moved, inputs, snapshot, memory)
    there = snapshot.found | {one.found.place: one.found for one in rotated}
    wanted = {*snapshot.found, *(one.found.place for one in rotated if one.is_new)}
    copies = Copies(memory, {})
    copies.look(there)
    copies.gather()
    found = {place: _measured(one, memory.places[place]) for place, one in there.items() if place in memory.places}
    for one in oldest_first(one for place, one in there.items() if place not in memory.places):
        size = one.size
        with contextlib.suppress(OSError), _opened(one.path) as file:
            verdict = copies.judge(one.path, file.handle, file.first)
            if isinstance(verdict, Wait) and verdict.name:
                continue
            if isinstance(verdict, Take):
                row = memory.rows[verdict.name]
                known[row.source] = msgspec.structs.replace(row, place=one.place, ended=False)
                memory.pop(row.source)
                copies.gather()
            elif one.place not in wanted:
                continue
            size = _size(file.handle)
        found[one.place] = one._replace(size=size)
    return list(known.values()), found


def _measured(one: Found, row: Row) -> Found:
    """A known file, as far as there is text in it."""
    if (one.size, one.modified) != (row.size, row.modified) and not is_packed(one.path):
        with contextlib.suppress(OSError), _opened(one.path, row) as file:
            return one._replace(size=_size(file.handle))
    return one


def _judged(row: Row, snapshot: Snapshot) -> Row:
    """A row, ended if what stands in its place is not what was read."""
    there = snapshot.found.get(row.place)
    if row.ended or there is None or (there.size, there.modified) == (row.size, row.modified):
        return row
    with contextlib.suppress(OSError), _opened(there.path, row) as file:
        if not is_same(row, file):
            return msgspec.structs.replace(row, ended=True)
    return row


@contextlib.contextmanager
def _opened(path: str, row: Row | None = None) -> Iterator[Opened]:
    """A file, and what stands before a row's position in it.

    Raises:
        OSError: it cannot be read.
    """
    offset, length = (row.position, row.anchor.length) if row is not None else (0, 0)
    file = opened(Wanted(path, 0, offset, length))
    if file.refused:
        raise OSError(file.refused)
    try:
        yield file
    finally:
        close(file.handle)


def _size(handle: Handle) -> int:
    """How many bytes there are to be read."""
    while isinstance(handle, Unpacked) and handle.pread(_STEP, handle.made):
        pass
    return text_end(handle)
