"""Asking again for what cannot be refreshed."""

from datetime import timedelta

import pytest

from sessiond.core.compact import CompactToken
from sessiond.core.errors import IssuerUnavailable, Refusal, TokenRejected
from sessiond.core.password import read_password
from sessiond.core.secret import Secret
from tests.fakes import FakeClock, grant_id, principal, verdict
from tests.unit.refresher.refreshing import TEN_MINUTES, Work, at_work

pytestmark = pytest.mark.anyio

INACTIVE = TokenRejected(Refusal.INACTIVE, "the issuer says so")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def log_in(work: Work, number: int = 1, access: str = "access0") -> None:
    """Log in without a refresh token, and hold the access token as a login does."""
    await work.log_in(number, access=access, refresh=None)
    work.refresher.hold(grant_id(1), issuer="corp", access=Secret(access))


async def asked_after(work: Work, minutes: float) -> int:
    """Return how many questions the issuer was asked in so many minutes."""
    before = len(work.verifier.asked)
    await work.minutes(minutes)
    return len(work.verifier.asked) - before


async def test_a_token_that_cannot_be_refreshed_is_asked_about_from_time_to_time(
    clock: FakeClock,
) -> None:
    async with at_work(clock, recheck=120) as work:
        await log_in(work)
        assert [await asked_after(work, 1.9), await asked_after(work, 0.1)] == [0, 1]
        assert [await asked_after(work, 1.9), await asked_after(work, 0.1)] == [0, 1]
        assert set(work.verifier.asked) == {"access0"}
        assert work.sent == []


async def test_what_the_issuer_no_longer_accepts_ends(clock: FakeClock) -> None:
    async with at_work(clock, recheck=120) as work:
        await log_in(work)
        await work.minutes(3)
        work.verifier.says = INACTIVE
        await work.minutes(1.1)
        assert await work.live() == []
        assert work.told[-1] == ("session.revoked", "inactive")
        assert await asked_after(work, 10) == 0


async def test_another_principals_answer_ends_the_sessions(clock: FakeClock) -> None:
    async with at_work(clock, recheck=120) as work:
        await log_in(work)
        work.verifier.says = verdict(principal("mallory"))
        await work.minutes(2.1)
        assert work.told == [("session.revoked", "usermismatch")]
        assert await asked_after(work, 10) == 0


async def test_an_issuer_that_is_down_ends_nothing_and_is_asked_again(clock: FakeClock) -> None:
    async with at_work(clock, recheck=120) as work:
        await log_in(work)
        work.verifier.says = IssuerUnavailable("no answer")
        assert await asked_after(work, 4.1) == 2
        assert len(await work.live()) == 1
        work.verifier.says = INACTIVE
        await work.minutes(2)
        assert await work.live() == []


async def test_what_the_issuer_says_anew_of_roles_and_lease_holds(clock: FakeClock) -> None:
    async with at_work(clock, recheck=120) as work:
        await log_in(work)
        work.verifier.says = verdict(roles=("writer",))
        work.verifier.length = timedelta(minutes=5)
        began = clock.now()
        await work.minutes(2.1)
        [active] = await work.live()
        assert active.session.roles == ("writer",)
        assert active.expires_at == began + timedelta(minutes=7)


async def test_many_logins_with_one_token_are_one_question_each_time(clock: FakeClock) -> None:
    async with at_work(clock, recheck=120) as work:
        for number in range(1, 21):
            await log_in(work, number)
            await clock.advance(0.75)
        assert [await asked_after(work, 2), await asked_after(work, 2)] == [1, 1]


async def test_when_the_last_session_is_gone_nobody_asks_until_one_comes(clock: FakeClock) -> None:
    async with at_work(clock, recheck=120) as work:
        await log_in(work, 1)
        await work.leave(1)
        assert await asked_after(work, 5) == 0
        await log_in(work, 2)
        assert await asked_after(work, 2.1) == 1


@pytest.mark.parametrize(("recheck", "is_online"), [(0.0, True), (120.0, False)])
async def test_without_an_interval_or_for_signed_tokens_nobody_asks(
    clock: FakeClock, recheck: float, is_online: bool
) -> None:
    async with at_work(clock, recheck=recheck, is_online=is_online) as work:
        await log_in(work)
        assert await asked_after(work, 9) == 0


async def test_what_can_be_refreshed_is_not_asked_about(clock: FakeClock) -> None:
    async with at_work(clock, recheck=120) as work:
        await work.log_in(1)
        work.refresher.hold(grant_id(1), issuer="corp", access=Secret("access0"))
        assert await asked_after(work, 5) == 0
        assert await asked_after(work, 1.5) == 1  # the refreshed one, once
        assert work.sent == ["refresh0"]


async def test_while_the_disk_fails_it_is_asked_again_soon(clock: FakeClock) -> None:
    async with at_work(clock, recheck=120) as work:
        await log_in(work)
        work.verifier.length = TEN_MINUTES / 2
        await work.minutes(1.9)
        work.store.failing = 1
        assert await asked_after(work, 0.2) == 2  # the second two seconds later
        assert len(await work.live()) == 1


async def test_a_token_that_is_asked_about_again_is_kept_without_what_was_read_in_it(
    clock: FakeClock,
) -> None:
    presented = read_password("eyJhbGciOiJub25lIn0.e30.c2ln").access  # {"alg":"none"}
    async with at_work(clock, recheck=120) as work:
        await work.log_in(1, access="access0", refresh=None)
        work.refresher.hold(grant_id(1), issuer="corp", access=presented)
        [kept] = work.refresher._asking_again._access.values()
    assert isinstance(presented, CompactToken)
    assert not isinstance(kept, CompactToken)
    assert kept.same_as(presented)
