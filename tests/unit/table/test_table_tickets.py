"""Tickets over restarts and while nothing can be written, and what is kept beside sessions."""

from collections.abc import AsyncIterator

import pytest

from sessiond.core.access import Denied
from sessiond.core.changes import (
    BeginSourceRefresh,
    Close,
    KeepSourceGrant,
    NextEpoch,
    Reconcile,
    RefuseSource,
    WriteValue,
)
from sessiond.core.errors import Refusal, StoreError
from sessiond.core.queries import FindValue
from sessiond.core.rows import Drop, Put
from sessiond.core.secret import Secret
from sessiond.core.session import ActiveSession
from sessiond.core.stored_value import StoredValue, WriteAnswer
from sessiond.core.ticket import SPENT_KEPT
from sessiond.due import TICK
from tests.fakes import (
    RULES,
    FakeClock,
    MemoryStore,
    bind,
    idle,
    process_about,
    process_key,
    session,
    session_id,
    ticket,
    ticket_id,
    ticket_login,
)
from tests.unit.table.running_table import RunningTable, running_table

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def table(store: MemoryStore, clock: FakeClock) -> AsyncIterator[RunningTable]:
    async with running_table(store, clock) as table:
        yield table


async def spend(table: RunningTable, number: int = 2) -> None:
    await table.log_in(1)
    assert isinstance(await table.ask(ticket_login(number)), ActiveSession)
    assert await table.ask(bind(number, pid=200))


async def test_a_ticket_is_spent_over_a_restart(store: MemoryStore, clock: FakeClock) -> None:
    async with running_table(store, clock) as table:
        await spend(table)
    async with running_table(store, clock) as table:
        answer = await table.ask(ticket_login(3, ticket(2), pid=200))
        assert isinstance(answer, Denied)
        assert answer.reason is Refusal.REVOKED


async def test_its_trace_goes_in_time(
    table: RunningTable, store: MemoryStore, clock: FakeClock
) -> None:
    await spend(table)
    spent = next(key for key in store.rows if key[1] == ticket_id(2))
    until = ticket(2).expires_at + SPENT_KEPT
    await clock.advance((until - clock.now()).total_seconds() - TICK)
    assert spent in store.rows
    await clock.advance(2 * TICK)
    assert spent not in store.rows


async def test_after_a_restart_a_child_goes_on_until_its_parent_s_process_is_given_up(
    store: MemoryStore, clock: FakeClock
) -> None:
    async with running_table(store, clock) as table:
        await spend(table)
    async with running_table(store, clock) as table:
        held = ((2, session_id(2)),)
        about = process_about(200)
        assert not await table.ask(Reconcile(process=process_key(200), about=about, held=held))
        await clock.advance(RULES.grace.total_seconds() - TICK)
        assert await table.alive(200) == {2}
        await clock.advance(2 * TICK)
        assert await table.alive(200) == set()
        pushed = [notice.push_to for batch in await table.batches() for notice in batch.notices]
        assert process_key(200) in pushed


async def test_a_start_ends_what_has_lost_its_parent(store: MemoryStore, clock: FakeClock) -> None:
    async with running_table(store, clock) as table:
        await spend(table)
    await store.commit([Drop(session(1))], [])
    async with running_table(store, clock) as table:
        await idle()
        assert await table.alive(200) == set()
        assert [kind for _, kind in await table.told()] == ["session.revoked"]


async def test_both_end_at_once_while_nothing_can_be_written(
    table: RunningTable, store: MemoryStore
) -> None:
    await spend(table)
    store.failing = 1
    with pytest.raises(StoreError):
        await table.ask(Close(process=process_key(), handle=1))
    assert await table.alive(200) == set()
    assert not [key for key in store.rows if key[1] == session_id(2)]  # it is written by now


async def test_a_ticket_that_could_not_be_written_is_not_spent(
    table: RunningTable, store: MemoryStore
) -> None:
    await table.log_in(1)
    store.failing = 1
    with pytest.raises(StoreError):
        await table.ask(ticket_login(2))
    assert isinstance(await table.ask(ticket_login(2)), ActiveSession)


async def test_what_an_issuer_refused_is_never_sent_again_though_that_cannot_be_written(
    table: RunningTable, store: MemoryStore
) -> None:
    keep = KeepSourceGrant(name="feed", client="c", seed=None, refresh_token=Secret("r"))
    await table.ask(keep)
    begun = await table.ask(BeginSourceRefresh(name="feed"))
    assert begun is not None
    token = await table.table.secret(begun)
    assert token is not None
    assert token.reveal() == "r"
    store.failing = 1
    with pytest.raises(StoreError):
        await table.ask(RefuseSource(name="feed"))
    assert await table.ask(BeginSourceRefresh(name="feed")) is None


async def test_a_stored_value_and_an_epoch_are_there_after_a_restart(
    store: MemoryStore, clock: FakeClock
) -> None:
    write = WriteValue(
        context="c", name="a", uid=1, is_shared=False, value=Secret("v"), max_contexts=1
    )
    find = FindValue(context="c", name="a", uid=1, is_shared=False)
    async with running_table(store, clock) as table:
        assert await table.ask(write) is WriteAnswer.WRITTEN
        assert await table.ask(NextEpoch(name="locks")) == 1
    async with running_table(store, clock) as table:
        found = await table.ask(find)
        assert isinstance(found, StoredValue)
        value = await table.table.secret(found)
        assert value is not None
        assert value.reveal() == "v"
        assert await table.ask(NextEpoch(name="locks")) == 2


async def test_no_secret_is_in_what_is_told_or_kept_in_memory(table: RunningTable) -> None:
    keep = KeepSourceGrant(name="feed", client="c", seed=None, refresh_token=Secret("r"))
    await table.ask(keep)
    assert "secret" not in repr((await table.table.rows()).source_grants["feed"])
    (batch,) = await table.batches()
    (write,) = batch.writes
    assert isinstance(write, Put)
    assert "Secret(***)" in repr(write)
