"""A process's calls: each in its order, each error its own, and how a connection ends."""

from datetime import timedelta
from uuid import UUID

import pytest

from sessiond.core.session import SessionState
from sessiond.kdb import connection
from sessiond.qipc import NIL, Value, call, int_, list_, string, symbol
from sessiond.testing import QReplyError
from sessiond.testing.calls import PING, disconnect_call, opened_call
from sessiond.testing.plain import plain_dict
from tests.fakes import FakeClock, idle, session_id
from tests.unit.kdb.serving import columns, connect, serving

pytestmark = pytest.mark.anyio

UNKNOWN = UUID(int=999)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (symbol("exit"), "sessiond: unknown function"),
        (string("\\\\"), "sessiond: unknown function"),
        (call("connect"), "sessiond: connect takes 1 argument"),
        (call("disconnect", int_(0)), "sessiond: handle must be above 0"),
        (list_(int_(1), int_(2)), "sessiond: the name of a call must be a symbol or a string"),
    ],
)
async def test_a_call_that_is_wrong_is_an_error_and_the_connection_stays(
    clock: FakeClock, value: Value, text: str
) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        for _ in range(2):
            with pytest.raises(QReplyError) as caught:
                await q.sync(value)
            assert str(caught.value) == text
        assert (await q.connect())["ok"]


async def test_an_async_call_is_never_answered(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        for value in (symbol("exit"), PING, call("sessions"), disconnect_call(5)):
            await q.tell(value)
        assert await q.sync(PING) == NIL
        assert q.pushes == []


async def test_an_async_connect_logs_nobody_in(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        await q.tell(connect())
        await q.ping()
        assert await q.sessions() == []
        assert daemon.verifier.asked == []


async def test_what_breaks_the_protocol_ends_that_connection_alone(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        bad, good = await daemon.process(1), await daemon.process(2)
        await bad.end.send(bad.wire.sync(PING) + b"\x01\x01\x00\x00\xff\xff\xff\xff")
        assert await bad.answer() == NIL  # what was asked before is still answered
        assert await bad.is_cut()
        assert (await good.connect())["ok"]
        assert len(daemon.connected) == 1


@pytest.mark.parametrize(
    "sent",
    [
        bytes.fromhex("01010100 0e000000 0a0000000000"),  # compressed
        bytes.fromhex("00010000 0000000e 0a0000000000"),  # big-endian
        bytes.fromhex("01020000 0e000000 0a0000000000"),  # an answer to nothing
        bytes.fromhex("01010000 ffffff7f"),  # 2 GiB
        bytes.fromhex("01010000 0e000000 0affffff7f00"),  # a count beyond the message
        bytes.fromhex("01010000 09000000 80"),  # an error that has no end
    ],
)
async def test_every_kind_of_damage_ends_the_connection(clock: FakeClock, sent: bytes) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        await q.end.send(sent)
        assert await q.is_cut()


async def test_a_message_beyond_the_bound_ends_the_connection(clock: FakeClock) -> None:
    async with serving(clock, max_message=1000) as daemon:
        q = await daemon.process()
        with pytest.raises(QReplyError, match="unknown function"):
            await q.sync(string("x" * 900))
        await q.ask(string("x" * 1000))
        assert await q.is_cut()


async def test_replies_go_out_in_order_also_when_a_later_login_is_verified_first(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        slow = daemon.verifier.hold_token("slow")
        await q.ask(connect(brings="slow", handle=5), connect(brings="quick", handle=6))
        await q.ask(call("sessions"))
        await idle()
        assert daemon.verifier.landed == ["quick"]
        assert daemon.kept == []
        slow.set()
        first, second = plain_dict(await q.answer()), plain_dict(await q.answer())
        assert (first["ok"], second["ok"]) == (True, True)
        sessions = columns(await q.answer())
        assert sessions["session"] == [first["session"], second["session"]]
        assert [session.handle for session in daemon.kept] == [5, 6]


async def test_a_login_and_its_end_reach_the_table_in_the_order_in_which_they_were_sent(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        slow = daemon.verifier.hold_token("access")
        await q.ask(connect(handle=5))
        await q.tell(disconnect_call(5))
        await idle()
        slow.set()
        assert plain_dict(await q.answer())["ok"]
        assert await q.sessions() == []
        assert daemon.kept == []


async def test_calls_may_come_torn_or_many_at_once(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        wire = q.wire.sync(connect(handle=5)) + q.wire.sync(call("sessions"))
        for at in range(0, len(wire), 7):
            await q.end.send(wire[at : at + 7])
        assert plain_dict(await q.answer())["ok"]
        assert columns(await q.answer())["handle"] == [5]


async def test_more_calls_than_are_taken_in_hand_are_all_answered(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "IN_HAND", 2)
    async with serving(clock) as daemon:
        q = await daemon.process()
        await q.ask(*[PING] * 50)
        assert [await q.answer() for _ in range(50)] == [NIL] * 50


async def test_opening_a_login_is_told_and_binds_it_to_its_handle(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        await q.log_in(handle=5)
        [session] = daemon.kept
        assert (session.state, session.handle) == (SessionState.OPEN, 5)
        assert daemon.told == [("session.opened", "")]
        assert q.pushes == []


async def test_opening_what_does_not_stand_is_pushed_as_revoked(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        one, other = await daemon.process(1), await daemon.process(2)
        theirs = await other.log_in()
        for session in (UNKNOWN, theirs):
            await one.tell(opened_call(session, 5))
            push = await one.next_push()
            assert (push["event"], push["reason"]) == ("revoked", "unbound")
            assert (push["session"], push["handle"]) == (session, 5)
        assert await other.sessions() == [5]


async def test_a_login_that_was_not_opened_in_time_ends_without_a_push(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        answer = await q.connect()
        await clock.advance(10)
        assert await q.sessions() == []
        assert q.pushes == []
        await q.tell(opened_call(answer["session"], 5))
        assert (await q.next_push())["reason"] == "unbound"


async def test_what_is_revoked_or_expires_is_pushed_to_its_process_alone(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        one, other = await daemon.process(1), await daemon.process(2)
        session = await one.log_in(handle=7)
        await other.ping()
        assert await daemon.revoke_all() == 1
        push = await one.next_push()
        assert list(push) == [
            *("event", "session", "handle", "user", "roles", "expires", "reason", "sequence")
        ]
        assert (push["event"], push["session"], push["handle"]) == ("revoked", session, 7)
        assert (push["user"], push["reason"], push["sequence"]) == ("alice", "operator", 2)
        await other.ping()
        assert other.pushes == []


async def test_a_lease_that_ends_is_pushed(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        await q.log_in()
        await clock.advance(timedelta(hours=1))
        assert (await q.next_push())["event"] == "expired"


async def test_what_the_table_does_not_answer_in_time_is_an_error(clock: FakeClock) -> None:
    async with serving(clock, deadline=2.0) as daemon:
        q = await daemon.process()
        session = await q.log_in()
        disk = daemon.store.hold()
        await q.ask(disconnect_call(5))
        await clock.advance(1.8)
        assert q.end.unread == 0
        await clock.advance(0.1)
        with pytest.raises(QReplyError, match=r"^sessiond: no answer in time$"):
            await q.answer()
        disk.set()
        await idle()
        assert daemon.kept == []
        assert session == session_id(1)


async def test_what_cannot_be_written_is_an_error(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        await q.log_in()
        daemon.store.failing = 1
        with pytest.raises(QReplyError, match=r"^sessiond: the disk is full$"):
            await q.sync(disconnect_call(5))
        assert await q.sync(disconnect_call(5)) == NIL
