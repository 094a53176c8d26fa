"""Where files begin: those that are there when an agent first starts with their input, perhaps at their end then."""

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
    """How large such files were at the first look, until each was opened, which may be long after."""

    def __init__(self, inputs: list[Input]) -> None:
        self._inputs = inputs
        self._new: set[int] = set()
        self._sizes: dict[Place, int] = {}

    def begin(self, begun: Collection[str]) -> None:
        """Before the first look: these inputs are no longer new, so files of theirs begin at their beginning."""
        new = {number for number, entry in enumerate(self._inputs) if input_name(entry) not in begun}
        self._new = {number for number in new if self._inputs[number].start == "end"}

    def look(self, snapshot: Snapshot, known: Collection[Place]) -> None:
        """Take note of what the first look found; of later ones, of what is gone."""
        if self._new:
            there = [one for place, one in snapshot.found.items() if place not in known]
            self._sizes = {one.place: one.size for one in there if one.number in self._new}
            self._new.clear()
        elif self._sizes:
            self._sizes = {place: size for place, size in self._sizes.items() if place in snapshot.found}

    def passed_bytes(self, found: Found) -> int:
        """How many bytes of a file were there before it was to be read."""
        return self._sizes.get(found.place, 0)

    def opened(self, place: Place) -> None:
        """A file is followed now."""
        self._sizes.pop(place, None)

    async def passed(self, found: Found, opened: Opened, disk: Disk) -> Opened:
        """Pass over what is in a compressed file, if it is as it was then: it must all be decompressed for that.

        Raises:
            TimeoutError: its disk does not answer.
        """
        handle = opened.handle
        if not isinstance(handle, Unpacked) or self._sizes.get(found.place) != found.size:
            return opened
        made = -1
        while made < handle.made:
            made = handle.made
            await disk.run(partial(handle.pread, _STEP_BYTES, made), found.place.device)
        return opened._replace(end=made, before=await disk.before(handle, made, found.place.device))
