"""Accepts connections of allowed peers, and serves each on its own."""

import math
import socket
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial

import anyio
import structlog
from anyio.abc import ByteStream, SocketAttribute, SocketListener, SocketStream, TaskGroup

from sessiond.system.peer import AllowList, Peer, peer_of

ONE_USERS_SHARE = 0.9  # of the connections; the rest is for the other users
STRANGERS_SHARE = 0.25  # of the connections, for those of one user that have not said hello
PAUSE = 0.2  # seconds until accepting is tried again

Serve = Callable[[ByteStream, Peer, Callable[[], None]], Awaitable[None]]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenSettings:
    """Who is let in, and how many at most."""

    allowed: AllowList
    max_connections: int


class Listener:
    """The guard at the sockets. Refused peers get no byte, not even the handshake's answer."""

    def __init__(
        self,
        sockets: Iterable[socket.socket],
        settings: Callable[[], ListenSettings],
        *,
        serve: Serve,
    ) -> None:
        """Make one; `run` begins it.

        Args:
            sockets: Where to accept.
            settings: Those of now. A lower bound on connections ends none.
            serve: Serves one to its end, and calls what it is given once it knows the process.
        """
        self._sockets = list(sockets)
        self._at: dict[socket.socket, anyio.CancelScope] = {}  # where it is accepting
        self._tasks: tuple[TaskGroup, TaskGroup] | None = None  # that accept, that serve
        self._settings = settings
        self._serve = serve
        self._accepting = anyio.CancelScope()
        self._serving = anyio.CancelScope()
        self._open: Counter[int] = Counter()  # connections by uid
        self._admitted: dict[anyio.CancelScope, Peer] = {}  # each connection, and whose it is
        self._strangers: defaultdict[int, dict[anyio.CancelScope, None]] = defaultdict(dict)
        self.refused = 0  # connections since the start

    def disallowed(self, allowed: AllowList) -> list[Peer]:
        """Return those connected whom this list would not admit."""
        return [peer for peer in self._admitted.values() if not allowed.admits(peer)]

    def end_disallowed(self) -> None:
        """End the connections of those who may not connect any more."""
        allowed = self._settings().allowed
        for connection, peer in self._admitted.items():
            if not allowed.admits(peer):
                log.warning("connection ended: not allowed any more", uid=peer.uid, pid=peer.pid)
                connection.cancel()

    async def run(self) -> None:
        """Accept until `stop`; return when every connection has ended."""
        with self._serving:
            async with anyio.create_task_group() as connections:
                try:
                    with self._accepting:
                        async with anyio.create_task_group() as listeners:
                            self._tasks = listeners, connections
                            for each in self._sockets:
                                listeners.start_soon(self._accept_at, each, connections)
                finally:
                    for each in self._sockets:  # whoever comes now is to learn it at once
                        each.close()

    def replace(self, former: str, listener: socket.socket) -> None:
        """Accept at a new socket, and no more at the one whose file at this path is gone."""
        for each in [each for each in self._sockets if each.getsockname() == former]:
            self._sockets.remove(each)
            if each in self._at:
                self._at[each].cancel()
        self._sockets.append(listener)
        if self._tasks is not None:
            listeners, connections = self._tasks
            listeners.start_soon(self._accept_at, listener, connections)

    def stop(self) -> None:
        """Accept no more."""
        self._accepting.cancel()

    def cut(self) -> None:
        """End every connection."""
        self._serving.cancel()

    async def _accept_at(self, raw: socket.socket, connections: TaskGroup) -> None:
        listener = await SocketListener.from_socket(raw)
        with anyio.CancelScope() as self._at[raw]:
            await self._accept(listener, connections)
        del self._at[raw]
        raw.close()  # replaced

    async def _accept(self, listener: SocketListener, connections: TaskGroup) -> None:
        while True:
            try:
                stream = await listener.accept()
            except anyio.BrokenResourceError as error:  # no file descriptors left, most likely
                log.error("cannot accept", error=str(error.__cause__))
                await anyio.sleep(PAUSE)
            else:
                connections.start_soon(self._guard, stream)

    async def _guard(self, stream: SocketStream) -> None:
        try:
            peer = peer_of(stream.extra(SocketAttribute.raw_socket))  # noqa: S610 - no Django here
        except OSError as error:  # it is gone already, or /proc does not show it to us
            self.refused += 1
            log.warning("peer unknown", error=str(error), refused=self.refused)
            await stream.aclose()
            return
        if not self._settings().allowed.admits(peer) or self._is_full(peer.uid):
            self.refused += 1
            log.warning("connection refused", uid=peer.uid, pid=peer.pid, refused=self.refused)
            await stream.aclose()
            return
        self._open[peer.uid] += 1
        with anyio.CancelScope() as connection:
            self._admitted[connection] = peer
            self._admit_stranger(connection, peer)
            try:
                await self._serve(stream, peer, partial(self._know, connection, peer.uid))
            finally:
                self._know(connection, peer.uid)
                del self._admitted[connection]
                self._open[peer.uid] -= 1
                if not self._open[peer.uid]:
                    del self._open[peer.uid]

    def _admit_stranger(self, connection: anyio.CancelScope, peer: Peer) -> None:
        """Bound the connections of a user that nobody has spoken on: the oldest gives way.

        A process says hello within milliseconds. So whoever opens connections and says nothing
        keeps none of the same user's processes out.
        """
        strangers = self._strangers[peer.uid]
        if len(strangers) >= math.ceil(self._settings().max_connections * STRANGERS_SHARE):
            log.warning("connection ended: it says nothing", uid=peer.uid)
            oldest = next(iter(strangers))
            self._know(oldest, peer.uid)
            oldest.cancel()
        self._strangers[peer.uid][connection] = None

    def _know(self, connection: anyio.CancelScope, uid: int) -> None:
        """Count a connection as a stranger's no longer."""
        self._strangers[uid].pop(connection, None)
        if not self._strangers[uid]:
            del self._strangers[uid]

    def _is_full(self, uid: int) -> bool:
        """Bound all connections, and keep some for others than the one user who has most."""
        most = self._settings().max_connections
        share = math.ceil(most * ONE_USERS_SHARE)
        return self._open.total() >= most or self._open[uid] >= share
