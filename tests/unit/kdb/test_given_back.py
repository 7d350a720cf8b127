"""A connection that ends leaves nothing behind, wherever it breaks off, without the collector."""

import asyncio
import gc
import os
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import anyio
import pytest

from sessiond.kdb.connection import Connection
from sessiond.kdb.listener import Listener, ListenSettings, Place
from sessiond.kdb.tasks import ConnectionTasks, Work
from sessiond.qipc import ClientConnection, call, guid, int_, string, symbol
from sessiond.system.peer import AllowList, Peer
from sessiond.testing.calls import disconnect_call, hello_call, opened_call
from tests.fakes import FakeClock, idle
from tests.unit.kdb.serving import FakePlace, Serving, connect, renew, serving

pytestmark = pytest.mark.anyio

OURS = ("sessiond.kdb", "sessiond.qipc", "sessiond.system.peer")
ROUNDS, AT_ONCE = 6, 32  # over the places below, some five thousand connections
EVERYBODY = AllowList(frozenset({os.geteuid()}), frozenset())
HALF_BIG = struct.pack("<BBBBI", 1, 1, 0, 0, 1 << 20) + bytes(60_000)  # of a message of 1 MiB
HALF = struct.pack("<BBBBI", 1, 1, 0, 0, 60_000) + bytes(50_000)


def said() -> dict[str, bytes]:
    """Return what peers say before they break off, by where that is."""
    client = ClientConnection(1 << 24)
    greeting = client.greeting("gw1", "x")
    client.receive_data(b"\x03")
    client.next_event()
    hello = greeting + client.sync(hello_call())
    subscribe = client.sync(call(".u.sub", symbol("sessionevents"), symbol("")))
    calls = [call("sessions"), call("nonsense"), string(""), connect("bob"), symbol("hello")]
    return {
        "before the handshake": b"",
        "in the handshake": greeting[:3],
        "after no handshake": b"\xff\xfe\x03\x00",
        "after too long a handshake": b"a" * 5000,
        "after the handshake": greeting,
        "mid-header": greeting + HALF[:5],
        "mid-message before hello": greeting + HALF,
        "too large before hello": greeting + HALF_BIG,
        "in hello": hello[:-30],
        "after hello": hello,
        "mid-message after hello": hello + HALF_BIG,
        "in broken protocol": hello + bytes(20),
        "after wrong calls": hello + b"".join(map(client.sync, calls)),
        "after a big call": hello + client.sync(string("x" * 50_000)),
        "after a login": hello
        + client.sync(connect())
        + client.async_(opened_call(UUID(int=1), 5)),
        "in a login": hello
        + client.sync(connect(brings="hung"))
        + client.async_(disconnect_call(5)),
        "in a renewal": hello + client.async_(renew(UUID(int=3), "hung")),
        "in a sync renewal": hello + client.sync(renew(UUID(int=3), "hung")),
        "subscribed": hello + subscribe,
        "with pushes unread": hello
        + b"".join(client.async_(call("opened", guid(UUID(int=n)), int_(5))) for n in range(99)),
    }


@dataclass(frozen=True, slots=True)
class CountingPlace:
    """Fulfils `Place`, and counts those that are over."""

    crowd: "Crowd"
    place: Place

    def known(self) -> None:
        self.place.known()

    def start_soon(self, work: Work, /) -> None:
        self.place.start_soon(work)

    def over(self) -> None:
        self.place.over()
        self.crowd.is_over()


@dataclass
class Crowd:
    """The daemon on a real socket, and connections that break off."""

    daemon: Serving
    address: str
    served: int = 0
    moved: anyio.Event = field(default_factory=anyio.Event)

    def serve(self, peer: Peer, place: Place) -> Connection:
        return Connection(
            peer, self.daemon.context, self.daemon.settings, CountingPlace(self, place)
        )

    def is_over(self) -> None:
        self.served += 1
        self.moved.set()
        self.moved = anyio.Event()

    async def break_off(self, said: bytes, *, is_half_close: bool) -> None:
        """Let some connections say this and end; return when the daemon is done with them."""
        hung = self.daemon.verifier.hold_token("hung")
        wanted = self.served + AT_ONCE
        crowd = [socket.socket(socket.AF_UNIX) for _ in range(AT_ONCE)]
        for each in crowd:
            each.setblocking(False)
            each.connect(self.address)
            each.send(said)
        await idle()
        for each in crowd:
            if is_half_close:
                each.shutdown(socket.SHUT_WR)
            else:
                each.close()
        await idle()
        hung.set()
        while self.served < wanted:
            await self.moved.wait()
        for each in crowd:
            each.close()
        await idle()


@asynccontextmanager
async def crowd(clock: FakeClock, folder: Path) -> AsyncIterator[Crowd]:
    async with serving(clock) as daemon:
        address = str(folder / "s")
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(address)
        listening.listen(AT_ONCE)
        crowd = Crowd(daemon, address)
        settings = ListenSettings(allowed=EVERYBODY, max_connections=4096)
        listener = Listener([listening], lambda: settings, serve=crowd.serve)
        daemon.tasks.start_soon(listener.run)
        await idle()
        yield crowd
        listener.stop()


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alive() -> Counter[str]:
    """Count what there is of ours, and tasks, that the collector knows of."""
    kinds = map(type, gc.get_objects())
    return Counter(
        kind.__qualname__
        for kind in kinds
        if str(kind.__module__).startswith(OURS) or issubclass(kind, asyncio.Task)
    )


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("where", said())
async def test_a_connection_that_breaks_off_leaves_nothing_behind(
    clock: FakeClock, tmp_path: Path, where: str
) -> None:
    words = said()[where]
    async with crowd(clock, tmp_path) as at:
        for is_half_close in (False, True):
            await at.break_off(words, is_half_close=is_half_close)
        before = alive()
        for number in range(ROUNDS):
            await at.break_off(words, is_half_close=number % 2 == 1)
        assert alive() - before == {}
        assert at.daemon.context.budget.kept == 0
        assert len(at.daemon.connected) == 0


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("is_all", [False, True])
async def test_a_task_that_is_cancelled_leaves_nothing_behind(*, is_all: bool) -> None:
    failed = list[Exception]()

    async def wait() -> None:
        kept = Kept()
        await anyio.sleep_forever()
        assert kept is not None

    async with anyio.create_task_group() as group:
        tasks = ConnectionTasks(FakePlace(group), failed.append)
        for _ in range(10):
            tasks.begin(wait)
        await idle()
        assert len(Kept.alive()) == 10
        if is_all:
            group.cancel_scope.cancel()
        else:
            tasks.end()
    assert failed == []
    assert Kept.alive() == []


class Kept:
    """What a task has in a local variable."""

    @classmethod
    def alive(cls) -> "list[Kept]":
        return [each for each in gc.get_objects() if type(each) is cls]
