"""Readings of the clocks, then and now, to times of then on the clock of now: it may have been set back. No I/O."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from shipper.registry_row import Row

_SECOND = 10**9


class Reading(NamedTuple):
    """Two clocks at one moment, both in nanoseconds: ``wall`` since 1970, ``even`` since some start.

    Nobody sets the even one, but a new ``boot`` begins it anew.
    """

    wall: int
    even: int
    boot: str = ""


def drift(last: Reading, now: Reading) -> int:
    """How far the wall clock was set forward (or, below 0, back) in between, in nanoseconds; 0 after another boot."""
    return now.wall - last.wall - (now.even - last.even) if last.boot == now.boot else 0


def seconds_back(stored: Reading | None, now: Reading) -> int:
    """By how many whole seconds times on the stored clock are to be put back to be before the same ones of now."""
    back = -drift(stored, now) if stored is not None else 0
    return back // _SECOND + 1 if back > _SECOND else 0


def corrected(rows: Iterable[Row], stored: Reading | None, now: Reading) -> list[Row]:
    """Rows that were stored on the clock as ``stored``, as if the clock had always been what it is now.

    Of those that seem to be of a time to come nobody can say when they were looked at: any time may have been after.
    """
    seconds = seconds_back(stored, now)
    return [_corrected(row, seconds, now.wall // _SECOND) for row in rows]


def _corrected(row: Row, seconds: int, now: int) -> Row:
    updated = row.updated - seconds
    if updated > now:
        updated = 0
    return row if updated == row.updated else msgspec.structs.replace(row, updated=updated)
