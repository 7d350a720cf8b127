"""How far the processes have been told of what was committed."""

from collections.abc import Callable, Coroutine
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from sessiond.bus import Committed

NOTHING = Committed((), ())

Deliver = Callable[[MemoryObjectReceiveStream[Committed]], Coroutine[Any, Any, None]]


class Delivery:
    """Stands between the bus and whoever pushes, and knows what has been pushed."""

    def __init__(
        self, news: MemoryObjectReceiveStream[Committed], deliver: Deliver, *, sequence: int
    ) -> None:
        """Make a delivery.

        Args:
            news: What the table has committed.
            deliver: Puts a batch on the connections before it takes the next one.
            sequence: The last event's of an earlier run, which nobody is to be told of any more.
        """
        self._news = news
        self._deliver = deliver
        self._sequence = sequence
        self._moved = anyio.Event()

    async def run(self) -> None:
        """Hand on until the news ends."""
        send, receive = anyio.create_memory_object_stream[Committed](0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._deliver, receive)
            async with self._news, send:
                async for batch in self._news:
                    await send.send(batch)
                    await send.send(NOTHING)  # taken only when the batch before it is through
                    if batch.notices:
                        self._sequence = max(self._sequence, batch.notices[-1].event.sequence)
                        self._moved.set()
                        self._moved = anyio.Event()

    async def wait_for(self, sequence: int) -> None:
        """Return when every push up to this event's is on its process's connection."""
        while self._sequence < sequence:
            await self._moved.wait()
