"""A fault in a callback ends the connection that it is about, loudly, and nothing else."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from sessiond.kdb import login, outbox, replies
from sessiond.table import hearing
from sessiond.testing.calls import PING, opened_call
from tests.fakes import FakeClock, idle, session_id
from tests.unit.kdb.serving import Process, Serving, connect, peer, serving

pytestmark = pytest.mark.anyio

Fault = Callable[[pytest.MonkeyPatch, Serving, Process], Awaitable[None]]


def raising(*_: Any, **__: Any) -> Any:
    raise MemoryError("a fault")


async def in_data_received(patch: pytest.MonkeyPatch, _: Serving, q: Process) -> None:
    patch.setattr(q.connection._wire, "receive_data", raising)
    await q.ask(PING)


async def in_decoding(patch: pytest.MonkeyPatch, _: Serving, q: Process) -> None:
    patch.setattr(q.connection._wire, "next_event", raising)
    await q.ask(PING)


async def in_eof_received(patch: pytest.MonkeyPatch, _: Serving, q: Process) -> None:
    patch.setattr(q.connection, "_end_input", raising)
    await q.end.send_eof()


async def in_stopping(patch: pytest.MonkeyPatch, _: Serving, q: Process) -> None:
    patch.setattr(q.connection, "_end_input", raising)
    q.connection.stop()


async def in_connection_lost(patch: pytest.MonkeyPatch, _: Serving, q: Process) -> None:
    patch.setattr(q.connection, "_end_input", raising)
    q.end.transport.break_()


async def in_pause_writing(patch: pytest.MonkeyPatch, _: Serving, q: Process) -> None:
    patch.setattr(q.connection._outbox, "look", raising)
    q.end.transport._tell("pause_writing")


async def in_resume_writing(patch: pytest.MonkeyPatch, _: Serving, q: Process) -> None:
    patch.setattr(q.connection._outbox, "look", raising)
    q.end.transport._tell("resume_writing")


async def in_the_timer(patch: pytest.MonkeyPatch, at: Serving, q: Process) -> None:
    at.verifier.hold_token("access")
    patch.setattr(q.connection._slots, "pass_time", raising)
    await q.ask(connect())
    await at.clock.advance(at.settings.deadline)


async def in_then(patch: pytest.MonkeyPatch, _: Serving, q: Process) -> None:
    patch.setattr(login.Login, "_settle", raising)
    await q.ask(connect())


async def in_landing(patch: pytest.MonkeyPatch, at: Serving, q: Process) -> None:
    landing = at.verifier.hold_token("access")
    await q.ask(connect())
    await idle()
    patch.setattr(login.Login, "_verified", raising)
    patch.setattr("sessiond.kdb.verification.Verification._is_proof_due", raising)
    landing.set()


async def in_a_push(patch: pytest.MonkeyPatch, at: Serving, q: Process) -> None:
    patch.setattr(q.connection._wire, "tell", raising)
    await q.tell(opened_call(session_id(99), 5))


async def in_table_room(patch: pytest.MonkeyPatch, at: Serving, q: Process) -> None:
    patch.setattr(hearing, "CROWDED", 1)
    patch.setattr(hearing, "ROOMY", 0)
    disk = at.store.hold()
    await q.ask(connect())
    await idle()
    await q.ask(PING)  # which is not read: the table is crowded
    await idle()
    patch.setattr(q.connection._wire, "next_event", raising)
    disk.set()


FAULTS = [
    in_data_received,
    in_decoding,
    in_eof_received,
    in_stopping,
    in_connection_lost,
    in_pause_writing,
    in_resume_writing,
    in_the_timer,
    in_then,
    in_landing,
    in_a_push,
    in_table_room,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_a_fault_ends_this_connection_alone_and_is_logged(
    clock: FakeClock, fault: Fault
) -> None:
    async with serving(clock) as daemon:
        q, other = await daemon.process(1), await daemon.process(2)
        with pytest.MonkeyPatch.context() as patch, capture_logs() as logs:
            await fault(patch, daemon, q)
            await idle()
            assert q.over.is_set()
        told = [each for each in logs if each["event"] in {"unexpected failure", "process cut off"}]
        assert [each.get("error") or each["process"] for each in told] == ["MemoryError", "gw1"]
        assert q.end.transport.is_closing()
        assert len(daemon.connected) == 1
        assert (await other.connect("alice", "another", 7))["ok"]
        again = await daemon.process(1)
        assert (await again.connect("alice", "third", 8))["ok"]


async def test_a_fault_as_a_connection_is_made_ends_it(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        with pytest.MonkeyPatch.context() as patch, capture_logs() as logs:
            patch.setattr(outbox.Outbox, "begin", raising)
            q = daemon.arrive(peer(1))
            await idle()
        assert q.over.is_set()
        assert [each["event"] for each in logs] == ["unexpected failure", "process cut off"]


async def test_a_connection_that_is_cut_before_it_is_made_is_closed_as_it_is(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        q = daemon.arrive(peer(1))
        q.connection.cut()
        await idle()
        assert q.over.is_set()
        assert q.end.transport.writes == []
        assert q.end.transport.is_closing()


async def test_what_comes_after_a_cut_is_heard_by_nobody(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        made = q.connection
        made.cut()
        for callback in (made.read_on, made.eof_received, made.stop, made.cut):
            callback()
        made.data_received(q.wire.sync(PING))
        made.connection_lost(None)
        made.line.push(replies.bye())
        await idle()
        assert len(daemon.connected) == 0
        assert q.end.unread == 0
