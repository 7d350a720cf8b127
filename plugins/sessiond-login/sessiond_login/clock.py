"""The only place that reads a clock or waits. Everybody else is given one."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for what tokens say of themselves, monotonic time for deadlines."""

    def now(self) -> float:
        """Return Unix seconds, by this computer's clock."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some fixed moment; never steps back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        ...


class SystemClock:
    """The computer's clocks."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
