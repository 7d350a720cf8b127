"""Every event that is on disk, in order: the newest from memory, older ones from the store."""

from collections import deque
from itertools import islice
from typing import Protocol

from sessiond.clock import Clock
from sessiond.core.cursor import consecutive, gap_at
from sessiond.core.events import Event
from sessiond.notifier import Notifier
from sessiond.table import Committed

NEWEST = 4096  # events held in memory, of about a kilobyte each


class Outbox(Protocol):
    """Where older events are read: the store."""

    async def events_after(self, sequence: int, *, limit: int) -> list[Event]:
        """Return kept events in order, beginning after a sequence number."""
        ...


class EventLog:
    """What the event stream, `.u.sub` and the subscribers read, each from its own place.

    Nobody who reads slowly holds anybody: a reader asks for what it has room for, and what it
    leaves stays here or in the store.
    """

    def __init__(self, outbox: Outbox, clock: Clock, *, newest: int = NEWEST) -> None:
        """Make a log that is told of every batch from the first on.

        Args:
            outbox: Holds the older events.
            clock: For the time of a gap.
            newest: How many events to hold in memory.
        """
        self._outbox = outbox
        self._clock = clock
        self._newest = deque[Event](maxlen=newest)
        self._grown = Notifier()
        self._sequence = 0

    @property
    def sequence(self) -> int:
        """The last committed event's number."""
        return self._sequence

    def begin(self, sequence: int) -> None:
        """Take over the last number of an earlier run, before the first batch."""
        self._sequence = sequence

    def take(self, batch: Committed) -> None:
        """Hold what is committed, and wake whoever waits for it."""
        # Number 0: told while the disk was full. It comes again once it is written.
        events = [each.event for each in batch.notices if each.event.sequence]
        if events:
            self._newest.extend(events)
            self._sequence = events[-1].sequence
            self._grown.notify()

    async def after(self, place: int, *, limit: int) -> list[Event]:
        """Return kept events after a place, in order and without leaving one out.

        A place beyond the last event is another database's: the oldest kept come first.

        Raises:
            StoreError: They could not be read; the place is still good.
        """
        last = self._sequence
        if place == last:
            return []
        if self._newest and place < last and self._newest[0].sequence <= place + 1:
            begin = place + 1 - self._newest[0].sequence
            return list(islice(self._newest, begin, begin + limit))
        found = await self._outbox.events_after(0 if place > last else place, limit=limit)
        return [event for event in found if event.sequence <= last]  # its commit has returned

    async def read(
        self, place: int, *, limit: int, from_oldest: bool = False
    ) -> tuple[list[Event], int]:
        """Return what a reader at this place is to be given, and the place after that.

        What is no longer kept is told by a `Gap`, which comes first, unless the reader asks only
        for what is kept. No events: there are none yet, `wait_beyond` the place that came back.

        Raises:
            StoreError: They could not be read; the place is still good.
        """
        last = self._sequence  # read first: what is committed meanwhile is no gap
        events = consecutive(await self.after(place, limit=limit))
        gap = gap_at(place, events, last=last, at=self._clock.now(), from_oldest=from_oldest)
        given = [*events] if gap is None else [gap, *events]
        return given, given[-1].sequence if given else last

    async def wait_beyond(self, place: int) -> None:
        """Return when there is an event after this place."""
        await self._grown.wait_for(lambda: self._sequence > place)
