"""Access tokens in memory: the newest of each grant, to its end, and of no grant that is gone."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta

import anyio
import pytest

from sessiond.core.errors import IssuerThrottled, IssuerUnavailable, RefreshRefused
from sessiond.core.grant import GrantId
from sessiond.core.secret import Secret
from sessiond.refresher.access_tokens import AccessTokens
from tests.fakes import START, FakeClock, MemoryStore, grant_id, idle
from tests.unit.refresher.refreshing import TEN_MINUTES, Answer, Work, at_work

pytestmark = pytest.mark.anyio
SOON, LATER = START + timedelta(minutes=1), START + timedelta(minutes=2)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def kept(tokens: AccessTokens, number: int = 1) -> str | None:
    found = tokens.find(grant_id(number), now=START)
    return None if found is None else found.reveal()


def test_the_one_that_lasts_longest_is_kept() -> None:
    tokens = AccessTokens()
    tokens.keep(grant_id(1), Secret("long"), until=LATER, now=START)
    tokens.keep(grant_id(1), Secret("short"), until=SOON, now=START)
    assert kept(tokens) == "long"
    tokens.keep(grant_id(1), Secret("as long"), until=LATER, now=START)
    assert kept(tokens) == "as long"


def test_one_that_is_over_is_not_found_and_goes_by_itself() -> None:
    tokens = AccessTokens()
    for number in (1, 2):
        tokens.keep(grant_id(number), Secret("short"), until=SOON, now=START)
    assert tokens.find(grant_id(1), now=SOON) is None
    tokens.keep(grant_id(3), Secret("long"), until=LATER, now=SOON)
    assert len(tokens) == 1
    assert kept(tokens, 3) == "long"


def test_a_dropped_one_is_gone_and_so_are_all_that_are_cleared() -> None:
    tokens = AccessTokens()
    tokens.keep(grant_id(1), Secret("a"), until=SOON, now=START)
    tokens.keep(grant_id(2), Secret("b"), until=SOON, now=START)
    tokens.drop(grant_id(1))
    tokens.drop(grant_id(1))
    assert (kept(tokens, 1), kept(tokens, 2)) == (None, "b")
    tokens.clear()
    assert len(tokens) == 0


def keeping(
    clock: FakeClock, answers: Sequence[Answer] = (), store: MemoryStore | None = None
) -> AbstractAsyncContextManager[Work]:
    return at_work(clock, answers=answers, store=store, is_online=False)


def keep(work: Work) -> None:
    work.settings.now = replace(work.settings.now, keeps_access=True)


def access(work: Work, grant: GrantId | None = None) -> str | None:
    found = work.refresher.access_token(grant or grant_id(1))
    return None if found is None else found.reveal()


async def test_where_nobody_needs_them_none_is_kept(clock: FakeClock) -> None:
    async with keeping(clock) as work:
        await work.log_in()
        work.refresher.keep_access(grant_id(1), Secret("access0"), until=START + TEN_MINUTES)
        await work.minutes(7)
        assert work.sent == ["refresh0"]
        assert access(work) is None


async def test_once_nobody_needs_them_any_more_they_go(clock: FakeClock) -> None:
    async with keeping(clock) as work:
        keep(work)
        await work.log_in()
        work.refresher.keep_access(grant_id(1), Secret("access0"), until=START + TEN_MINUTES)
        assert access(work) == "access0"
        work.settings.now = replace(work.settings.now, keeps_access=False)
        await work.minutes(7)
        assert access(work) is None


async def test_a_refresh_brings_the_next(clock: FakeClock) -> None:
    async with keeping(clock) as work:
        keep(work)
        await work.log_in()
        await work.minutes(7)
        assert access(work) == "access1"


async def test_it_goes_with_its_grant(clock: FakeClock) -> None:
    async with keeping(clock) as work:
        keep(work)
        await work.log_in()
        work.refresher.keep_access(grant_id(1), Secret("access0"), until=START + TEN_MINUTES)
        await work.revoke()
        assert access(work) is None


async def test_one_that_a_dropped_grants_refresh_brings_is_not_kept(clock: FakeClock) -> None:
    async with keeping(clock) as work:
        keep(work)
        await work.log_in()
        answer = work.source.hold()
        await work.minutes(7)
        await work.revoke()
        answer.set()
        await idle()
        assert access(work) is None


async def test_after_a_restart_it_is_refreshed_although_it_is_not_due(clock: FakeClock) -> None:
    store = MemoryStore()
    async with keeping(clock, store=store) as work:
        await work.log_in()
    async with keeping(clock, store=store) as work:
        keep(work)
        assert access(work) is None
        await work.refresher.refresh_for(grant_id(1))
        assert access(work) == "access1"
        assert work.sent == ["refresh0"]


async def test_many_who_want_it_are_one_refresh(clock: FakeClock) -> None:
    async with keeping(clock) as work:
        keep(work)
        await work.log_in()
        answer = work.source.hold()
        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(work.refresher.refresh_for, grant_id(1))
            await idle()
            answer.set()
        assert work.sent == ["refresh0"]


async def test_without_a_refresh_token_there_is_none_until_it_is_renewed(clock: FakeClock) -> None:
    async with keeping(clock) as work:
        keep(work)
        await work.log_in(refresh=None)
        for grant in (grant_id(1), grant_id(2)):  # the other is none at all
            with pytest.raises(IssuerUnavailable, match="have the session renewed"):
                await work.refresher.refresh_for(grant)
        assert work.sent == []


async def test_an_issuer_that_is_away_is_not_asked_again_at_once(clock: FakeClock) -> None:
    away = IssuerUnavailable("the issuer is away")
    async with keeping(clock, [away]) as work:
        keep(work)
        await work.log_in()
        for _ in range(3):
            with pytest.raises(IssuerUnavailable, match="the issuer is away"):
                await work.refresher.refresh_for(grant_id(1))
        assert work.sent == ["refresh0"]
        await work.minutes(1)
        await work.refresher.refresh_for(grant_id(1))
        assert access(work) is not None
        assert work.sent == ["refresh0", "refresh0"]


async def test_one_that_wants_to_be_left_alone_is(clock: FakeClock) -> None:
    async with keeping(clock, [IssuerThrottled("429", retry_after=90)]) as work:
        keep(work)
        await work.log_in()
        with pytest.raises(IssuerUnavailable, match="429"):
            await work.refresher.refresh_for(grant_id(1))
        await work.minutes(1)
        with pytest.raises(IssuerUnavailable):
            await work.refresher.refresh_for(grant_id(1))
        assert len(work.sent) == 1


async def test_a_refused_one_ends_the_session_and_brings_none(clock: FakeClock) -> None:
    async with keeping(clock, [RefreshRefused("invalid_grant")]) as work:
        keep(work)
        await work.log_in()
        with pytest.raises(IssuerUnavailable):
            await work.refresher.refresh_for(grant_id(1))
        assert await work.live() == []


async def test_nothing_is_begun_while_the_daemon_stops(clock: FakeClock) -> None:
    async with keeping(clock) as work:
        keep(work)
        await work.log_in()
        await work.refresher.settle()
        with pytest.raises(IssuerUnavailable):
            await work.refresher.refresh_for(grant_id(1))
        assert work.sent == []
