"""The HTTPS server that is in q (`q -E 1 -p 5007`), played: the interpreter has no TLS.

What q does for a request, by code.kx.com/q/ref/dotz (`.z.ac`): it calls `.z.ac` with the text and
the headers, and by its answer refuses (0), lets a name in (1), sends a response (2) or goes by
Basic authentication and `.z.pw` (4). Then `.z.ph` or `.z.pp` makes the response, or the connection
becomes a websocket's: `.z.wo`, `.z.ws`, `.z.wc`. All of these run in the interpreter.

Each connection is a handle of q's, from its begin: `.z.w` is its number in each callback, `neg[h]`
sends to its websocket, `hclose` closes it.
"""

import base64
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import h11
from anyio import (
    TASK_STATUS_IGNORED,
    BrokenResourceError,
    ClosedResourceError,
    EndOfStream,
    create_tcp_listener,
)
from anyio.abc import ByteStream, SocketAttribute, TaskStatus
from anyio.from_thread import start_blocking_portal
from anyio.streams.tls import TLSListener

from sessiond.qipc import (
    Dictionary,
    List,
    QType,
    Value,
    Vector,
    call,
    flag,
    integer,
    string,
    symbol,
    symbols,
)
from tests.q.handle import Handle, QFailedError
from tests.q.interpreter import PATIENCE
from tests.q.websocket import Websocket

GONE = (EndOfStream, BrokenResourceError, ClosedResourceError, h11.RemoteProtocolError)
UNAUTHORIZED = (
    b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="default"\r\n'
    b"Content-Type: text/plain\r\nContent-Length: 0\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as q sees it."""

    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]  # the names as they were sent
    body: bytes

    def header(self, name: bytes) -> bytes:
        """Return a header's value, empty where it was not sent."""
        return next((value for each, value in self.headers if each.lower() == name), b"")

    @property
    def text(self) -> str:
        """What `.z.ac` gets: path and query, without the first slash."""
        return self.target.removeprefix(b"/").decode("latin-1")


@dataclass
class HttpsServer:
    """One port of the machine's loopback."""

    scheme: str
    host: str  # as a browser calls it
    port: int = 0
    targets: list[str] = field(default_factory=list)  # of all requests that came, in order
    drops: str | None = None  # what begins so gets no answer, but the end of the connection
    _interpreter: int = 0
    _dropped: dict[str, None] = field(default_factory=dict)
    _news: threading.Condition = field(default_factory=threading.Condition)

    @property
    def base(self) -> str:
        """The origin of its pages."""
        return f"{self.scheme}://{self.host}:{self.port}"

    def serve(self, interpreter: int) -> None:
        """From now on requests are answered by the interpreter at this port."""
        self._interpreter = interpreter

    def dropped(self, count: int) -> list[str]:
        """Wait until so many different requests were dropped; return their targets, in order."""
        with self._news:
            assert self._news.wait_for(lambda: len(self._dropped) >= count, PATIENCE)
            return list(self._dropped)

    def _drop(self, target: str) -> None:
        with self._news:
            self._dropped[target] = None
            self._news.notify_all()

    async def run(
        self,
        tls: ssl.SSLContext | None,
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
    ) -> None:
        """Listen until stopped."""
        async with await create_tcp_listener(local_host="127.0.0.1") as tcp:
            self.port = tcp.extra_attributes[SocketAttribute.local_port]()
            listener = TLSListener(tcp, tls, standard_compatible=False) if tls else tcp
            task_status.started()
            await listener.serve(self._converse)

    async def _converse(self, stream: ByteStream) -> None:
        with suppress(OSError, *GONE):  # q may be gone already
            async with stream, Handle.opened(self._interpreter) as handle:
                with suppress(*GONE):
                    await self._serve(stream, handle)

    async def _serve(self, stream: ByteStream, handle: Handle) -> None:
        """Answer one request after another."""
        rest = b""
        while True:
            asked, rest = await next_request(stream, rest)
            target = "/" + asked.text
            self.targets.append(target)
            if self.drops is not None and target.startswith(self.drops):
                return self._drop(target)
            response = await admission(asked, handle)
            if response is None and asked.header(b"upgrade").lower() == b"websocket":
                return await Websocket(stream, handle).run(asked.target, asked.headers)
            if response is None:
                response = await answered(asked, handle)
            await stream.send(response)
            if not keeps_open(response) or asked.header(b"connection").lower() == b"close":
                return None


async def next_request(stream: ByteStream, begun: bytes) -> tuple[Asked, bytes]:
    """Return the next request, and what has come of the one after it."""
    connection, body = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 16), b""
    if begun:
        connection.receive_data(begun)
    request: h11.Request | None = None
    while True:
        event = connection.next_event()
        match event:
            case h11.NEED_DATA:
                connection.receive_data(await stream.receive())
            case h11.Request():
                request = event
            case h11.Data():
                body += event.data
            case h11.EndOfMessage() | h11.PAUSED:
                assert request is not None
                headers = request.headers.raw_items()
                asked = Asked(request.method, request.target, headers, body)
                return asked, connection.trailing_data[0]
            case _:
                raise EndOfStream


async def admission(asked: Asked, handle: Handle) -> bytes | None:
    """Return how q turns a request away, None where it goes on to the page."""
    match await handle.ask(call(".https.ac", arguments(asked, asked.text))):
        case List(items=(code, content)):
            status, payload = integer(code), written(content)
        case other:
            raise AssertionError(f".z.ac answered {other}")
    match status:
        case 0:
            return UNAUTHORIZED
        case 1:
            return None
        case 2:
            return payload
        case 4:
            return None if await by_password(asked, handle) else UNAUTHORIZED
        case _:
            raise AssertionError(f".z.ac answered {status}")


async def by_password(asked: Asked, handle: Handle) -> bool:
    """Say whether `.z.pw` takes what Basic authentication brings (RFC 7617)."""
    scheme, _, words = asked.header(b"authorization").partition(b" ")
    if scheme.lower() != b"basic":
        return False
    user, _, password = base64.b64decode(words).decode().partition(":")
    return flag(await handle.ask(call(".https.basic", symbol(user), string(password))))


async def answered(asked: Asked, handle: Handle) -> bytes:
    """Return the response that the page's callback makes."""
    match asked.method:
        case b"GET":
            name, content = ".https.ph", asked.text
        case b"POST":
            name, content = ".https.pp", asked.body.decode("latin-1")
        case _:
            return b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n"
    try:
        return written(await handle.ask(call(name, arguments(asked, content))))
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


def keeps_open(response: bytes) -> bool:
    """Say whether the connection goes on after a response: its length must be known (RFC 9112)."""
    head = response.partition(b"\r\n\r\n")[0].lower()
    return b"\r\ncontent-length:" in head and b"\r\nconnection: close" not in head


@contextmanager
def https_server(host: str, tls: ssl.SSLContext | None) -> Iterator[HttpsServer]:
    """Run one in a thread of its own; without TLS it is q without `-E`."""
    server = HttpsServer("https" if tls else "http", host)
    with start_blocking_portal() as portal:
        running, _ = portal.start_task(server.run, tls)
        yield server
        if not running.cancel():
            running.result()  # what went wrong
