"""The SQLite store's own promises: durable, sealed, private, and nobody else's."""

import asyncio
import os
import sqlite3
from contextlib import AsyncExitStack, closing
from importlib import resources
from itertools import groupby
from pathlib import Path

import pytest
from msgspec import structs
from structlog.testing import capture_logs

from sessiond.core.cursor import Cursor, DeadLetter
from sessiond.core.errors import AddressInUseError, ConfigError, StoreError
from sessiond.core.events import to_json
from sessiond.core.grant import Grant, TokenHash
from sessiond.core.rows import Drop, Put
from sessiond.core.secret import Secret
from sessiond.core.session import Session
from sessiond.core.ticket import SpentTicket
from sessiond.core.web_login import WebLogin
from sessiond.core.written_rows import Rows
from sessiond.store import SqliteStore, opened
from sessiond.store.codec import CODECS, microseconds
from sessiond.store.refresh_tokens import sealed_place
from sessiond.store.sealing import KeyRing
from sessiond.store.sqlite import VERSION
from tests.fakes import (
    MINUTE,
    START,
    grant,
    grant_id,
    opened_event,
    principal,
    refreshable,
    session,
    session_id,
    ticket_id,
)

pytestmark = pytest.mark.anyio

RING = KeyRing({1: bytes(range(32))})
HASHES = [TokenHash(bytes([number]) * 32) for number in range(1, 6)]
REFRESH = "refresh-token-that-must-never-be-readable-on-disk"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessiond.db"


async def fill(path: Path, sessions: int = 3) -> None:
    async with opened(path, RING) as store:
        await store.commit([Put(session(number)) for number in range(1, sessions + 1)], [])


async def pragma(store: SqliteStore, name: str) -> object:
    async with store._db.execute(f"PRAGMA {name}") as cursor:
        row = await cursor.fetchone()
    assert row is not None
    return row[0]


def spoil(path: Path, statement: str) -> None:
    """Change the closed database behind the store's back."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(statement)


async def kept(store: SqliteStore, number: int) -> str | None:
    """Return the refresh token of the grant of that number."""
    found = await store.refresh_token(grant_id(number))
    return None if found is None else found.reveal()


def on_disk(path: Path) -> bytes:
    """Return every byte of the database and of what SQLite keeps beside it."""
    return b"".join(each.read_bytes() for each in sorted(path.parent.glob(path.name + "*")))


async def test_a_commit_reaches_the_disk_before_it_returns(path: Path) -> None:
    async with opened(path, RING) as store:
        assert await pragma(store, "journal_mode") == "wal"
        assert await pragma(store, "synchronous") == 2  # FULL
        assert await pragma(store, "secure_delete") == 1
        assert await pragma(store, "user_version") == VERSION


async def test_only_places_alone_are_not_synced_to_the_disk(path: Path) -> None:
    place = Put(Cursor(subscriber="audit", sequence=1, at=opened_event(1).at))
    said: list[str] = []
    async with opened(path, RING) as store:
        await store._db.set_trace_callback(said.append)
        await store.commit([place], [])
        assert [each.split(" (")[0] for each, _ in groupby(said)] == [
            "PRAGMA synchronous=NORMAL",
            "INSERT INTO batch",
            "PRAGMA synchronous=FULL",
        ]
        said.clear()
        await store.commit([place, Put(session(1))], [])
        await store.commit([place], [opened_event(1)])
        await store.commit([Drop(place.row)], [])
        assert [each for each in said if each.startswith("PRAGMA")] == []
        assert await pragma(store, "synchronous") == 2  # FULL


async def test_more_rows_than_one_statement_takes_are_written_and_dropped_together(
    path: Path,
) -> None:
    rows = [session(number) for number in range(1, 1001)]
    async with opened(path, RING) as store:
        await store.commit([Put(each) for each in rows], [opened_event(n) for n in range(1, 1001)])
        loaded = await store.load()
        assert list(loaded.rows) == rows  # in the order of their ids, as the table keeps them
        assert [each.sequence for each in await store.events_after(0, limit=1001)] == [
            *range(1, 1001)
        ]
        await store.commit([Drop(each) for each in rows[:-1]], [])
        assert list((await store.load()).rows) == rows[-1:]


async def test_what_was_committed_is_there_for_another_reader_at_once(path: Path) -> None:
    async with opened(path, RING) as store:
        await store.commit([Put(session(1))], [opened_event(1)])
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            assert db.execute("SELECT count(*) FROM sessions").fetchone() == (1,)
            assert db.execute("SELECT sequence FROM events").fetchone() == (1,)


async def test_a_refresh_token_cannot_be_read_from_any_file(path: Path) -> None:
    async with opened(path, RING) as store:
        await store.commit([refreshable(1, REFRESH)], [])
        written = on_disk(path)  # with the write-ahead log
        assert b"subject of alice" in written  # so the search would find it
        assert REFRESH.encode() not in written
        assert REFRESH.encode("utf-16-le") not in written
    assert REFRESH.encode() not in on_disk(path)


async def test_the_same_token_is_sealed_otherwise_each_time(path: Path) -> None:
    sealed = set()
    async with opened(path, RING) as store:
        for _ in range(2):
            await store.commit([refreshable(1, REFRESH)], [])
            async with store._db.execute("SELECT sealed FROM refresh_tokens") as cursor:
                row = await cursor.fetchone()
                assert row is not None
                sealed.add(row[0])
    assert len(sealed) == 2


async def test_a_sealed_token_moved_to_another_row_is_lost_and_the_rest_is_there(
    path: Path,
) -> None:
    async with opened(path, RING) as store:
        theirs = refreshable(2, "x" * 20, subject=principal("mallory").subject)
        await store.commit([refreshable(1, REFRESH), theirs], [])
    spoil(
        path,
        "UPDATE refresh_tokens SET sealed = (SELECT sealed FROM refresh_tokens"
        " WHERE subject = 'subject of alice') WHERE subject = 'subject of mallory'",
    )
    async with opened(path, RING) as store:
        assert len((await store.load()).rows) == 2
        assert await kept(store, 1) == REFRESH
        with capture_logs() as logs:
            assert await kept(store, 2) is None
        assert [(each["event"], each["issuer"]) for each in logs] == [
            ("refresh token lost", "corp")
        ]
        assert "bring them back, or the user must log in" in logs[0]["error"]


async def test_the_key_that_tokens_are_hashed_with_stays(path: Path) -> None:
    async with opened(path, RING) as store:
        first = store.lookup_key
        assert len(first) == 32
    assert first not in on_disk(path)
    async with opened(path, RING) as store:
        assert store.lookup_key == first


async def test_the_files_are_the_owner_s_alone(path: Path) -> None:
    mask = os.umask(0)
    try:
        async with opened(path, RING) as store:
            await store.commit([Put(session(1))], [])
            modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
    finally:
        os.umask(mask)
    assert set(modes) >= {"sessiond.db", "sessiond.db-wal", "sessiond.db.lock"}
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("name", ["sessiond.db", "sessiond.db-wal"])
async def test_a_database_that_others_may_read_is_refused(path: Path, name: str) -> None:
    await fill(path)
    exposed = path.with_name(name)
    exposed.touch()
    exposed.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 0600"):
        async with opened(path, RING):
            pass


@pytest.mark.parametrize("name", ["sessiond.db", "sessiond.db.lock"])
async def test_a_link_in_the_place_of_the_database_or_its_lock_is_not_followed(
    path: Path, tmp_path: Path, name: str
) -> None:
    planted = path.with_name(name)
    planted.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="cannot be opened"):
        async with opened(path, RING):
            pass
    assert not (tmp_path / "elsewhere").exists()


async def test_a_folder_that_everybody_may_write_in_is_refused_unless_it_is_sticky(
    path: Path,
) -> None:
    path.parent.chmod(0o777)
    with pytest.raises(ConfigError, match="everybody may write"):
        async with opened(path, RING):
            pass
    path.parent.chmod(0o1777)
    await fill(path)
    assert path.exists()


async def test_a_second_daemon_is_kept_out_until_the_first_leaves(path: Path) -> None:
    async with opened(path, RING):
        with pytest.raises(AddressInUseError, match="another sessiond"):
            async with opened(path, RING):
                pass
    await fill(path)


async def test_the_lock_is_let_go_when_opening_fails(path: Path) -> None:
    path.write_bytes(b"no database" * 500)
    path.chmod(0o600)
    with pytest.raises(ConfigError):
        async with opened(path, RING):
            pass
    path.unlink()
    await fill(path)


async def test_another_key_is_refused(path: Path) -> None:
    await fill(path)
    for ring in (KeyRing({1: bytes(32)}), KeyRing({2: bytes(range(32))})):
        with pytest.raises(ConfigError, match=r"store\.key_file"):
            async with opened(path, ring):
                pass


async def test_a_newer_schema_is_refused_and_left_alone(path: Path) -> None:
    await fill(path)
    spoil(path, f"PRAGMA user_version = {VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=f"has schema {VERSION + 1}"):
        async with opened(path, RING):
            pass
    assert path.read_bytes() == before


async def test_another_programs_database_is_refused_and_left_alone(path: Path) -> None:
    path.touch(mode=0o600)
    spoil(path, "CREATE TABLE prices (sym TEXT, price REAL)")
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="another program's"):
        async with opened(path, RING):
            pass
    assert path.read_bytes() == before


async def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(os.urandom(8192))
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="cannot be used"):
        async with opened(path, RING):
            pass


@pytest.mark.parametrize("table", ["keys", "sessions"])
async def test_a_damaged_database_is_refused(path: Path, table: str) -> None:
    await fill(path)
    with closing(sqlite3.connect(path)) as db:
        (size,) = db.execute("PRAGMA page_size").fetchone()
        found = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,))
        (page,) = found.fetchone()
    damaged = bytearray(path.read_bytes())
    damaged[(page - 1) * size : page * size] = b"\xff" * size
    path.write_bytes(damaged)
    with pytest.raises(ConfigError, match=r"store\.path"):
        async with opened(path, RING) as store:
            await store.load()


async def test_an_event_that_is_damaged_is_whoever_reads_its_and_ends_no_daemon(path: Path) -> None:
    async with opened(path, RING) as store:
        await store.commit([], [opened_event(1), opened_event(2), opened_event(3)])
    spoil(path, 'UPDATE events SET body = CAST(\'{"kind":"new"}\' AS BLOB) WHERE sequence = 2')
    async with opened(path, RING) as store:
        assert await store.events_after(0, limit=9) == [opened_event(1)]
        with pytest.raises(StoreError, match=r"an event after 1 cannot be read: .*new"):
            await store.events_after(1, limit=2)
        assert await store.events_after(2, limit=9) == [opened_event(3)]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE set_aside SET body = CAST('{' AS BLOB)",
        "UPDATE set_aside SET at = 4611686018427387904",
    ],
)
async def test_a_row_that_is_damaged_is_told_as_such(path: Path, damage: str) -> None:
    async with opened(path, RING) as store:
        row = DeadLetter(
            subscriber="audit", event=opened_event(1), attempts=1, error="no", at=opened_event().at
        )
        await store.commit([Put(row)], [])
    spoil(path, damage)
    async with opened(path, RING) as store:
        with pytest.raises(ConfigError, match=rf"store\.path: {path} cannot be read"):
            await store.load()


async def test_a_path_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent" / "sessiond.db"):
        with pytest.raises(ConfigError, match="cannot be opened"):
            async with opened(path, RING):
                pass


@pytest.mark.parametrize("undoes", ["ABORT", "ROLLBACK"])  # the statement, or all by itself
async def test_when_the_database_refuses_a_write_nothing_is_kept_and_later_writes_work(
    path: Path, undoes: str
) -> None:
    await fill(path)
    spoil(
        path,
        "CREATE TRIGGER full BEFORE INSERT ON sessions WHEN NEW.handle = 13"
        f" BEGIN SELECT RAISE({undoes}, 'the disk is full'); END",
    )
    async with opened(path, RING) as store:
        with pytest.raises(StoreError, match="the disk is full"):
            await store.commit([Put(grant(9)), Put(session(13))], [opened_event(1)])
        loaded = await store.load()
        assert (len(loaded.rows), loaded.sequence) == (3, 0)
        await store.commit([Put(session(14))], [opened_event(1)])
        assert len((await store.load()).rows) == 4


async def test_a_read_only_database_is_a_store_error_until_it_is_writable(path: Path) -> None:
    async with opened(path, RING) as store:
        await store._db.execute("PRAGMA query_only = ON")
        with pytest.raises(StoreError):
            await store.commit([Put(session(1))], [])
        with pytest.raises(StoreError):
            await store.forget_events(before=opened_event().at, up_to=0)
        await store._db.execute("PRAGMA query_only = OFF")
        await store.commit([Put(session(1))], [])
        assert (await store.load()).rows == [session(1)]


async def test_a_refresh_token_that_cannot_be_read_now_is_a_store_error(path: Path) -> None:
    async with opened(path, RING) as store:
        await store.commit([refreshable(1, REFRESH)], [])
        await store._db.execute("ALTER TABLE refresh_tokens RENAME TO elsewhere")
        with pytest.raises(StoreError, match="wanted what is sealed in it: see the disk"):
            await store.refresh_token(grant_id(1))


async def test_what_an_earlier_run_had_still_to_give_back_is_not_kept(path: Path) -> None:
    """It was tried once, or never: nobody here will send it again."""
    async with opened(path, RING) as store:
        await store.commit([refreshable(1, REFRESH), refreshable(2, "other")], [])
        await store.commit([Drop(refreshable(1).row, give_back=True)], [])
        assert await kept(store, 1) == REFRESH
    async with opened(path, RING) as store:
        assert [await kept(store, number) for number in (1, 2)] == [None, "other"]


async def test_a_store_error_tells_no_token(path: Path) -> None:
    async with opened(path, RING) as store:
        await store._db.execute("PRAGMA query_only = ON")
        with pytest.raises(StoreError) as refused:
            await store.commit([refreshable(1, REFRESH)], [])
        assert REFRESH not in str(refused.value)


async def test_a_cancelled_commit_leaves_no_transaction_open(path: Path) -> None:
    async with opened(path, RING) as store:
        for number in range(1, 20):
            commit = asyncio.ensure_future(store.commit([Put(session(number))], []))
            for _ in range(number % 4):
                await asyncio.sleep(0)
            commit.cancel()
            await asyncio.wait([commit])
        await store.commit([Put(session(99))], [])
        assert session(99) in (await store.load()).rows


async def test_another_writer_s_lock_is_a_store_error_and_no_deadlock(path: Path) -> None:
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(opened(path, RING))
        await store._db.execute("PRAGMA busy_timeout = 0")
        other = stack.enter_context(closing(sqlite3.connect(path, isolation_level=None)))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            await store.commit([Put(session(1))], [])
        other.execute("ROLLBACK")
        await store.commit([Put(session(1))], [])


async def test_a_database_of_the_first_schema_is_brought_forward_with_everything_in_it(
    path: Path,
) -> None:
    await fill(path)
    first = resources.files("sessiond.store").joinpath("schema/0001.sql").read_text()
    older = path.with_name("older.db")
    with closing(sqlite3.connect(older)) as db, db:
        db.executescript(first)
        db.execute("ATTACH ? AS newer", (str(path),))
        copy_sessions(db)
        db.execute("INSERT INTO keys SELECT * FROM newer.keys")
        event = opened_event(7)
        db.execute("INSERT INTO events VALUES (7, 0, ?)", (to_json(event),))
        db.execute("PRAGMA user_version = 1")
    older.chmod(0o600)
    place = Cursor(subscriber="audit", sequence=7, at=event.at)
    async with opened(older, RING) as store:
        assert await pragma(store, "user_version") == VERSION
        loaded = await store.load()
        assert (len(loaded.rows), loaded.sequence) == (3, 7)
        assert await store.events_after(0, limit=9) == [event]
        await store.commit([Put(place)], [])
    async with opened(older, RING) as store:
        assert place in (await store.load()).rows


def columns_before(first: str) -> tuple[str, ...]:
    """Return the columns that sessions had before this one was added, and all after it."""
    columns = CODECS[Session].columns
    return columns[: columns.index(first)]


def copy_sessions(db: sqlite3.Connection) -> None:
    """Bring sessions from the database `newer` to one of a schema before the fifth."""
    kept = ", ".join(columns_before("typed"))
    db.execute(f"INSERT INTO sessions ({kept}) SELECT {kept} FROM newer.sessions")  # noqa: S608


def upgraded(row: Session) -> Session:
    """Return what becomes of a session of a schema before the fifth."""
    reasons = dict.fromkeys(row.roles, ("before the upgrade",))
    return structs.replace(row, typed=row.principal.name, assigned=reasons, told=row.roles)


async def test_a_database_of_the_fourth_schema_says_of_each_role_that_it_is_from_before(
    path: Path,
) -> None:
    live = [
        session(1, roles=("reader", "writer")),
        session(2, roles=()),
        session(3, roles=("a'b",)),
    ]
    async with opened(path, RING) as store:
        await store.commit([Put(grant(1)), *map(Put, live)], [])
    older = path.with_name("older.db")
    with closing(sqlite3.connect(older)) as db, db:
        older_schemas(db, 4)
        db.execute("ATTACH ? AS newer", (str(path),))
        copy_sessions(db)
        for table in ("keys", "grants"):
            db.execute(f"INSERT INTO {table} SELECT * FROM newer.{table}")  # noqa: S608
        db.execute("PRAGMA user_version = 4")
    older.chmod(0o600)
    async with opened(older, RING) as store:
        rows = Rows((await store.load()).rows)
    assert list(rows.sessions.values()) == list(map(upgraded, live))


async def test_a_database_of_the_fifth_schema_knows_of_no_login_over_http(path: Path) -> None:
    live, begun = [session(1), session(2, handle=0)], session(3, parent=session_id(1))
    beside = WebLogin(session=session_id(2), cookie=None, base="", made_at=START, used_at=START)
    async with opened(path, RING) as store:
        await store.commit([Put(grant(1)), *map(Put, live)], [])
    older = path.with_name("older.db")
    kept = ", ".join(columns_before("parent"))
    with closing(sqlite3.connect(older)) as db, db:
        older_schemas(db, 5)
        db.execute("ATTACH ? AS newer", (str(path),))
        db.execute(f"INSERT INTO sessions ({kept}) SELECT {kept} FROM newer.sessions")  # noqa: S608
        for table in ("keys", "grants"):
            db.execute(f"INSERT INTO {table} SELECT * FROM newer.{table}")  # noqa: S608
        db.execute("PRAGMA user_version = 5")
    older.chmod(0o600)
    async with opened(older, RING) as store:
        rows = Rows((await store.load()).rows)
        assert list(rows.sessions.values()) == live
        assert not rows.web_logins
        await store.commit([Put(begun), Put(beside)], [])
    async with opened(older, RING) as store:
        rows = Rows((await store.load()).rows)
    assert list(rows.children_of(session_id(1))) == [begun.id]
    assert rows.web_logins == {session_id(2): beside}


async def test_a_database_of_the_sixth_schema_knows_of_no_ticket(path: Path) -> None:
    live = [session(1), session(2, parent=session_id(1))]
    begun = session(3, parent=session_id(1), hops=1, auth_time=START, acr=("mfa",))
    spent = SpentTicket(id=ticket_id(1), session=begun.id, keep_until=START)
    async with opened(path, RING) as store:
        await store.commit([Put(grant(1)), *map(Put, live)], [])
    older = path.with_name("older.db")
    kept = ", ".join(columns_before("sign_in"))
    with closing(sqlite3.connect(older)) as db, db:
        older_schemas(db, 6)
        db.execute("ATTACH ? AS newer", (str(path),))
        db.execute(f"INSERT INTO sessions ({kept}) SELECT {kept} FROM newer.sessions")  # noqa: S608
        for table in ("keys", "grants"):
            db.execute(f"INSERT INTO {table} SELECT * FROM newer.{table}")  # noqa: S608
        db.execute("PRAGMA user_version = 6")
    older.chmod(0o600)
    async with opened(older, RING) as store:
        assert list(Rows((await store.load()).rows).sessions.values()) == live
        await store.commit([Put(begun), Put(spent)], [])
    async with opened(older, RING) as store:
        rows = Rows((await store.load()).rows)
    assert rows.sessions[begun.id] == begun
    assert rows.spent_tickets == {spent.id: spent}


def older_schemas(db: sqlite3.Connection, version: int) -> None:
    schema = resources.files("sessiond.store").joinpath("schema")
    for number in range(1, version + 1):
        db.executescript(schema.joinpath(f"{number:04}.sql").read_text())


def as_before(row: Grant, token: str = REFRESH) -> tuple[object, ...]:
    """Return a grant as the schemas 2 and 3 have it, with its refresh token if it has one."""
    sealed = None
    if row.has_refresh_token:
        sealed = RING.seal(Secret(token), **sealed_place(row.id, row.issuer, row.subject))
    begin, end = microseconds(row.lease.issued_at), microseconds(row.lease.expires_at)
    due = None if row.refresh_at is None else microseconds(row.refresh_at)
    about = (row.id.bytes, row.issuer, row.subject, row.client, begin, end)
    return (*about, sealed, due, int(row.proven), None, row.iss)


async def test_a_database_of_the_third_schema_has_its_refresh_tokens_apart_from_then_on(
    path: Path,
) -> None:
    await fill(path)
    pairs = [
        grant(number, has_refresh_token=True, refresh_at=START, proven=bool(number % 2), iss="i")
        for number in range(1, 4)
    ]
    older = path.with_name("older.db")
    with closing(sqlite3.connect(older)) as db, db:
        older_schemas(db, 3)
        db.execute("ATTACH ? AS newer", (str(path),))
        db.execute("INSERT INTO keys SELECT * FROM newer.keys")
        for each in (*pairs, grant(4)):
            row = as_before(each, f"{REFRESH}{each.id}")
            db.execute(f"INSERT INTO grants VALUES ({', '.join('?' * 11)})", row)  # noqa: S608
        db.execute("PRAGMA user_version = 3")
    older.chmod(0o600)
    for _ in range(2):
        async with opened(older, RING) as store:
            assert (await store.load()).rows == [*pairs, grant(4)]
            tokens = [await kept(store, number) for number in range(1, 5)]
            assert tokens == [*(f"{REFRESH}{each.id}" for each in pairs), None]
    assert REFRESH.encode() not in on_disk(older)


async def test_a_database_of_the_second_schema_keeps_what_sessions_may(path: Path) -> None:
    """Two came with one pair of tokens then, of which the second had brought the access alone."""
    pair = grant(1, has_refresh_token=True, refresh_at=START, proven=True)
    alone = grant(2)
    live = [
        session(1, access=HASHES[0]),
        session(2, access=HASHES[0]),
        session(3, grant=grant_id(2), access=HASHES[2]),
    ]
    async with opened(path, RING) as store:
        await store.commit(list(map(Put, live)), [])
    older = path.with_name("older.db")
    with closing(sqlite3.connect(older)) as db, db:
        older_schemas(db, 2)
        db.execute("ATTACH ? AS newer", (str(path),))
        copy_sessions(db)
        db.execute("INSERT INTO keys SELECT * FROM newer.keys")
        for each in (pair, alone):
            db.execute(f"INSERT INTO grants VALUES ({', '.join('?' * 11)})", as_before(each))  # noqa: S608
        owners = (pair, pair, alone, pair, None)
        db.executemany(
            "INSERT OR REPLACE INTO tokens VALUES (?, ?, ?, ?, ?)",
            [
                (each, None if owner is None else owner.id.bytes, 0, 1, 0)
                for each, owner in zip(HASHES, owners, strict=True)
            ],
        )
        db.execute("PRAGMA user_version = 2")
    older.chmod(0o600)
    async with opened(older, RING) as store:
        rows = Rows((await store.load()).rows)
        assert await kept(store, 1) == REFRESH
    assert list(rows.grants.values()) == [pair, alone]
    assert list(rows.sessions.values()) == list(map(upgraded, live))
    access, refresh, opaque, other_access, unknown = (rows.tokens[each] for each in HASHES)
    assert (access.grant, access.came_with) == (None, (refresh.hash,))
    assert rows.access_beside(pair.id) == [access]
    assert (refresh.grant, opaque.grant, other_access.grant) == (pair.id, alone.id, pair.id)
    assert (unknown.grant, unknown.came_with) == (None, ())


async def test_a_token_row_that_was_cut_keeps_the_daemon_from_starting(path: Path) -> None:
    await fill(path)
    spoil(path, "INSERT INTO tokens VALUES (x'01', NULL, 0, 1, 0, x'0102')")
    async with opened(path, RING) as store:
        with pytest.raises(ConfigError, match="no hashes"):
            await store.load()


async def test_a_set_aside_event_outlives_the_outbox(path: Path) -> None:
    event = opened_event(1)
    aside = DeadLetter(subscriber="audit", event=event, attempts=8, error="full", at=event.at)
    async with opened(path, RING) as store:
        await store.commit([Put(aside)], [event])
        await store.forget_events(before=event.at + MINUTE, up_to=0)
        assert await store.events_after(0, limit=9) == []
    async with opened(path, RING) as store:
        assert (await store.load()).rows == [aside]
