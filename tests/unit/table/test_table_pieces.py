"""What is large goes through the table in pieces, and others between them."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import anyio
import anyio.lowlevel
import pytest

from sessiond.core import reading
from sessiond.core.access import Denied
from sessiond.core.changes import (
    EndSessions,
    LiftRevocation,
    ProcessLost,
    Reconcile,
    RecordEvents,
    Refresh,
    Revoke,
    Taken,
)
from sessiond.core.errors import Refusal, StoreError
from sessiond.core.grant import Grant
from sessiond.core.queries import FindSession, ListOwnSessions, Ping
from sessiond.core.revocation import Revocation, Scope
from sessiond.core.rows import Put
from sessiond.core.session import ActiveSession, Session, SessionState
from sessiond.table import batch
from tests.fakes import (
    START,
    FakeClock,
    MemoryStore,
    bind,
    grant_id,
    idle,
    login,
    opened_event,
    presented,
    process_about,
    process_key,
    session_id,
    verdict,
)
from tests.unit.table.running_table import RunningTable, running_table

pytestmark = pytest.mark.anyio

MANY = 12
ALL = Revoke(id=UUID(int=5), scope=Scope.ALL, value="", reason="drill")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PIECE", 6)


@pytest.fixture
async def table(store: MemoryStore, clock: FakeClock) -> AsyncIterator[RunningTable]:
    async with running_table(store, clock) as table:
        for number in range(1, MANY + 1):
            await table.log_in(number)
        await table.told()
        yield table


async def test_others_go_between_the_pieces_and_the_answer_comes_after_the_last(
    table: RunningTable, store: MemoryStore, clock: FakeClock
) -> None:
    await clock.advance(1)
    before = len(store.commits)
    released = store.hold()
    revoking = table.submit(ALL)
    await store.arrived.wait()
    clock.step_wall(timedelta(seconds=1))
    fresh = presented("fresh", says=verdict(begin=clock.now()))
    opening = table.submit(login(50, fresh, pid=200))
    released.set()
    assert isinstance(await opening.answer(), ActiveSession)
    sessions = [row for row in store.rows.values() if isinstance(row, Session)]
    assert len(sessions) > 3  # most of them are still to be ended, and the row is there
    assert any(isinstance(row, Revocation) for row in store.rows.values())
    assert await revoking.answer() == Taken(id=ALL.id, sessions=MANY)
    sizes = [len(writes) + len(events) for writes, events in store.commits[before:]]
    assert len(sizes) > 3
    assert max(sizes) < 20
    assert await table.alive() == set()
    told = await table.told()
    assert [kind for _, kind in told] == ["session.revoked"] * MANY
    assert [sequence for sequence, _ in told] == list(range(told[0][0], told[0][0] + MANY))


async def test_nothing_of_a_process_passes_what_is_unfinished_about_it(
    table: RunningTable,
) -> None:
    losing = table.submit(ProcessLost(process=process_key()))
    held = tuple((number, session_id(number)) for number in range(1, 5))
    back = table.submit(Reconcile(process=process_key(), about=process_about(), held=held))
    opened = table.submit(login(50, presented("another")))
    looking = table.submit(ListOwnSessions(process=process_key()))
    others = table.submit(login(51, presented("elsewhere"), pid=200))
    assert isinstance(await others.answer(), ActiveSession)  # whoever else waits for nobody
    assert await back.answer() == []
    await losing.answer()
    assert isinstance(await opened.answer(), ActiveSession)
    states = {each.session.id.int: each.session.state for each in await looking.answer()}
    assert states == {
        **dict.fromkeys(range(1, 5), SessionState.OPEN),
        50: SessionState.UNBOUND,
    }


async def test_forgiving_waits_until_what_was_revoked_has_ended(table: RunningTable) -> None:
    revoking = table.submit(ALL)
    forgiving = table.submit(LiftRevocation(id=ALL.id))
    again = table.submit(Revoke(id=UUID(int=6), scope=Scope.ALL, value="", reason="more"))
    assert (await revoking.answer()).sessions + (await again.answer()).sessions == MANY
    assert await forgiving.answer()
    assert await table.alive() == set()


async def test_two_large_changes_take_turns(table: RunningTable) -> None:
    for number in range(21, 33):
        await table.ask(login(number, presented(f"access {number}"), pid=200))
    one = table.submit(EndSessions(process=process_key()))
    other = table.submit(EndSessions(process=process_key(200)))
    assert (await one.answer(), await other.answer()) == (MANY, 12)


async def test_a_transaction_has_an_upper_size(
    table: RunningTable, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "FULL", 10)
    released = store.hold()
    first = table.submit(RecordEvents(events=(opened_event(),)))
    await store.arrived.wait()
    before = len(store.commits)
    tell = RecordEvents(events=(opened_event(),) * 4)
    submissions = [table.submit(tell) for _ in range(7)]
    released.set()
    for submission in (first, *submissions):
        await submission.answer()
    assert [len(events) for _, events in store.commits[before:]] == [1, 12, 12, 4]


async def test_after_a_crash_between_two_pieces_the_start_goes_on_ending(
    store: MemoryStore, clock: FakeClock
) -> None:
    async with running_table(store, clock) as table:
        for number in range(1, MANY + 1):
            await table.log_in(number)
        first = store.hold()
        revoking = table.submit(ALL)
        await store.arrived.wait()
        released = store.hold()
        first.set()
        await store.arrived.wait()
        crashed = MemoryStore()  # as the disk is while the second piece waits for it
        crashed.rows.update(store.rows)
        crashed.events += store.events
        crashed._sequence = store._sequence
        released.set()
        await revoking.answer()
    assert len([row for row in crashed.rows.values() if isinstance(row, Session)]) > 3
    clock.step_wall(timedelta(seconds=1))
    async with running_table(crashed, clock) as table:
        assert await table.alive() == set()
        await table.ask(Ping())
        await idle()
    assert not [row for row in crashed.rows.values() if isinstance(row, Grant)]
    assert [event.kind for event in crashed.events].count("session.revoked") == MANY


async def test_access_ends_in_pieces_even_while_nothing_can_be_written(
    table: RunningTable, store: MemoryStore, clock: FakeClock
) -> None:
    store.failing = 1000
    with pytest.raises(StoreError):
        await table.ask(ALL)
    pushed = [notice for batch in await table.batches() for notice in batch.notices]
    assert len(pushed) == MANY
    assert {notice.push_to for notice in pushed} == {process_key()}
    assert await table.alive() == set()
    store.failing = 0
    await clock.advance(2)
    assert [event.kind for event in store.events].count("session.revoked") == MANY
    assert not [row for row in store.rows.values() if isinstance(row, Grant)]


async def test_a_process_that_is_back_is_answered_even_while_nothing_can_be_written(
    table: RunningTable, store: MemoryStore
) -> None:
    store.failing = 1000
    back = Reconcile(process=process_key(), about=process_about(), held=())
    assert await table.ask(back) == []
    store.failing = 0
    assert await table.alive() == set()


async def test_a_refresh_that_fails_between_two_pieces_is_told_and_may_be_made_again(
    store: MemoryStore, clock: FakeClock
) -> None:
    async with running_table(store, clock) as table:
        for number in range(1, MANY + 1):
            await table.ask(login(number, presented("access", "refresh")))
            assert await table.ask(bind(number))
        refresh = Refresh(grant=grant_id(1), verdict=verdict(roles=("writer",)), draw=0.5)
        submission = table.submit(refresh)
        released = store.hold()
        await store.arrived.wait()
        store.failing = 1
        released.set()
        with pytest.raises(StoreError):
            await submission.answer()
        assert await table.ask(refresh)
        found = await table.ask(ListOwnSessions(process=process_key()))
        assert {each.session.roles for each in found} == {("writer",)}


async def test_several_revocations_of_the_same_in_an_older_database_become_one(
    store: MemoryStore, clock: FakeClock
) -> None:
    rows = [
        Revocation(
            id=UUID(int=number), scope=Scope.USER, value="alice", at=START, reason=str(number)
        )
        for number in (1, 2, 3)
    ]
    await store.commit([Put(row) for row in rows], [])
    async with running_table(store, clock) as table:
        answer = await table.ask(login(1))
        assert isinstance(answer, Denied)
        assert answer.reason is Refusal.REVOKED
        assert len((await table.table.rows()).revocations) == 1
        await clock.advance(1)
    kept = [row for row in store.rows.values() if isinstance(row, Revocation)]
    assert len(kept) == 1
    async with running_table(store, clock) as table:
        assert await table.ask(LiftRevocation(id=kept[0].id))
        assert isinstance(await table.ask(login(1)), ActiveSession)


async def test_who_reads_the_rows_sees_what_is_on_disk_and_waits_in_no_queue(
    table: RunningTable, store: MemoryStore
) -> None:
    seen: list[int] = []

    async def read() -> None:
        seen.append(len((await table.table.rows()).sessions))

    released = store.hold()
    async with anyio.create_task_group() as tasks:
        opening = table.submit(login(50, presented("other")))
        await store.arrived.wait()
        tasks.start_soon(read)
        await idle()
        assert seen == []
        store.failing = 1
        released.set()
        with pytest.raises(StoreError):
            await opening.answer()
    assert seen == [MANY]  # what could not be written is never seen
    await table.ask(login(51, presented("another")))
    await read()
    assert seen == [MANY, MANY + 1]
    assert await table.ask(FindSession(process=process_key(), session=session_id(50))) is None


async def test_between_pieces_that_write_nothing_the_loop_has_its_turn(
    table: RunningTable,
) -> None:
    turns = 0

    async def go_on() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        looking = table.submit(ListOwnSessions(process=process_key()))
        tasks.start_soon(go_on)
        assert len(await looking.answer()) == MANY
        assert turns > 1
        tasks.cancel_scope.cancel()


async def test_what_only_looks_is_answered_in_pieces_while_nothing_can_be_written(
    table: RunningTable, store: MemoryStore, clock: FakeClock
) -> None:
    store.failing = 1000
    with pytest.raises(StoreError):
        await table.ask(EndSessions(session=session_id(1)))
    assert await table.alive() == set(range(2, MANY + 1))


async def test_each_who_waits_for_what_cannot_be_written_gets_an_error_of_his_own(
    table: RunningTable, store: MemoryStore
) -> None:
    store.failing = 1000
    async with anyio.create_task_group() as tasks:
        for number in range(3):
            asked = login(50 + number, presented("another"), pid=200)
            tasks.start_soon(table.note_answer, asked)
    errors = table.answers
    assert [type(each) for each in errors] == [StoreError] * 3
    assert len({id(each) for each in errors}) == 3
    assert len({str(each) for each in errors}) == 1
