"""When refresh tokens are spent, in which order that is recorded, and what comes of it."""

from datetime import timedelta
from itertools import pairwise

import pytest

from sessiond.core.access import Denied
from sessiond.core.errors import (
    IssuerThrottled,
    IssuerUnavailable,
    RefreshRefused,
    Refusal,
    TokenRejected,
)
from sessiond.core.grant import Grant
from tests.fakes import (
    START,
    FakeClock,
    MemoryStore,
    grant,
    idle,
    principal,
    session,
    verdict,
)
from tests.unit.refresher.refreshing import TEN_MINUTES, at_work, tokens

pytestmark = pytest.mark.anyio

DOWN = IssuerUnavailable("no answer")
REFUSED = RefreshRefused("invalid_grant")
ROLES = ("session.roles", "")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def test_every_lease_is_refreshed_when_six_tenths_of_it_are_over(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        await work.log_in()
        await work.minutes(20)
        assert work.asked_at == [6, 12, 18]
        assert work.sent == ["refresh0", "refresh1", "refresh2"]
        assert [each.expires_at for each in await work.live()] == [START + timedelta(minutes=28)]
        assert work.told == [("session.refreshed", "")] * 3


async def test_a_draw_moves_each_refresh_by_the_jitter(clock: FakeClock) -> None:
    async with at_work(clock, draw=0.0) as work:
        await work.log_in()  # this login's own draw is in the middle
        await work.minutes(12)
    assert work.asked_at == [6, 11]  # half the lease later


async def test_what_the_token_endpoint_states_is_told_to_the_verifier(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        work.source.next = [tokens(1, expires_in=600.0), tokens(2)]
        await work.log_in()
        await work.minutes(13)
        assert work.verifier.stated == [600.0, None]


async def test_many_sessions_of_one_grant_cost_one_call_and_all_hear_of_it(
    clock: FakeClock,
) -> None:
    async with at_work(clock) as work:
        for number in range(1, 6):
            await work.log_in(number)
        await work.minutes(7)
        assert work.sent == ["refresh0"]
        refreshed = {
            event.handle for event in work.store.events if event.kind == "session.refreshed"
        }
        assert refreshed == {1, 2, 3, 4, 5}


async def test_in_flight_is_on_disk_before_the_issuer_is_asked_and_the_new_token_before_its_use(
    clock: FakeClock,
) -> None:
    async with at_work(clock) as work:
        await work.log_in()
        work.journal.clear()
        await work.minutes(7)
        assert work.journal == [
            "in flight",
            "sent refresh0",
            "holds refresh1",
            "verified access1",
            "holds refresh1",
        ]


async def test_an_issuer_that_does_not_rotate_is_sent_the_old_token_again(
    clock: FakeClock,
) -> None:
    async with at_work(clock) as work:
        work.source.otherwise = tokens(1, rotates=False)
        await work.log_in()
        await work.minutes(13)
        assert work.sent == ["refresh0", "refresh0"]


async def test_without_an_answer_it_is_tried_again_ever_later_until_the_lease_ends(
    clock: FakeClock,
) -> None:
    async with at_work(clock) as work:
        work.source.otherwise = DOWN
        await work.log_in()
        await work.minutes(9.9)
        assert [at - 360 for at, _ in work.source.sent] == [0, 2, 6, 14, 30, 62, 122, 182]
        assert len(await work.live()) == 1
        assert work.told == []
        await work.minutes(0.2)
        assert await work.live() == []
        assert work.told == [("session.expired", "expired")]
        await work.minutes(30)
        assert len(work.sent) == 8


async def test_a_draw_moves_each_retry_by_a_quarter(clock: FakeClock) -> None:
    async with at_work(clock, draw=0.0) as work:
        work.source.next = [DOWN, DOWN]
        await work.log_in()
        await work.minutes(7)
        assert [at - 360 for at, _ in work.source.sent] == [0, 1.5, 4.5]


async def test_after_an_answer_failures_are_counted_anew(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        work.source.next = [DOWN, DOWN, tokens(1), DOWN, tokens(2)]
        await work.log_in()
        await work.minutes(13)
        assert [at for at, _ in work.source.sent] == [360, 362, 366, 726, 728]
        assert work.sent == ["refresh0"] * 3 + ["refresh1"] * 2


async def test_what_the_issuer_asks_for_is_obeyed(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        work.source.next = [IssuerThrottled("429", retry_after=100)]
        await work.log_in()
        await work.minutes(8)
        assert [at for at, _ in work.source.sent] == [360, 460]


async def test_what_the_issuer_asks_of_one_is_obeyed_for_all_its_grants(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        work.source.next = [IssuerThrottled("429", retry_after=100)]
        await work.log_in(1)
        await work.log_in(2, access="access of another", refresh="refresh of another")
        await work.minutes(8)
        first, *later = [at for at, _ in work.source.sent]
        assert first == 360
        assert len(later) == 2
        assert min(later) >= 460


async def test_nothing_else_makes_it_ask_earlier(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        work.source.next = [IssuerThrottled("429", retry_after=100)]
        await work.log_in()
        await work.minutes(6)
        await work.leave(1)
        await work.log_in(2, length=timedelta(minutes=2))  # puts the grant again, and it is overdue
        await work.prove()
        await work.minutes(3)
        assert [at for at, _ in work.source.sent] == [360, 460]


async def test_what_the_issuer_asks_for_is_not_outlived(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        work.source.next = [IssuerThrottled("429", retry_after=240)]
        await work.log_in()
        await work.minutes(11)
        assert work.sent == ["refresh0"]
        assert work.told == [("session.expired", "expired")]


async def test_a_short_wish_of_the_issuer_does_not_shorten_the_backoff(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        work.source.next = [IssuerThrottled("429", retry_after=0.5)]
        await work.log_in()
        await work.minutes(7)
        assert [at for at, _ in work.source.sent] == [360, 362]


async def test_a_refused_token_ends_its_sessions_and_is_never_sent_again(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        work.source.next = [REFUSED]
        await work.log_in(1)
        await work.log_in(2)
        await work.minutes(7)
        assert await work.live() == []
        assert work.told == [("session.revoked", "refused")] * 2
        for answer in (await work.log_in(3), await work.log_in(4, access="another")):
            assert isinstance(answer, Denied)
            assert answer.reason is Refusal.INACTIVE
        await work.minutes(30)
        assert work.sent == ["refresh0"]


async def test_a_new_access_token_that_is_rejected_ends_the_sessions_for_its_reason(
    clock: FakeClock,
) -> None:
    async with at_work(clock) as work:
        work.verifier.of["access1"] = TokenRejected(Refusal.WRONGAUDIENCE, "another's")
        await work.log_in()
        await work.minutes(30)
        assert await work.live() == []
        assert work.told == [("session.revoked", "wrongaudience")]
        assert work.sent == ["refresh0"]


async def test_another_principals_token_ends_the_sessions(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        work.verifier.of["access1"] = verdict(principal("mallory"))
        await work.log_in()
        await work.minutes(30)
        assert await work.live() == []
        assert work.told == [("session.revoked", "usermismatch")]
        assert work.sent == ["refresh0"]


async def test_new_roles_of_the_new_token_are_told(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        work.verifier.says = verdict(roles=("writer",))
        await work.log_in()
        await work.minutes(7)
        assert work.told == [("session.refreshed", ""), ROLES]
        assert [each.session.roles for each in await work.live()] == [("writer",)]


async def test_an_issuer_that_cuts_each_lease_to_its_own_end_is_asked_no_oftener_and_tells_nothing(
    clock: FakeClock,
) -> None:
    async with at_work(clock) as work:
        end = clock.now() + TEN_MINUTES

        def cut() -> None:
            work.verifier.length = end - clock.now()

        work.verifier.on_call = cut
        await work.log_in()
        await work.minutes(11)
        asked = [at for at, _ in work.source.sent]
        assert [round(at) for at in asked] == [360, 504, 562, 585, 594, 599]
        assert all(later - earlier >= 5 for earlier, later in pairwise(asked))
        assert work.told == [("session.expired", "expired")]


async def test_a_grant_without_sessions_is_not_refreshed_until_one_joins(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        await work.log_in(1)
        await work.prove()
        await work.leave(1)
        await work.minutes(8)
        assert work.sent == ["refresh0"]
        await work.log_in(2, length=timedelta(minutes=2))  # the lease there is lasts as long
        await work.minutes(1)
        [_, (at, token)] = work.source.sent
        assert token == "refresh1"
        assert 480 <= at < 481


async def test_after_a_restart_what_is_due_is_known_again_and_the_overdue_is_asked_at_once(
    clock: FakeClock,
) -> None:
    async with at_work(clock) as first:
        await first.log_in(1, access="a", refresh="overdue")
        await first.minutes(2)
        await first.log_in(2, access="b", refresh="due later")
    await clock.advance(timedelta(minutes=5))
    async with at_work(clock, store=first.store) as second:
        await second.come_back(1, 2)
        await second.minutes(2)
        assert second.source.sent == [(420, "overdue"), (480, "due later")]


async def test_after_a_crash_in_flight_the_old_token_is_tried_once_more(clock: FakeClock) -> None:
    async with at_work(clock) as first:
        first.source.hold()
        await first.log_in()
        await first.minutes(6)
        assert first.sent == ["refresh0"]
    async with at_work(clock, store=first.store, answers=[REFUSED]) as second:
        await second.minutes(30)
        assert second.sent == ["refresh0"]
        assert second.told == [("session.revoked", "refused")]


async def test_no_more_calls_are_under_way_than_the_issuer_is_to_bear(clock: FakeClock) -> None:
    async with at_work(clock, concurrency=2) as work:
        answer = work.source.hold()
        for number in range(1, 6):
            await work.log_in(number, access=f"a{number}", refresh=f"r{number}")
        await work.minutes(6.1)
        assert len(work.sent) == 2
        answer.set()
        await work.minutes(0.1)
        assert sorted(work.sent) == ["r1", "r2", "r3", "r4", "r5"]
        assert work.source.at_most == 2


async def test_a_row_without_its_refresh_token_is_left_to_run_out(clock: FakeClock) -> None:
    store = MemoryStore()
    damaged = grant(refresh_at=START)
    store.rows = {(Grant, damaged.id): damaged, (type(session()), session().id): session()}
    async with at_work(clock, store=store) as work:
        await work.minutes(1)
        assert work.sent == []


async def test_closing_ends_it_when_the_call_under_way_is_over(
    clock: FakeClock,
) -> None:
    async with at_work(clock) as work:
        answer = work.source.hold()
        await work.log_in()
        await work.minutes(6)
        work.refresher.close()
        await idle()
        answer.set()
        await idle()
        assert work.journal[-1] == "holds refresh1"
        assert len(work.verifier.asked) == 1


async def test_a_lease_that_ended_while_nobody_ran_is_not_refreshed(clock: FakeClock) -> None:
    async with at_work(clock) as first:
        await first.log_in()
    await clock.advance(timedelta(minutes=10))
    async with at_work(clock, store=first.store) as second:
        await second.minutes(1)
        assert second.sent == []
        assert second.told == [("session.expired", "expired")]


async def test_how_late_each_refresh_begins_is_told(clock: FakeClock) -> None:
    late: list[float] = []
    async with at_work(clock) as work:
        work.refresher._one_refresh._note_late = late.append
        work.source.otherwise = DOWN
        await work.log_in()
        await work.minutes(7)
        assert late[0] < 1  # at its moment
        assert late == sorted(late)  # and each try after it is later by the same moment
        assert len(late) == len(work.sent) > 1
