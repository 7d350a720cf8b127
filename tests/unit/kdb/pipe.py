"""A byte stream in memory, so that tests decide what arrives when."""

import math
from typing import Self

import anyio
from anyio.abc import ByteStream
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream


class PipeEnd(ByteStream):
    """One end. `send` waits while the other end leaves more than `room` chunks unread."""

    def __init__(
        self, outgoing: MemoryObjectSendStream[bytes], incoming: MemoryObjectReceiveStream[bytes]
    ) -> None:
        self._outgoing = outgoing
        self._incoming = incoming
        self._rest = b""

    async def __aenter__(self) -> Self:
        return self

    async def send(self, item: bytes) -> None:
        await self._outgoing.send(item)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        content = self._rest or await self._incoming.receive()
        self._rest = content[max_bytes:]
        return content[:max_bytes]

    async def send_eof(self) -> None:
        self._outgoing.close()

    async def aclose(self) -> None:
        self._outgoing.close()
        self._incoming.close()


def pipe(*, room: float = math.inf) -> tuple[PipeEnd, PipeEnd]:
    """Return both ends: the daemon's, whose peer leaves at most `room` chunks unread, and q's."""
    to_q, at_q = anyio.create_memory_object_stream[bytes](room)
    to_daemon, at_daemon = anyio.create_memory_object_stream[bytes](math.inf)
    return PipeEnd(to_q, at_daemon), PipeEnd(to_daemon, at_q)
