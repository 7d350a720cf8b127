"""A new access token that cannot be verified yet: kept, and tried again while the lease lasts."""

from datetime import timedelta

import pytest

from sessiond.core.errors import (
    IssuerUnavailable,
    Refusal,
    StoreError,
    TokenRejected,
    UnusableAnswer,
)
from sessiond.core.grant import GrantId
from sessiond.core.secret import Secret
from sessiond.refresher.one_refresh import MAX_TRIES
from tests.fakes import FakeClock, grant_id, idle
from tests.unit.refresher.refreshing import Work, at_work, tokens

pytestmark = pytest.mark.anyio

DOWN = IssuerUnavailable("no answer")
NOT_ASKED = UnusableAnswer("the key set is fetched again in 5 s", retry_after=5)
NOT_YET = TokenRejected(Refusal.NOTYET, "the issuer's clock is ahead")
NO_KEY = TokenRejected(Refusal.BADSIGNATURE, "no key of this kid")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def until_asked(work: Work, times: int, *, of: str = "access1") -> None:
    for _ in range(600):
        if work.verifier.asked.count(of) >= times:
            return
        await work.minutes(1 / 60)
    pytest.fail(f"{of} was not verified {times} times in ten minutes")


@pytest.mark.parametrize("said", [DOWN, NOT_ASKED, NOT_YET, NO_KEY])
async def test_what_cannot_be_verified_yet_is_verified_later_and_costs_no_other_refresh(
    clock: FakeClock, said: Exception
) -> None:
    async with at_work(clock) as work:
        work.verifier.of["access1"] = said
        await work.log_in()
        await work.minutes(6)
        await until_asked(work, 2)
        assert len(await work.live()) == 1
        del work.verifier.of["access1"]
        await until_asked(work, 3)
        assert work.sent == ["refresh0"]
        assert work.told == [("session.refreshed", "")]
        await work.minutes(6)
        assert work.sent == ["refresh0", "refresh1"]


async def test_the_new_refresh_token_is_kept_before_anything_is_verified(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        work.verifier.of["access1"] = DOWN
        await work.log_in()
        await work.minutes(6)
        assert work.journal[-2:] == ["holds refresh1", "verified access1"]
    async with at_work(clock, store=work.store) as again:  # after a crash it is all there is
        await again.come_back(1)
        await again.minutes(1)
        assert again.sent == ["refresh1"]
        assert again.told[-1] == ("session.refreshed", "")


async def test_the_wish_of_whoever_was_not_asked_is_obeyed(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        work.verifier.of["access1"] = NOT_ASKED
        await work.log_in()
        await work.minutes(6)
        await clock.advance(4.9)
        assert work.verifier.asked.count("access1") == 1
        await clock.advance(0.1)
        assert work.verifier.asked.count("access1") == 2


@pytest.mark.parametrize("said", [DOWN, NO_KEY])
async def test_after_a_few_tries_another_token_is_asked_for(
    clock: FakeClock, said: Exception
) -> None:
    async with at_work(clock) as work:
        work.verifier.of["access1"] = said
        await work.log_in()
        await work.minutes(6)
        await until_asked(work, 1 + MAX_TRIES)
        assert work.sent == ["refresh0"]
        await work.minutes(1)
        assert work.sent == ["refresh0", "refresh1"]
        assert work.verifier.asked.count("access1") == 1 + MAX_TRIES
        assert work.told == [("session.refreshed", "")]


async def test_a_token_of_an_issuer_whose_clock_is_ahead_is_kept_until_it_counts(
    clock: FakeClock,
) -> None:
    async with at_work(clock) as work:
        work.verifier.of["access1"] = NOT_YET
        await work.log_in(length=timedelta(hours=1))
        await work.minutes(36)
        await until_asked(work, 2 + MAX_TRIES)
        del work.verifier.of["access1"]
        await work.minutes(2)
        assert work.sent == ["refresh0"]
        assert work.told == [("session.refreshed", "")]


async def test_the_time_that_a_token_waited_is_no_part_of_what_it_lasts(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        work.source.next = [tokens(1, expires_in=100.0)]
        work.verifier.of["access1"] = DOWN
        await work.log_in()
        await work.minutes(6)
        await until_asked(work, 2)
        assert work.verifier.stated == [100.0, 98.0]


async def test_a_token_that_ran_out_while_it_waited_ends_nothing(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        work.verifier.of["access1"] = DOWN
        await work.log_in()
        await work.minutes(6)
        work.verifier.of["access1"] = TokenRejected(Refusal.EXPIRED, "it has")
        await work.minutes(1)
        assert work.sent == ["refresh0", "refresh1"]
        assert work.told == [("session.refreshed", "")]


async def test_one_that_is_rejected_at_last_ends_the_sessions(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        work.verifier.of["access1"] = DOWN
        await work.log_in()
        await work.minutes(6)
        work.verifier.of["access1"] = TokenRejected(Refusal.WRONGAUDIENCE, "another's")
        await work.minutes(1)
        assert work.told == [("session.revoked", "wrongaudience")]


async def test_a_session_whose_new_token_never_counts_lasts_as_long_as_its_lease(
    clock: FakeClock,
) -> None:
    async with at_work(clock) as work:
        work.verifier.of["access1"] = NOT_YET
        await work.log_in()
        await work.minutes(9.9)
        assert len(await work.live()) == 1
        await work.minutes(1)
        assert await work.live() == []
        assert work.told == [("session.expired", "expired")]


@pytest.mark.parametrize("said", [DOWN, NOT_ASKED, NOT_YET, NO_KEY])
async def test_of_a_grant_that_is_revoked_while_its_token_is_verified_nothing_is_kept(
    clock: FakeClock, said: Exception
) -> None:
    async with at_work(clock) as work:
        work.verifier.of["access1"] = said
        await work.log_in()
        verifying = work.verifier.hold()
        await work.minutes(6)
        assert work.verifier.asked == ["access1"]
        await work.revoke()
        await work.minutes(0.1)
        verifying.set()
        await work.minutes(0.1)
        assert work.refresher._one_refresh._unverified == {}
        assert work.source.revoked == ["refresh1"]
        await work.minutes(5)
        assert work.refresher._held == {}


async def test_of_a_grant_that_is_gone_nothing_is_kept(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        work.verifier.of["access1"] = DOWN
        await work.log_in()
        await work.minutes(6)
        assert len(work.refresher._one_refresh._unverified) == 1
        await work.revoke()
        await work.minutes(0.1)
        assert work.refresher._one_refresh._unverified == {}


async def test_a_refresh_token_that_cannot_be_opened_is_asked_for_once_and_ends_no_session_early(
    clock: FakeClock,
) -> None:
    async with at_work(clock) as work:
        await work.log_in()
        work.store.refresh_tokens.clear()
        await work.minutes(9)
        assert work.sent == []
        (lost,) = work.table.grants()
        assert (lost.refresh_at, lost.in_flight_since) == (None, None)
        assert len(await work.live()) == 1
        await work.minutes(2)
        assert work.told == [("session.expired", "expired")]


async def test_one_that_cannot_be_read_now_is_read_later(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: GrantId) -> Secret | None:
        raise StoreError("disk I/O error")

    async with at_work(clock) as work:
        await work.log_in()
        with monkeypatch.context() as patched:
            patched.setattr(work.store, "refresh_token", fail)
            await work.minutes(6)
            assert work.sent == []
        await work.minutes(1)
        assert work.sent == ["refresh0"]


async def test_what_was_given_back_is_kept_nowhere(clock: FakeClock) -> None:
    async with at_work(clock) as work:
        await work.log_in()
        await work.revoke()
        await idle()
        assert work.source.revoked == ["refresh0"]
        assert work.store.refresh_tokens == {}


async def test_what_was_revoked_while_nothing_could_be_written_is_given_back_and_let_go(
    clock: FakeClock,
) -> None:
    async with at_work(clock) as work:
        await work.log_in()
        work.store.failing = 1000
        with pytest.raises(StoreError):
            await work.revoke()
        await idle()
        assert work.source.revoked == ["refresh0"]
        assert list(work.store.refresh_tokens) == [grant_id(1)]
        work.store.failing = 0
        await work.minutes(1)
        assert work.store.refresh_tokens == {}
