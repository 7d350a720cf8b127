"""Renewals: the checks of a login, for the user that the session already has."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from sessiond.core.errors import (
    IssuerUnavailable,
    Refusal,
    TokenRejected,
)
from sessiond.core.verdict import Verdict
from sessiond.gate import VerifiedLogin, Waiting
from sessiond.kdb import conversation
from sessiond.kdb.budget import ALWAYS
from sessiond.qipc import timestamp
from sessiond.testing.plain import plain_dict
from tests.fakes import START, FakeClock, idle, principal, verdict
from tests.unit.kdb.serving import connect, refused, renew, serving

pytestmark = pytest.mark.anyio

PAIR = "access-token-of-alice;refresh-token-of-alice"
DOWN = IssuerUnavailable("no answer")
SOON = 2.0  # seconds


async def test_a_renewal_is_answered_as_a_login_and_moves_the_end(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        session = await q.log_in()
        daemon.verifier.of["fresh"] = verdict(length=timedelta(hours=2), roles=("writer",))
        answer = plain_dict(await q.sync(renew(session, "fresh")))
        assert (answer["ok"], answer["session"], answer["user"]) == (True, session, "alice")
        assert answer["roles"] == ["writer"]
        assert answer["expires"] == timestamp(START + timedelta(hours=2)).value
        assert (await q.next_push())["event"] == "roles"


async def test_a_renewal_s_tokens_are_verified_outside_the_writer(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        session = await q.log_in()
        gate, within = daemon.context.login_services.gate, list[asyncio.Task[Any] | None]()
        decide_now = gate.decide_now

        def noted(**asked: Any) -> VerifiedLogin | Waiting:
            within.append(asyncio.current_task())
            return decide_now(**asked)

        monkeypatch.setattr(gate, "decide_now", noted)
        await q.sync(renew(session, "fresh"))
        assert within == [None]  # called by the loop, and not by the table's task


async def test_an_async_renewal_is_answered_by_a_push(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        session = await q.log_in()
        await q.tell(renew(session, "fresh"))
        push = await q.next_push()
        assert (push["event"], push["session"], push["handle"]) == ("renewed", session, 5)
        assert (push["user"], push["roles"], push["reason"]) == ("alice", ["reader"], "")
        await q.ping()
        assert q.pushes == []


async def test_an_async_renewal_that_is_refused_is_pushed_with_its_reason(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        session = await q.log_in()
        daemon.verifier.of["old"] = TokenRejected(Refusal.EXPIRED, "it is over")
        await q.tell(renew(session, "old"))
        push = await q.next_push()
        assert (push["event"], push["ok"], push["reason"]) == ("renewed", False, "expired")
        assert (push["session"], push["handle"]) == (session, 5)
        assert await daemon.live(q) == 1


async def test_only_the_sessions_own_user_renews_it(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        session = await q.log_in()
        daemon.verifier.of["bobs"] = verdict(principal("bob"))
        assert plain_dict(await q.sync(renew(session, "bobs"))) == refused("usermismatch")
        daemon.verifier.of["namesake"] = verdict(principal("alice", subject="another alice"))
        assert plain_dict(await q.sync(renew(session, "namesake"))) == refused("usermismatch")
        assert await daemon.live(q) == 1


async def test_a_session_of_nobody_or_of_another_process_cannot_be_renewed(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        q, other = await daemon.process(1), await daemon.process(2)
        theirs = await other.log_in()
        for session in (UUID(int=999), theirs):
            assert plain_dict(await q.sync(renew(session, "fresh"))) == refused("revoked")
        await q.tell(renew(theirs, "fresh"))
        push = await q.next_push()
        assert (push["reason"], push["handle"], push["user"]) == ("revoked", 0, "")
        assert daemon.verifier.asked == ["access"]


async def test_a_hung_renewal_costs_the_deadline_and_the_session_goes_on(
    clock: FakeClock,
) -> None:
    async with serving(clock, deadline=SOON) as daemon:
        q = await daemon.process()
        session = await q.log_in()
        hung = daemon.verifier.hold_token("fresh")
        assert await daemon.late(q, renew(session, "fresh")) == refused("deadline")
        hung.set()
        assert await daemon.live(q) == 1


async def test_a_renewal_whose_session_cannot_be_looked_up_is_unavailable(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        session = await q.log_in()
        disk = daemon.store.hold()
        await q.ask(connect(brings="another", handle=6))
        await daemon.store.arrived.wait()
        await q.ask(connect(brings="third", handle=7), renew(session, "fresh"))
        await idle()
        daemon.store.failing = 9
        disk.set()
        answers = [plain_dict(await q.answer()) for _ in range(3)]
        assert answers == [refused("unavailable")] * 3


async def test_an_async_renewal_holds_no_other_message_up(clock: FakeClock) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        session = await q.log_in()
        hung = daemon.verifier.hold_token("fresh")
        await q.tell(renew(session, "fresh"))
        assert (await q.connect("alice", "another", 6))["ok"]
        hung.set()
        assert (await q.next_push())["event"] == "renewed"


async def test_a_session_that_is_being_renewed_is_throttled_until_that_is_over(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        session = await q.log_in()
        for fresh in ("fresh", "fresher"):
            hung = daemon.verifier.hold_token(fresh)
            await q.tell(renew(session, fresh))
            await q.tell(renew(session, "surplus"))
            push = await q.next_push()
            assert (push["event"], push["ok"], push["reason"]) == ("renewed", False, "throttled")
            assert push["session"] == session
            assert plain_dict(await q.sync(renew(session, "surplus"))) == refused("throttled")
            hung.set()
            assert (await q.next_push())["reason"] == ""
        assert "surplus" not in daemon.verifier.asked


async def test_a_sync_renewal_under_way_throttles_another_of_its_session_alone(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        session, other = await q.log_in(handle=5), await q.log_in("another", handle=6)
        hung = daemon.verifier.hold_token("fresh")
        await q.ask(renew(session, "fresh"), renew(session, "surplus"))
        await q.tell(renew(other, "others"))
        push = await q.next_push()
        assert (push["session"], push["reason"]) == (other, "")
        hung.set()
        assert plain_dict(await q.answer())["ok"]
        assert plain_dict(await q.answer()) == refused("throttled")
        assert plain_dict(await q.sync(renew(session, "again")))["ok"]


async def test_renewals_without_end_take_no_login_s_place(clock: FakeClock) -> None:
    async with serving(clock, waiting=1) as daemon:
        q = await daemon.process()
        sessions = [await q.log_in(f"access{number}", handle=number) for number in (5, 6, 7)]
        for number, session in enumerate(sessions):
            daemon.verifier.hold_token(f"hung{number}")
            for _ in range(3):
                await q.tell(renew(session, f"hung{number}"))
        assert (await q.connect("alice", "another", 8))["ok"]
        reasons = [push["reason"] for push in q.pushes]
        assert reasons == ["throttled"] * 6  # none of them the first of its session


async def test_renewals_of_many_sessions_are_bounded_by_what_they_keep(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "RENEWAL_SIZE", ALWAYS)
    async with serving(clock) as daemon:
        daemon.context.budget._per_user = 0  # nothing beyond what a connection always may
        q = await daemon.process()
        one, other = await q.log_in(handle=5), await q.log_in("another", handle=6)
        kept = daemon.context.budget.kept
        hung = daemon.verifier.hold_token("fresh")
        monkeypatch.setattr(conversation, "RENEWAL_SIZE", ALWAYS // 2)
        await q.tell(renew(one, "fresh"))
        await q.tell(renew(other, "surplus"))
        assert (await q.next_push())["reason"] == "throttled"
        hung.set()
        assert (await q.next_push())["reason"] == ""
        await q.ping()
        assert daemon.context.budget.kept == kept


async def test_a_renewal_that_happens_after_its_deadline_is_told_by_a_push(
    clock: FakeClock,
) -> None:
    async with serving(clock, deadline=SOON) as daemon:
        q = await daemon.process()
        session = await q.log_in()
        daemon.verifier.of["fresh"] = verdict(length=timedelta(hours=2))
        disk = daemon.store.hold()
        assert await daemon.late(q, renew(session, "fresh")) == refused("deadline")
        disk.set()
        push = await q.next_push()
        assert (push["event"], push["session"], push["reason"]) == ("renewed", session, "")
        assert push["expires"] == timestamp(START + timedelta(hours=2)).value


@pytest.mark.parametrize(
    ("fresh", "failing"),
    [(verdict(principal("alice", subject="a namesake")), 0), (verdict(), 1)],
    ids=["refused", "not written"],
)
async def test_a_renewal_that_does_not_happen_after_its_deadline_is_not_told(
    clock: FakeClock, fresh: Verdict, failing: int
) -> None:
    async with serving(clock, deadline=SOON) as daemon:
        q = await daemon.process()
        session = await q.log_in()
        daemon.verifier.of["fresh"] = fresh
        disk = daemon.store.hold()
        await q.ask(connect(brings="another", handle=6), renew(session, "fresh"))
        await clock.advance(SOON)
        assert plain_dict(await q.answer()) == refused("deadline")
        assert plain_dict(await q.answer()) == refused("deadline")
        daemon.store.failing = 2 * failing
        disk.set()
        await idle()
        await q.ping()
        assert q.pushes == []


async def test_a_hung_async_renewal_costs_the_deadline_too_and_is_told_by_a_push(
    clock: FakeClock,
) -> None:
    async with serving(clock) as daemon:
        q = await daemon.process()
        session = await q.log_in()
        await clock.advance(2 * daemon.settings.deadline)  # the timer of what was said before
        daemon.verifier.hold_token("fresh")
        await q.tell(renew(session, "fresh"))
        await clock.advance(daemon.settings.deadline)
        await q.ping()
        assert [(push["event"], push["reason"]) for push in q.pushes] == [("renewed", "deadline")]
        assert plain_dict(await q.sync(renew(session, "fresher")))["ok"]
