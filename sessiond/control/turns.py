"""Reads of one user go one at a time, with pauses: no reader slows a login."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

import anyio

from sessiond.clock import Clock
from sessiond.control.problem import Problem

MAX_WAITING = 64  # reads of one user, the one that is being answered included
MAX_STREAMS = 16  # of events that one user follows at a time
LONGEST_PAUSE = 0.25  # seconds
FEW = 64  # users whose turns are remembered however long ago they were
AGAIN_IN = 1  # seconds
REFUSALS = 100  # a second, of one user; what a refusal costs, the loop spends on nothing else
AT_ONCE = 1.0  # seconds' worth of refusals that wait for nothing
LONGEST_WAIT = 2.0  # seconds for a refusal
REFUSED = "refused"  # the lane of refusals

Key = tuple[int, str]  # uid, and the lane that its request goes in


@dataclass(slots=True)
class _Lane:
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    waiting: int = 0
    not_before: float = 0.0  # moment of monotonic time


class Turns:
    """Gives each user one turn at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lanes: dict[Key, _Lane] = {}
        self._streams: dict[int, int] = {}  # by uid

    @asynccontextmanager
    async def turn(self, uid: int, lane: str) -> AsyncIterator[None]:
        """Wait for the user's turn, and rest as long as it took before his next one begins.

        Raises:
            Problem: Too many of his wait already.
        """
        mine = self._lane((uid, lane))
        if mine.waiting >= MAX_WAITING:
            raise _too_many("requests of yours wait")
        mine.waiting += 1
        try:
            async with mine.lock:
                pause = mine.not_before - self._clock.monotonic()
                if pause > 0:
                    await self._clock.sleep(pause)
                began = self._clock.monotonic()
                try:
                    yield
                finally:
                    took = self._clock.monotonic() - began
                    mine.not_before = began + took + min(took, LONGEST_PAUSE)
        finally:
            mine.waiting -= 1

    @asynccontextmanager
    async def beside(self, uid: int, lane: str) -> AsyncIterator[None]:
        """Count what goes beside the user's others of this lane, without waiting for a turn.

        Raises:
            Problem: Too many of his are under way already.
        """
        mine = self._lane((uid, lane))
        if mine.waiting >= MAX_WAITING:
            raise _too_many("requests of yours wait")
        mine.waiting += 1
        try:
            yield
        finally:
            mine.waiting -= 1

    async def refuse(self, uid: int) -> None:
        """Wait as long as it takes that refusing a user costs nobody else anything.

        Whoever has too many requests, or wrong ones, gets his next no when his turn is, so that he
        who asks again at each no asks slowly.
        """
        mine, now = self._lane((uid, REFUSED)), self._clock.monotonic()
        next_one = max(mine.not_before, now) + 1 / REFUSALS
        mine.not_before = min(next_one, now + AT_ONCE + LONGEST_WAIT)
        if (wait := mine.not_before - now - AT_ONCE) > 0:
            await self._clock.sleep(wait)

    @asynccontextmanager
    async def stream(self, uid: int) -> AsyncIterator[None]:
        """Count a stream of events while it lasts."""
        self._streams[uid] = self._streams.get(uid, 0) + 1
        try:
            yield
        finally:
            self._streams[uid] -= 1
            if not self._streams[uid]:
                del self._streams[uid]

    def check_streams(self, uid: int) -> None:
        """See that the user may follow the events once more.

        Raises:
            Problem: He follows too many streams.
        """
        if self._streams.get(uid, 0) >= MAX_STREAMS:
            raise _too_many("streams of events are yours")

    def _lane(self, key: Key) -> _Lane:
        if key not in self._lanes and len(self._lanes) >= FEW:
            now = self._clock.monotonic()
            self._lanes = {
                other: lane
                for other, lane in self._lanes.items()
                if lane.waiting or lane.not_before > now
            }
        return self._lanes.setdefault(key, _Lane())


def _too_many(what: str) -> Problem:
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, f"too many {what}", retry_after=AGAIN_IN)
