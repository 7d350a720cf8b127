"""Keys of the database rotate: everything sealed is sealed anew, and only what has to be."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sessiond.core.errors import ConfigError, StoreError
from sessiond.core.rows import Put, SecretRow
from sessiond.core.secret import Secret
from sessiond.core.stored_value import StoredValue
from sessiond.core.ticket import TicketKey
from sessiond.store import opened
from sessiond.store.rekey import rekey
from sessiond.store.sealing import KeyRing, SealError
from sessiond.store.sqlite import VERSION
from tests.fakes import START, grant, grant_id, refreshable

pytestmark = pytest.mark.anyio

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
BEFORE, DURING, AFTER = KeyRing({1: OLD}), KeyRing({1: OLD, 2: NEW}), KeyRing({2: NEW})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessiond.db"


async def fill(path: Path) -> bytes:
    """Make a database with two grants that can be refreshed and one that cannot."""
    async with opened(path, BEFORE) as store:
        await store.commit([refreshable(1, "one"), refreshable(2, "two"), Put(grant(3))], [])
        return store.lookup_key


async def test_with_the_new_key_alone_everything_is_there(path: Path) -> None:
    lookup_key = await fill(path)
    assert rekey(path, DURING) == 3  # two refresh tokens, and the key that tokens are hashed with
    assert rekey(path, DURING) == 0
    async with opened(path, AFTER) as store:
        assert store.lookup_key == lookup_key
        tokens = [await store.refresh_token(grant_id(number)) for number in (1, 2, 3)]
    assert [each and each.reveal() for each in tokens] == ["one", "two", None]


async def test_what_is_sealed_beside_rows_is_sealed_anew_some_at_a_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessiond.store.rekey.SOME", 2)
    rows = [StoredValue(context="c", name=str(n), size=1, written_at=START) for n in range(5)]
    key = TicketKey(id="kid", public=bytes(32), made_at=START)
    async with opened(path, BEFORE) as store:
        await store.commit([*(Put(row, Secret(row.name)) for row in rows)], [])
        await store.commit([Put(key, Secret("private"))], [])
    assert rekey(path, DURING) == 7  # six, and the key that tokens are hashed with
    assert rekey(path, DURING) == 0
    async with opened(path, AFTER) as store:
        beside: tuple[SecretRow, ...] = (*rows, key)
        found = [await store.secret(row) for row in beside]
    assert [each and each.reveal() for each in found] == ["0", "1", "2", "3", "4", "private"]


async def test_a_value_of_a_key_that_is_gone_is_left_as_it_is(path: Path) -> None:
    await fill(path)
    with pytest.raises(SealError):
        rekey(path, AFTER)
    async with opened(path, BEFORE) as store:
        assert len((await store.load()).rows) == 3


def test_where_there_is_no_database_none_is_made(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"store\.path: there is no database"):
        rekey(path, DURING)
    assert not path.exists()


def test_what_is_no_database_of_ours_cannot_be_written(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE other (x)")
        db.execute(f"PRAGMA user_version = {VERSION}")
    with pytest.raises(StoreError, match="no such table: refresh_tokens"):
        rekey(path, DURING)


async def test_a_database_that_no_daemon_of_this_version_has_opened_is_left_alone(
    path: Path,
) -> None:
    await fill(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA user_version = 3")
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"has schema 3, wanted 7: start this version's daemon"):
        rekey(path, DURING)
    assert path.read_bytes() == before
