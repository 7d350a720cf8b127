"""A table at work for browsers, over restarts and with a disk that is full."""

from collections.abc import AsyncIterator

import anyio
import pytest

from sessiond.core.access import Denied
from sessiond.core.changes import OpenWeb, ProcessLost, ProcessMet, SignOut, TouchWeb
from sessiond.core.errors import Refusal, StoreError
from sessiond.core.queries import FindWeb
from sessiond.core.session import ActiveSession, SessionState
from tests.fakes import (
    HOUR,
    MINUTE,
    RULES,
    FakeClock,
    MemoryStore,
    bind,
    presented,
    process_key,
    session_id,
    token_hash,
    verdict,
    web_login,
)
from tests.unit.table.running_table import RunningTable, running_table

pytestmark = pytest.mark.anyio

BASE = "https://gw"
FIND = FindWeb(process=process_key(), cookie=token_hash("cookie"), base=BASE)
MET = ProcessMet(process=process_key())


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def table(store: MemoryStore, clock: FakeClock) -> AsyncIterator[RunningTable]:
    async with running_table(store, clock) as running:
        yield running


def sign_in(clock: FakeClock, number: int = 1) -> OpenWeb:
    tokens = presented("access", "refresh", says=verdict(begin=clock.now(), length=10 * HOUR))
    return web_login(number, tokens, cookie="cookie", base=BASE, state="state")


async def test_a_sign_in_whose_answer_nobody_has_heard_makes_no_second_session(
    store: MemoryStore, clock: FakeClock
) -> None:
    """It is on disk with its state, and the daemon is killed before it could answer."""
    async with running_table(store, clock) as table:
        table.submit(sign_in(clock))
        released = store.hold()
        with anyio.move_on_after(5):
            await store.arrived.wait()
        released.set()
    async with running_table(store, clock) as table:
        await table.ask(MET)
        answer = await table.ask(sign_in(clock, 2))
        assert isinstance(answer, Denied)
        assert answer.reason is Refusal.REVOKED
        assert await table.alive() == {1}


async def test_a_sign_in_that_is_not_on_disk_may_be_completed_again(
    store: MemoryStore, clock: FakeClock
) -> None:
    async with running_table(store, clock) as table:
        store.failing = 1
        with pytest.raises(StoreError):
            await table.ask(sign_in(clock))
        assert await table.ask(FIND) is None
        assert isinstance(await table.ask(sign_in(clock, 2)), ActiveSession)


async def test_one_that_nobody_uses_ends_within_a_tick(
    table: RunningTable, clock: FakeClock
) -> None:
    await table.ask(sign_in(clock))
    child = await table.ask(bind(1, handle=9))
    await clock.advance((HOUR / 2).total_seconds())
    assert await table.ask(TouchWeb(session=session_id(1)))
    await clock.advance((HOUR - MINUTE).total_seconds())
    assert await table.alive() == {1, child.int if child else 0}
    await table.told()
    await clock.advance(MINUTE.total_seconds())
    assert [kind for _, kind in await table.told()] == ["session.expired", "session.revoked"]
    assert await table.alive() == set()


async def test_what_came_of_a_sign_in_is_forgotten_in_time(
    table: RunningTable, store: MemoryStore, clock: FakeClock
) -> None:
    await table.ask(sign_in(clock))
    assert any(type(row).__name__ == "UsedState" for row in store.rows.values())
    await clock.advance((10 * MINUTE).total_seconds() + 1)
    assert not any(type(row).__name__ == "UsedState" for row in store.rows.values())


async def test_over_a_restart_it_waits_for_its_process_and_then_lasts_as_long_as_before(
    store: MemoryStore, clock: FakeClock
) -> None:
    async with running_table(store, clock) as table:
        await table.ask(sign_in(clock))
        child = await table.ask(bind(1, handle=9))
    async with running_table(store, clock) as table:
        assert await table.ask(FIND) is None
        await clock.advance(RULES.grace.total_seconds() - 1)
        await table.ask(MET)
        found = await table.ask(FIND)
        assert found is not None
        assert found.session.state is SessionState.WEB
        await clock.advance(2)
        assert await table.ask(FIND) is not None
        assert child not in await table.alive()  # its process did not say that it has it
    async with running_table(store, clock) as table:
        await clock.advance(RULES.grace.total_seconds() + 1)
        assert await table.alive() == set()
        assert [kind for _, kind in await table.told()] == ["session.closed"]


async def test_no_restart_prolongs_it_however_many_there_are(
    store: MemoryStore, clock: FakeClock
) -> None:
    async with running_table(store, clock) as table:
        await table.ask(sign_in(clock))
        await clock.advance((HOUR - MINUTE).total_seconds())
        await table.ask(ProcessLost(process=process_key()))
    for _ in range(3):
        async with running_table(store, clock) as table:
            await clock.advance(RULES.grace.total_seconds() - 5)
            left = await table.alive()
    assert left == set()


async def test_who_signs_out_is_out_though_that_cannot_be_written(
    table: RunningTable, store: MemoryStore, clock: FakeClock
) -> None:
    await table.ask(sign_in(clock))
    await table.batches()
    store.failing = 2
    with pytest.raises(StoreError):
        await table.ask(SignOut(process=process_key(), session=session_id(1)))
    assert await table.ask(FIND) is None
    (batch,) = await table.batches()
    assert [notice.push_to for notice in batch.notices] == [process_key()]


async def test_a_process_that_comes_back_is_let_in_though_that_cannot_be_written(
    store: MemoryStore, clock: FakeClock
) -> None:
    async with running_table(store, clock) as table:
        await table.ask(sign_in(clock))
    async with running_table(store, clock) as table:
        store.failing = 2
        await table.ask(MET)
        assert await table.ask(FIND) is not None
