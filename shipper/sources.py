"""What is known of a file to the source that reads it; what the topic decides is known here."""

from collections.abc import Callable

import msgspec

from shipper.disk import Opened
from shipper.filter_keys import filter_rules
from shipper.foreign import bring
from shipper.identity import NO_HEAD, Head, Place, anchor_of, head_of, same
from shipper.lines import HOLE
from shipper.machine import surroundings
from shipper.multiline import joiner_of
from shipper.records import Encoder
from shipper.registry import new_source
from shipper.registry_row import Row
from shipper.source import Source, fresh_row
from shipper.unpack import Unpacked
from tailrace.settings import Settings


class Sources:
    """Makes sources; few files still use all partitions, for names are chosen so that these are used in turn.

    Raises:
        FixSettings: the filters of an input cannot be used.
    """

    def __init__(self, settings: Settings, host: dict[str, str]) -> None:
        bring(settings.shipper.inputs)
        self._around = surroundings(settings.host)
        self._shipper = settings.shipper
        self._host = host
        self.most_record_bytes = settings.shipper.max_record_bytes
        self._rules = [filter_rules(entry) for entry in settings.shipper.inputs]
        # They remember nothing of a file, and to make one takes longer than all the rest of opening a file.
        self._joiners = [joiner_of(entry, settings.shipper.read_bytes) for entry in settings.shipper.inputs]
        self._lane_of: Callable[[str], int] = lambda _name: 0
        self._lanes = 0
        self._turn = 0

    def spread(self, lanes: int, lane_of: Callable[[str], int]) -> None:
        """Tell how many partitions there are, and which is a source's."""
        self._lanes, self._lane_of = lanes, lane_of

    def fresh(self, path: str, place: Place, number: int, head: Head = NO_HEAD, size: int = 0) -> Source:
        """A source for a file seen for the first time, of the input of that number, with what was seen of it."""
        return self.known(fresh_row(self._name(), path, place, head, size), number, b"")

    def again(self, ended: Source, number: int) -> Source:
        """A new source for the file of one that has ended there."""
        source = self.fresh(ended.path, ended.place, number)
        source.born, source.family, source.looked = ended.born, ended.family, ended.looked
        return source

    def new(self, path: str, opened: Opened, number: int) -> Source:
        """A source for a file just opened for the first time: for all of it, or for what comes behind its end."""
        if opened.end:
            return self.at_end(path, opened, number)
        size = 0 if isinstance(opened.handle, Unpacked) else opened.size
        head = head_of(opened.first.partition(HOLE)[0])  # what is behind may still be written
        return self.fresh(path, opened.place, number, head, size)

    def at_end(self, path: str, opened: Opened, number: int) -> Source:
        """A source for a file whose bytes so far are passed over, and counted as such."""
        row = fresh_row("", path, opened.place)
        at, before = opened.end, opened.before
        passed = msgspec.structs.replace(
            row, head=head_of(opened.first), anchor=anchor_of(before), position=at, skipped=at, reach=at, blank=at
        )
        return self.known(msgspec.structs.replace(passed, source=self._name()), number, before)

    def known(self, row: Row, number: int, before: bytes) -> Source:
        """The source of that row; ``before`` are the bytes before its position, as they stand in the file."""
        most_line_bytes = self._shipper.max_line_bytes
        entry = self._shipper.inputs[number]
        joiner, rules = self._joiners[number], self._rules[number]
        limits = self.most_record_bytes, most_line_bytes
        encoder = Encoder(entry, row.source, row.path, self._host, *limits, joiner, rules, self._around)
        return Source(row, encoder, before)

    def _name(self) -> str:
        self._turn += 1
        name = new_source()
        while self._lanes and self._lane_of(name) != self._turn % self._lanes:
            name = new_source()
        return name


def is_same(row: Row, opened: Opened) -> bool:
    """Whether an opened file is the one we know in its place: not made since, and before our position as it was."""
    if row.born and opened.born and row.born != opened.born:
        return False
    return same(opened.first, opened.before, row.head, row.anchor)
