"""Carries what is on disk to the parts of the daemon that act on it."""

from collections.abc import Sequence
from dataclasses import dataclass

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from sessiond.core.decide import Notice
from sessiond.core.rows import Write

BACKLOG = 1024  # batches


@dataclass(frozen=True, slots=True)
class Committed:
    """One batch, durable: what was written and what is told of it, in order."""

    writes: Sequence[Write]
    notices: Sequence[Notice]  # their events carry their sequence numbers


class Bus:
    """Fans committed batches out.

    Its listeners are parts of the daemon that never wait for anything outside it, so publishing
    never waits for the world.
    """

    def __init__(self) -> None:
        self._listeners: list[MemoryObjectSendStream[Committed]] = []

    def listen(self) -> MemoryObjectReceiveStream[Committed]:
        """Return a stream of every batch from now on. It ends when the bus closes."""
        send, receive = anyio.create_memory_object_stream[Committed](BACKLOG)
        self._listeners.append(send)
        return receive

    async def publish(self, batch: Committed) -> None:
        """Hand a batch to every listener; one that is gone is dropped."""
        for listener in tuple(self._listeners):
            try:
                await listener.send(batch)
            except anyio.BrokenResourceError:
                self._listeners.remove(listener)
                listener.close()

    def close(self) -> None:
        """End every listener's stream."""
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
