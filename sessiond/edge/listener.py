"""Accepts connections of allowed peers, and serves each on its own."""

import socket
from collections.abc import Awaitable, Callable, Iterable

import anyio
import structlog
from anyio.abc import ByteStream, SocketAttribute, SocketListener, SocketStream

from sessiond.edge.peer import AllowList, Peer, peer_of

log = structlog.get_logger()


class Listener:
    """The guard at the sockets. Refused peers get no byte, not even the handshake's answer."""

    def __init__(
        self,
        sockets: Iterable[socket.socket],
        *,
        allowed: AllowList,
        max_connections: int,
        serve: Callable[[ByteStream, Peer], Awaitable[None]],
    ) -> None:
        self._sockets = list(sockets)
        self._allowed = allowed
        self._max_connections = max_connections
        self._serve = serve
        self._accepting = anyio.CancelScope()
        self._serving = anyio.CancelScope()
        self._open = 0
        self.refused = 0  # connections since the start

    async def run(self) -> None:
        """Accept until `stop`; return when every connection has ended."""
        with self._serving:
            async with anyio.create_task_group() as connections:
                with self._accepting:
                    async with anyio.create_task_group() as listeners:
                        for each in self._sockets:
                            listener = await SocketListener.from_socket(each)
                            listeners.start_soon(listener.serve, self._guard, connections)

    def stop(self) -> None:
        """Accept no more."""
        self._accepting.cancel()

    def cut(self) -> None:
        """End every connection."""
        self._serving.cancel()

    async def _guard(self, stream: SocketStream) -> None:
        try:
            peer = peer_of(stream.extra(SocketAttribute.raw_socket))  # noqa: S610 - no Django here
        except OSError:  # it is gone already
            await stream.aclose()
            return
        if self._open >= self._max_connections or not self._allowed.admits(peer):
            self.refused += 1
            log.warning("connection refused", uid=peer.uid, pid=peer.pid, refused=self.refused)
            await stream.aclose()
            return
        self._open += 1
        try:
            await self._serve(stream, peer)
        finally:
            self._open -= 1
