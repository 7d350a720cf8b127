"""Whether the store's key opens the database that is there."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from sessiond import store
from sessiond.config import Config, IssuerConfig, StoreConfig
from sessiond.config.credentials import new_key
from sessiond.core.errors import ConfigError
from sessiond.ctl.doctor import keys
from sessiond.ctl.doctor.files import Where
from sessiond.ctl.doctor.finding import Finding
from sessiond.store.sealing import KeyRing

ISSUER = IssuerConfig(name="corp", issuer="https://login.example.com/", verify="jwt")
HERE = Where(owner=None, credentials=None)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database that a daemon has made, with its key beside it."""
    path, key = tmp_path / "db", new_key()
    (tmp_path / "db.key").write_text(f"{key.reveal()}\n")

    async def make() -> None:
        async with store.opened(path, KeyRing.from_text(key)):
            pass

    anyio.run(make)
    return path


def look(database: Path, *, key_file: str = "", where: Where = HERE) -> Finding | None:
    config = Config(issuers=(ISSUER,), store=StoreConfig(key_file=key_file))
    found = list(keys.store_key_fits(config, database, where))
    assert len(found) <= 1
    return found[0] if found else None


def outcome(finding: Finding | None) -> str:
    assert finding is not None
    return finding.outcome.value


def test_the_key_beside_the_database_opens_it(database: Path) -> None:
    files = sorted(database.parent.iterdir())
    assert outcome(look(database)) == "ok"
    assert sorted(database.parent.iterdir()) == files  # nothing the daemon could stumble over


def test_a_database_in_use_is_looked_at_too(database: Path) -> None:
    key = keys.read_secret(database.with_name("db.key"))

    async def look_meanwhile() -> None:
        async with store.opened(database, KeyRing.from_text(key)):
            assert outcome(look(database)) == "ok"

    anyio.run(look_meanwhile)


def test_another_key_or_none_that_is_one_does_not_fit(database: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text(new_key().reveal())
    found = look(database, key_file=str(other))
    assert outcome(found) == "wrong"
    assert other.read_text() not in str(found)
    other.write_text("no key")
    assert outcome(look(database, key_file=str(other))) == "wrong"


def test_a_credential_goes_before_the_file_beside(database: Path, tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "store").write_text(new_key().reveal())
    where = Where(owner=None, credentials=credentials)
    assert outcome(look(database, where=where)) == "wrong"
    (credentials / "store").write_bytes(database.with_name("db.key").read_bytes())
    assert outcome(look(database, where=where)) == "ok"


def test_where_the_key_or_the_database_is_not_there_nothing_is_said_twice(database: Path) -> None:
    assert look(database.with_name("none")) is None
    database.with_name("db.key").unlink()
    assert look(database) is None


def test_what_is_no_database_is_wrong(database: Path) -> None:
    database.write_bytes(b"x" * 5000)
    assert outcome(look(database)) == "wrong"


def test_an_empty_database_is_filled_by_the_next_start(database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("DELETE FROM keys")
    assert outcome(look(database)) == "warning"


def test_who_may_not_read_is_told_so(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = look(database)
    assert found is not None
    assert (found.outcome.value, found.found) == ("warning", "not looked at: Permission denied")


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"x" * 70000])
def test_what_is_no_secret_is_not_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        keys.read_secret(tmp_path / "secret")
    assert "xxx" not in str(raised.value)
