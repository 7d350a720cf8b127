"""What every store does alike: the one in memory that tests use, and SQLite."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from msgspec import structs

from sessiond.core.cursor import Cursor, DeadLetter
from sessiond.core.errors import StoreError
from sessiond.core.events import Event, Gap, LoginRefused, SessionClosed
from sessiond.core.grant import KnownToken, TokenHash
from sessiond.core.revocation import Revocation, Scope
from sessiond.core.rows import Drop, NameOwner, Put, Row, SecretRow
from sessiond.core.secret import Secret
from sessiond.core.session import ProcessKey, SessionState
from sessiond.core.source_grant import SourceGrant
from sessiond.core.stored_value import Epoch, StoredContext, StoredValue
from sessiond.core.ticket import SpentTicket, TicketKey
from sessiond.core.web_login import UsedState, WebLogin
from sessiond.store import opened
from sessiond.store.sealing import KeyRing
from sessiond.table import Loaded, Store
from tests.fakes import (
    HOUR,
    MINUTE,
    START,
    MemoryStore,
    grant,
    grant_id,
    opened_event,
    process_about,
    refreshable,
    session,
    session_id,
    ticket_id,
    token_hash,
)

pytestmark = pytest.mark.anyio

Opener = Callable[[], AbstractAsyncContextManager[Store]]
FINE = timedelta(microseconds=123_457)  # stores keep microseconds

ROWS: list[Row] = [
    session(),
    session(
        2,
        process=ProcessKey(uid=0, pid=0, started=0, label="rdb1 #7"),
        handle=0,
        address=-(2**31),  # kdb+'s .z.a is signed
        state=SessionState.WAITING,
        since=START + FINE,
        until=START + HOUR,
        roles=(),
        attributes={},
    ),
    session(
        3,
        state=SessionState.UNBOUND,
        roles=("a", "ä"),
        protected=("b",),
        told=None,
        attributes={"dept": "Zürich 'x'"},
    ),
    session(4, parent=session_id(1)),
    session(6, parent=session_id(1), hops=2, auth_time=START + FINE, acr=("phr", "é")),
    session(7, acr=("mfa",)),
    session(5, state=SessionState.WEB, handle=0, until=START + HOUR),
    WebLogin(
        session=session_id(5),
        cookie=TokenHash(b"c" * 32),
        base="https://gw.example.com:5007",
        made_at=START,
        used_at=START + FINE,
    ),
    WebLogin(session=session_id(6), cookie=None, base="", made_at=START, used_at=START),
    UsedState(hash=TokenHash(b"s" * 32), keep_until=START + FINE),
    grant(),
    grant(
        2,
        iss="https://login.example.com/",
        has_refresh_token=True,
        refresh_at=START + FINE,
        proven=True,
        in_flight_since=START + 2 * FINE,
    ),
    KnownToken(hash=token_hash("one"), grant=grant_id(1), seen_at=START, keep_until=START + FINE),
    KnownToken(
        hash=token_hash("other"), grant=None, seen_at=START, keep_until=START, is_refused=True
    ),
    KnownToken(
        hash=token_hash("access"),
        grant=None,
        seen_at=START,
        keep_until=START,
        came_with=(TokenHash(b"1" * 32), TokenHash(bytes(32))),
    ),
    NameOwner(name="alice", issuer="corp", subject="s"),
    Revocation(id=UUID(int=1), scope=Scope.USER, value="alice", at=START, reason='left; "gone"'),
    Revocation(id=UUID(int=2), scope=Scope.ALL, value="", at=START + FINE, reason=""),
    Cursor(subscriber="audit", sequence=0, at=START),
    Cursor(subscriber="Zürich's webhook", sequence=2**40, at=START + FINE),
    DeadLetter(
        subscriber="audit", event=opened_event(7), attempts=8, error="'no'", at=START + FINE
    ),
    DeadLetter(subscriber="audit", event=opened_event(8), attempts=1, error="", at=START),
    DeadLetter(
        subscriber="webhook",
        event=Gap(sequence=7, at=START, after=2, before=8),
        attempts=1,
        error="",
        at=START,
    ),
    SpentTicket(id=ticket_id(1), session=session_id(6), keep_until=START + FINE),
    TicketKey(id="kid", public=bytes(range(32)), made_at=START + FINE),
    SourceGrant(
        name="feed", client="c", seed=TokenHash(b"s" * 32), kept_at=START, in_flight_since=START
    ),
    SourceGrant(name="Zürich's", client="", seed=None, kept_at=START + FINE, is_refused=True),
    StoredContext(context="a/b", owner=2**32 - 2, made_at=START + FINE),
    StoredValue(context="a/b", name="ä 'x'", size=65_536, written_at=START + FINE),
    StoredValue(context="a/b", name="other", size=1, written_at=START),
    Epoch(name="locks", number=2**40),
]
SECRET_ROWS: list[SecretRow] = [
    row for row in ROWS if isinstance(row, TicketKey | SourceGrant | StoredValue)
]


@pytest.fixture(params=["memory", "sqlite"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Return what opens one and the same store, again and again."""
    memory = MemoryStore()

    @asynccontextmanager
    async def open_store() -> AsyncIterator[Store]:
        if request.param == "memory":
            yield memory
        else:
            async with opened(tmp_path / "sessiond.db", KeyRing({1: bytes(32)})) as store:
                yield store

    return open_store


@pytest.fixture
async def store(opener: Opener) -> AsyncIterator[Store]:
    async with opener() as store:
        yield store


def sorted_rows(rows: object) -> list[str]:
    assert isinstance(rows, list)
    return sorted(repr(row) for row in rows)


def told(sequence: int, at: datetime = START) -> SessionClosed:
    return SessionClosed(sequence=sequence, at=at, reason="disconnect")


async def test_a_new_store_is_empty(store: Store) -> None:
    assert await store.load() == Loaded([], 0)
    assert await store.events_after(0, limit=10) == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: type(row).__name__)
async def test_a_row_comes_back_as_it_was_also_after_opening_anew(opener: Opener, row: Row) -> None:
    async with opener() as store:
        await store.commit([Put(row)], [])
        assert (await store.load()).rows == [row]
    async with opener() as store:
        assert (await store.load()).rows == [row]


async def kept(store: Store, number: int = 1) -> str | None:
    """Return the refresh token of the grant of that number."""
    found = await store.refresh_token(grant_id(number))
    return None if found is None else found.reveal()


async def test_a_refresh_token_comes_back_whole_but_not_with_its_grant(opener: Opener) -> None:
    text = "0.AXoA~refresh-token_with.M$ft!*chars"
    async with opener() as store:
        await store.commit([refreshable(1, text), Put(grant(2))], [])
        assert (await kept(store), await kept(store, 2)) == (text, None)
    async with opener() as store:
        assert (await store.load()).rows == [refreshable(1).row, grant(2)]
        assert (await kept(store), await kept(store, 2)) == (text, None)


@pytest.mark.parametrize("row", SECRET_ROWS, ids=repr)
async def test_a_secret_is_kept_beside_its_row_as_long_as_that_is_there(
    opener: Opener, row: SecretRow
) -> None:
    async with opener() as store:
        assert await store.secret(row) is None
        others = [Put(each, Secret("other")) for each in SECRET_ROWS if each != row]
        await store.commit([Put(row, Secret("one")), *others], [])
    async with opener() as store:
        assert await told_of(store, row) == "one"
        assert sorted_rows((await store.load()).rows) == sorted_rows(SECRET_ROWS)
        await store.commit([Put(row)], [])
        assert await told_of(store, row) == "one"
        await store.commit([Put(row, Secret("zwei ä")), Put(row)], [])
        assert await told_of(store, row) == "zwei ä"
        await store.commit([Drop(row)], [])
        assert await told_of(store, row) is None
        await store.commit([Put(row)], [])
        assert await told_of(store, row) is None
        for each in SECRET_ROWS:
            if each != row:
                assert await told_of(store, each) == "other"
        await store.commit([Drop(row), Put(row, Secret("three"))], [])
        assert await told_of(store, row) == "three"


async def test_a_grant_s_secret_is_its_refresh_token(store: Store) -> None:
    await store.commit([refreshable(1, "one")], [])
    assert await told_of(store, grant(1)) == "one"


async def told_of(store: Store, row: SecretRow) -> str | None:
    found = await store.secret(row)
    return None if found is None else found.reveal()


async def test_a_grant_that_is_put_without_a_refresh_token_keeps_the_one_it_has(
    store: Store,
) -> None:
    await store.commit([refreshable(1, "first")], [])
    await store.commit([Put(grant(has_refresh_token=True, proven=True))], [])
    assert await kept(store) == "first"
    await store.commit([refreshable(1, "second"), Put(refreshable(1).row)], [])
    assert await kept(store) == "second"
    await store.commit([Put(refreshable(1).row), refreshable(1, "third")], [])
    assert await kept(store) == "third"
    await store.commit([refreshable(1, "fourth"), refreshable(1, "fifth")], [])
    assert await kept(store) == "fifth"


async def test_a_dropped_grant_s_refresh_token_goes_with_it(store: Store) -> None:
    await store.commit([refreshable(1), refreshable(2, "other")], [])
    await store.commit([Drop(refreshable(1).row)], [])
    assert (await kept(store), await kept(store, 2)) == (None, "other")
    await store.commit([refreshable(3), Drop(refreshable(3).row)], [])
    assert await kept(store, 3) is None


async def test_one_that_is_to_be_given_back_is_there_until_it_is_dropped_again(
    store: Store,
) -> None:
    one, other = refreshable(1, "one"), refreshable(2, "other")
    await store.commit([one], [])
    await store.commit([Drop(one.row, give_back=True), other, Drop(other.row, give_back=True)], [])
    assert (await store.load()).rows == []
    assert (await kept(store), await kept(store, 2)) == ("one", "other")
    await store.commit([Drop(one.row)], [])
    assert (await kept(store), await kept(store, 2)) == (None, "other")


async def test_a_commit_that_fails_keeps_the_refresh_tokens_as_they_were(store: Store) -> None:
    await store.commit([refreshable(1, "one"), refreshable(2, "two")], [told(1)])
    with pytest.raises(StoreError):
        await store.commit(
            [refreshable(1, "lost"), Drop(refreshable(2).row), refreshable(3)], [told(1)]
        )
    assert [await kept(store, number) for number in (1, 2, 3)] == ["one", "two", None]


async def test_all_rows_come_back_together(store: Store) -> None:
    await store.commit([Put(row) for row in ROWS], [])
    assert sorted_rows((await store.load()).rows) == sorted_rows(ROWS)


async def test_putting_a_row_replaces_the_one_with_its_key(store: Store) -> None:
    await store.commit([Put(session())], [])
    moved = session(handle=77, until=START + MINUTE)
    await store.commit([Put(moved)], [])
    assert (await store.load()).rows == [moved]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: type(row).__name__)
async def test_dropping_a_row_drops_it_alone(store: Store, row: Row) -> None:
    await store.commit([Put(each) for each in ROWS], [])
    await store.commit([Drop(row)], [])
    rest = [each for each in ROWS if each is not row]
    assert sorted_rows((await store.load()).rows) == sorted_rows(rest)


async def test_dropping_what_is_not_there_changes_nothing(store: Store) -> None:
    await store.commit([Drop(session())], [])
    assert (await store.load()).rows == []


async def test_of_several_writes_to_a_row_in_one_batch_the_last_counts(store: Store) -> None:
    one, other = session(1), session(2)
    await store.commit(
        [
            Put(one),
            Put(other),
            Drop(one),
            Put(structs.replace(other, handle=5)),
            Put(structs.replace(other, handle=6)),
        ],
        [],
    )
    assert (await store.load()).rows == [structs.replace(other, handle=6)]
    await store.commit([Drop(other), Put(other), Drop(one), Put(one), Drop(one)], [])
    assert (await store.load()).rows == [other]


async def test_events_come_back_as_they_were_in_order(store: Store) -> None:
    events: list[Event] = [
        opened_event(1),
        LoginRefused(sequence=2, at=START + FINE, user="x", reason="revoked", count=3),
        SessionClosed(
            sequence=3, at=START, session=session().id, process=process_about(), expires_at=START
        ),
    ]
    await store.commit([], events[:2])
    await store.commit([], events[2:])
    assert await store.events_after(0, limit=10) == events


async def test_events_are_read_page_by_page(store: Store) -> None:
    await store.commit([], [told(sequence) for sequence in range(1, 8)])
    pages: list[list[int]] = []
    after = 0
    while page := await store.events_after(after, limit=3):
        pages.append([event.sequence for event in page])
        after = page[-1].sequence
    assert pages == [[1, 2, 3], [4, 5, 6], [7]]
    assert await store.events_after(99, limit=3) == []


async def test_old_events_are_forgotten_and_younger_ones_kept(store: Store) -> None:
    await store.commit([], [told(1), told(2, START + FINE), told(3, START + HOUR)])
    await store.forget_events(before=START + FINE, up_to=0)
    assert [event.sequence for event in await store.events_after(0, limit=9)] == [2, 3]


async def test_events_up_to_a_number_are_forgotten_however_young(store: Store) -> None:
    await store.commit([], [told(sequence, START + HOUR) for sequence in range(1, 5)])
    await store.forget_events(before=START, up_to=2)
    assert [event.sequence for event in await store.events_after(0, limit=9)] == [3, 4]


async def test_the_last_sequence_outlives_its_event(opener: Opener) -> None:
    async with opener() as store:
        await store.commit([], [told(41), told(42)])
        await store.forget_events(before=START + HOUR, up_to=0)
        assert (await store.load()).sequence == 42
    async with opener() as store:
        assert (await store.load()).sequence == 42
        await store.commit([], [told(43)])
        assert (await store.load()).sequence == 43


async def test_a_commit_that_fails_keeps_nothing_and_the_next_one_works(store: Store) -> None:
    await store.commit([Put(session(1))], [told(1)])
    with pytest.raises(StoreError):
        await store.commit([Put(session(2)), Drop(session(1))], [told(2), told(1)])
    assert await store.load() == Loaded([session(1)], 1)
    await store.commit([Put(session(2))], [told(2)])
    assert (await store.load()).sequence == 2
    assert [event.sequence for event in await store.events_after(0, limit=9)] == [1, 2]


async def test_rows_and_events_are_committed_together(store: Store) -> None:
    await store.commit([Put(row) for row in ROWS], [told(1)])
    loaded = await store.load()
    assert (len(loaded.rows), loaded.sequence) == (len(ROWS), 1)
