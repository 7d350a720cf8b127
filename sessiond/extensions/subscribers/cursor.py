"""One subscriber's place, kept through the table: before more is sent, and never in advance."""

from typing import Protocol, TypeVar

import structlog

from sessiond.clock import Clock
from sessiond.core.changes import DropDeadLetter, KeepCursor, KeepDeadLetters
from sessiond.core.errors import StoreError
from sessiond.core.events import Event
from sessiond.core.queries import ListCursors, Request

RETRY = 1.0  # seconds after which a place that could not be written is written again

A = TypeVar("A")

log = structlog.get_logger()


class Asking(Protocol):
    """The table."""

    async def ask(self, asked: Request[A]) -> A:
        """Have a change made, or a query answered.

        Raises:
            StoreError: It did not happen.
        """
        ...


class KeptCursor:
    """How far a subscriber has received, and what was set aside for it.

    It is written before the next events are sent, so that after a crash no more than those of
    the last time come again.
    """

    def __init__(self, subscriber: str, table: Asking, clock: Clock) -> None:
        self._subscriber = subscriber
        self._table = table
        self._clock = clock
        self.sequence = 0  # of the last event that is done with
        self.set_aside: dict[int, Event] = {}  # by sequence
        self._kept = -1  # what is on disk
        self._retry_at = float("-inf")  # monotonic

    async def take_up(self, *, now: int) -> None:
        """Go on from what is kept; a new subscriber begins with what comes after `now`."""
        self.sequence = now
        try:
            kept = await self._table.ask(ListCursors())
        except StoreError:  # it is stopping already
            return
        self.set_aside = {
            each.event.sequence: each.event
            for each in kept.dead_letters
            if each.subscriber == self._subscriber
        }
        for place in kept.cursors:
            if place.subscriber == self._subscriber:
                self.sequence = self._kept = place.sequence
        await self.keep()

    @property
    def due_in(self) -> float | None:
        """Seconds until the place is to be written; None: it is on disk as it stands."""
        if self.sequence == self._kept:
            return None
        return max(0.0, self._retry_at - self._clock.monotonic())

    async def keep_when_due(self) -> None:
        """Write the place, if it is time to."""
        if self.due_in == 0.0:
            await self.keep()

    async def keep(self) -> None:
        """Write the place; where that fails, it stays due."""
        if self.sequence == self._kept:
            return
        sequence = self.sequence
        try:
            await self._table.ask(KeepCursor(subscriber=self._subscriber, sequence=sequence))
        except StoreError as error:
            self._retry_at = self._clock.monotonic() + RETRY
            log.warning("place not kept", subscriber=self._subscriber, error=str(error))
        else:
            self._kept = sequence

    async def keep_dead_letter(self, event: Event, *, attempts: int, error: str) -> bool:
        """Set an event aside and move past it. False: it must be tried again instead."""
        change = KeepDeadLetters(
            subscriber=self._subscriber, events=(event,), attempts=attempts, error=error
        )
        try:
            is_aside = await self._table.ask(change)
        except StoreError:
            return False
        if is_aside:
            self.set_aside[event.sequence] = event
            self.sequence = self._kept = event.sequence
        return is_aside

    async def drop_dead_letter(self, sequence: int) -> bool:
        """Let go of an event that was set aside. False: that could not be written."""
        try:
            await self._table.ask(DropDeadLetter(subscriber=self._subscriber, sequence=sequence))
        except StoreError:
            return False
        self.set_aside.pop(sequence, None)
        return True
