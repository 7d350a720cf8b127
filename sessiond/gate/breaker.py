"""Notices a sick issuer, so that it stops nobody twice."""

from sessiond.clock import Clock

TRIES = 3  # bad calls in a row until logins no longer wait for the issuer
FIRST_PAUSE = 1.0  # seconds before the first trial call; doubled up to
LONGEST_PAUSE = 30.0


class Breaker:
    """Counts bad calls in a row: failed ones, and ones slower than `slow_after` seconds.

    While open, nobody waits for the issuer; trial calls held by no login find out when it is
    well. Whoever makes them asks `pause` how long to wait before each.
    """

    def __init__(self, clock: Clock, *, slow_after: float) -> None:
        self._clock = clock
        self._slow_after = slow_after
        self._bad = 0
        self._pause = FIRST_PAUSE

    @property
    def is_open(self) -> bool:
        return self._bad >= TRIES

    @property
    def pause(self) -> float:
        """Seconds to wait before the next trial call."""
        return self._pause

    def hold(self, seconds: float) -> None:
        """Open at once and stay so: the issuer has said when to come back."""
        self._bad = max(self._bad, TRIES)
        self._pause = max(self._pause, seconds)

    def start(self) -> float:
        """Return the moment a call begins, to be given to `finish`."""
        return self._clock.monotonic()

    def finish(self, started: float, *, ok: bool) -> None:
        """Note how a call went."""
        was_open = self.is_open
        if ok and self._clock.monotonic() - started <= self._slow_after:
            self._bad = 0
            self._pause = FIRST_PAUSE
        else:
            self._bad += 1
            if was_open:
                self._pause = min(self._pause * 2, LONGEST_PAUSE)
