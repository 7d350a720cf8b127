"""A connection's one timer."""

import math
from collections.abc import Callable

from sessiond.clock import Timer, TimerClock


class Alarm:
    """Rings at the earliest moment that was asked for, or before; whoever it wakes asks again.

    So a message costs no timer: the one that is set is not later than its deadline.
    """

    def __init__(self, clock: TimerClock, ring: Callable[[], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._timer: Timer | None = None
        self._at = math.inf  # monotonic moment

    def by(self, moment: float) -> None:
        """Ring at this moment of monotonic time at the latest; infinity is never."""
        if moment < self._at:
            if self._timer is not None:
                self._timer.cancel()
            self._at = moment
            self._timer = self._clock.call_at(moment, self._call)

    def stop(self) -> None:
        """Ring no more, nor lead to whom it would wake."""
        self._ring = _nothing
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _call(self) -> None:
        self._timer, self._at = None, math.inf
        self._ring()


def _nothing() -> None:
    """Do nothing: it is over."""
