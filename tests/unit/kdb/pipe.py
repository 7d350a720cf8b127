"""A connection in memory, so that tests decide what arrives when and who reads what."""

import asyncio
import math
from collections import deque
from collections.abc import Callable

import anyio

from sessiond.notifier import Notifier


class MemoryTransport(asyncio.Transport):
    """The daemon's end, as asyncio's and uvloop's are: it writes at once what the peer takes.

    What the peer sends is given to the protocol by the loop, a piece a turn, while it reads.
    """

    def __init__(self, protocol: asyncio.Protocol, *, room: float) -> None:
        super().__init__()
        self._protocol: asyncio.Protocol | None = protocol
        self._room = room  # bytes that the peer's socket holds
        self._high, self._low = 65536, 16384
        self._buffer = bytearray()
        self._incoming = deque[bytes | None]()  # None: the end
        self._is_paused = False
        self._is_writing_paused = False
        self._is_closing = False
        self._is_scheduled = False
        self.peer = PipeEnd(self)
        self.writes: list[bytes] = []  # that were made, each as it was
        self.calls: list[str] = []  # of the protocol's, in their order

    def start(self) -> None:
        """Begin, as the loop does."""
        asyncio.get_running_loop().call_soon(self._tell, "connection_made", self)

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._protocol is not None
        return self._protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = 65536 if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        return len(self._buffer)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert isinstance(data, bytes | bytearray)
        if self._is_gone:
            return
        self.writes.append(bytes(data))
        self._buffer += data
        self.flush()
        if len(self._buffer) > self._high and not self._is_writing_paused:
            self._is_writing_paused = True
            self._tell("pause_writing")

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False
        self._schedule()

    def is_reading(self) -> bool:
        return not self._is_paused

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._lose_if_done()

    def abort(self) -> None:
        self._is_closing = True
        self._buffer.clear()
        self._lose_if_done()

    # The peer's side.

    def arrive(self, data: bytes | None) -> None:
        """Have bytes come, or the end."""
        self._incoming.append(data)
        self._schedule()

    def flush(self) -> None:
        """Give the peer what it has room for."""
        given = self.peer.take(self._buffer, self._room)
        del self._buffer[:given]
        if self._is_writing_paused and len(self._buffer) <= self._low:
            self._is_writing_paused = False
            self._tell("resume_writing")
        if self._is_closing:
            self._lose_if_done()

    def break_(self, error: Exception | None = None) -> None:
        """Lose the connection, as a reset does."""
        self._is_closing = True
        self._buffer.clear()
        asyncio.get_running_loop().call_soon(self._lose, error or ConnectionResetError())

    @property
    def _is_gone(self) -> bool:
        return self._protocol is None

    def _schedule(self) -> None:
        if not self._is_scheduled and self._incoming:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._give)

    def _give(self) -> None:
        self._is_scheduled = False
        if self._is_paused or self._is_closing or not self._incoming:
            return
        data = self._incoming.popleft()
        if data is None:
            if not self._tell("eof_received"):
                self.close()
        else:
            self._tell("data_received", data)
        self._schedule()

    def _lose_if_done(self) -> None:
        if not self._buffer:
            asyncio.get_running_loop().call_soon(self._lose, None)

    def _lose(self, error: Exception | None) -> None:
        if not self._is_gone:
            self._tell("connection_lost", error)
            self._protocol = None
            self._incoming.clear()
            self.peer.end()

    def _tell(self, callback: str, *what: object) -> object:
        if self._protocol is None:
            return None
        self.calls.append(callback)
        tell: Callable[..., object] = getattr(self._protocol, callback)
        return tell(*what)


class PipeEnd:
    """q's end."""

    def __init__(self, transport: MemoryTransport) -> None:
        self.transport = transport
        self._unread = bytearray()
        self._is_over = False  # nothing more will come
        self._is_deaf = False  # nobody reads
        self._is_waiting = False  # somebody does, so that there is room
        self._came = Notifier()

    @property
    def unread(self) -> int:
        """How many bytes have come that nobody has read."""
        return len(self._unread)

    async def send(self, item: bytes) -> None:
        if self.transport._is_gone:
            raise anyio.BrokenResourceError
        self.transport.arrive(item)

    async def receive(self, max_bytes: int = 1 << 20) -> bytes:
        self._is_waiting = True
        try:
            self.transport.flush()
            await self._came.wait_for(lambda: bool(self._unread) or self._is_over)
        finally:
            self._is_waiting = False
        if not self._unread:
            raise anyio.EndOfStream
        content = bytes(self._unread[:max_bytes])
        del self._unread[:max_bytes]
        self.transport.flush()
        return content

    def read_no_more(self) -> None:
        """From now on nobody reads: nothing more is taken."""
        self._is_deaf = True

    async def send_eof(self) -> None:
        self.transport.arrive(None)

    async def aclose(self) -> None:
        """Close: what was sent is read, and what comes back is lost."""
        if not self.transport._is_gone:
            self.transport.arrive(None)
        self._unread.clear()

    def take(self, data: bytearray, room: float) -> int:
        """Take what there is room for."""
        if self._is_deaf:
            return 0
        room = math.inf if self._is_waiting and not self._unread else room
        given = int(min(len(data), max(0.0, room - len(self._unread))))
        self._unread += data[:given]
        if given:
            self._came.notify()
        return given

    def end(self) -> None:
        self._is_over = True
        self._came.notify()


def pipe(protocol: asyncio.Protocol, *, room: float = math.inf) -> PipeEnd:
    """Connect a protocol; return q's end, which takes at most `room` bytes that nobody reads."""
    transport = MemoryTransport(protocol, room=room)
    transport.start()
    return transport.peer
