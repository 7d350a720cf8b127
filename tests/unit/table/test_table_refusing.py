"""What is told behind its answer, and what happens while nothing can be written."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import anyio
import pytest

from sessiond.core.access import AccessRules, Ceiling, Denied
from sessiond.core.changes import Close, EndSessions, Reassess, Revoke, Withdraw
from sessiond.core.errors import Refusal, StoreError
from sessiond.core.events import Event, LoginRefused
from sessiond.core.queries import FindSession, ListOwnSessions
from sessiond.core.revocation import Scope
from sessiond.due import TICK
from sessiond.table.expiry import RETRY_IN
from sessiond.table.table import REFUSALS_EVERY
from tests.fakes import (
    HOUR,
    RULES,
    FakeClock,
    MemoryStore,
    bind,
    grant_id,
    idle,
    login,
    presented,
    process_about,
    process_key,
    session_id,
)
from tests.unit.table.running_table import RunningTable, running_table

pytestmark = pytest.mark.anyio

REVOKE_ALL = Revoke(id=UUID(int=5), scope=Scope.ALL, value="", reason="drill")


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


def refuse(table: RunningTable, user: str = "mallory", reason: Refusal = Refusal.EXPIRED) -> None:
    table.table.note_refusal(user=user, issuer="corp", process=process_about(), reason=reason)


def refused(events: list[Event]) -> list[tuple[str, str, int]]:
    return [
        (event.user, event.reason, event.count)
        for event in events
        if isinstance(event, LoginRefused)
    ]


# Refused logins


async def test_refused_logins_are_summed_and_told_once_a_second(
    table: RunningTable, store: MemoryStore, clock: FakeClock
) -> None:
    for _ in range(3):
        refuse(table)
    refuse(table, reason=Refusal.MALFORMED)
    refuse(table, user="eve")
    await clock.advance(REFUSALS_EVERY / 2)
    assert store.commits == []
    await clock.advance(REFUSALS_EVERY / 2)
    assert refused(store.events) == [
        ("mallory", "expired", 3),
        ("mallory", "malformed", 1),
        ("eve", "expired", 1),
    ]
    assert len(store.commits) == 1
    assert [event.sequence for event in store.events] == [1, 2, 3]
    await clock.advance(10 * REFUSALS_EVERY)
    assert len(store.commits) == 1


async def test_a_refused_login_says_where_it_was_tried(
    table: RunningTable, store: MemoryStore, clock: FakeClock
) -> None:
    refuse(table)
    await clock.advance(REFUSALS_EVERY)
    (event,) = store.events
    assert event.process == process_about()
    assert event.issuer == "corp"
    assert event.at == clock.now()
    assert event.session is None


async def test_refusals_are_not_lost_when_they_cannot_be_written(
    table: RunningTable, store: MemoryStore, clock: FakeClock
) -> None:
    refuse(table)
    store.failing = 1
    await clock.advance(REFUSALS_EVERY)
    assert store.failing == 0
    assert store.events == []
    refuse(table)
    await clock.advance(REFUSALS_EVERY)
    assert refused(store.events) == [("mallory", "expired", 2)]


async def test_refusals_of_the_last_second_are_written_at_the_end(
    store: MemoryStore, clock: FakeClock
) -> None:
    async with running_table(store, clock) as table:
        await table.log_in(1)
        refuse(table)
    assert refused(store.events) == [("mallory", "expired", 1)]


async def test_refusals_noted_while_it_closes_are_written_once(
    store: MemoryStore, clock: FakeClock
) -> None:
    async with running_table(store, clock) as table:
        released = store.hold()
        table.submit(login(1))
        await store.arrived.wait()
        refuse(table)
        table.table.close()
        await clock.advance(REFUSALS_EVERY)  # it tries to tell, and finds the table closed
        refuse(table)
        released.set()
    assert refused(store.events) == [("mallory", "expired", 2)]


# Nothing is written


async def test_what_cannot_be_written_has_not_happened(
    table: RunningTable, store: MemoryStore
) -> None:
    await table.log_in(1, "refresh")
    before = (await table.told(), dict(store.rows))
    store.failing = 1
    with pytest.raises(StoreError):
        await table.ask(login(2, presented("other", "other refresh"), handle=1))
    assert await table.told() == []
    assert store.rows == before[1]
    assert await table.alive() == {1}
    assert await table.ask(FindSession(process=process_key(), session=session_id(2))) is None


async def test_everybody_in_a_batch_that_fails_is_told(
    table: RunningTable, store: MemoryStore
) -> None:
    released = store.hold()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(table.note_answer, login(1))
        await store.arrived.wait()
        for number in (2, 3):
            tasks.start_soon(table.note_answer, login(number, presented(str(number))))
        await idle()
        store.failing = 2
        released.set()
    assert [type(answer) for answer in table.answers] == [StoreError] * 3
    assert await table.alive() == set()


async def test_after_a_failure_writing_goes_on_with_the_next_number(
    table: RunningTable, store: MemoryStore
) -> None:
    await table.log_in(1)
    await table.ask(login(2, presented("other")))
    store.failing = 1
    with pytest.raises(StoreError):
        await table.ask(bind(2))
    assert await table.ask(bind(2))
    assert [event.sequence for event in store.events] == [1, 2]


async def test_access_ends_even_while_nothing_can_be_written(
    table: RunningTable, store: MemoryStore
) -> None:
    await table.log_in(1)
    await table.log_in(2)
    await table.told()
    store.failing = 1
    with pytest.raises(StoreError):
        await table.ask(REVOKE_ALL)
    assert [notice.push_to for batch in await table.batches() for notice in batch.notices] == [
        process_key(),
        process_key(),
    ]
    assert await table.alive() == set()
    answer = await table.ask(login(3, presented("access 1")))
    assert isinstance(answer, Denied)
    assert answer.reason is Refusal.REVOKED


async def test_so_do_roles_that_another_configuration_takes(
    table: RunningTable, store: MemoryStore
) -> None:
    await table.log_in(1)
    await table.told()
    ceiling = Ceiling(users=("bob",))
    table.settings = replace(
        table.settings,
        rules=replace(table.settings.rules, access=AccessRules(ceilings=(ceiling,))),
    )
    store.failing = 1
    with pytest.raises(StoreError):
        await table.ask(Reassess())
    (batch,) = await table.batches()
    assert [notice.push_to for notice in batch.notices] == [process_key()]
    assert await table.alive() == set()


async def test_what_is_owed_is_written_with_the_next_batch_and_pushed_to_nobody_again(
    table: RunningTable, store: MemoryStore
) -> None:
    await table.log_in(1)
    store.failing = 1
    with pytest.raises(StoreError):
        await table.ask(EndSessions(session=session_id(1)))
    await table.batches()
    await table.log_in(2)
    assert [(event.sequence, event.kind) for event in store.events] == [
        (1, "session.opened"),
        (2, "session.revoked"),
        (3, "session.opened"),
    ]
    notices = [notice for batch in await table.batches() for notice in batch.notices]
    assert [notice.event.sequence for notice in notices] == [2, 3]
    assert {notice.push_to for notice in notices} == {None}


async def test_what_is_owed_is_written_within_seconds_without_anybody_asking(
    table: RunningTable, store: MemoryStore, clock: FakeClock
) -> None:
    await table.log_in(1)
    store.failing = 3
    with pytest.raises(StoreError):
        await table.ask(Close(process=process_key(), handle=1))
    await clock.advance(3 * REFUSALS_EVERY)
    assert [event.kind for event in store.events] == ["session.opened", "session.closed"]


async def test_what_is_owed_is_written_at_the_end(store: MemoryStore, clock: FakeClock) -> None:
    async with running_table(store, clock) as table:
        await table.ask(login(1))
        store.failing = 1
        with pytest.raises(StoreError):
            await table.ask(Withdraw(session=session_id(1)))
    async with running_table(store, clock) as table:
        assert await table.alive() == set()


async def test_what_is_over_ends_once_even_when_it_cannot_be_written_at_first(
    table: RunningTable, store: MemoryStore, clock: FakeClock
) -> None:
    await table.log_in(1, "refresh")
    clock.step_wall(HOUR)
    store.failing = 1
    await clock.advance(TICK)
    assert await table.alive() == set()
    await clock.advance(2 * RETRY_IN)
    assert [event.kind for event in store.events] == ["session.opened", "session.expired"]
    assert await store.load() is not None
    assert (grant_id(1) in {getattr(row, "id", None) for row in store.rows.values()}) is False


async def test_an_unopened_login_ends_when_it_can_be_written_again(
    table: RunningTable, store: MemoryStore, clock: FakeClock
) -> None:
    await table.ask(login(1))
    await clock.advance(RULES.unbound - timedelta(seconds=TICK))
    store.failing = 2
    await clock.advance(2 * TICK + 3 * RETRY_IN)
    assert store.failing == 0
    assert not [row for row in store.rows.values() if getattr(row, "handle", None) == 1]


async def test_who_only_looks_is_answered_while_others_of_his_batch_cannot_be_written(
    table: RunningTable, store: MemoryStore
) -> None:
    released = store.hold()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(table.note_answer, login(1, presented("first")))
        await store.arrived.wait()
        second_login = table.submit(login(2, presented("second")))
        look = table.submit(ListOwnSessions(process=process_key()))
        store.failing = 2
        released.set()
        assert await look.answer() == []
        with pytest.raises(StoreError):
            await second_login.answer()


async def test_while_nothing_can_be_written_a_look_still_has_its_turn_among_the_ends(
    table: RunningTable, store: MemoryStore
) -> None:
    await table.log_in(1)
    released = store.hold()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(table.note_answer, login(2, presented("second")))
        await store.arrived.wait()
        before = table.submit(ListOwnSessions(process=process_key()))
        leaving = table.submit(Close(process=process_key(), handle=1))
        after = table.submit(ListOwnSessions(process=process_key()))
        store.failing = 2
        released.set()
        assert {each.session.id for each in await before.answer()} == {session_id(1)}
        assert await after.answer() == []
        with pytest.raises(StoreError):
            await leaving.answer()
