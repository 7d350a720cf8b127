"""Notices that calls fail, so that whoever is asked stops nobody twice."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile

from sessiond.clock import Clock
from sessiond.core.backoff import pause_after
from sessiond.core.errors import IssuerThrottled, IssuerUnavailable, UnusableAnswer

TRIES = 3  # bad calls in a row until logins no longer wait for the issuer
FIRST_PAUSE = 1.0  # seconds before the first trial call; doubled up to
LONGEST_PAUSE = 30.0
LONGEST_HOLD = 3600.0  # seconds that an issuer's word keeps everybody from it at most


@dataclass(eq=False, slots=True)
class Call:
    """A call under way."""

    began_at: float  # monotonic
    is_trial: bool


class Breaker:
    """Counts bad calls in a row: failed ones, and ones that last longer than `slow_after` seconds.

    A slow call counts once, while it lasts: nobody is told when, so whoever asks `is_open` finds
    out. While it is open nobody waits; a trial call that is answered, held by no login, closes it.
    Whoever makes them asks `pause` how long to wait before each.

    Where trial calls are made at once, quick failures alone only raise a doubt, which a trial call
    settles: they hold nobody up, and what a stranger sent may be why they failed.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        slow_after: Callable[[], float],
        doubts: bool = False,
        note: Callable[[bool], object] = lambda _: None,
    ) -> None:
        """Begin closed.

        Args:
            clock: Measures the calls.
            slow_after: The seconds of now.
            doubts: Whether quick failures alone open it only once a trial call has failed too.
            note: Told whether it is open when that changes.
        """
        self._slow_after = slow_after
        self._clock = clock
        self._doubts = doubts
        self._note = note
        self._bad = 0
        self._is_open = False
        self._bad_trials = 0  # since it opened
        self._opened_at = float("-inf")  # monotonic
        self._held_until = float("-inf")  # monotonic
        self._under_way: dict[Call, None] = {}  # in the order of their beginnings; none is slow yet

    @property
    def is_open(self) -> bool:
        self._count_slow()
        return self._is_open

    @property
    def needs_trial(self) -> bool:
        """Whether only a trial call can tell if it should be closed."""
        return self.is_open or self._bad >= TRIES

    @property
    def is_held(self) -> bool:
        """Whether the issuer has said when to come back, and it is not time yet."""
        return self._clock.monotonic() < self._held_until

    @property
    def pause(self) -> float:
        """Seconds to wait before the next trial call."""
        held = self._held_until - self._clock.monotonic()
        if not self.is_open:
            return max(0.0, held)
        tried = pause_after(self._bad_trials + 1, first=FIRST_PAUSE, longest=LONGEST_PAUSE)
        return max(tried, held)

    def hold(self, seconds: float) -> None:
        """Open at once and stay so: the issuer has said when to come back."""
        self._held_until = max(
            self._held_until, self._clock.monotonic() + min(seconds, LONGEST_HOLD)
        )
        self._open()

    @contextmanager
    def seeing(self, *, is_trial: bool = False) -> Iterator[None]:
        """See how the call inside goes: any quick answer is good, whatever it says."""
        call = self.start(is_trial=is_trial)
        try:
            yield
        except IssuerUnavailable as unavailable:
            self.finish(call, ok=isinstance(unavailable, UnusableAnswer))
            if isinstance(unavailable, IssuerThrottled):
                self.hold(unavailable.retry_after)
            raise
        except Exception:  # a refusal; or a fault of our own, which says nothing of the issuer
            self.finish(call, ok=True)
            raise
        else:
            self.finish(call, ok=True)
        finally:
            self.forget(call)

    def start(self, *, is_trial: bool = False) -> Call:
        """Note that a call begins; it must be given to `finish`, or to `forget`."""
        self._count_slow()
        call = Call(self._clock.monotonic(), is_trial)
        self._under_way[call] = None
        return call

    def finish(self, call: Call, *, ok: bool) -> None:
        """Note how a call went: ok means that the issuer answered, whatever it was."""
        self._count_slow()
        if call not in self._under_way:  # it was slow, and has been counted
            return
        self.forget(call)
        if not ok:
            self._count(call, is_slow=False)
        elif not self.is_held:
            self._bad, self._bad_trials = 0, 0
            if self._is_open:
                self._is_open = False
                self._note(False)

    def forget(self, call: Call) -> None:
        """Note that a call was given up, and nothing is known."""
        self._under_way.pop(call, None)

    def _count_slow(self) -> None:
        now, slow_after = self._clock.monotonic(), self._slow_after()
        slow = takewhile(lambda call: now - call.began_at > slow_after, self._under_way)
        for call in tuple(slow):
            self.forget(call)
            self._count(call, is_slow=True)

    def _count(self, call: Call, *, is_slow: bool) -> None:
        self._bad += 1
        if self._is_open:
            if call.began_at > self._opened_at:  # a trial, no call that was under way
                self._bad_trials += 1
        elif self._bad >= TRIES and (is_slow or call.is_trial or not self._doubts):
            self._open()

    def _open(self) -> None:
        if not self._is_open:
            self._is_open, self._opened_at = True, self._clock.monotonic()
            self._note(True)
