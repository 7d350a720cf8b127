"""A table that is crowded and does not move: q is not kept waiting beyond the deadline."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from sessiond.qipc import NIL, call
from sessiond.table import hearing
from sessiond.testing import QReplyError
from sessiond.testing.calls import PING, SESSIONS, disconnect_call, web_call
from sessiond.testing.plain import plain_dict
from tests.fakes import FakeClock, idle
from tests.unit.kdb.serving import Serving, connect, peer, refused, renew, serving

pytestmark = pytest.mark.anyio

SOME = 4  # submissions that crowd the table


@pytest.fixture(autouse=True)
def _little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "CROWDED", SOME)
    monkeypatch.setattr(hearing, "ROOMY", 1)


@asynccontextmanager
async def crowded(daemon: Serving) -> AsyncIterator[anyio.Event]:
    """Fill the table, whose disk hangs until the event is set, or this is over."""
    other = await daemon.process(pid=200)
    disk = daemon.store.hold()
    try:
        for handle in range(SOME):
            await other.ask(connect(brings=f"token{handle}", handle=handle))
        await idle()
        assert daemon.table.is_crowded
        yield disk
    finally:
        disk.set()


async def test_what_cannot_be_begun_in_its_time_is_answered_all_the_same(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        session = await q.log_in()
        async with crowded(daemon):
            calls = connect(handle=6), renew(session, "fresh"), PING, SESSIONS
            renewal = q.wire.async_(renew(session, "fresh"))
            await q.end.send(b"".join([*map(q.wire.sync, calls), renewal]))
            await idle()
            assert q.end.unread == 0
            await clock.advance(daemon.settings.deadline)
            assert [plain_dict(await q.answer()) for _ in range(2)] == 2 * [refused("deadline")]
            assert await q.answer() == NIL
            with pytest.raises(QReplyError, match="no answer in time"):
                await q.answer()
            push = await q.next_push()
            assert (push["event"], push["reason"]) == ("renewed", "deadline")
            assert push["session"] == session
        await idle()
        assert await q.sessions() == [5]
        await clock.advance(2)
        assert ("login.refused", "deadline") in daemon.told


async def test_a_request_over_http_that_cannot_be_begun_in_its_time_is_denied(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        async with crowded(daemon):
            await q.ask(web_call(bearer="token"), web_call())
            await clock.advance(daemon.settings.deadline)
            for _ in range(2):
                answer = plain_dict(await q.answer())
                assert (answer["action"], answer["status"]) == ("deny", 503)
                assert answer["reason"] == "deadline"
        assert daemon.web.asked == []
        assert "token" not in daemon.verifier.asked


async def test_what_must_happen_and_cannot_be_begun_in_its_time_is_said_anew(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        session = await q.log_in()
        async with crowded(daemon):
            await q.tell(disconnect_call(5, session))
            await q.ask(connect(handle=6))
            await clock.advance(daemon.settings.deadline)
            assert await q.is_cut()


async def test_what_is_no_call_is_an_error_then_too(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        async with crowded(daemon):
            stranger = daemon.arrive(peer(300))
            await stranger.greet()
            await q.ask(call("nothing"))
            await stranger.ask(connect())
            await clock.advance(daemon.settings.deadline)
            with pytest.raises(QReplyError, match="unknown function"):
                await q.answer()
            with pytest.raises(QReplyError, match="say hello first"):
                await stranger.answer()


async def test_with_room_again_what_is_still_in_time_is_begun(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        async with crowded(daemon) as disk:
            await q.ask(connect(handle=6))
            await clock.advance(daemon.settings.deadline / 2)
            disk.set()
            assert plain_dict(await q.answer())["ok"]
