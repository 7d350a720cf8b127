"""The callbacks of a real interpreter, by https_server.q: a connection is a handle there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sessiond.qipc import (
    Dictionary,
    List,
    QType,
    Value,
    Vector,
    call,
    flag,
    integer,
    octets,
    string,
    symbol,
    symbols,
)
from tests.q.handle import Handle, QFailedError
from tests.web.callbacks import Asked, Tell


class Interpreted:
    """The interpreter at a port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["InterpretedCallbacks"]:
        """Open a handle there, for as long as neither side closes it."""
        async with Handle.opened(self._port) as handle:
            yield InterpretedCallbacks(handle)


class InterpretedCallbacks:
    """Those of one handle."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    async def ac(self, asked: Asked) -> tuple[int, bytes]:
        match await self._handle.ask(call(".https.ac", arguments(asked, asked.text))):
            case List(items=(code, content)):
                return integer(code), written(content)
            case other:
                raise AssertionError(f".z.ac answered {other}")

    async def pw(self, user: str, password: str) -> bool:
        return flag(await self._handle.ask(call(".https.basic", symbol(user), string(password))))

    async def ph(self, asked: Asked) -> bytes:
        return await self._page(".https.ph", asked, asked.text)

    async def pp(self, asked: Asked) -> bytes:
        return await self._page(".https.pp", asked, asked.body.decode("latin-1"))

    async def wo(self, tell: Tell) -> None:
        async def told(value: Value) -> None:
            said = written(value)
            await tell(said.decode() if is_text(value) else said)

        self._handle.told = told
        await self._handle.ask(call(".https.wo"))

    async def ws(self, message: str | bytes) -> None:
        match message:
            case str():
                value = Vector(QType.CHAR, message.encode())
            case bytes():
                value = octets(message)
        await self._handle.tell(call(".https.ws", value))

    async def wc(self) -> None:
        await self._handle.ask(call(".https.wc"))

    async def _page(self, name: str, asked: Asked, content: str) -> bytes:
        try:
            return written(await self._handle.ask(call(name, arguments(asked, content))))
        except QFailedError as error:
            what = f"'{error}".encode()
            return b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%s" % (len(what), what)


def arguments(asked: Asked, content: str) -> Value:
    """Return the pair that q gives to its callbacks."""
    names = symbols(name.decode("latin-1") for name, _ in asked.headers)
    values = List(tuple(Vector(QType.CHAR, value) for _, value in asked.headers))
    return List((Vector(QType.CHAR, content.encode("latin-1")), Dictionary(names, values)))


def written(value: Value) -> bytes:
    """Return a string of q's as its bytes."""
    assert isinstance(value, Vector), value
    assert isinstance(value.items, bytes), value
    return value.items


def is_text(value: Value) -> bool:
    """Say whether a websocket's message goes as text; bytes go as they are."""
    return isinstance(value, Vector) and value.type is QType.CHAR
