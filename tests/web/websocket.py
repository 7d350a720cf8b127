"""A websocket (RFC 6455) between a browser and q's callbacks."""

from contextlib import suppress

from anyio import BrokenResourceError, ClosedResourceError, EndOfStream
from anyio.abc import ByteStream
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Request,
    TextMessage,
)

from tests.web.callbacks import Callbacks

GONE = (EndOfStream, BrokenResourceError, ClosedResourceError)


class Websocket:
    """One, from the request that asks for it to its end, whoever ends it."""

    def __init__(self, stream: ByteStream, q: Callbacks) -> None:
        self._stream, self._q = stream, q
        self._protocol = WSConnection(ConnectionType.SERVER)

    async def run(self, target: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        """Serve it: `.z.wo`, `.z.ws` for each message, `.z.wc` where the browser ends it."""
        self._protocol.initiate_upgrade_connection(headers, target.decode("latin-1"))
        assert isinstance(next(self._protocol.events()), Request)
        await self._stream.send(self._protocol.send(AcceptConnection()))
        await self._q.wo(self._tell)
        with suppress(*GONE):
            while await self._receive():
                pass
        await self._q.wc()

    async def _receive(self) -> bool:
        """Hand on what the browser sends; return whether it may send more."""
        self._protocol.receive_data(await self._stream.receive())
        for event in self._protocol.events():
            match event:
                case TextMessage(data=str(text), message_finished=True):
                    await self._q.ws(text)
                case BytesMessage(data=data, message_finished=True):
                    await self._q.ws(bytes(data))
                case Ping():
                    await self._stream.send(self._protocol.send(event.response()))
                case CloseConnection():
                    await self._stream.send(self._protocol.send(event.response()))
                    return False
                case _:
                    raise AssertionError(f"a test's websocket sent {event}")
        return True

    async def _tell(self, said: str | bytes) -> None:
        message = TextMessage(said) if isinstance(said, str) else BytesMessage(bytearray(said))
        with suppress(*GONE):
            await self._stream.send(self._protocol.send(message))
