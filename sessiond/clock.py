"""The only place that reads a clock. Everybody else is given one."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

import anyio


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
