"""Serves the control API with uvicorn, on a socket and under signals that are the daemon's."""

import asyncio  # noqa: TID251 - uvicorn's servers are its own
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio
import uvicorn

from sessiond.control.access import Access
from sessiond.control.app import control_app
from sessiond.control.protocol import PeerProtocol
from sessiond.control.view import View

IDLE = 5  # seconds that a connection may stay without a request
LAST_WORDS = 1.0  # seconds for requests under way, once the daemon stops


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the daemon."""
        yield


class ControlServer:
    """The control socket at work."""

    def __init__(
        self, listener: socket.socket | None, view: View, access: Callable[[], Access]
    ) -> None:
        """Make a server; it owns the listening socket from now on. None: it serves nobody.

        Who may do what is looked up at each request.
        """
        self._listener = listener
        self._closing = anyio.Event()
        self._app = control_app(view, access, anyio.Event())
        self._server = _Server(
            uvicorn.Config(
                self._app,
                http=PeerProtocol,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,  # the daemon's own
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=IDLE,
                timeout_graceful_shutdown=2 * int(LAST_WORDS),
            )
        )

    async def run(self) -> None:
        """Serve until `stop`; return when every connection has ended."""
        if self._listener is None:
            return
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cut)
            await self._server.serve(sockets=[self._listener])
            tasks.cancel_scope.cancel()

    async def replace(self, listener: socket.socket) -> None:
        """Accept at a new socket instead, once `run` does."""
        loop, server = asyncio.get_running_loop(), self._server
        fresh = await loop.create_server(self._protocol, sock=listener)
        for each in server.servers:
            each.close()
        server.servers = [fresh]

    def _protocol(self) -> PeerProtocol:
        """Return what serves one connection, as uvicorn itself makes it."""
        server = self._server
        return PeerProtocol(server.config, server.server_state, server.lifespan.state)

    def end_streams(self) -> None:
        """Have those who follow events ask again: others may be let in now."""
        self._app.state.closing.set()
        self._app.state.closing = anyio.Event()

    def stop(self) -> None:
        """Accept no more, end the event streams, and give other requests a moment."""
        self._closing.set()
        self._app.state.closing.set()
        self._server.should_exit = True

    async def _cut(self) -> None:
        """End the connections of peers that do not read, which would hold up the stop."""
        await self._closing.wait()
        await anyio.sleep(LAST_WORDS)
        for connection in tuple(self._server.server_state.connections):
            connection.transport.abort()
