"""What one connection, or one user, may make the daemon keep, or do before others' turn."""

import struct
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from sessiond.core.session import ActiveSession
from sessiond.kdb import changing, connection, replies
from sessiond.kdb import turns as kdb_turns
from sessiond.kdb.budget import ALWAYS
from sessiond.qipc import NIL, Value, call, decode, string
from sessiond.qipc import connection as qipc_connection
from sessiond.system.peer import Peer
from sessiond.testing import QReplyError
from sessiond.testing.calls import PING, hello_call
from sessiond.testing.plain import plain_dict
from tests.fakes import FakeClock, idle
from tests.unit.kdb.serving import columns, connect, serving

pytestmark = pytest.mark.anyio

STRANGERS = connection.STRANGERS_MESSAGE
LARGE = string("x" * 200_000)


def head(size: int) -> bytes:
    """Return the header of a sync message of so many bytes."""
    return struct.pack("<BBBBI", 1, 1, 0, 0, size)


def of_user(uid: int, pid: int) -> Peer:
    return Peer(uid=uid, groups=frozenset({uid}), pid=pid, started=pid)


async def test_before_hello_a_message_has_at_most_64_kib(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = daemon.arrive()
        await q.greet()
        await q.end.send(head(STRANGERS) + bytes(STRANGERS - 9))
        await idle()
        assert not q.over.is_set()  # it may come yet
        other = daemon.arrive()
        await other.greet()
        await other.end.send(head(STRANGERS + 1))
        assert await other.is_cut()


async def test_after_hello_it_may_be_as_large_as_configured_also_when_it_came_with_it(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        q = daemon.arrive()
        await q.greet()
        await q.ask(hello_call(), LARGE)
        assert plain_dict(await q.answer())["server"]
        with pytest.raises(QReplyError, match="unknown function"):
            await q.answer()


async def test_a_lower_configured_bound_counts_before_hello_too(clock: FakeClock) -> None:
    async with serving(clock, max_message=1000) as daemon:
        q = daemon.arrive()
        await q.greet()
        await q.end.send(head(1001))
        assert await q.is_cut()


async def test_half_messages_of_one_user_are_bounded_and_another_is_not_held_up(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        daemon.context.budget._per_user = 4 * ALWAYS
        crowd = []
        for pid in range(1, 5):
            q = daemon.arrive(of_user(500, pid))
            await q.greet()
            await q.hello()
            await q.end.send(head(1 << 20) + bytes(2 * ALWAYS - 1000))
            await idle()
            crowd.append(q)
        assert [q.over.is_set() for q in crowd] == [False, False, True, True]
        assert daemon.context.budget.kept > 3 * ALWAYS
        bobs = daemon.arrive(of_user(501, 9))
        await bobs.greet()
        await bobs.hello()
        with pytest.raises(QReplyError, match="unknown function"):
            await bobs.sync(LARGE)
        alices = daemon.arrive(of_user(500, 10))  # what a login needs is always there
        await alices.greet()
        await alices.hello()
        assert (await alices.connect())["ok"]
        for q in crowd:
            await q.leave()
        await bobs.leave()
        await alices.leave()
        assert daemon.context.budget.kept == 0


async def test_what_was_answered_is_kept_no_longer(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        before = daemon.context.budget.kept
        for _ in range(3):
            with pytest.raises(QReplyError):
                await q.sync(LARGE)
            await q.ping()
            await idle()
            assert daemon.context.budget.kept == before


async def test_so_many_bytes_are_taken_in_hand_and_the_rest_waits(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        hung = daemon.verifier.hold_token("hung")
        await q.ask(connect(brings="hung"), LARGE, LARGE, LARGE, PING)
        await idle()
        owed = daemon.context.budget.kept
        assert owed < connection.IN_HAND_SIZE + 2 * 200_100 + 200_100
        hung.set()
        assert plain_dict(await q.answer())["ok"]
        for _ in range(3):
            with pytest.raises(QReplyError):
                await q.answer()
        assert await q.answer() == NIL


@asynccontextmanager
async def turns(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[int]]:
    """Count the bytes of messages that are decoded in each turn of the loop."""
    found = [0]

    def counting(payload: bytes, **bounds: Any) -> object:
        found[-1] += len(payload)
        return decode(payload, **bounds)

    async def count() -> None:
        while True:
            await anyio.lowlevel.checkpoint()
            found.append(0)

    monkeypatch.setattr(qipc_connection, "decode", counting)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        yield found
        tasks.cancel_scope.cancel()


async def test_a_flood_on_one_connection_is_read_some_messages_a_turn(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        ping = q.wire.async_(PING)
        async with turns(monkeypatch) as found:
            await q.end.send(4000 * ping)
            await q.ping()
        assert sum(found) >= 4001 * (len(ping) - 8)
        assert max(found) <= (2 * connection.A_TURN + 1) * (len(ping) - 8)


async def test_of_big_messages_one_a_turn_is_decoded_from_one_user_after_the_other(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(clock) as daemon:
        crowd = [daemon.arrive(of_user(501 if pid == 8 else 500, pid)) for pid in range(1, 9)]
        for q in crowd:
            await q.greet()
            await q.hello()
        big = crowd[0].wire.async_(call("nonsense", string("x" * 20_000)))
        async with turns(monkeypatch) as found:
            for q in crowd:  # the other user's comes last
                await q.end.send(20 * big)
            began = sum(found)
            await crowd[-1].ping()
            meanwhile = sum(found) - began
            for q in crowd:
                await q.ping()
        assert max(found) < 2 * (len(big) - 8) + kdb_turns.A_TURN
        assert sum(found) > 8 * 20 * (len(big) - 8)
        assert meanwhile < 5 * 20 * len(big)  # who is alone does not wait for all of the seven


async def test_of_many_lists_of_sessions_one_is_made_at_a_time(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, at_once = list[object](), list[int]()
    async with serving(clock) as daemon:
        q = await daemon.process()
        await q.log_in()
        submit = daemon.table.submit

        def counted(change: Any, then: Any = lambda _: None) -> None:
            asked.append(change)
            at_once.append(len(asked))

            def heard(answer: Any) -> None:
                asked.remove(change)
                then(answer)

            submit(change, heard)

        monkeypatch.setattr(daemon.table, "submit", counted)
        await q.ask(*[call("sessions")] * 20)
        for _ in range(20):
            assert columns(await q.answer())["handle"] == [5]
        assert at_once == [1] * 20


@pytest.mark.parametrize("is_beside", [False, True])
async def test_a_long_list_of_sessions_is_made_beside_the_loop_and_is_the_same(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, *, is_beside: bool
) -> None:
    threads = set[int]()
    listed = replies.sessions

    def listing(active_sessions: Sequence[ActiveSession]) -> Value:
        threads.add(threading.get_ident())
        return listed(active_sessions)

    monkeypatch.setattr(replies, "sessions", listing)
    monkeypatch.setattr(changing, "BESIDE", 2 - is_beside)
    async with serving(clock) as daemon:
        q = await daemon.process()
        await q.log_in(handle=5)
        await q.log_in("another", handle=6)
        await q.ask(call("sessions"), PING)
        assert columns(await q.answer())["handle"] == [5, 6]
        assert await q.answer() == NIL
    assert (threads == {threading.get_ident()}) is not is_beside
