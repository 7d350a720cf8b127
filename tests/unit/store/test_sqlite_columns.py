"""Every statement names its columns: nothing depends on the order in which a table has them."""

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from importlib import resources
from pathlib import Path

import pytest

from sessiond.core.rows import Drop, Put, Row
from sessiond.store import opened
from sessiond.store.codec import CODECS
from sessiond.store.sealing import KeyRing
from sessiond.store.sqlite import QUERIES
from tests.fakes import grant_id, opened_event, refreshable
from tests.unit.store.test_store_contract import ROWS

pytestmark = pytest.mark.anyio

RING = KeyRing({1: bytes(range(32))})
NAMELESS = re.compile(r"SELECT\s+\*|INTO\s+\w+\s+(VALUES|SELECT)\b", re.IGNORECASE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessiond.db"


def tables(db: sqlite3.Connection) -> list[str]:
    found = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return [name for (name,) in found if not name.startswith("sqlite_")]


def turn_round(path: Path) -> None:
    """Make every table anew with its columns the other way round."""
    with closing(sqlite3.connect(path)) as db, db:
        for table in set(tables(db)) - {"events"}:  # whose key has to be its rowid
            columns = db.execute(f"PRAGMA table_info({table})").fetchall()[::-1]
            keys = [column[1] for column in sorted(columns, key=lambda each: each[5]) if column[5]]
            made = ", ".join(
                f"{name} {kind}{' NOT NULL' if needed else ''}"
                for _, name, kind, needed, *_ in columns
            )
            names = ", ".join(column[1] for column in columns)
            db.execute(f"CREATE TABLE turned ({made}, PRIMARY KEY ({', '.join(keys)})) STRICT")
            db.execute(f"INSERT INTO turned ({names}) SELECT {names} FROM {table}")  # noqa: S608 - its own names
            db.execute(f"DROP TABLE {table}")
            db.execute(f"ALTER TABLE turned RENAME TO {table}")


def sorted_rows(rows: Sequence[Row]) -> list[str]:
    return sorted(map(repr, rows))


def test_no_statement_leaves_out_which_columns_it_means() -> None:
    schema = resources.files("sessiond.store").joinpath("schema")
    texts = [*QUERIES.values(), *(each.read_text() for each in schema.iterdir())]
    assert [text for text in texts if NAMELESS.search(text)] == []


async def test_no_statement_that_is_executed_leaves_out_which_columns_it_means(path: Path) -> None:
    said: list[str] = []
    async with opened(path, RING) as store:
        await store._db.set_trace_callback(said.append)
        await store.commit([Put(row) for row in ROWS], [opened_event(1)])
        await store.load()
        await store.refresh_token(grant_id(1))
        await store.events_after(0, limit=9)
        await store.commit([Drop(row) for row in ROWS], [])
    assert {each.split()[0] for each in said} >= {"INSERT", "SELECT"}
    assert [each for each in said if NAMELESS.search(each)] == []


async def test_each_list_of_columns_is_whole(path: Path) -> None:
    async with opened(path, RING):
        pass
    with closing(sqlite3.connect(path)) as db:
        kept = {
            tuple(sorted(column[1] for column in db.execute(f"PRAGMA table_info({table})")))
            for table in set(tables(db)) - {"events", "keys", "refresh_tokens", "secrets"}
        }
    assert {tuple(sorted(codec.columns)) for codec in CODECS.values()} == kept


async def test_tables_with_their_columns_in_another_order_are_read_and_written_the_same(
    path: Path,
) -> None:
    first, second = ROWS[::2], ROWS[1::2]
    async with opened(path, RING) as store:
        await store.commit([*(Put(row) for row in first), refreshable(7, "one")], [])
        key = store.lookup_key
    turn_round(path)
    async with opened(path, RING) as store:
        await store.commit([refreshable(7, "two"), Drop(refreshable(7).row, give_back=True)], [])
        token = await store.refresh_token(grant_id(7))
        assert token is not None
        assert token.reveal() == "two"
        assert sorted_rows((await store.load()).rows) == sorted_rows(first)
        await store.commit([Put(row) for row in second], [])
        assert sorted_rows((await store.load()).rows) == sorted_rows(ROWS)
        assert store.lookup_key == key
    with closing(sqlite3.connect(path)) as db:
        (last,) = db.execute("SELECT name FROM pragma_table_info('sessions') LIMIT 1").fetchone()
        assert last == "sign_in"  # they were the other way round all the while
