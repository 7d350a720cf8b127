"""A handle of q's: the number by which q holds one connection, and closes it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from math import inf
from typing import Self

from anyio import (
    BrokenResourceError,
    EndOfStream,
    connect_tcp,
    create_memory_object_stream,
    create_task_group,
)
from anyio.abc import ByteStream
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from sessiond.qipc import Accepted, ClientConnection, Push, QError, Response, Value

PASSWORD = "https_server.py"
MAX_MESSAGE = 1 << 24  # bytes

Told = Callable[[Value], Awaitable[None]]


class Handle:
    """A kdb+ connection to the interpreter, which for q is somebody's on the web.

    `told` is called with what q sends to the handle by itself; the block that opened it is
    cancelled when q closes it.
    """

    def __init__(
        self, stream: ByteStream, answers: MemoryObjectReceiveStream[Value | QError]
    ) -> None:
        self.told: Told | None = None
        self._stream = stream
        self._answers = answers
        self._connection = ClientConnection(max_message=MAX_MESSAGE)

    @classmethod
    @asynccontextmanager
    async def opened(cls, port: int) -> AsyncIterator[Self]:
        """Open one at the interpreter's port, for as long as neither side closes it."""
        sending, answers = create_memory_object_stream[Value | QError](inf)
        async with AsyncExitStack() as stack:
            stack.enter_context(sending)
            stack.enter_context(answers)
            stream = await stack.enter_async_context(await connect_tcp("127.0.0.1", port))
            handle = cls(stream, answers)
            await handle._enter()
            async with create_task_group() as group:

                async def read() -> None:
                    await handle._read(sending)
                    group.cancel_scope.cancel()  # q has closed it

                group.start_soon(read)
                yield handle
                group.cancel_scope.cancel()

    async def ask(self, value: Value) -> Value:
        """Return q's answer.

        Raises:
            QFailedError: It was an error.
        """
        await self._stream.send(self._connection.sync(value))
        answer = await self._answers.receive()
        if isinstance(answer, QError):
            raise QFailedError(answer.text)
        return answer

    async def tell(self, value: Value) -> None:
        await self._stream.send(self._connection.async_(value))

    async def _enter(self) -> None:
        await self._stream.send(self._connection.greeting("", PASSWORD))
        self._connection.receive_data(await self._stream.receive(1))
        assert isinstance(self._connection.next_event(), Accepted)

    async def _read(self, answers: MemoryObjectSendStream[Value | QError]) -> None:
        while True:
            while (event := self._connection.next_event()) is not None:
                match event:
                    case Response(value=value):
                        answers.send_nowait(value)
                    case Push(value=value) if self.told is not None:
                        await self.told(value)
            try:
                self._connection.receive_data(await self._stream.receive())
            except (EndOfStream, BrokenResourceError):
                return


class QFailedError(Exception):
    """A q error; its text."""
