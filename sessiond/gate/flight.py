"""One call for all who wait for what comes of it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, TypeVar

import anyio

from sessiond.clock import Clock
from sessiond.core.errors import IssuerThrottled, IssuerUnavailable, TokenRejected
from sessiond.gate.timings import LoginTimings

A = TypeVar("A")
Fault = TokenRejected | IssuerUnavailable

IS_STOPPING = "sessiond is stopping, wanted it open: try again once it is back"

_BARE = nullcontext()


class Flight(Generic[A]):
    """One call under way. Whoever waits for it may leave; it disturbs no other, nor the call."""

    def __init__(
        self,
        clock: Clock,
        *,
        is_timed: bool = True,
        contained: AbstractContextManager[object] = _BARE,
    ) -> None:
        """Make one that nobody waits for yet.

        Args:
            clock: For its moments.
            is_timed: Whether its moments say how long a stranger is waited for.
            contained: Within what each listener is told: an exception of one must end there.
        """
        self._clock = clock
        self._contained = contained
        self._listeners: dict[Callable[[A | Fault], object], None] = {}  # in the order of joining
        self._outcome: A | Fault = IssuerUnavailable(IS_STOPPING)
        self.is_timed = is_timed
        self.launched_at = clock.monotonic()
        self.asked_at: float | None = None  # monotonic; None: its turn has not come
        self.landed_at: float | None = None  # monotonic

    def ask(self) -> None:
        """Note that its turn has come, where it had to wait for one."""
        self.asked_at = self._clock.monotonic()

    def join(self, heard: Callable[[A | Fault], object]) -> None:
        """Have one more told what comes of it, once, after those who came before.

        At once where it has landed. It is told a fault that is no copy: see `fresh`.
        """
        if self.landed_at is None:
            self._listeners[heard] = None
        else:
            heard(self._outcome)

    def leave(self, heard: Callable[[A | Fault], object]) -> None:
        """Have one told nothing any more."""
        self._listeners.pop(heard, None)

    def land(self, outcome: A | Fault | None) -> None:
        """Tell all who wait, one after the other; None: it was not asked to the end."""
        self.landed_at = self._clock.monotonic()
        if outcome is not None:
            self._outcome = outcome
        while self._listeners:  # any of them may have another leave
            heard = next(iter(self._listeners))
            del self._listeners[heard]
            with self._contained:
                heard(self._outcome)

    def note(self, timings: LoginTimings) -> None:
        """Say what the time went to, so far where it is still under way."""
        if not self.is_timed:
            return
        end = self._clock.monotonic() if self.landed_at is None else self.landed_at
        if self.asked_at is None:
            timings.queued = end - self.launched_at
        else:
            timings.queued = self.asked_at - self.launched_at
            timings.called = end - self.asked_at

    async def over(self) -> None:
        """Return when it has landed."""
        if self.landed_at is not None:
            return
        landed = anyio.Event()

        def heard(_: A | Fault) -> None:
            landed.set()

        self.join(heard)
        try:
            await landed.wait()
        finally:
            self.leave(heard)

    async def answer(self) -> A:
        """Return what came of it.

        Raises:
            TokenRejected, IssuerUnavailable: A fresh copy.
        """
        await self.over()
        return answered(self._outcome)


def answered(outcome: A | Fault) -> A:
    """Return an answer, or raise a fresh copy of a fault."""
    if isinstance(outcome, Fault):
        raise fresh(outcome)
    return outcome


def fresh(fault: Fault) -> Fault:
    """Return a copy without traceback.

    Many may raise one, each with his own frames; and those that it was raised from hold a token.
    """
    match fault:
        case TokenRejected():
            return TokenRejected(fault.reason, fault.detail)
        case IssuerThrottled():
            return IssuerThrottled(str(fault), retry_after=fault.retry_after)
        case IssuerUnavailable():
            return IssuerUnavailable(str(fault))
