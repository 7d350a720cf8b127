"""Logins and renewals: what is answered, by when, and that a refusal leaves no session."""

from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from sessiond.core.errors import (
    IssuerUnavailable,
    Refusal,
    TokenRejected,
)
from sessiond.core.session import SessionState
from sessiond.qipc import call, timestamp
from sessiond.testing.plain import plain_dict
from tests.fakes import START, FakeClock, idle, principal, verdict
from tests.unit.kdb.serving import columns, connect, password_of, refused, serving

pytestmark = pytest.mark.anyio

PAIR = "access-token-of-alice;refresh-token-of-alice"
DOWN = IssuerUnavailable("no answer")
SOON = 2.0  # seconds


async def test_an_accepted_login_is_answered_with_who_it_is(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        daemon.verifier.says = verdict(
            principal("Alice"), roles=("reader", "writer"), attributes={"desk": "rates"}
        )
        q = await daemon.process()
        answer = await q.connect("alice", "access", 5)
        assert answer == {
            "ok": True,
            "session": daemon.kept[0].id,
            "user": "Alice",
            "roles": ["reader", "writer"],
            "attributes": {"desk": "rates"},
            "expires": timestamp(START + timedelta(hours=1)).value,
            "reason": "",
        }
        [session] = daemon.kept
        assert (session.state, session.handle, session.address) == (SessionState.UNBOUND, 5, 0)


async def test_an_accepted_login_is_on_disk_when_it_is_answered(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        disk = daemon.store.hold()
        await q.ask(connect())
        await daemon.store.arrived.wait()
        await idle()
        assert q.end.unread == 0
        disk.set()
        assert plain_dict(await q.answer())["ok"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (TokenRejected(Refusal.INACTIVE, "the issuer says so"), "inactive"),
        (TokenRejected(Refusal.NOROLES, "none"), "noroles"),
        (DOWN, "unavailable"),
        (verdict(principal("bob")), "usermismatch"),
    ],
)
async def test_a_refused_login_is_answered_with_its_reason_and_nothing_else(
    clock: FakeClock, said: Any, reason: str
) -> None:
    async with serving(clock) as daemon:
        daemon.verifier.says = said
        q = await daemon.process()
        assert await q.connect() == refused(reason)
        assert await daemon.live(q) == 0
        assert daemon.store.commits == []


async def test_refusals_are_told_summed_and_behind_the_answer(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        daemon.verifier.says = TokenRejected(Refusal.INACTIVE, "the issuer says so")
        q = await daemon.process()
        for number in range(3):
            await q.connect("alice", f"t{number}")
        await q.connect("eyJhbGciOiJub25lIn0.e30.x", "access")
        assert daemon.store.events == []
        await clock.advance(1)
        told = sorted(
            (event.user, event.reason, event.count)  # type: ignore[union-attr]
            for event in daemon.store.events
        )
        assert told == [("(token)", "inactive", 1), ("alice", "inactive", 3)]


async def test_neither_the_log_nor_an_event_has_a_token_in_it(clock: FakeClock) -> None:
    secret = "s3cret-s3cret-s3cret-s3cret"
    with capture_logs() as logs:
        async with serving(clock) as daemon:
            q = await daemon.process()
            await q.connect("alice", secret)
            await q.connect("bob", f"{secret}2")
            await q.connect(password_of(secret), "access")
            await q.connect("alice", f"{secret};{secret}refresh")
            await clock.advance(1)
            assert len(daemon.told) == 2
            assert "s3cret" not in repr((logs, daemon.store.events))


async def test_a_repeated_connect_gets_the_same_session(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        first, second = await q.connect(), await q.connect()
        assert first == second
        assert await daemon.live(q) == 1
        assert daemon.verifier.asked == ["access"]


async def test_a_hung_issuer_costs_the_deadline_and_leaves_no_session(clock: FakeClock) -> None:
    async with serving(clock, deadline=SOON) as daemon:
        q = await daemon.process()
        hung = daemon.verifier.hold()
        with capture_logs() as logs:
            assert await daemon.late(q, connect()) == refused("deadline")
        assert "an answer of issuer 'corp', wanted a verdict by then: see " in logs[0]["detail"]
        daemon.verifier.held = None
        hung.set()
        assert await daemon.live(q) == 0
        assert (await q.connect())["ok"]  # the second handshake has its verdict
        assert daemon.verifier.asked == ["access"]


async def test_a_login_that_is_on_disk_too_late_is_withdrawn(clock: FakeClock) -> None:
    async with serving(clock, deadline=SOON) as daemon:
        q = await daemon.process()
        disk = daemon.store.hold()
        with capture_logs() as logs:
            assert await daemon.late(q, connect()) == refused("deadline")
        assert logs[0]["detail"].startswith("not on disk after ")
        disk.set()
        assert await daemon.live(q) == 0
        assert daemon.told == [("login.refused", "deadline")]


async def test_a_process_cannot_make_the_issuer_wait_on_more_logins_than_the_bound(
    clock: FakeClock,
) -> None:
    async with serving(clock, waiting=1) as daemon:
        q = await daemon.process()
        landing = daemon.verifier.hold()
        await q.ask(connect(brings="a"), connect(brings="b", handle=6))
        await idle()
        landing.set()
        assert plain_dict(await q.answer())["ok"]
        assert plain_dict(await q.answer()) == refused("throttled")


async def test_a_login_that_cannot_be_written_is_unavailable(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        daemon.store.failing = 1
        assert await q.connect() == refused("unavailable")
        assert await daemon.live(q) == 0
        assert (await q.connect())["ok"]


async def test_a_token_that_cannot_be_refreshed_is_held_to_be_asked_about_again(
    clock: FakeClock,
) -> None:
    async with serving(clock, recheck=60) as daemon:
        q = await daemon.process()
        await q.log_in()
        await q.log_in(PAIR, handle=6)
        await clock.advance(61)
        assert daemon.verifier.asked == ["access", "access-token-of-alice", "access"]


async def test_sessions_are_those_of_this_process(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        one, other = await daemon.process(1), await daemon.process(2)
        await one.log_in(handle=5)
        assert await one.sessions() == [5]
        assert await other.sessions() == []
        found = await one.sync(call("sessions"))
        assert list(columns(found)) == [
            *("session", "handle", "user", "issuer", "roles", "opened", "expires")
        ]
