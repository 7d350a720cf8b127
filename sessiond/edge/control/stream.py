"""The events as a stream of Server-Sent Events (html.spec.whatwg.org, 9.2)."""

from collections.abc import AsyncIterator

import anyio
import structlog

from sessiond.clock import Clock
from sessiond.core.errors import StoreError
from sessiond.core.events import Event, Gap, to_json
from sessiond.edge.control.watched import WatchedStore

AT_ONCE = 256  # events read in one go
HEARTBEAT = 15.0  # seconds of silence after which a comment shows that the stream is alive

log = structlog.get_logger()


async def event_stream(
    store: WatchedStore, clock: Clock, *, after: int, closing: anyio.Event
) -> AsyncIterator[bytes]:
    """Yield what is on disk, then what gets there, until `closing`.

    The first thing sent is the place itself, as an id without an event: whoever loses the
    connection before anything happened comes back to it and misses nothing.

    Args:
        store: Holds the events.
        clock: For the time of a gap.
        after: The sequence of the last event that is not wanted; 0 = from the oldest kept.
        closing: The daemon is stopping.
    """
    place = after
    yield f"id: {place}\n\n".encode()
    while not closing.is_set():
        last = store.sequence  # read first: what is committed meanwhile is no gap
        try:  # a place of another database: begin anew with this one
            events = await store.events_after(0 if place > last else place, limit=AT_ONCE)
        except StoreError as error:
            log.error("event stream ended", error=str(error))
            return  # whoever follows comes back to its place
        events = [event for event in events if event.sequence <= last]
        gap = _gap(place, events, last=last, clock=clock)
        if gap is not None:
            yield _block(gap)
            place = gap.sequence
        for event in events:
            yield _block(event)
            place = event.sequence
        if events:
            continue
        place = last  # all that is not kept any more was told of
        if not await _wait(store, place, closing):
            yield b":\n\n"


def _gap(place: int, events: list[Event], *, last: int, clock: Clock) -> Gap | None:
    """Return what is missing between the place and what is there, if anything is."""
    first = events[0].sequence if events else last + 1
    is_kept = place <= last and (place == 0 or first == place + 1)
    if is_kept:
        return None
    return Gap(sequence=first - 1, at=clock.now(), after=place, before=first)


async def _wait(store: WatchedStore, place: int, closing: anyio.Event) -> bool:
    """Wait for an event after the place; False: nothing came for a while."""
    with anyio.move_on_after(HEARTBEAT):
        async with anyio.create_task_group() as waiting:

            async def first(event_or_end: anyio.Event) -> None:
                await event_or_end.wait()
                waiting.cancel_scope.cancel()

            waiting.start_soon(first, closing)
            await store.wait_beyond(place)
            waiting.cancel_scope.cancel()
        return True
    return False


def _block(event: Event) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (
        event.sequence,
        event.kind.encode(),
        to_json(event),
    )
