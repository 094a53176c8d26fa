"""Seconds and levels that lines name, to whether they are such; each is looked at once. No I/O."""

import orjson

from shipper import ecs
from shipper.times import Times

_REMEMBERED = 4096
_MOST_LEVEL_BYTES = 64


class Known:
    """The seconds and levels that lines named so far, so that each is looked at once.

    ``levels`` has the common name of each as it is written in JSON.
    """

    def __init__(self, times: Times) -> None:
        self._times = times
        self.seconds: set[bytes] = set()
        self.levels: dict[bytes, bytes] = {}

    def is_second(self, second: bytes) -> bool:
        """Whether there is such a second, and Elasticsearch can hold it; each is looked at once."""
        if self._times.utc(second.decode("ascii") + "Z") is None:
            return False
        if len(self.seconds) >= _REMEMBERED:
            self.seconds.clear()
        self.seconds.add(second)
        return True

    def is_level(self, written: bytes) -> bool:
        """Whether the common name of a level is known, or is now; not if JSON would have to escape it."""
        if written in self.levels:
            return True
        if b"\\" in written or len(written) > _MOST_LEVEL_BYTES or len(self.levels) >= _REMEMBERED:
            return False
        level = ecs.level_of(orjson.loads(written))
        if level is None or not level.isascii() or not level.isalnum():
            return False
        self.levels[written] = b'"%b"' % level.encode()
        return True
