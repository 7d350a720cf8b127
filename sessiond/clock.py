"""The only place that reads a clock. Everybody else is given one."""

import asyncio
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

import anyio


class Timer(Protocol):
    """Something that will be called at a moment, unless it is cancelled before."""

    def cancel(self) -> None:
        """Call it no more. After the call, or again, it does nothing."""
        ...


class Clock(Protocol):
    """Wall time for leases, monotonic time for deadlines."""

    def now(self) -> datetime:
        """Return the wall time, aware UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some fixed moment; never steps back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds of monotonic time, at once where that is over already."""
        ...


class TimerClock(Clock, Protocol):
    """A clock that calls back."""

    def call_at(self, moment: float, callback: Callable[[], None]) -> Timer:
        """Call back at a moment of monotonic time, from the loop; a millisecond early at most.

        It needs no task, and whoever called this has returned to the loop before.
        """
        ...


class SystemClock:
    """The machine's clocks.

    Wall time is read once and then carried on by a clock that nobody sets and that goes on while
    the machine sleeps. So a wall clock that is set, rightly or by mistake, ends no session and
    prolongs none before `take_over` says so.
    """

    def __init__(self) -> None:
        self.take_over()

    def now(self) -> datetime:
        return self._began + timedelta(seconds=_since_boot() - self._began_at)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(max(0.0, seconds))  # anyio refuses what is over

    def call_at(self, moment: float, callback: Callable[[], None]) -> Timer:
        left = math.ceil(max(0.0, moment - time.monotonic()) * 1e3) / 1e3  # uvloop's are of 1 ms
        return asyncio.get_running_loop().call_later(left, callback)

    def ahead(self) -> float:
        """Return the seconds by which the machine's wall clock is ahead of `now`."""
        return (datetime.now(UTC) - self.now()).total_seconds()

    def take_over(self) -> None:
        """Go on from the machine's wall clock as it stands."""
        self._began = datetime.now(UTC)
        self._began_at = _since_boot()


def _since_boot() -> float:
    """Return seconds since the machine started, those that it slept included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
