"""Keys of the database rotate: everything sealed is sealed anew, and only what has to be."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sessiond.core.errors import ConfigError, StoreError
from sessiond.core.grant import Grant
from sessiond.core.rows import Put
from sessiond.core.secret import Secret
from sessiond.store import opened
from sessiond.store.rekey import rekey
from sessiond.store.sealing import KeyRing, SealError
from tests.fakes import grant

pytestmark = pytest.mark.anyio

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
BEFORE, DURING, AFTER = KeyRing({1: OLD}), KeyRing({1: OLD, 2: NEW}), KeyRing({2: NEW})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessiond.db"


async def fill(path: Path) -> bytes:
    """Make a database with two grants that can be refreshed and one that cannot."""
    grants = [grant(1, refresh_token=Secret("one")), grant(2, refresh_token=Secret("two"))]
    async with opened(path, BEFORE) as store:
        await store.commit([Put(each) for each in (*grants, grant(3))], [])
        return store.lookup_key


async def test_with_the_new_key_alone_everything_is_there(path: Path) -> None:
    lookup_key = await fill(path)
    assert rekey(path, DURING) == 3  # two refresh tokens, and the key that tokens are hashed with
    assert rekey(path, DURING) == 0
    async with opened(path, AFTER) as store:
        assert store.lookup_key == lookup_key
        rows = (await store.load()).rows
    tokens = [row.refresh_token for row in rows if isinstance(row, Grant)]
    assert sorted(each.reveal() for each in tokens if each is not None) == ["one", "two"]


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
    with pytest.raises(StoreError, match="no such table: grants"):
        rekey(path, DURING)
