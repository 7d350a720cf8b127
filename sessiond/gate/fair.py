"""Calls to an issuer, so many at a time, and places given out in turn to whoever waits."""

from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager

import anyio

from sessiond.core.round_robin import RoundRobin


class FairLimiter:
    """So many calls at a time; those that wait are served round robin by their owner.

    A process that sends a thousand logins takes one turn like everybody else.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._is_giving = False
        self._waiting = RoundRobin[Callable[[], object]]()

    def waiting(self) -> int:
        """Return how many calls wait for a place."""
        return len(self._waiting)

    @asynccontextmanager
    async def place(self, owner: Hashable, part: Hashable = None) -> AsyncIterator[None]:
        """Hold a place; wait for it in the owner's own queue, and there in that of the part."""
        await self.take(owner, part)
        try:
            yield
        finally:
            self.give()

    async def take(self, owner: Hashable, part: Hashable = None) -> None:
        """Wait for a place, to be given back by `give`, which any task may do."""
        if self._free and not self._waiting:
            self._free -= 1
            return
        turn = anyio.Event()
        begin = turn.set
        self._waiting.add(begin, owner=owner, part=part)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():  # the place was given as the wait was cancelled: pass it on
                self.give()
            else:
                self._waiting.remove(begin, owner=owner, part=part)
            raise

    def when_free(
        self, begin: Callable[[], object], owner: Hashable, part: Hashable = None
    ) -> None:
        """Have something begun with a place held, at once or in its turn; it needs no task."""
        if self._free and not self._waiting:
            self._free -= 1
            begin()
        else:
            self._waiting.add(begin, owner=owner, part=part)

    def give(self) -> None:
        """Give a place back: it goes to whoever is next."""
        self._free += 1
        if self._is_giving:  # who is next gives it back at once, and so may very many
            return
        self._is_giving = True
        try:
            while self._free and self._waiting:
                self._free -= 1
                self._waiting.take()()
        finally:
            self._is_giving = False
