"""The guard at the sockets: who is served, who is turned away without a byte, and how many."""

import asyncio
import errno
import os
import select
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketAttribute, UNIXSocketStream
from anyio.lowlevel import checkpoint
from structlog.testing import capture_logs

from sessiond.kdb import listener as listener_module
from sessiond.kdb.listener import Listener, ListenSettings, Place, Served
from sessiond.system.peer import AllowList, Peer, peer_of
from tests.fakes import Settings

pytestmark = pytest.mark.anyio

NOBODY = AllowList(frozenset(), frozenset())
OURSELVES = AllowList(frozenset({os.geteuid()}), frozenset())
OUR_GROUP = AllowList(frozenset(), frozenset({os.getegid()}))


class Greeter(Served):
    """Says hello and listens to the end."""

    def __init__(self, place: Place, *, knows: bool) -> None:
        self._place = place
        self._knows = knows
        self._transport: asyncio.Transport | None = None
        self._is_cut = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._is_cut:
            transport.abort()
            return
        if self._knows:
            self._place.known()
        transport.write(b"hello")

    def connection_lost(self, exc: Exception | None) -> None:
        self._place.over()

    def stop(self) -> None:
        assert self._transport is not None
        self._transport.write(b"bye")
        self._transport.close()

    def cut(self) -> None:
        self._is_cut = True
        if self._transport is not None:
            self._transport.abort()
        self._place.over()


@dataclass
class Greeters:
    """Serves; keeps whom it served."""

    peers: list[Peer] = field(default_factory=list)
    knows: bool = True  # from the first byte on who it is

    def __call__(self, peer: Peer, place: Place) -> Greeter:
        self.peers.append(peer)
        return Greeter(place, knows=self.knows)


@dataclass
class Open:
    """A listener at work."""

    listener: Listener
    served: Greeters
    addresses: list[str]
    sockets: list[socket.socket]
    over: anyio.Event
    settings: Settings[ListenSettings]

    def use(self, allowed: AllowList, *, max_connections: int = 10) -> None:
        """Do what a reload does."""
        self.settings.now = ListenSettings(allowed=allowed, max_connections=max_connections)
        self.listener.end_disallowed()

    async def connect(self, which: int = 0) -> UNIXSocketStream:
        return await anyio.connect_unix(self.addresses[which])


@asynccontextmanager
async def opened(
    folder: Path,
    allowed: AllowList,
    *,
    max_connections: int = 10,
    kind: type[socket.socket] = socket.socket,
) -> AsyncIterator[Open]:
    addresses = [str(folder / "one"), str(folder / "two")]
    sockets = [kind(socket.AF_UNIX, socket.SOCK_STREAM) for _ in addresses]
    for each, address in zip(sockets, addresses, strict=True):
        each.bind(address)
        each.listen()
    served, over = Greeters(), anyio.Event()
    settings = Settings(ListenSettings(allowed=allowed, max_connections=max_connections))
    listener = Listener(sockets, settings, serve=served)

    async def run() -> None:
        await listener.run()
        over.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        yield Open(listener, served, addresses, sockets, over, settings)
        listener.stop()
        await over.wait()


async def test_a_socket_whose_path_is_gone_is_replaced_and_who_is_connected_stays(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, OURSELVES) as open_, await open_.connect() as before:
        assert await before.receive() == b"hello"
        Path(open_.addresses[0]).unlink()
        fresh = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        fresh.bind(open_.addresses[0])
        fresh.listen()
        open_.listener.replace(open_.addresses[0], fresh)
        async with await open_.connect() as after, await open_.connect(1) as other:
            assert await after.receive() == await other.receive() == b"hello"
        assert open_.sockets[0].fileno() == -1
        assert open_.listener.disallowed(AllowList(frozenset(), frozenset())) != []
        assert open_.listener.disallowed(OURSELVES) == []
    assert fresh.fileno() == -1


async def is_refused(client: UNIXSocketStream) -> bool:
    """Wait for the end of the connection; say whether not one byte came before it."""
    async with client:
        try:
            await client.receive()
        except anyio.EndOfStream:
            return True
        return False


async def test_an_allowed_user_is_served_on_every_address(tmp_path: Path) -> None:
    async with opened(tmp_path, OURSELVES) as open_:
        for which in range(2):
            async with await open_.connect(which) as client:
                assert await client.receive() == b"hello"
    assert [(peer.uid, peer.pid) for peer in open_.served.peers] == [
        (os.geteuid(), os.getpid())
    ] * 2
    assert open_.listener.refused == 0


async def test_an_allowed_group_is_served(tmp_path: Path) -> None:
    async with opened(tmp_path, OUR_GROUP) as open_, await open_.connect() as client:
        assert await client.receive() == b"hello"


async def test_others_get_no_byte_and_are_counted(tmp_path: Path) -> None:
    async with opened(tmp_path, NOBODY) as open_:
        assert await is_refused(await open_.connect())
        assert await is_refused(await open_.connect(1))
        assert open_.listener.refused == 2
    assert open_.served.peers == []


async def test_beyond_the_most_connections_nobody_is_let_in_until_one_ends(tmp_path: Path) -> None:
    async with opened(tmp_path, OURSELVES, max_connections=2) as open_:
        first = await open_.connect(0)
        assert await first.receive() == b"hello"
        second = await open_.connect(1)
        assert await second.receive() == b"hello"
        assert await is_refused(await open_.connect())
        assert open_.listener.refused == 1
        await first.send_eof()
        with pytest.raises(anyio.EndOfStream):
            await first.receive()
        async with first, second, await open_.connect() as third:
            assert await third.receive() == b"hello"


async def test_a_refused_connection_takes_no_place(tmp_path: Path) -> None:
    async with opened(tmp_path, NOBODY, max_connections=1) as open_:
        for _ in range(3):
            assert await is_refused(await open_.connect())
        open_.settings.now = ListenSettings(allowed=OURSELVES, max_connections=10)
        async with await open_.connect() as client:
            assert await client.receive() == b"hello"


async def test_a_peer_that_is_gone_already_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = True

    def peer_of_the_second(connected: socket.socket) -> Peer:
        nonlocal gone
        if gone:
            gone = False
            raise OSError("it is gone")
        return peer_of(connected)

    monkeypatch.setattr(listener_module, "peer_of", peer_of_the_second)
    async with opened(tmp_path, OURSELVES) as open_:
        assert await is_refused(await open_.connect())
        async with await open_.connect() as client:
            assert await client.receive() == b"hello"
    assert len(open_.served.peers) == 1
    assert open_.listener.refused == 1


class NoDescriptors(socket.socket):
    """A listening socket that cannot be accepted from at first."""

    failures = 0

    def accept(self) -> tuple[socket.socket, object]:
        if self.failures < 3:
            self.failures += 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


async def test_without_descriptors_it_tries_again_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "PAUSE", 0.001)
    with capture_logs() as logs:
        async with (
            opened(tmp_path, OURSELVES, kind=NoDescriptors) as open_,
            await open_.connect() as client,
        ):
            assert await client.receive() == b"hello"
    assert {(entry["event"], entry.get("error")) for entry in logs} == {
        ("cannot accept", "[Errno 24] Too many open files")
    }


async def test_one_user_cannot_take_every_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uids = iter([500] * 10 + [501, 502, 500])
    monkeypatch.setattr(
        listener_module,
        "peer_of",
        lambda _: Peer(uid=next(uids), groups=frozenset(), pid=1, started=1),
    )
    allowed = AllowList(frozenset({500, 501, 502}), frozenset())
    async with opened(tmp_path, allowed, max_connections=10) as open_, AsyncExitStack() as clients:
        for _ in range(9):
            client = await clients.enter_async_context(await open_.connect())
            assert await client.receive() == b"hello"
        assert await is_refused(await open_.connect())  # a tenth of user 500
        other = await clients.enter_async_context(await open_.connect())
        assert await other.receive() == b"hello"
        assert await is_refused(await open_.connect())  # all ten are taken
        await client.send_eof()
        with pytest.raises(anyio.EndOfStream):
            await client.receive()
        again = await clients.enter_async_context(await open_.connect())
        assert await again.receive() == b"hello"
    assert open_.listener.refused == 2


async def test_of_one_user_s_connections_that_say_nothing_the_oldest_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uids = iter([501, *[500] * 9])
    monkeypatch.setattr(
        listener_module,
        "peer_of",
        lambda _: Peer(uid=next(uids), groups=frozenset(), pid=1, started=1),
    )
    allowed = AllowList(frozenset({500, 501}), frozenset())
    async with opened(tmp_path, allowed, max_connections=12) as open_, AsyncExitStack() as clients:

        async def connect() -> UNIXSocketStream:
            client = await clients.enter_async_context(await open_.connect())
            assert await client.receive() == b"hello"
            return client

        known = [await connect(), await connect()]  # one of each user's
        open_.served.knows = False
        silent = [await connect() for _ in range(3)]
        fourth = await connect()
        assert await is_refused(silent[0])
        open_.served.knows = True
        await connect()  # says who it is, after the next oldest gave way
        assert await is_refused(silent[1])
        open_.listener.know(next(iter(open_.listener._strangers[500])))
        open_.served.knows = False
        await connect()
        assert all(map(is_silent, (*known, silent[2], fourth)))
        assert open_.listener.refused == 0
        await silent[2].send_eof()
        await fourth.send_eof()
    assert open_.listener._strangers == {}


def is_silent(client: UNIXSocketStream) -> bool:
    """Say whether a connection is open and nothing came on it."""
    connected = client.extra(SocketAttribute.raw_socket)  # noqa: S610 - no Django here
    return not select.select([connected.fileno()], [], [], 0)[0]


async def test_when_accepting_ends_what_is_open_is_served_to_its_end_and_nobody_else(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, OURSELVES) as open_:
        async with await open_.connect() as client:
            assert await client.receive() == b"hello"
            open_.listener.stop()
            while any(each.fileno() >= 0 for each in open_.sockets):
                await checkpoint()
            assert not open_.over.is_set()
            with pytest.raises(OSError, match="refused"):
                await open_.connect()
        await open_.over.wait()


async def test_connections_can_be_ended_at_any_time(tmp_path: Path) -> None:
    async with opened(tmp_path, OURSELVES) as open_, await open_.connect() as client:
        assert await client.receive() == b"hello"
        open_.listener.stop()
        open_.listener.cut()
        await open_.over.wait()
        with pytest.raises(anyio.EndOfStream):
            await client.receive()


async def test_who_may_not_connect_any_more_is_cut_off_and_others_stay(tmp_path: Path) -> None:
    async with opened(tmp_path, OURSELVES) as open_, await open_.connect() as client:
        assert await client.receive() == b"hello"
        open_.use(OUR_GROUP)
        async with await open_.connect() as another:
            assert await another.receive() == b"hello"
            open_.use(NOBODY)
            assert await is_refused(client)
            assert await is_refused(another)
        assert await is_refused(await open_.connect())
        open_.use(OURSELVES)
        async with await open_.connect() as again:
            assert await again.receive() == b"hello"
            open_.use(OURSELVES, max_connections=1)  # it stays
            assert await is_refused(await open_.connect())
