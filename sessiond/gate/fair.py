"""A bounded number of places, given out in turn to whoever waits."""

from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

import anyio


class FairLimiter:
    """So many calls at a time; those that wait are served round robin by their owner.

    A process that sends a thousand logins takes one turn like everybody else.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: OrderedDict[Hashable, deque[anyio.Event]] = OrderedDict()

    def waiting(self) -> int:
        """Return how many calls wait for a place."""
        return sum(map(len, self._waiting.values()))

    @asynccontextmanager
    async def place(self, owner: Hashable) -> AsyncIterator[None]:
        """Hold a place; wait for it in the owner's own queue."""
        await self._take(owner)
        try:
            yield
        finally:
            self._give()

    async def _take(self, owner: Hashable) -> None:
        if self._free and not self._waiting:
            self._free -= 1
            return
        turn = anyio.Event()
        self._waiting.setdefault(owner, deque()).append(turn)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():  # the place was given as the wait was cancelled: pass it on
                self._give()
            else:
                self._leave(owner, turn)
            raise

    def _give(self) -> None:
        if not self._waiting:
            self._free += 1
            return
        owner, queue = self._waiting.popitem(last=False)
        turn = queue.popleft()
        if queue:
            self._waiting[owner] = queue  # to the end of the round
        turn.set()

    def _leave(self, owner: Hashable, turn: anyio.Event) -> None:
        queue = self._waiting[owner]
        queue.remove(turn)
        if not queue:
            del self._waiting[owner]
