"""The tables that grow with the sessions, read in pieces."""

import gc
import sqlite3
import tracemalloc
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from msgspec import structs

from sessiond.core.grant import Grant, GrantId, KnownToken, TokenHash
from sessiond.core.rows import NameOwner, Put, Row
from sessiond.core.session import Session, SessionId, SessionState
from sessiond.core.web_login import WebLogin
from sessiond.core.written_rows import Rows
from sessiond.store import bulk_reading, opened
from sessiond.store.bulk_reading import HASH_SIZE, TABLES, rows_of
from sessiond.store.sealing import KeyRing
from tests.fakes import MINUTE, START, grant, principal, process_key, session
from tests.many_sessions import fill
from tests.unit.forked import in_its_own_process

pytestmark = pytest.mark.anyio

RING = KeyRing({1: bytes(range(32))})
MANY = 2000
A_SESSION = 2150  # bytes, with a grant, two tokens and a name of its own: all that is made of them


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessiond.db"


def hash_of(number: int) -> TokenHash:
    return TokenHash(number.to_bytes(HASH_SIZE, "big"))


def many(count: int) -> list[Row]:
    rows: list[Row] = []
    for number in range(1, count + 1):
        own, at = GrantId(UUID(int=number)), START + timedelta(microseconds=number)
        rows += [
            grant(id=own, has_refresh_token=number % 2 == 0, refresh_at=at, iss="x"),
            session(
                number,
                id=SessionId(UUID(int=number << 64)),
                grant=own,
                access=hash_of(number),
                process=process_key(number % 3),
                principal=principal(f'"Us\u00e9r" {number}\n'),
                state=list(SessionState)[number % 3],
                since=at,
                until=at if number % 3 else None,
                parent=SessionId(UUID(int=number + 1)) if number % 5 == 0 else None,
            ),
            WebLogin(
                session=SessionId(UUID(int=number << 64)),
                cookie=hash_of(number) if number % 2 else None,
                base="https://gw:5007" if number % 2 else "",
                made_at=at,
                used_at=at + MINUTE,
            ),
            KnownToken(hash=hash_of(number), grant=own, seen_at=at, keep_until=at + MINUTE),
            KnownToken(
                hash=hash_of(number + (1 << 100)),
                grant=None,
                seen_at=at,
                keep_until=at,
                is_refused=True,
                came_with=(hash_of(number), hash_of(1)),
            ),
            NameOwner(name=f"user {number:03}", issuer="corp", subject=f"s {number}"),
        ]
    return rows


def by_key(rows: list[Row]) -> list[Row]:
    return [
        *sorted((row for row in rows if isinstance(row, Grant)), key=lambda row: row.id),
        *sorted((row for row in rows if isinstance(row, Session)), key=lambda row: row.id),
        *sorted((row for row in rows if isinstance(row, KnownToken)), key=lambda row: row.hash),
        *sorted((row for row in rows if isinstance(row, NameOwner)), key=lambda row: row.name),
        *sorted((row for row in rows if isinstance(row, WebLogin)), key=lambda row: row.session),
    ]


@pytest.mark.parametrize("count", [0, 1, 4, 5, 11])
async def test_all_rows_are_there_as_they_were_written_however_many_pieces_they_come_in(
    path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_reading, "PIECE", 5)
    rows = many(count)
    async with opened(path, RING) as store:
        await store.commit([Put(row) for row in rows], [])
    assert rows_of(path) == by_key(rows)


async def test_rows_that_are_large_come_in_fewer_at_a_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_reading, "FIRST_PIECE", 2)
    monkeypatch.setattr(bulk_reading, "TEXT", 2000)
    rows = [
        structs.replace(row, roles=("x" * 1000,)) if isinstance(row, Session) else row
        for row in many(8)
    ]
    async with opened(path, RING) as store:
        await store.commit([Put(row) for row in rows], [])
    with closing(sqlite3.connect(path)) as db:
        sizes = [len(text) for table, text in bulk_reading._texts(db) if table.kind is Session]
    assert len(sizes) == 1 + 6  # two, of which is seen how large they are; then one after the other
    assert rows_of(path) == by_key(rows)


async def test_very_many_rows_are_read_with_a_few_statements(path: Path) -> None:
    said: list[str] = []
    async with opened(path, RING) as store:
        await store.commit([Put(row) for row in many(300)], [])
    with closing(sqlite3.connect(path, check_same_thread=False)) as db:
        db.set_trace_callback(said.append)
        assert sum(len(text) > 0 for _, text in bulk_reading._texts(db)) == 2 * len(TABLES)
    assert len(said) == 3 * len(TABLES)  # of which the last says that there are no more


async def test_what_rows_have_in_common_is_one_object(path: Path) -> None:
    async with opened(path, RING) as store:
        await store.commit([Put(row) for row in many(6)], [])
    rows = rows_of(path)
    sessions = [row for row in rows if isinstance(row, Session)]
    tokens = [row for row in rows if isinstance(row, KnownToken)]
    assert len({id(each.process) for each in sessions}) == 3
    assert len({id(each.about) for each in sessions}) == 1
    assert len({id(each.roles) for each in sessions}) == 1
    ids = {id(row.id) for row in rows if isinstance(row, Grant)}
    assert {id(each.grant) for each in sessions} == ids
    assert {id(each.grant) for each in tokens if each.grant is not None} == ids
    hashes = {id(each.hash) for each in tokens}
    assert {id(each.access) for each in sessions} <= hashes
    assert {id(came) for each in tokens for came in each.came_with} <= hashes


async def test_a_row_that_json_or_its_type_cannot_have_is_an_error(path: Path) -> None:
    async with opened(path, RING) as store:
        await store.commit([Put(row) for row in many(1)], [])
    for damage in ("roles = '['", "state = 'lost'", "name = CAST(x'ff' AS TEXT)"):
        with closing(sqlite3.connect(path)) as db, db:
            db.execute(f"UPDATE sessions SET {damage}")  # noqa: S608 - our own
        with pytest.raises(ValueError):
            rows_of(path)


def test_a_session_with_all_that_is_its_own_takes_little_memory(tmp_path: Path) -> None:
    """Bytes are counted, as Python asked for them: the machine and its load change nothing."""
    path = tmp_path / "many.db"
    fill(path, MANY, refresh_at=START, expires_at=START + timedelta(days=365 * 20))

    def check() -> None:
        gc.disable()
        tracemalloc.start()
        rows = Rows(rows_of(path))
        taken, _ = tracemalloc.get_traced_memory()
        assert len(rows.sessions) == MANY
        assert taken / MANY < A_SESSION

    in_its_own_process(check)
