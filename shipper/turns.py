"""When each key is due to whose turn it is. No I/O."""

import heapq
from typing import Generic, TypeVar

_Key = TypeVar("_Key")
_SPARE = 64


class Turns(Generic[_Key]):
    """Keys by the time at which each is due; a key has one time, the last it was given.

    The cost of a question follows how many keys are due, not how many there are. Keys that are due since longer come
    first, so whoever is put back as due *now* comes behind all who wait already.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, _Key]] = []
        self._number: dict[_Key, int] = {}
        self._count = 0

    def put(self, key: _Key, due: float) -> None:
        """It is due at that time, and no other."""
        self._count += 1
        self._number[key] = self._count
        heapq.heappush(self._heap, (due, self._count, key))
        if len(self._heap) > 2 * len(self._number) + _SPARE:
            self._heap = [entry for entry in self._heap if self._number.get(entry[2]) == entry[1]]
            heapq.heapify(self._heap)

    def drop(self, key: _Key) -> None:
        """It is due no more; nothing if it was not."""
        self._number.pop(key, None)

    def take(self, now: float) -> list[_Key]:
        """Take out what is due, longest due first."""
        taken = []
        while self._heap and self._heap[0][0] <= now:
            _due, number, key = heapq.heappop(self._heap)
            if self._number.get(key) == number:
                del self._number[key]
                taken.append(key)
        return taken

    def next_due(self) -> float | None:
        """When the next key is due; None if there is none."""
        while self._heap and self._number.get(self._heap[0][2]) != self._heap[0][1]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def __len__(self) -> int:
        return len(self._number)
