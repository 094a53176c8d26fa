"""Records of a key that come too often to fewer of them. No I/O.

Time here is the records' own, never the clock: then how many came before in a window follows from the file, and what is
remembered of them is stored with the position.
"""

from datetime import datetime
from hashlib import blake2b

from shipper.filters.facts import Path, Values
from shipper.filters.rule import Memory, Spot, Window
from tailrace.filter_settings import Throttle as Settings

_MOST_KEYS = 512
_OTHERS = ""
"""The key that all share for which there was no room."""
TIME: tuple[Path, ...] = (("@timestamp",), ("event", "created"))


class Limit:
    """Lets at most so many records of a key through in each window of the record's own time.

    A record without a time of its own, or one that is a window late, counts in the window that its key is in. One whose
    time is further back or ahead opens another window, so a wrong time can let too many through, and never too few.
    """

    def __init__(self, settings: Settings, keys: tuple[Path, ...]) -> None:
        self.paths = (*TIME, *keys)
        self._most = settings.most
        self._seconds = settings.per_seconds

    def drops(self, values: Values, _spot: Spot, memory: Memory) -> bool:
        """Whether enough have been let through; counts this one if not."""
        time, created, *keys = values
        key = _short(keys)
        known = memory.get(key)
        number = self._window(time) if time is not created else known.number if known is not None else 0
        if known is None and len(memory) >= _MOST_KEYS:
            self._make_room(memory, number)
            if len(memory) >= _MOST_KEYS:
                key = _OTHERS
                known = memory.get(key)
        if known is None or number not in (known.number, known.number - 1):
            memory[key] = Window(number, 1)
            return False
        if known.records >= self._most:
            return True
        memory[key] = Window(known.number, known.records + 1)
        return False

    def _window(self, time: str) -> int:
        return int(datetime.fromisoformat(f"{time[:19]}+00:00").timestamp() // self._seconds)

    @staticmethod
    def _make_room(memory: Memory, number: int) -> None:
        """Forget the keys whose windows are over."""
        for key in [key for key, window in memory.items() if not number - 1 <= window.number <= number + 1]:
            del memory[key]


def is_doubtful(values: Values) -> bool:
    """Whether a finished document leaves open if the record has a time of its own."""
    return bool(values[0] == values[1])


def _short(keys: list[object]) -> str:
    """The key as it is remembered: not what it says, which may be long, and a secret."""
    if not keys:
        return "-"
    text = "\0".join("" if value is None else str(value) for value in keys)
    return blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()
