"""Decides what to believe when the machine's wall clock is set."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeAlias

import structlog

from sessiond.clock import Clock
from sessiond.containment import Containment

LOOK_EVERY = 1.0  # seconds
SMALL = 0.5  # seconds: what an NTP client corrects without a word
ASK_EVERY = 30.0  # seconds between asking, while the two clocks disagree
PATIENCE = 60.0  # seconds; when nobody could be asked for so long, the wall clock is believed

# Asks an issuer for the seconds that its clock is ahead of ours; None: no answer.
Witness: TypeAlias = Callable[[], Awaitable[float | None]]

log = structlog.get_logger()


class SettableClock(Clock, Protocol):
    """A clock that carries on by itself until it takes the wall clock over."""

    def ahead(self) -> float:
        """Return the seconds by which the machine's wall clock is ahead of `now`."""
        ...

    def take_over(self) -> None:
        """Go on from the machine's wall clock as it stands."""
        ...


class Timekeeper:
    """Watches for steps of the wall clock, and lets the issuers say which time is right.

    A wall clock that is set by mistake must not end every session; one that is set right, after
    the machine was frozen, must not let sessions outlive their tokens. The issuers' own clock,
    the `Date` of their answers (RFC 9110, 6.6.1), is what tokens are measured by anyway.
    """

    def __init__(
        self,
        clock: SettableClock,
        witnesses: Callable[[], Mapping[str, Witness]],
        containment: Containment | None = None,
    ) -> None:
        """Make a timekeeper.

        Args:
            clock: Corrected here and nowhere else.
            witnesses: Those of now, by the issuer's name.
            containment: Where exceptions end that no witness may raise.
        """
        self._clock = clock
        self._witnesses = witnesses
        self._containment = containment or Containment()

    async def run(self) -> None:
        """Watch for ever."""
        while True:
            await self._clock.sleep(LOOK_EVERY)
            if abs(self._clock.ahead()) <= SMALL:
                self._clock.take_over()
            else:
                await self._settle()

    async def _settle(self) -> None:
        """Return when the two clocks agree again."""
        log.warning("the wall clock was set", seconds=round(self._clock.ahead(), 1))
        began = self._clock.monotonic()
        while abs(self._clock.ahead()) > SMALL:
            believed = await self._vote()
            if believed is None and self._clock.monotonic() - began >= PATIENCE:
                believed = True
            if believed:
                log.warning("the wall clock is believed", seconds=round(self._clock.ahead(), 1))
                self._clock.take_over()
            elif believed is False:
                log.error("the wall clock is wrong", seconds=round(self._clock.ahead(), 1))
                await self._clock.sleep(ASK_EVERY)
            else:
                await self._clock.sleep(LOOK_EVERY)

    async def _vote(self) -> bool | None:
        """Return whether the wall clock is right by most issuers; None: nobody answered."""
        votes = 0
        answered = False
        for issuer, witness in self._witnesses().items():
            ahead = None
            with self._containment.around("witness of the time", issuer):
                ahead = await witness()
            if ahead is not None:
                answered = True
                votes += 1 if abs(ahead - self._clock.ahead()) < abs(ahead) else -1
        return votes > 0 if answered else None
