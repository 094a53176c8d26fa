"""What is stored of one source. No I/O."""

import msgspec

from shipper.identity import Anchor, Head, Place


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of one source.

    ``position`` is the byte to read next; ``skipped`` bytes before it gave no record; nothing at or past ``reach`` was
    ever sent, so after an unclean stop [position, reach) may have been. ``records``, ``bytes`` and ``blank`` count what
    is acknowledged before ``position``. ``cuts`` are the ends, past ``position``, of lines without a delimiter.
    ``updated`` is in seconds since 1970.
    """

    source: str
    path: str
    place: Place
    head: Head
    anchor: Anchor
    position: int
    skipped: int
    reach: int
    records: int
    bytes: int
    blank: int
    ended: bool
    updated: int
    cuts: tuple[int, ...]
