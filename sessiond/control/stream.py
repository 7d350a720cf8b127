"""The events as a stream of Server-Sent Events (html.spec.whatwg.org, 9.2)."""

from collections.abc import AsyncIterator
from functools import partial

import anyio
import structlog

from sessiond.core.errors import StoreError
from sessiond.core.events import Event, to_json
from sessiond.eventlog import EventLog
from sessiond.racing import first

AT_ONCE = 256  # events read in one go
HEARTBEAT = 15.0  # seconds of silence after which a comment shows that the stream is alive

log = structlog.get_logger()


async def event_stream(
    events: EventLog, *, after: int, closing: anyio.Event
) -> AsyncIterator[bytes]:
    """Yield what is on disk, then what gets there, until `closing`.

    The first thing sent is the place itself, as an id without an event: whoever loses the
    connection before anything happened comes back to it and misses nothing.

    Args:
        events: Holds the events.
        after: The sequence of the last event that is not wanted; 0 = from the oldest kept.
        closing: The daemon is stopping.
    """
    place, is_oldest = after, after == 0
    yield f"id: {place}\n\n".encode()
    while not closing.is_set():
        try:
            given, place = await events.read(place, limit=AT_ONCE, from_oldest=is_oldest)
            is_oldest = is_oldest and place == 0
        except StoreError as error:
            log.error("event stream ended", error=str(error))
            return  # whoever follows comes back to its place
        for event in given:
            yield _block(event)
        if not given and not await _wait(events, place, closing):
            yield b":\n\n"


async def _wait(events: EventLog, place: int, closing: anyio.Event) -> bool:
    """Wait for an event after the place; False: nothing came for a while."""
    with anyio.move_on_after(HEARTBEAT):
        await first(partial(events.wait_beyond, place), closing.wait)
        return True
    return False


def _block(event: Event) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (
        event.sequence,
        event.kind.encode(),
        to_json(event),
    )
