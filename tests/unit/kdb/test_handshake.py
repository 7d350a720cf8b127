"""From a peer's first byte to its hello."""

import anyio
import pytest

from sessiond.qipc import NIL, Atom, Vector, call, string, symbol
from sessiond.qipc.values import QType
from sessiond.system.peer import Peer
from sessiond.testing import QReplyError
from sessiond.testing.calls import PING, hello_call, opened_call
from sessiond.testing.plain import plain_dict
from tests.fakes import FakeClock
from tests.unit.kdb.serving import INSTANCE, connect, peer, serving

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("greeting", "answer"),
    [
        (b"gw1:ignored\x06\0", b"\x03"),
        (b"gw1:ignored\x03\0", b"\x03"),
        (b"gw1:ignored\x01\0", b"\x01"),
        (b"gw1:ignored\0", b"\x00"),
        (b":\x03\0", b"\x03"),
        (b"\0", b"\x00"),
    ],
)
async def test_a_greeting_is_answered_with_one_byte(
    clock: FakeClock, greeting: bytes, answer: bytes
) -> None:
    async with serving(clock) as daemon:
        q = daemon.arrive()
        await q.end.send(greeting)
        assert await q.end.receive() == answer


async def test_a_greeting_may_come_byte_by_byte_or_with_the_first_call(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        slow, quick = daemon.arrive(), daemon.arrive(peer(101))
        for byte in b"gw1:ignored\x03\0":
            await slow.end.send(bytes([byte]))
        assert await slow.end.receive(1) == b"\x03"
        ping = bytes.fromhex("01010000 0e000000 0a0000000000")  # q's -8!"", sent sync
        await quick.end.send(b"gw1:ignored\x03\0" + ping)
        assert await quick.end.receive(1) == b"\x03"
        assert (await quick.end.receive())[:4].hex() == "01020000"


@pytest.mark.parametrize("sent", [b"x" * 4096, b"\xff:pw\x03\0", b"GET / HTTP/1.1\r\n" * 300])
async def test_what_is_no_greeting_gets_no_byte(clock: FakeClock, sent: bytes) -> None:
    async with serving(clock) as daemon:
        q = daemon.arrive()
        await q.end.send(sent)
        with pytest.raises(anyio.EndOfStream):
            await q.end.receive()
        await q.over.wait()


async def test_a_peer_that_says_nothing_in_time_gets_no_byte(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = daemon.arrive()
        await q.end.send(b"gw1:")
        await clock.advance(9)
        assert not q.over.is_set()
        await clock.advance(1)
        with pytest.raises(anyio.EndOfStream):
            await q.end.receive()
        await q.over.wait()


async def test_a_peer_that_leaves_before_it_greets_is_forgotten(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = daemon.arrive()
        await q.leave()
        assert len(daemon.connected) == 0
        assert daemon.store.commits == []


async def test_hello_is_answered_with_who_the_daemon_is(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = daemon.arrive()
        await q.greet()
        answer = await q.hello()
        assert list(answer) == ["server", "instance", "proof", "deadline"]
        assert answer["instance"] == Atom(QType.GUID, INSTANCE)
        assert answer["proof"] == Vector(QType.BYTE, b"")
        assert answer["deadline"] == Atom(QType.TIMESPAN, 30 * 10**9)
        assert len(daemon.connected) == 1


@pytest.mark.parametrize("pieces", [1, 3])
async def test_a_deadline_counts_from_the_first_byte_of_its_call_and_not_from_the_handshake(
    clock: FakeClock, pieces: int
) -> None:
    async with serving(clock, deadline=2.0) as daemon:
        q = daemon.arrive()
        greeting = q.wire.greeting("gw1", "x")
        size = len(greeting) // pieces
        for at in range(0, len(greeting), size):
            await q.end.send(greeting[at : at + size])
            await clock.advance(1)
        await q._wait_for(q.wire.accepted)
        hello = q.wire.sync(hello_call())
        await q.end.send(hello[:9])
        await clock.advance(1)
        await q.end.send(hello[9:])
        assert plain_dict(await q.answer())["server"]
        await clock.advance(30)
        daemon.verifier.hold_token("access")
        await q.ask(connect())
        await clock.advance(1.8)
        assert q.end.unread == 0
        await clock.advance(0.1)
        assert plain_dict(await q.answer())["reason"] == "deadline"


async def test_before_hello_there_is_an_answer_to_a_ping_and_an_error_to_all_else(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        q = daemon.arrive()
        await q.greet()
        assert await q.sync(PING) == NIL
        assert await q.sync(NIL) == NIL
        for value in (connect(), call("sessions"), symbol("sessions"), opened_call(INSTANCE, 5)):
            with pytest.raises(QReplyError, match=r"^sessiond: say hello first$"):
                await q.sync(value)
        assert daemon.verifier.asked == []
        await q.hello()
        assert (await q.connect())["ok"]


async def test_a_second_hello_is_an_error_and_changes_nothing(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        await q.log_in()
        with pytest.raises(QReplyError, match=r"^sessiond: hello was said before$"):
            await q.sync(hello_call("another"))
        assert await q.sessions() == [5]
        assert [session.about.name for session in daemon.kept] == ["gw1"]
        assert [session.state for session in daemon.kept] == ["open"]


async def test_an_async_hello_is_no_hello(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = daemon.arrive()
        await q.greet()
        await q.tell(hello_call())
        with pytest.raises(QReplyError, match="say hello first"):
            await q.sync(call("sessions"))


async def test_a_hello_that_is_wrong_can_be_said_again(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = daemon.arrive()
        await q.greet()
        with pytest.raises(QReplyError, match="must be a dictionary"):
            await q.sync(call("hello", string("gw1")))
        assert await q.hello()


async def test_whoever_says_no_hello_is_cut_after_a_minute_and_nobody_else(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        silent = daemon.arrive(peer(1))
        await silent.greet()
        process = await daemon.process(2)
        await clock.advance(59)
        await silent.ping()
        await clock.advance(1)
        assert await silent.is_cut()
        await process.ping()
        assert len(daemon.connected) == 1


async def test_processes_without_a_pid_are_told_apart_by_their_connections(
    clock: FakeClock,
) -> None:
    nameless = Peer(uid=500, groups=frozenset(), pid=0, started=0)
    async with serving(clock) as daemon:
        for _ in range(2):
            q = daemon.arrive(nameless)
            await q.greet("rdb1")
            await q.hello()
            await q.log_in()
        assert len(daemon.connected) == 2
        keys = {session.process for session in daemon.kept}
        assert len(keys) == 2
        assert all(key.label.startswith("rdb1 #") for key in keys)
