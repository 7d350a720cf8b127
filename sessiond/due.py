"""Things to do at a wall time."""

import heapq
from collections.abc import Hashable, Iterable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from sessiond.clock import Clock

K = TypeVar("K", bound=Hashable)

TICK = 0.5  # seconds: wall time may step and machines sleep, so never nap longer than this


class DueQueue(Generic[K]):
    """Keys with the time at which to look at them again.

    A key may be in it many times and for nothing: whoever takes it judges by the rows.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[datetime, int, K]] = []
        self._added = 0  # breaks ties, so that keys need no order

    def add(self, when: datetime, key: K) -> None:
        """Have the key looked at when the wall time is there."""
        self._added += 1
        heapq.heappush(self._heap, (when, self._added, key))

    def add_all(self, keys: Iterable[tuple[datetime, K]]) -> None:
        """Have many keys looked at, each when its wall time is there."""
        self._heap += [
            (when, number, key) for number, (when, key) in enumerate(keys, self._added + 1)
        ]
        self._added += len(self._heap)
        heapq.heapify(self._heap)

    def add_in(self, seconds: float, key: K) -> None:
        """Have the key looked at so many seconds from now."""
        self.add(self._clock.now() + timedelta(seconds=seconds), key)

    async def take(self, limit: int) -> list[K]:
        """Return keys that are due, at most `limit`; wait until there is one."""
        while True:
            now = self._clock.now()
            taken: list[K] = []
            while self._heap and self._heap[0][0] <= now and len(taken) < limit:
                taken.append(heapq.heappop(self._heap)[2])
            if taken:
                return taken
            nap = TICK
            if self._heap:
                nap = min(nap, max(0.0, (self._heap[0][0] - now).total_seconds()))
            await self._clock.sleep(nap)
