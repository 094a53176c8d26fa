"""Which files begin at their end: those that are there when an agent first starts with their input."""

from collections.abc import Collection
from functools import partial

from shipper.disk import Disk, Opened
from shipper.identity import Place
from shipper.plan import Found, Snapshot
from shipper.policy import input_name
from shipper.unpack import Unpacked
from tailrace.settings import Input

_STEP_BYTES = 16_777_216


class Beginnings:
    """The places of such files until each was opened, which may be long after the first look."""

    def __init__(self, inputs: list[Input]) -> None:
        self._inputs = inputs
        self._new: set[int] = set()
        self._places: set[Place] = set()

    def begin(self, begun: Collection[str]) -> None:
        """Before the first look: these inputs are no longer new, so files of theirs begin at their beginning."""
        new = {number for number, entry in enumerate(self._inputs) if input_name(entry) not in begun}
        self._new = {number for number in new if self._inputs[number].start == "end"}

    def look(self, snapshot: Snapshot, known: Collection[Place]) -> None:
        """Take note of what the first look found; of later ones, of what is gone."""
        if self._new:
            self._places = {place for place, one in snapshot.found.items() if one.number in self._new} - set(known)
            self._new.clear()
        elif self._places:
            self._places.intersection_update(snapshot.found)

    def at_end(self, found: Found) -> bool:
        """Whether a file begins at its end."""
        return found.place in self._places

    def opened(self, place: Place) -> None:
        """A file is followed now."""
        self._places.discard(place)

    async def passed(self, found: Found, opened: Opened, disk: Disk) -> Opened:
        """Pass over what is in a compressed file that begins at its end: it must all be decompressed for that.

        Raises:
            TimeoutError: its disk does not answer.
        """
        handle = opened.handle
        if not isinstance(handle, Unpacked) or not self.at_end(found):
            return opened
        made = -1
        while made < handle.made:
            made = handle.made
            await disk.run(partial(handle.pread, _STEP_BYTES, made), found.place.device)
        return opened._replace(end=made, before=await disk.before(handle, made, found.place.device))
