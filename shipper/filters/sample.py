"""Many records to a share of them, the same wherever they are read. No I/O."""

from hashlib import blake2b

from shipper.filters.facts import Path, Values
from shipper.filters.rule import Memory, Spot
from tailrace.filter_settings import Sample as Settings
from tailrace.levels import at_least

_ERRORS: tuple[Path, ...] = (("log", "level"), ("error", "type"), ("error", "message"), ("error", "stack_trace"))
_BAD = frozenset(at_least("error"))
_ALL = 2**64


class Share:
    """Keeps a share: a record by the first of its keys that is there, else by its place in the file.

    The key is hashed alike on every host and for every rate, so a trace is kept as a whole, and what a small rate keeps
    a larger one keeps too.
    """

    def __init__(self, settings: Settings, keys: tuple[Path, ...]) -> None:
        self.paths = (*keys, *_ERRORS) if settings.keep_errors else keys
        self._keys = len(keys)
        self._most = int(settings.rate * _ALL)

    def drops(self, values: Values, spot: Spot, _memory: Memory) -> bool:
        """Whether it is not among those that are kept."""
        if len(values) > self._keys:
            level, *error = values[self._keys :]
            if level in _BAD or any(one is not None for one in error):
                return False
        key = next((str(value) for value in values[: self._keys] if value is not None), None)
        if key is None:
            key = f"{spot.source}:{spot.offset}"
        digest = blake2b(key.encode("utf-8", "replace"), digest_size=8).digest()
        return int.from_bytes(digest, "big") >= self._most
