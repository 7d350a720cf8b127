"""The refresher while the disk fails, while it stops, asked at once, and after a revocation."""

from typing import Any

import anyio
import pytest

from sessiond.core.changes import BeginRefresh
from sessiond.core.errors import (
    IssuerThrottled,
    IssuerUnavailable,
    RefreshRefused,
    Refusal,
    TokenRejected,
    UnusableAnswer,
)
from sessiond.core.grant import Grant
from sessiond.core.queries import Request
from tests.fakes import FakeClock, grant, idle, process_key
from tests.unit.refresher.refreshing import Work, at_work, tokens

pytestmark = pytest.mark.anyio

DOWN = IssuerUnavailable("no answer")
NOT_YET = TokenRejected(Refusal.NOTYET, "the issuer's clock is ahead")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def test_a_new_refresh_token_is_written_however_often_that_fails_and_used_only_then(
    clock: FakeClock,
) -> None:
    async with at_work(clock) as work:
        await work.log_in()
        answer = work.source.hold()
        await work.minutes(6)
        work.journal.clear()
        work.store.failing = 3
        answer.set()
        await clock.advance(5.9)
        assert work.journal == []
        await clock.advance(0.1)
        assert work.journal == ["holds refresh1", "verified access1", "holds refresh1"]
        assert work.sent == ["refresh0"]


async def test_what_cannot_be_recorded_is_not_asked_and_tried_again(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        await work.log_in()
        await work.minutes(5)
        work.store.failing = 1
        await work.minutes(2)
        assert work.source.sent == [(362, "refresh0")]


async def test_a_refused_token_is_never_sent_again_also_while_the_disk_fails(
    clock: FakeClock,
) -> None:
    async with at_work(clock) as work:
        work.source.next = [RefreshRefused("invalid_grant")]
        await work.log_in()
        answer = work.source.hold()
        await work.minutes(6)
        work.store.failing = 5
        answer.set()
        await work.minutes(2)
        assert work.sent == ["refresh0"]
        assert work.told == [("session.revoked", "refused")]
        assert await work.live() == []


async def test_a_new_lease_that_cannot_be_written_is_asked_for_again(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        await work.log_in()
        checking = work.verifier.hold()
        await work.minutes(6)
        work.store.failing = 1
        checking.set()
        await work.minutes(1)
        assert work.source.sent == [(360, "refresh0"), (362, "refresh1")]
        assert work.told == [("session.refreshed", "")]


async def test_settling_waits_for_the_call_under_way_and_begins_no_other(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        await work.log_in(1)
        await work.minutes(1)
        await work.log_in(2, access="b", refresh="later")
        answer, settled = work.source.hold(), anyio.Event()

        async def settle() -> None:
            await work.refresher.settle()
            settled.set()

        async with anyio.create_task_group() as tasks:
            await work.minutes(5)
            tasks.start_soon(settle)
            await work.minutes(2)
            assert not settled.is_set()
            assert work.sent == ["refresh0"]
            answer.set()
            await settled.wait()
            assert work.journal[-2:] == ["verified access1", "holds refresh1"]
        await work.minutes(1)
        assert work.sent == ["refresh0"]


async def test_proving_refreshes_at_once_and_returns_when_that_is_over(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        await work.log_in()
        await work.prove()
        assert work.source.sent == [(0, "refresh0")]
        assert [grant.proven for grant in work.table.grants()] == [True]


async def test_proving_waits_for_a_refresh_that_is_under_way(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        await work.log_in()
        answer, proved = work.source.hold(), []

        async def prove() -> None:
            await work.prove()
            proved.append([grant.proven for grant in work.table.grants()])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(prove)
            tasks.start_soon(prove)
            await idle()
            answer.set()
        assert proved == [[True], [True]]
        assert work.sent == ["refresh0"]


async def test_proving_asks_no_issuer_that_has_said_when_to_come_back(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        work.source.next = [IssuerThrottled("429", retry_after=100)]
        await work.log_in()
        for _ in range(3):
            await work.prove()
        assert work.sent == ["refresh0"]
        assert [grant.proven for grant in work.table.grants()] == [False]


async def test_proving_what_is_not_there_returns(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        await work.refresher.prove(grant(7), process=process_key())
        assert work.sent == []


async def test_a_revocation_ends_the_refresh_token_at_the_issuer_too(clock: FakeClock) -> None:
    async with at_work(clock, concurrency=1) as work:
        await work.log_in(1)
        await work.log_in(2, access="b", refresh="another")
        await work.log_in(3, access="c", refresh=None)
        assert (await work.revoke()).sessions == 3
        await idle()
        assert sorted(work.source.revoked) == ["another", "refresh0"]
        await work.minutes(20)
        assert work.sent == []


async def test_only_a_revocation_ends_refresh_tokens_at_the_issuer(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        work.source.otherwise = RefreshRefused("invalid_grant")
        await work.log_in(1)
        await work.log_in(2, access="b", refresh="idle")
        await work.leave(2)
        await work.minutes(20)
        assert not [row for row in work.store.rows.values() if isinstance(row, Grant)]
        assert work.source.revoked == []


@pytest.mark.parametrize("said", [False, DOWN])
async def test_an_issuer_that_cannot_end_a_token_stops_nothing(
    clock: FakeClock, said: bool | IssuerUnavailable
) -> None:
    async with at_work(clock) as work:
        work.source.revoke_says = said
        await work.log_in(1)
        await work.revoke()
        await idle()
        assert work.source.revoked == ["refresh0"]
        await work.revoke("somebody else")
        assert await work.live() == []


@pytest.mark.parametrize(
    ("rotates", "given_back"), [(True, ["refresh0", "refresh1"]), (False, ["refresh0"])]
)
async def test_what_a_refresh_got_for_a_revoked_grant_is_given_back_unused(
    clock: FakeClock, rotates: bool, given_back: list[str]
) -> None:
    async with at_work(clock, concurrency=2) as work:
        work.source.next = [tokens(1, rotates=rotates)]
        await work.log_in()
        answer = work.source.hold()
        await work.minutes(6)
        await work.revoke()
        await idle()
        answer.set()
        await idle()
        assert sorted(work.source.revoked) == given_back
        assert work.verifier.asked == []
        assert work.told == [("session.revoked", "operator")]


async def test_a_grant_that_goes_while_its_new_token_is_verified_stays_gone(
    clock: FakeClock,
) -> None:
    async with at_work(clock) as work:
        await work.log_in()
        checking = work.verifier.hold()
        await work.minutes(6)
        await work.revoke()
        checking.set()
        await work.minutes(20)
        assert work.told == [("session.revoked", "operator")]
        assert sorted(work.source.revoked) == ["refresh1"]
        assert work.sent == ["refresh0"]


async def test_a_wish_of_one_answer_puts_off_that_grant_and_no_other(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        await work.log_in()
        work.source.next = [UnusableAnswer("400", retry_after=100)]
        await work.minutes(6)
        await work.log_in(2, access="other", refresh="another")
        await work.prove(2)
        assert work.source.sent == [(360, "refresh0"), (360, "another")]
        await clock.advance(99)
        assert len(work.source.sent) == 2
        await clock.advance(1)
        assert work.source.sent[2] == (460, "refresh0")


async def log_two_in(work: Work) -> None:
    """Log in two whose refresh tokens are proved, so that both are due in six minutes."""
    await work.log_in(1)
    await work.log_in(2, access="b", refresh="other")
    await work.minutes(1)
    await work.prove(1)
    await work.prove(2)
    work.source.sent.clear()
    work.verifier.stated.clear()


async def test_what_is_being_recorded_takes_no_place_at_the_issuer(clock: FakeClock) -> None:
    async with at_work(clock, concurrency=1) as work:
        await log_two_in(work)
        answer = work.source.hold()
        await work.minutes(6)
        begun = len(work.sent)
        disk = work.store.gate = anyio.Event()
        answer.set()
        await idle()
        sent = len(work.sent)
        disk.set()
        await idle()
        assert (begun, sent, work.source.at_most) == (1, 2, 1)
        assert work.told[-2:] == [("session.refreshed", "")] * 2


async def test_what_was_revoked_as_it_waited_for_its_place_is_not_sent(clock: FakeClock) -> None:
    async with at_work(clock, concurrency=1) as work:
        await log_two_in(work)
        answer = work.source.hold()
        await work.minutes(6)
        assert len(work.sent) == 1
        await work.revoke()
        answer.set()
        await idle()
        assert len(work.sent) == 1


async def test_what_waits_for_its_place_is_not_sent_once_the_refresher_settles(
    clock: FakeClock,
) -> None:
    async with at_work(clock, concurrency=1) as work:
        await log_two_in(work)
        answer = work.source.hold()
        await work.minutes(6)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work.refresher.settle)
            await idle()
            answer.set()
        assert len(work.sent) == 1
        assert work.told[-1:] == [("session.refreshed", "")]


async def test_a_verifier_that_asks_the_issuer_has_a_place_there_too(clock: FakeClock) -> None:
    async with at_work(clock, concurrency=1) as work:
        await log_two_in(work)
        verdict = work.verifier.hold()
        await work.minutes(6)
        assert len(work.sent) + len(work.verifier.stated) == 3  # both sent, one is asked about
        verdict.set()
        await idle()
        assert (len(work.sent), len(work.verifier.stated)) == (2, 2)


async def test_a_verdict_that_needs_nobody_is_kept_with_the_new_refresh_token(
    clock: FakeClock,
) -> None:
    async with at_work(clock, is_online=False) as work:
        await work.log_in()
        await work.minutes(5)
        before = len(work.store.commits)
        await work.minutes(1.1)
        assert work.told == [("session.refreshed", "")]
        assert work.verifier.asked == ["access1"]
        assert len(work.store.commits) - before == 2
        _, refreshed = work.store.commits[before:]
        assert [event.kind for event in refreshed[1]] == ["session.refreshed"]
        assert next(iter(work.store.refresh_tokens.values())).reveal() == "refresh1"


async def test_whatever_speaks_against_the_access_token_the_refresh_token_is_kept_first(
    clock: FakeClock,
) -> None:
    said: list[Exception] = [NOT_YET, DOWN, RecursionError("a bug")]
    for number, error in enumerate(said, start=1):
        async with at_work(clock, is_online=False) as work:
            work.verifier.of["access1"] = error
            await work.log_in(number)
            await work.minutes(6.01)
            assert work.journal[-1] == "verified access1" or isinstance(error, RecursionError)
            assert [each.reveal() for each in work.store.refresh_tokens.values()] == ["refresh1"]
            assert len(await work.live()) == 1
            del work.verifier.of["access1"]
            await work.minutes(1)
            assert work.told == [("session.refreshed", "")]


async def test_both_are_written_again_in_their_order_where_the_disk_fails(
    clock: FakeClock,
) -> None:
    async with at_work(clock, is_online=False) as work:
        await work.log_in()
        answer = work.source.hold()
        await work.minutes(6)
        work.journal.clear()
        work.store.failing = 3
        answer.set()
        await clock.advance(5.9)
        assert work.journal == []
        await clock.advance(0.1)
        assert work.journal == ["holds refresh1", "verified access1", "holds refresh1"]
        assert work.sent == ["refresh0"]
        assert work.told == [("session.refreshed", "")]


async def test_a_grant_that_is_refreshed_is_looked_at_once(clock: FakeClock) -> None:
    async with at_work(clock, is_online=False) as work:
        await work.log_in()
        asked = list[object]()
        ask = work.table.ask

        async def note(request: Request[Any]) -> Any:
            asked.append(request)
            return await ask(request)

        work.table.ask = note  # type: ignore[method-assign]
        await work.minutes(8)
        assert len([each for each in asked if isinstance(each, BeginRefresh)]) == 1
