"""The HTTPS server that is in q (`q -E 1 -p 5007`), played.

What q does for a request, by code.kx.com/q/ref/dotz (`.z.ac`): it calls `.z.ac` with the text and
the headers, and by its answer refuses (0), lets a name in (1), sends a response (2) or goes by
Basic authentication and `.z.pw` (4). Then `.z.ph` or `.z.pp` makes the response, or the connection
becomes a websocket's: `.z.wo`, `.z.ws`, `.z.wc`. All of these run in the process behind it: an
interpreter with the hook (tests/q), or Python that does the same (tests.web.python_process).

Each connection is a handle of that process', from its begin: `.z.w` is its number in each callback,
`neg[h]` sends to its websocket, `hclose` closes it.
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
from anyio.from_thread import BlockingPortal, start_blocking_portal
from anyio.streams.tls import TLSListener

from tests.web.callbacks import Asked, Callbacks, QProcess
from tests.web.websocket import Websocket

PATIENCE = 20.0  # seconds, for what takes milliseconds
GONE = (EndOfStream, BrokenResourceError, ClosedResourceError, h11.RemoteProtocolError)
UNAUTHORIZED = (
    b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="default"\r\n'
    b"Content-Type: text/plain\r\nContent-Length: 0\r\n\r\n"
)


@dataclass
class HttpsServer:
    """One port of the machine's loopback."""

    scheme: str
    host: str  # as a browser calls it
    portal: BlockingPortal  # to the thread in which all of it runs
    port: int = 0
    targets: list[str] = field(default_factory=list)  # of all requests that came, in order
    drops: str | None = None  # what begins so gets no answer, but the end of the connection
    _process: QProcess | None = None
    _dropped: dict[str, None] = field(default_factory=dict)
    _news: threading.Condition = field(default_factory=threading.Condition)

    @property
    def base(self) -> str:
        """The origin of its pages."""
        return f"{self.scheme}://{self.host}:{self.port}"

    def serve(self, process: QProcess) -> None:
        """From now on this process answers the requests."""
        self._process = process

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
        assert self._process is not None
        with suppress(OSError, *GONE):  # q may be gone already
            async with stream, self._process.connection() as q:
                with suppress(*GONE):
                    await self._serve(stream, q)

    async def _serve(self, stream: ByteStream, q: Callbacks) -> None:
        """Answer one request after another."""
        rest = b""
        while True:
            asked, rest = await next_request(stream, rest)
            target = "/" + asked.text
            self.targets.append(target)
            if self.drops is not None and target.startswith(self.drops):
                return self._drop(target)
            response = await admission(asked, q)
            if response is None and asked.header(b"upgrade").lower() == b"websocket":
                return await Websocket(stream, q).run(asked.target, asked.headers)
            if response is None:
                response = await answered(asked, q)
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


async def admission(asked: Asked, q: Callbacks) -> bytes | None:
    """Return how q turns a request away, None where it goes on to the page."""
    match await q.ac(asked):
        case 0, _:
            return UNAUTHORIZED
        case 1, _:
            return None
        case 2, response:
            return response
        case 4, _:
            return None if await by_password(asked, q) else UNAUTHORIZED
        case other:
            raise AssertionError(f".z.ac answered {other}")


async def by_password(asked: Asked, q: Callbacks) -> bool:
    """Say whether `.z.pw` takes what Basic authentication brings (RFC 7617)."""
    scheme, _, words = asked.header(b"authorization").partition(b" ")
    if scheme.lower() != b"basic":
        return False
    user, _, password = base64.b64decode(words).decode().partition(":")
    return await q.pw(user, password)


async def answered(asked: Asked, q: Callbacks) -> bytes:
    """Return the response that the page's callback makes."""
    match asked.method:
        case b"GET":
            return await q.ph(asked)
        case b"POST":
            return await q.pp(asked)
        case _:
            return b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n"


def keeps_open(response: bytes) -> bool:
    """Say whether the connection goes on after a response: its length must be known (RFC 9112)."""
    head = response.partition(b"\r\n\r\n")[0].lower()
    return b"\r\ncontent-length:" in head and b"\r\nconnection: close" not in head


@contextmanager
def https_server(host: str, tls: ssl.SSLContext | None) -> Iterator[HttpsServer]:
    """Run one in a thread of its own; without TLS it is q without `-E`."""
    with start_blocking_portal() as portal:
        server = HttpsServer("https" if tls else "http", host, portal)
        running, _ = portal.start_task(server.run, tls)
        yield server
        if not running.cancel():
            running.result()  # what went wrong
