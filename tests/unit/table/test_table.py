"""The table: one writer, disk before news, and what is over ends in time."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from types import NoneType
from typing import Any
from unittest.mock import ANY
from uuid import UUID

import anyio
import anyio.lowlevel
import pytest

from sessiond.core.changes import (
    BeginRefresh,
    Change,
    Close,
    EndSessions,
    Reconcile,
    RecordEvents,
    Refresh,
    Revoke,
)
from sessiond.core.errors import StoreError, TableClosed
from sessiond.core.lease import refresh_at
from sessiond.core.queries import FindSession, ListOwnSessions
from sessiond.core.revocation import Scope
from sessiond.core.session import ActiveSession, SessionState
from sessiond.due import TICK
from sessiond.table import Committed, hearing
from sessiond.table import table as table_module
from sessiond.table.batch import FULL
from sessiond.table.table import PRUNE_EVERY
from tests.fakes import (
    HOUR,
    MINUTE,
    RULES,
    START,
    FakeClock,
    MemoryStore,
    bind,
    grant_id,
    idle,
    lease,
    login,
    opened_event,
    presented,
    process_about,
    process_key,
    session_id,
    verdict,
)
from tests.unit.table.running_table import KEEP, RunningTable, running_table

pytestmark = pytest.mark.anyio

REVOKE_ALL = Revoke(id=UUID(int=5), scope=Scope.ALL, value="", reason="drill")
LOOK = ListOwnSessions(process=process_key())


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


# One writer


async def test_what_waits_while_a_commit_is_under_way_is_written_in_one(
    table: RunningTable, store: MemoryStore
) -> None:
    released = store.hold()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(table.note_answer, login(1, presented("first")))
        await store.arrived.wait()
        for number in range(2, 6):
            tasks.start_soon(table.note_answer, login(number, presented(f"access {number}")))
        await idle()
        released.set()
    assert len(table.answers) == 5
    assert len(store.commits) == 2
    assert await table.alive() == {1, 2, 3, 4, 5}


async def test_a_batch_has_an_upper_size(table: RunningTable, store: MemoryStore) -> None:
    released = store.hold()
    table.submit(login(1, presented("first")))
    await store.arrived.wait()
    tell = RecordEvents(events=(opened_event(),))
    submissions = [table.submit(tell) for _ in range(FULL + 1)]
    released.set()
    for submission in submissions:
        await submission.answer()
    assert [len(events) for _, events in store.commits] == [0, FULL, 1]


async def test_nobody_is_answered_before_it_is_on_disk(
    table: RunningTable, store: MemoryStore
) -> None:
    released = store.hold()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(table.note_answer, login(1))
        await store.arrived.wait()
        await idle()
        assert table.answers == []
        assert await table.batches() == []
        released.set()
    assert len(table.answers) == 1
    assert len(await table.batches()) == 1


async def test_changes_are_decided_in_the_order_of_their_submission(
    table: RunningTable, store: MemoryStore
) -> None:
    released = store.hold()
    first = table.submit(login(9, presented("first")))
    await store.arrived.wait()
    request: list[Change[Any]] = [
        login(1),
        bind(1),
        Close(process=process_key(), handle=1),
        login(2),
        bind(1),
        EndSessions(process=process_key()),
    ]
    submissions = [table.submit(change) for change in request]
    released.set()
    await first.answer()
    answers = [await submission.answer() for submission in submissions]
    assert answers[1:3] == [session_id(1), None]
    assert answers[4:] == [None, 2]


async def test_reading_costs_no_commit(table: RunningTable, store: MemoryStore) -> None:
    await table.log_in(1)
    commits = len(store.commits)
    assert len(await table.ask(LOOK)) == 1
    found = await table.ask(FindSession(process=process_key(), session=session_id(1)))
    assert found is not None
    assert len(store.commits) == commits


async def test_cancelling_who_waits_changes_nothing(
    table: RunningTable, store: MemoryStore
) -> None:
    released = store.hold()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(table.note_answer, login(1))
        await store.arrived.wait()
        tasks.cancel_scope.cancel()
    assert table.answers == []
    released.set()
    assert await table.alive() == {1}
    assert len(store.commits) == 1


async def test_a_change_cancelled_in_the_queue_is_made_all_the_same(
    table: RunningTable, store: MemoryStore
) -> None:
    released = store.hold()
    table.submit(login(1))
    await store.arrived.wait()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(table.note_answer, login(2))
        await idle()
        tasks.cancel_scope.cancel()
    released.set()
    assert await table.alive() == {1, 2}


# News


async def test_news_comes_after_the_commit_in_order_and_numbered_without_gaps(
    table: RunningTable, store: MemoryStore
) -> None:
    await table.log_in(1)
    await table.log_in(2)
    await table.ask(REVOKE_ALL)
    told = await table.told()
    assert [sequence for sequence, _ in told] == [1, 2, 3, 4]
    assert [kind for _, kind in told] == ["session.opened"] * 2 + ["session.revoked"] * 2
    assert [(event.sequence, event.kind) for event in store.events] == told


async def test_a_batch_of_news_carries_the_writes_it_tells_of(
    table: RunningTable, store: MemoryStore
) -> None:
    await table.log_in(1)
    batches = await table.batches()
    assert [list(batch.writes) for batch in batches] == [writes for writes, _ in store.commits]
    assert [[notice.event for notice in batch.notices] for batch in batches] == [
        events for _, events in store.commits
    ]


async def test_numbers_go_on_after_a_restart_even_when_events_were_forgotten(
    store: MemoryStore, clock: FakeClock
) -> None:
    async with running_table(store, clock) as table:
        await table.log_in(1)
        await table.log_in(2)
    await store.forget_events(before=START + HOUR, up_to=0)
    async with running_table(store, clock) as table:
        await table.ask(EndSessions(session=session_id(1)))
        assert await table.told() == [(3, "session.revoked")]


async def test_old_events_are_dropped_now_and_then(
    table: RunningTable, store: MemoryStore, clock: FakeClock
) -> None:
    await table.log_in(1)
    clock.step_wall(2 * KEEP)
    await table.ask(LOOK)
    await idle()
    assert [event.at for event in store.events] == [START]  # it was looked at a moment ago
    await clock.advance(PRUNE_EVERY)
    await table.ask(LOOK)
    await idle()
    assert store.events == []


async def test_no_more_than_a_number_of_events_is_kept_however_young(
    table: RunningTable, store: MemoryStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_module, "MAX_EVENTS", 2)
    for number in range(1, 6):
        await table.log_in(number)
    await clock.advance(PRUNE_EVERY)
    await table.ask(LOOK)
    await idle()
    assert [event.sequence for event in store.events] == [4, 5]


async def test_when_dropping_old_events_fails_the_table_goes_on(
    store: MemoryStore, clock: FakeClock
) -> None:
    store.forgets = False
    async with running_table(store, clock) as table:
        await table.log_in(1)
        await clock.advance(PRUNE_EVERY + HOUR.total_seconds())
        assert await table.alive() == set()


# Who hears of it


async def test_heralds_then_who_asked_and_then_each_reader_is_told_when_it_is_on_disk(
    table: RunningTable, store: MemoryStore
) -> None:
    told = list[str]()

    def note(who: str) -> Callable[[object], None]:
        return lambda _: told.append(who)

    heralds = (note("one herald"), note("another herald"))
    table.table.attend(note("one reader"), note("another"), heralds=heralds)
    released = store.hold()
    for number in range(1, 4):
        table.table.submit(login(number, presented(str(number))), note(str(number)))
    await store.arrived.wait()
    assert told == []
    released.set()
    await idle()
    answered = ["1", "2", "3"]
    assert told == ["one herald", "another herald", *answered, "one reader", "another"]


async def test_who_raises_when_he_is_told_keeps_nobody_else_from_it_and_ends_nothing(
    table: RunningTable,
) -> None:
    told, read = list[object](), list[Committed]()

    def fail(_: object) -> None:
        raise RuntimeError("a bug")

    table.table.attend(fail, read.append)
    for number, then in ((1, fail), (2, told.append)):
        table.table.submit(login(number, presented(str(number))), then)
    await idle()
    assert len(told) == len(read) == 1
    assert table.containment.failures == {
        ("told by the table", "answer"): 1,
        ("told by the table", "reader"): 1,
    }
    assert await table.alive() == {1, 2}


async def test_what_is_submitted_by_who_is_told_is_for_a_later_batch_and_in_order(
    table: RunningTable, store: MemoryStore
) -> None:
    answered = list[int]()

    def then(number: int) -> Callable[[object], None]:
        def submit_more(_: object) -> None:
            answered.append(number)
            if number < 30:  # behind all that was submitted before
                more = number + 10
                table.table.submit(login(more, presented(str(more))), then(more))

        return submit_more

    for number in (1, 2, 3):
        table.table.submit(login(number, presented(str(number))), then(number))
    table.table.attend(lambda batch: read.append(len(answered)))
    read = list[int]()
    await idle()
    assert answered == [1, 2, 3, 11, 12, 13, 21, 22, 23, 31, 32, 33]
    assert read == [3, 6, 9, 12]  # each reader has the batch before the next is decided
    assert len(store.commits) == 4


async def test_whoever_only_asks_again_and_again_leaves_the_loop_to_others(
    table: RunningTable,
) -> None:
    asked = list[object]()

    def again(answer: object) -> None:
        asked.append(answer)
        table.table.submit(LOOK, again)

    table.table.submit(LOOK, again)
    for _ in range(20):
        await anyio.lowlevel.checkpoint()
    assert 5 < len(asked) <= 20


async def test_several_are_asked_together_and_each_has_its_answer_or_its_error(
    table: RunningTable, store: MemoryStore
) -> None:
    before = len(store.commits)
    assert await table.table.ask_all([login(1), bind(1), bind(2)]) == [ANY, session_id(1), None]
    assert len(store.commits) == before + 1
    store.failing = 1
    answers = await table.table.ask_all([EndSessions(session=session_id(1)), bind(1)])
    assert [type(each) for each in answers] == [StoreError, NoneType]


async def test_it_is_crowded_while_too_many_wait_for_an_answer(
    table: RunningTable, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "CROWDED", 3)
    monkeypatch.setattr(hearing, "ROOMY", 0)
    released, went_on = store.hold(), list[str]()
    table.submit(login(1, presented("first")))
    await store.arrived.wait()
    crowded = [table.table.is_crowded]
    for number in (2, 3):  # what is being written counts
        table.submit(login(number, presented(str(number))))
    crowded.append(table.table.is_crowded)
    table.table.when_room(lambda: went_on.append("read"))
    revoked = table.submit(REVOKE_ALL)  # taken all the same
    await idle()
    assert went_on == []
    released.set()
    await revoked.answer()
    await idle()
    assert went_on == ["read"]
    assert [*crowded, table.table.is_crowded] == [False, True, False]


async def test_who_reads_the_rows_is_let_go_between_two_batches_however_many_come(
    table: RunningTable, store: MemoryStore
) -> None:
    released = store.hold()
    table.submit(login(1, presented("first")))
    await store.arrived.wait()
    seen = list[set[int]]()

    async def read() -> None:
        rows = await table.table.rows()
        seen.append({each.id.int for each in rows.sessions.values()})

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await idle()
        table.submit(login(2, presented("second")))  # is decided as soon as the first is written
        assert seen == []
        released.set()
    assert seen == [{1}]


# Time


async def test_a_session_expires_within_a_tick_of_its_lease_s_end(
    table: RunningTable, clock: FakeClock
) -> None:
    await table.log_in(1)
    await clock.advance(HOUR - timedelta(seconds=TICK))
    assert await table.alive() == {1}
    await clock.advance(2 * TICK)
    assert (await table.told())[1:] == [(2, "session.expired")]
    assert await table.alive() == set()


async def test_the_wall_clock_decides_even_when_it_steps(
    table: RunningTable, clock: FakeClock
) -> None:
    await table.log_in(1)
    clock.step_wall(2 * HOUR)
    await clock.advance(TICK)
    assert await table.alive() == set()


async def test_a_refreshed_session_lasts_until_its_new_end(
    table: RunningTable, clock: FakeClock
) -> None:
    await table.log_in(1, "refresh")
    await clock.advance(30 * MINUTE)
    says = verdict(begin=clock.now())
    assert await table.ask(Refresh(grant=grant_id(1), verdict=says, draw=0.5))
    await clock.advance(HOUR - timedelta(seconds=TICK))
    assert await table.alive() == {1}
    await clock.advance(2 * TICK)
    assert await table.alive() == set()


async def test_an_unopened_login_ends_in_time(table: RunningTable, clock: FakeClock) -> None:
    await table.ask(login(1))
    await clock.advance(RULES.unbound - timedelta(seconds=TICK))
    assert await table.alive() == {1}
    await clock.advance(2 * TICK)
    assert await table.alive() == set()
    assert await table.told() == []


async def test_each_session_ends_once_however_often_its_grant_was_written(
    table: RunningTable, clock: FakeClock
) -> None:
    await table.log_in(1, "refresh")
    for _ in range(3):
        await table.ask(BeginRefresh(grant=grant_id(1), at_once=True))
    await clock.advance(HOUR + timedelta(seconds=TICK))
    assert await table.told() == [(1, "session.opened"), (2, "session.expired")]


async def test_after_a_restart_sessions_wait_from_readiness_on(
    store: MemoryStore, clock: FakeClock
) -> None:
    async with running_table(store, clock) as table:
        await table.log_in(1)
        await table.ask(login(2, presented("unopened")))
    clock.step_wall(20 * MINUTE)  # down for long
    async with running_table(store, clock) as table:
        states = {
            active.session.id.int: (active.session.state, active.session.until)
            for active in await table.ask(LOOK)
        }
        assert states == {
            1: (SessionState.WAITING, clock.now() + RULES.grace),
            2: (SessionState.UNBOUND, clock.now() + RULES.unbound),
        }
        await clock.advance(RULES.unbound + timedelta(seconds=TICK))
        assert await table.alive() == {1}
        await clock.advance(RULES.grace)
        assert await table.alive() == set()
        assert await table.told() == [(2, "session.closed")]


async def test_a_process_that_comes_back_after_a_restart_keeps_its_sessions(
    store: MemoryStore, clock: FakeClock
) -> None:
    async with running_table(store, clock) as table:
        await table.log_in(1)
    async with running_table(store, clock) as table:
        held = ((1, session_id(1)),)
        back = Reconcile(process=process_key(), about=process_about(), held=held)
        assert await table.ask(back) == []
        await clock.advance(RULES.grace + timedelta(seconds=TICK))
        assert await table.alive() == {1}
        await clock.advance(HOUR)
        assert await table.alive() == set()


async def test_resuming_returns_every_grant_so_that_it_is_refreshed(
    store: MemoryStore, clock: FakeClock
) -> None:
    async with running_table(store, clock) as table:
        await table.log_in(1, "refresh")
    async with running_table(store, clock) as table:
        (grant,) = table.resumed
    assert grant.id == grant_id(1)
    assert grant.refresh_at == refresh_at(lease(), share=0.6, jitter=0.1, draw=0.5)


# Closing


async def test_what_was_taken_before_closing_is_still_written(
    store: MemoryStore, clock: FakeClock
) -> None:
    released = store.hold()
    async with running_table(store, clock) as table:
        submissions = [
            table.submit(login(number, presented(str(number)))) for number in range(1, 4)
        ]
        await store.arrived.wait()
        table.table.close()
        released.set()
        with pytest.raises(TableClosed):
            await table.ask(LOOK)
    assert [type(await submission.answer()) for submission in submissions] == [ActiveSession] * 3
    assert len(store.rows) > 3


async def test_what_comes_too_late_is_told_so_and_not_within_the_call(
    store: MemoryStore, clock: FakeClock
) -> None:
    async with running_table(store, clock) as table:
        table.table.close()
        late = table.submit(login(1))
        assert late.said == []
        with pytest.raises(TableClosed):
            await late.answer()
        assert [type(each) for each in await table.table.ask_all([bind(1)])] == [TableClosed]
    assert store.rows == {}


async def test_each_who_waits_is_told_when_it_is_cancelled_and_what_is_being_written_is_written(
    store: MemoryStore, clock: FakeClock
) -> None:
    running = RunningTable(store, clock)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(running.table.run)
        released = store.hold()
        written = running.submit(login(1))
        await store.arrived.wait()
        waiting = running.submit(login(2, presented("second")))
        tasks.cancel_scope.cancel()
        released.set()
    assert isinstance(await written.answer(), ActiveSession)
    with pytest.raises(TableClosed):
        await waiting.answer()
    with pytest.raises(TableClosed):
        await running.ask(LOOK)
    assert len(store.commits) == 1


async def test_what_is_over_when_it_closes_is_left_for_the_next_start(
    store: MemoryStore, clock: FakeClock
) -> None:
    async with running_table(store, clock) as table:
        await table.log_in(1)
        released = store.hold()
        submission = table.submit(login(2, presented("other")))
        await store.arrived.wait()
        table.table.close()
        clock.step_wall(HOUR)
        await clock.advance(TICK)  # it finds the table closed
        released.set()
    assert isinstance(await submission.answer(), ActiveSession)
    async with running_table(store, clock) as table:
        await clock.advance(TICK)
        assert await table.alive() == set()
