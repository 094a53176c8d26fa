"""What is stored of one source. No I/O."""

import msgspec

from shipper.identity import Anchor, Head, Place
from shipper.names import families

NO_MEMORY = b"{}"
"""Nothing is remembered any more; an empty memory says that nothing ever was."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of one source.

    ``position`` is the byte to read next; ``skipped`` bytes before it gave no record; nothing at or past ``reach`` was
    ever sent, so after an unclean stop [position, reach) may have been. ``records``, ``bytes`` and ``blank`` count what
    is acknowledged before ``position``. ``cuts`` are the ends, past ``position``, of lines without a delimiter.
    ``size`` and ``modified`` (nanoseconds since 1970) are what the file had when it was last looked at; once it is
    known that what stood past ``position`` is lost, ``size`` is ``position``. ``updated`` says when somebody had last
    looked at the file and beside it (seconds since 1970), ``born`` when the file was made (nanoseconds; 0: not known).
    ``family`` is the log that the file was when it was first seen: its copies are found by that name too, though it may
    have another now.
    ``dropped`` has the records and bytes that each rule left out before ``position``; ``memory`` is what the filters
    remember there. Both are empty where nothing was ever dropped or remembered.
    """

    source: str
    memory: bytes = b""
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
    family: str = ""
    dropped: tuple[tuple[str, int, int], ...] = ()

    @property
    def families(self) -> tuple[str, ...]:
        """The logs whose rotated siblings may be copies of it."""
        return families(self.family, self.path)
