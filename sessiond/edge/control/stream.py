"""The events as a stream of Server-Sent Events (html.spec.whatwg.org, 9.2)."""

from collections.abc import AsyncIterator

import anyio
import structlog

from sessiond.core.errors import StoreError
from sessiond.core.events import Event, to_json
from sessiond.eventlog import EventLog

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
    place = after
    yield f"id: {place}\n\n".encode()
    while not closing.is_set():
        try:
            given, place = await events.read(place, limit=AT_ONCE)
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
        async with anyio.create_task_group() as waiting:

            async def first(event_or_end: anyio.Event) -> None:
                await event_or_end.wait()
                waiting.cancel_scope.cancel()

            waiting.start_soon(first, closing)
            await events.wait_beyond(place)
            waiting.cancel_scope.cancel()
        return True
    return False


def _block(event: Event) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (
        event.sequence,
        event.kind.encode(),
        to_json(event),
    )
