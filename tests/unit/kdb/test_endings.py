"""How a connection ends, and what becomes of its sessions."""

from datetime import timedelta
from uuid import UUID

import anyio.lowlevel
import pytest
from structlog.testing import capture_logs

from sessiond.core.session import SessionState
from sessiond.kdb import outbox
from sessiond.qipc import NIL
from sessiond.system.peer import Peer
from sessiond.testing.calls import PING, disconnect_call
from sessiond.testing.plain import plain_dict
from tests.fakes import START, FakeClock, idle
from tests.unit.kdb.serving import INSTANCE, connect, peer, serving

pytestmark = pytest.mark.anyio

ABROAD = Peer(uid=500, groups=frozenset({500}), pid=0, started=0)  # in another pid namespace


async def test_a_process_without_a_pid_is_its_connection_of_this_run_and_ends_with_it(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        q, other = daemon.arrive(ABROAD), daemon.arrive(ABROAD)
        for each in (q, other):
            await each.greet("gw1")
            await each.hello()
        session = await q.log_in()
        assert await other.sessions() == []  # though it says the same name
        assert str(INSTANCE) in daemon.kept[0].process.label
        await q.leave()
        await idle()
        assert daemon.kept == []
        assert daemon.told[-1] == ("session.closed", "lost")
        back = daemon.arrive(ABROAD)
        await back.greet("gw1")
        await back.hello()
        assert await back.reconcile({5: session}) == [5]


UNKNOWN = UUID(int=999)


async def test_a_user_who_leaves_is_told_of_once(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        await q.log_in()
        for _ in range(2):
            assert await q.sync(disconnect_call(5)) == NIL
        assert daemon.told == [("session.opened", ""), ("session.closed", "disconnect")]


async def test_when_a_process_leaves_its_sessions_wait_and_then_end(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        await q.log_in()
        await q.leave()
        await idle()
        [session] = daemon.kept
        assert session.state is SessionState.WAITING
        assert session.until == START + timedelta(seconds=30)
        assert len(daemon.connected) == 0
        await clock.advance(30)
        assert daemon.kept == []
        assert daemon.told[-1] == ("session.closed", "lost")


async def test_a_process_that_comes_back_keeps_what_it_reconciles(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        first = await daemon.process()
        held = {handle: await first.log_in(f"t{handle}", handle) for handle in (5, 6)}
        await first.leave()
        await clock.advance(20)
        again = await daemon.process()
        doomed = await again.reconcile({5: held[5], 9: UNKNOWN})
        assert doomed == [9]
        await clock.advance(30)
        assert await again.sessions() == [5]
        assert await again.reconcile({5: held[5]}) == []


async def test_a_newer_connection_of_the_same_process_replaces_the_older(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        older = await daemon.process()
        session = await older.log_in()
        newer = await daemon.process()
        assert await older.is_cut()
        assert await newer.reconcile({5: session}) == []
        await idle()
        assert [each.state for each in daemon.kept] == [SessionState.OPEN]
        assert await daemon.revoke_all() == 1
        assert (await newer.next_push())["session"] == session


async def test_a_process_that_does_not_read_is_cut_off_and_others_are_not(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "BACKLOG", 1000)
    async with serving(clock) as daemon:
        deaf, good = await daemon.process(1), await daemon.process(2)
        deaf.end.read_no_more()
        with capture_logs() as logs:
            await deaf.ask(*[PING] * 200)
            await deaf.over.wait()
        assert "process cut off: it does not read" in [entry["event"] for entry in logs]
        await good.ping()
        assert len(daemon.connected) == 1


async def test_what_a_process_does_not_read_at_the_end_does_not_keep_it(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        q.end.read_no_more()
        await q.ask(PING)
        await q.end.send_eof()
        await clock.advance(1.9)
        assert not q.over.is_set()
        await clock.advance(0.1)
        await q.over.wait()
        assert len(daemon.connected) == 0


async def test_the_last_answers_reach_a_process_that_asks_no_more(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        slow = daemon.verifier.hold_token("access")
        await q.ask(connect())
        await q.end.send_eof()
        await idle()
        slow.set()
        assert plain_dict(await q.answer())["ok"]
        assert await q.is_cut()


async def test_a_daemon_that_stops_answers_what_it_took_says_bye_and_closes(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        q, idler = await daemon.process(), await daemon.process(101)
        await idler.log_in("others", handle=9)
        slow = daemon.verifier.hold_token("access")
        await q.ask(connect())
        await idle()
        for each in daemon.connections:
            each.stop()
        await q.ask(PING)  # it comes too late
        assert await idler.is_cut()
        assert [push["event"] for push in idler.pushes] == ["bye"]
        assert not q.over.is_set()
        slow.set()
        assert plain_dict(await q.answer())["ok"]
        assert await q.is_cut()
        [push] = q.pushes
        assert (push["event"], push["session"], push["handle"]) == ("bye", UUID(int=0), 0)
        await idle()
        states = {each.handle: each.state for each in daemon.kept}
        assert states == {9: SessionState.WAITING, 5: SessionState.UNBOUND}


async def test_a_stranger_is_said_no_bye(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = daemon.arrive()
        await q.greet()
        daemon.connections[-1].stop()
        assert await q.is_cut()
        assert q.pushes == []


@pytest.mark.parametrize("end", ["cut", "reset"])
async def test_a_connection_that_breaks_off_leaves_its_sessions_waiting_after_what_it_said(
    clock: FakeClock, end: str
) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        sessions = [await q.log_in(f"t{handle}", handle) for handle in (5, 6)]
        disk = daemon.store.hold()
        await q.tell(disconnect_call(5))
        await idle()
        if end == "cut":
            daemon.connections[-1].cut()
        else:
            q.end.transport.break_()
        assert q.over.is_set() is (end == "cut")  # else what it said is waited for
        disk.set()
        await q.over.wait()
        await idle()
        assert [(each.id, each.state) for each in daemon.kept] == [
            (sessions[1], SessionState.WAITING)
        ]
        assert ("session.closed", "disconnect") in daemon.told


async def test_what_was_read_before_a_reset_is_carried_out_all_the_same(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        await q.log_in(handle=5)
        before = len(q.end.transport.calls)
        await q.end.send(40 * q.wire.async_(PING) + q.wire.async_(disconnect_call(5)))
        while len(q.end.transport.calls) == before:
            await anyio.lowlevel.checkpoint()
        q.end.transport.break_()
        await q.over.wait()
        await idle()
        assert daemon.kept == []
        assert daemon.told[-1] == ("session.closed", "disconnect")


async def test_a_process_that_leaves_when_the_table_takes_no_more_just_leaves(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process(peer().pid)
        daemon.table.close()
        await q.leave()
        assert len(daemon.connected) == 0


async def test_until_a_process_reconciles_its_sessions_only_wait(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        older = await daemon.process()
        await older.log_in()
        newer = await daemon.process()
        assert await older.is_cut()
        assert [each.state for each in daemon.kept] == [SessionState.WAITING]
        await clock.advance(30)
        assert await newer.sessions() == []
        assert daemon.told[-1] == ("session.closed", "lost")
