"""systemd hears WATCHDOG=1 exactly as long as a q process would be answered."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import anyio
import pytest
from structlog.testing import capture_logs

from sessiond.core.changes import Revoke
from sessiond.core.revocation import Scope
from sessiond.kdb.connection import Connection
from sessiond.kdb.listener import Listener, ListenSettings, Place
from sessiond.qipc import Handshake, ServerConnection, string
from sessiond.system.peer import AllowList, Peer
from sessiond.system.watchdog import NoAnswerError, Watchdog, round_trip
from tests.fakes import FakeClock, idle
from tests.unit.kdb.serving import Serving, serving

pytestmark = pytest.mark.anyio

ALLOWED = AllowList(frozenset({os.geteuid()}), frozenset())


@dataclass
class Trip:
    """A round trip that fails or hangs when the test says so."""

    fails: bool = False
    hangs: bool = False
    begun: int = 0
    ended: list[str] = field(default_factory=list)

    async def __call__(self) -> None:
        self.begun += 1
        if self.fails:
            raise NoAnswerError("the table: gone")
        if self.hangs:
            await anyio.sleep_forever()


@asynccontextmanager
async def guarded(clock: FakeClock, trip: Trip, *, interval: float = 2.0) -> AsyncIterator[Trip]:
    """Run a watchdog on a trip until the end of the block; what it says is in `ended`."""
    watchdog = Watchdog(
        interval=interval, trip=trip, feed=lambda: trip.ended.append("fed"), clock=clock
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watchdog.run)
        await idle()
        yield trip
        watchdog.stop()


async def test_a_healthy_daemon_is_heard_four_times_in_the_time_allowed() -> None:
    clock = FakeClock()
    async with guarded(clock, Trip(), interval=2.0) as trip:  # of 4 seconds allowed
        for _ in range(3):
            await clock.advance(1.0)
    assert (trip.begun, trip.ended) == (4, ["fed"] * 4)


async def test_after_a_failed_trip_nothing_is_said_until_one_succeeds() -> None:
    clock = FakeClock()
    with capture_logs() as logs:
        async with guarded(clock, Trip(fails=True)) as trip:
            await clock.advance(1.0)
            assert (trip.begun, trip.ended) == (2, [])
            trip.fails = False
            await clock.advance(1.0)
            assert trip.ended == ["fed"]
    told = [(each["event"], each.get("error")) for each in logs]
    assert told == [
        ("no round trip", "the table: gone"),
        ("round trips succeed again", None),
    ]


async def test_a_trip_that_hangs_is_given_up_and_nothing_is_said() -> None:
    clock = FakeClock()
    with capture_logs() as logs:
        async with guarded(clock, Trip(hangs=True), interval=0.01) as trip:
            while not clock.sleepers:
                await anyio.lowlevel.checkpoint()
            assert (trip.begun, trip.ended) == (1, [])
            trip.hangs = False
            await clock.advance(1.0)
            assert trip.ended[0] == "fed"
    assert logs[0]["error"] == "none in 0.01 s"


async def test_once_stopped_it_says_nothing_more() -> None:
    clock = FakeClock()
    async with guarded(clock, Trip()) as trip:
        pass
    said = len(trip.ended)
    await clock.advance(10.0)
    assert (len(trip.ended), clock.sleepers) == (said, 0)


@dataclass
class GateIssuer:
    """The daemon at an address."""

    address: bytes
    at_work: Serving
    listener: Listener
    over: anyio.Event  # the listener has closed

    async def trip(self) -> None:
        await round_trip(self.address, self.at_work.table)


@asynccontextmanager
async def gate_issuer(folder: Path, *, max_connections: int = 10) -> AsyncIterator[GateIssuer]:
    address = os.fsencode(folder / "kx")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(address)
    sock.listen()
    async with serving(FakeClock()) as at_work:

        def serve(peer: Peer, place: Place) -> Connection:
            return Connection(peer, at_work.context, at_work.settings, place)

        settings = ListenSettings(allowed=ALLOWED, max_connections=max_connections)
        listener = Listener([sock], lambda: settings, serve=serve)
        over = anyio.Event()

        async def listen() -> None:
            await listener.run()
            over.set()

        at_work.tasks.start_soon(listen)
        yield GateIssuer(address, at_work, listener, over)
        listener.stop()
        listener.cut()


async def test_the_trip_is_answered_and_leaves_no_trace(tmp_path: Path) -> None:
    async with gate_issuer(tmp_path) as at:
        with capture_logs() as logs:
            await at.trip()
            await idle()
        assert (logs, len(at.at_work.connected), at.listener.refused) == ([], 0, 0)
        assert at.at_work.store.commits == []


async def test_a_table_that_cannot_write_is_found_out(tmp_path: Path) -> None:
    async with gate_issuer(tmp_path) as at:
        held = at.at_work.store.hold()
        revoke = Revoke(id=UUID(int=0), scope=Scope.ALL, value="", reason="now")
        at.at_work.table.submit(revoke)
        await at.at_work.store.arrived.wait()
        with anyio.move_on_after(0.05) as time:
            await at.trip()
        assert time.cancelled_caught
        held.set()
        await at.trip()


async def test_a_full_disk_is_no_reason_to_start_again(tmp_path: Path) -> None:
    async with gate_issuer(tmp_path) as at:
        at.at_work.store.failing = 1000
        await at.trip()


async def test_a_closed_table_is_found_out(tmp_path: Path) -> None:
    async with gate_issuer(tmp_path) as at:
        at.at_work.table.close()
        with pytest.raises(NoAnswerError, match="the table: TableClosed"):
            await at.trip()


async def test_a_listener_that_is_gone_is_found_out(tmp_path: Path) -> None:
    async with gate_issuer(tmp_path) as at:
        await idle()
        at.listener.stop()
        await at.over.wait()
        with pytest.raises(NoAnswerError, match="the listener: ConnectionRefusedError"):
            await at.trip()


async def test_a_listener_that_accepts_nobody_is_found_out(tmp_path: Path) -> None:
    address = os.fsencode(tmp_path / "kx")
    async with serving(FakeClock()) as at_work:
        with socket.socket(socket.AF_UNIX) as deaf, socket.socket(socket.AF_UNIX) as waits:
            deaf.bind(address)
            deaf.listen(0)
            waits.connect(address)
            with anyio.move_on_after(0.1) as time:
                await round_trip(address, at_work.table)
            assert time.cancelled_caught


async def test_a_queue_that_somebody_fills_is_waited_for_while_the_listener_empties_it(
    tmp_path: Path,
) -> None:
    """Anybody may connect to an abstract address, as often as he likes."""
    address = os.fsencode(tmp_path / "kx")
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(address)
    sock.listen(0)
    returned = anyio.Event()
    async with serving(FakeClock()) as at_work:

        def serve(peer: Peer, place: Place) -> Connection:
            return Connection(peer, at_work.context, at_work.settings, place)

        async def go() -> None:
            await round_trip(address, at_work.table)
            returned.set()

        with socket.socket(socket.AF_UNIX) as first:
            first.connect(address)
            at_work.tasks.start_soon(go)
            await idle()
            settings = ListenSettings(allowed=ALLOWED, max_connections=9)
            listener = Listener([sock], lambda: settings, serve=serve)
            at_work.tasks.start_soon(listener.run)
            await returned.wait()
            listener.stop()
            listener.cut()


async def test_where_all_places_are_taken_the_daemon_is_still_alive(tmp_path: Path) -> None:
    async with gate_issuer(tmp_path, max_connections=1) as at:
        async with await anyio.connect_unix(at.address):
            await idle()
            while at.listener.refused == 0:  # the test's timeout ends this
                await at.trip()
        assert at.listener.refused == 1
        await idle()  # the daemon has seen that end


async def test_who_answers_something_else_is_not_the_daemon(tmp_path: Path) -> None:
    address = str(tmp_path / "kx")
    async with serving(FakeClock()) as at_work, await anyio.create_unix_listener(address) as other:

        async def answer() -> None:
            wire = ServerConnection(1024)
            async with await other.accept() as stream:
                while not isinstance(wire.next_event(), Handshake):
                    wire.receive_data(await stream.receive())
                await stream.send(wire.accept() + wire.push(string("upd")))
                await stream.receive()

        at_work.tasks.start_soon(answer)
        with pytest.raises(NoAnswerError, match="Response expected, Push received"):
            await round_trip(os.fsencode(address), at_work.table)
