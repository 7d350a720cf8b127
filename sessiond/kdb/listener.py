"""Accepts connections of allowed peers, so many a turn, and keeps account of who has how many."""

import asyncio  # noqa: TID251 - the loop says when somebody comes, and makes transports
import math
import socket
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import anyio
import structlog
from anyio.abc import TaskGroup

from sessiond.kdb.tasks import Work
from sessiond.notifier import Notifier
from sessiond.system.peer import AllowList, Peer, peer_of

ONE_USERS_SHARE = 0.9  # of the connections; the rest is for the other users
STRANGERS_SHARE = 0.25  # of the connections, for those of one user that have not said hello
PAUSE = 0.2  # seconds until accepting is tried again
A_TURN = 16  # connections accepted at one socket in one turn of the loop

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenSettings:
    """Who is let in, and how many at most."""

    allowed: AllowList
    max_connections: int


class Place(Protocol):
    """What a connection has of the listener."""

    def known(self) -> None:
        """Count it as a stranger's no longer: its process said who it is."""
        ...

    def over(self) -> None:
        """Give it back: the connection is over."""
        ...

    def start_soon(self, work: Work, /) -> None:
        """Run something beside the loop's callbacks."""
        ...


class Served(asyncio.Protocol, ABC):
    """A connection as the listener knows it."""

    @abstractmethod
    def stop(self) -> None:
        """Take no more; answer what was taken, and close."""

    @abstractmethod
    def cut(self) -> None:
        """End now."""


Serve = Callable[[Peer, Place], Served]


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
            serve: Returns what serves one: a Protocol of the loop's.
        """
        self._sockets = list(sockets)
        self._settings = settings
        self._serve = serve
        self._tasks: TaskGroup | None = None
        self._stopped = anyio.Event()
        self._open: Counter[int] = Counter()  # connections by uid
        self._admitted: dict[_Place, Served] = {}
        self._strangers: defaultdict[int, dict[_Place, None]] = defaultdict(dict)
        self._left = Notifier()
        self.refused = 0  # connections since the start

    def disallowed(self, allowed: AllowList) -> list[Peer]:
        """Return those connected whom this list would not admit."""
        return [place.peer for place in self._admitted if not allowed.admits(place.peer)]

    def end_disallowed(self) -> None:
        """End the connections of those who may not connect any more."""
        allowed = self._settings().allowed
        for place, served in tuple(self._admitted.items()):
            peer = place.peer
            if not allowed.admits(peer):
                log.warning("connection ended: not allowed any more", uid=peer.uid, pid=peer.pid)
                served.cut()

    async def run(self) -> None:
        """Accept until `stop`; return when every connection has ended."""
        try:
            async with anyio.create_task_group() as self._tasks:
                for each in self._sockets:
                    self._begin(each)
                await self._stopped.wait()
                for each in self._sockets:  # whoever comes now is to learn it at once
                    _close(each)
                await self._left.wait_for(lambda: not self._admitted)
                self._tasks.cancel_scope.cancel()
        finally:
            self.cut()
            for each in self._sockets:
                _close(each)

    def replace(self, former: str, listener: socket.socket) -> None:
        """Accept at a new socket, and no more at the one whose file at this path is gone."""
        for each in [each for each in self._sockets if each.getsockname() == former]:
            self._sockets.remove(each)
            _close(each)
        self._sockets.append(listener)
        if self._tasks is not None:
            self._begin(listener)

    def stop(self) -> None:
        """Accept no more."""
        self._stopped.set()

    def see_off(self) -> None:
        """Have every connection answer what it has taken, say bye, and close."""
        for served in tuple(self._admitted.values()):
            served.stop()

    def cut(self) -> None:
        """End every connection."""
        for served in tuple(self._admitted.values()):
            served.cut()

    def _begin(self, listener: socket.socket) -> None:
        if listener.fileno() >= 0 and not self._stopped.is_set():
            listener.setblocking(False)
            loop = asyncio.get_running_loop()
            loop.add_reader(listener.fileno(), self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        """Take who waits, as many as one turn has room for."""
        for _ in range(A_TURN):
            try:
                connected, _address = listener.accept()
            except (BlockingIOError, ConnectionAbortedError, InterruptedError):
                return
            except OSError as error:  # no file descriptors left, most likely
                log.error("cannot accept", error=str(error))
                loop = asyncio.get_running_loop()
                loop.remove_reader(listener.fileno())
                loop.call_later(PAUSE, self._begin, listener)
                return
            self._guard(connected)

    def _guard(self, connected: socket.socket) -> None:
        try:
            peer = peer_of(connected)
        except OSError as error:  # it is gone already, or /proc does not show it to us
            self.refused += 1
            log.warning("peer unknown", error=str(error), refused=self.refused)
            connected.close()
            return
        if not self._settings().allowed.admits(peer) or self._is_full(peer.uid):
            self.refused += 1
            log.warning("connection refused", uid=peer.uid, pid=peer.pid, refused=self.refused)
            connected.close()
            return
        place = _Place(self, peer)
        served = self._serve(peer, place)
        self._open[peer.uid] += 1
        self._admitted[place] = served
        self._admit_stranger(place)
        self.start_soon(partial(_attach, connected, served))

    def start_soon(self, work: Work) -> None:
        """Run something until the listener is done with all connections."""
        if self._tasks is not None:
            self._tasks.start_soon(work)

    def _admit_stranger(self, place: "_Place") -> None:
        """Bound the connections of a user that nobody has spoken on: the oldest gives way.

        A process says hello within milliseconds. So whoever opens connections and says nothing
        keeps none of the same user's processes out.
        """
        uid = place.peer.uid
        if len(self._strangers[uid]) >= math.ceil(
            self._settings().max_connections * STRANGERS_SHARE
        ):
            log.warning("connection ended: it says nothing", uid=uid)
            oldest = next(iter(self._strangers[uid]))
            self.know(oldest)
            self._admitted[oldest].cut()
        self._strangers[uid][place] = None

    def know(self, place: "_Place") -> None:
        """Count a connection as a stranger's no longer."""
        uid = place.peer.uid
        self._strangers[uid].pop(place, None)
        if not self._strangers[uid]:
            del self._strangers[uid]

    def give_back(self, place: "_Place") -> None:
        """Let another have a connection's place."""
        uid = place.peer.uid
        self.know(place)
        if self._admitted.pop(place, None) is None:
            return
        self._open[uid] -= 1
        if not self._open[uid]:
            del self._open[uid]
        self._left.notify()

    def _is_full(self, uid: int) -> bool:
        """Bound all connections, and keep some for others than the one user who has most."""
        most = self._settings().max_connections
        share = math.ceil(most * ONE_USERS_SHARE)
        return self._open.total() >= most or self._open[uid] >= share


class _Place:
    """Fulfils `Place`."""

    def __init__(self, listener: Listener, peer: Peer) -> None:
        self._listener = listener
        self.peer = peer

    def known(self) -> None:
        self._listener.know(self)

    def over(self) -> None:
        self._listener.give_back(self)

    def start_soon(self, work: Work, /) -> None:
        self._listener.start_soon(work)


async def _attach(connected: socket.socket, served: Served) -> None:
    """Let the loop serve a connection. It is read from then on, and not before."""
    try:
        await asyncio.get_running_loop().connect_accepted_socket(lambda: served, connected)
    except OSError as error:
        log.warning("connection lost as it came", error=str(error))
        connected.close()
        served.cut()


def _close(listener: socket.socket) -> None:
    if listener.fileno() >= 0:
        with suppress(RuntimeError):
            asyncio.get_running_loop().remove_reader(listener.fileno())
        listener.close()
