"""One call for all who wait for what comes of it."""

from typing import Generic, TypeVar

import anyio

from sessiond.clock import Clock
from sessiond.core.errors import IssuerThrottled, IssuerUnavailable, TokenRejected

A = TypeVar("A")
Fault = TokenRejected | IssuerUnavailable

IS_STOPPING = "sessiond is stopping, wanted it open: try again once it is back"


class Flight(Generic[A]):
    """One call under way. Whoever waits for it may leave; it disturbs no other, nor the call."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._landed = anyio.Event()
        self._outcome: A | Fault = IssuerUnavailable(IS_STOPPING)
        self.launched_at = clock.monotonic()
        self.asked_at: float | None = None  # monotonic; None: its turn has not come
        self.landed_at: float | None = None  # monotonic

    def ask(self) -> None:
        """Note that its turn has come, where it had to wait for one."""
        self.asked_at = self._clock.monotonic()

    def land(self, outcome: A | Fault | None) -> None:
        """Tell all who wait; None: it was not asked to the end."""
        self.landed_at = self._clock.monotonic()
        if outcome is not None:
            self._outcome = outcome
        self._landed.set()

    async def over(self) -> None:
        """Return when it has landed."""
        await self._landed.wait()

    async def answer(self) -> A:
        """Return what came of it.

        Raises:
            TokenRejected, IssuerUnavailable: A fresh copy.
        """
        await self.over()
        return answered(self._outcome)


def answered(outcome: A | Fault) -> A:
    """Return an answer, or raise a fresh copy of a fault."""
    if isinstance(outcome, TokenRejected | IssuerUnavailable):
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
