"""How a connection ends, and what becomes of its sessions."""

from datetime import timedelta
from uuid import UUID

import anyio
import pytest
from structlog.testing import capture_logs

from sessiond.core.session import SessionState
from sessiond.kdb import connection, outbox
from sessiond.qipc import NIL, Value
from sessiond.system.peer import Peer
from sessiond.table import hearing
from sessiond.testing.calls import PING, disconnect_call, opened_call
from sessiond.testing.plain import plain_dict
from tests.fakes import START, FakeClock, idle, process_key
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
        deaf.end._incoming._state.max_buffer_size = 0  # from now on nobody reads
        with capture_logs() as logs:
            await deaf.ask(*[PING] * 200)
            await deaf.over.wait()
        assert "process cut off: it does not read" in [entry["event"] for entry in logs]
        await good.ping()
        assert len(daemon.connected) == 1


async def test_what_a_process_does_not_read_at_the_end_does_not_keep_it(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LAST_WORDS", 0.01)
    async with serving(clock) as daemon:
        q = await daemon.process()
        q.end._incoming._state.max_buffer_size = 0
        await q.ask(PING)
        await q.end.send_eof()
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


async def test_bye_is_pushed_when_the_daemon_stops(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        daemon.connected.say_bye()
        push = await q.next_push()
        assert (push["event"], push["session"], push["handle"]) == ("bye", UUID(int=0), 0)


@pytest.mark.parametrize("lost", [disconnect_call(5), opened_call(UNKNOWN, 5)])
async def test_a_process_whose_changes_the_table_does_not_take_is_cut_to_reconcile(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, lost: Value
) -> None:
    monkeypatch.setattr(hearing, "CROWDED", 2)
    monkeypatch.setattr(hearing, "ROOMY", 0)
    async with serving(clock, deadline=0.05) as daemon:
        q, other = await daemon.process(), await daemon.process(101)
        await q.log_in()
        await other.log_in()
        disk = daemon.store.hold()
        await other.tell(disconnect_call(5))
        await daemon.store.arrived.wait()  # one is being written
        await other.tell(disconnect_call(6))
        await idle()  # one waits
        await q.tell(lost)
        await q.end_of_stream()
        disk.set()
        await q.over.wait()
        await idle()
        assert [each.process for each in daemon.kept] == [process_key()]
        assert [each.state for each in daemon.kept] == [SessionState.WAITING]


async def test_a_connection_that_is_cancelled_from_outside_leaves_its_sessions_waiting(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        async with anyio.create_task_group() as connections:
            everything, daemon.tasks = daemon.tasks, connections
            q = await daemon.process()
            await q.log_in()
            connections.cancel_scope.cancel()
        daemon.tasks = everything
        await idle()
        assert [each.state for each in daemon.kept] == [SessionState.WAITING]


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
