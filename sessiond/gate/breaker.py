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
        self.slow_after = slow_after
        self._clock = clock
        self._bad = 0
        self._pause = FIRST_PAUSE
        self._opened_at = float("-inf")  # monotonic
        self._held_until = float("-inf")  # monotonic

    @property
    def is_open(self) -> bool:
        return self._bad >= TRIES

    @property
    def is_held(self) -> bool:
        """Whether the issuer has said when to come back, and it is not time yet."""
        return self._clock.monotonic() < self._held_until

    @property
    def pause(self) -> float:
        """Seconds to wait before the next trial call."""
        return max(self._pause, self._held_until - self._clock.monotonic())

    def hold(self, seconds: float) -> None:
        """Open at once and stay so: the issuer has said when to come back."""
        now = self._clock.monotonic()
        self._held_until = max(self._held_until, now + seconds)
        if not self.is_open:
            self._bad, self._opened_at = TRIES, now

    def start(self) -> float:
        """Return the moment a call begins, to be given to `finish`."""
        return self._clock.monotonic()

    def finish(self, started: float, *, ok: bool) -> None:
        """Note how a call went."""
        now = self._clock.monotonic()
        if ok and now - started <= self.slow_after:
            if not self.is_held:
                self._bad, self._pause = 0, FIRST_PAUSE
            return
        if self.is_open and started > self._opened_at:  # a trial, no call that was under way
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._bad += 1
        if self._bad == TRIES:
            self._opened_at = now
