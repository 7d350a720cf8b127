"""The plugin's only place that reads a clock or draws at random. The others are given one."""

import secrets
import time
from typing import Protocol

import anyio


class Clock(Protocol):
    """Wall time for signatures, monotonic time for waiting, a draw for jitter."""

    def now(self) -> float:
        """Return seconds since 1970."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some fixed moment; never steps back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds of monotonic time."""
        ...

    def draw(self) -> float:
        """Return a number, uniform in [0, 1)."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        return time.time()  # noqa: TID251 - this plugin's one place that reads the clock

    def monotonic(self) -> float:
        return time.monotonic()  # noqa: TID251 - the same

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)

    def draw(self) -> float:
        return secrets.SystemRandom().random()
