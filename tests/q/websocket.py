"""A websocket (RFC 6455) between a browser and a handle of q's."""

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

from sessiond.qipc import QType, Value, Vector, call, octets
from tests.q.handle import Handle

GONE = (EndOfStream, BrokenResourceError, ClosedResourceError)


class Websocket:
    """One, from the request that asks for it to its end, whoever ends it."""

    def __init__(self, stream: ByteStream, handle: Handle) -> None:
        self._stream, self._handle = stream, handle
        self._protocol = WSConnection(ConnectionType.SERVER)

    async def run(self, target: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        """Serve it: `.z.wo`, `.z.ws` for each message, `.z.wc` where the browser ends it."""
        self._protocol.initiate_upgrade_connection(headers, target.decode("latin-1"))
        assert isinstance(next(self._protocol.events()), Request)
        await self._stream.send(self._protocol.send(AcceptConnection()))
        self._handle.told = self._tell
        await self._handle.ask(call(".https.wo"))
        with suppress(*GONE):
            while await self._receive():
                pass
        await self._handle.ask(call(".https.wc"))

    async def _receive(self) -> bool:
        """Hand on what the browser sends; return whether it may send more."""
        self._protocol.receive_data(await self._stream.receive())
        for event in self._protocol.events():
            match event:
                case TextMessage(data=str(text), message_finished=True):
                    await self._handle.tell(call(".https.ws", Vector(QType.CHAR, text.encode())))
                case BytesMessage(data=data, message_finished=True):
                    await self._handle.tell(call(".https.ws", octets(bytes(data))))
                case Ping():
                    await self._stream.send(self._protocol.send(event.response()))
                case CloseConnection():
                    await self._stream.send(self._protocol.send(event.response()))
                    return False
                case _:
                    raise AssertionError(f"a test's websocket sent {event}")
        return True

    async def _tell(self, value: Value) -> None:
        """Send what q sends: a string as text, bytes as they are."""
        assert isinstance(value, Vector), value
        assert isinstance(value.items, bytes), value
        is_text = value.type is QType.CHAR
        message = (
            TextMessage(value.items.decode()) if is_text else BytesMessage(bytearray(value.items))
        )
        with suppress(*GONE):
            await self._stream.send(self._protocol.send(message))
