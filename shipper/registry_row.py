"""What is stored of one source. No I/O."""

import msgspec

from shipper.identity import Anchor, Head, Place


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of one source.

    ``position`` is the byte to read next; ``skipped`` bytes before it gave no record; nothing at or past ``reach`` was
    ever sent, so after an unclean stop [position, reach) may have been. ``records``, ``bytes`` and ``blank`` count what
    is acknowledged before ``position``. ``cuts`` are the ends, past ``position``, of lines without a delimiter.
    ``size`` and ``modified`` (nanoseconds since 1970) are what the file had when it was last looked at; once it is
    known that what stood past ``position`` is lost, ``size`` is ``position``. ``updated`` says when somebody had last
    looked at the file system (seconds since 1970), ``born`` when the file was made (nanoseconds; 0: not known).
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
    size: int = 0
    modified: int = 0
    born: int = 0
