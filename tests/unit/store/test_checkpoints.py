"""The write-ahead log is cut off where somebody's reading has made it long, and else left alone."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from sessiond.core.rows import Put
from sessiond.core.secret import Secret
from sessiond.store import SqliteStore, checkpoints, opened
from sessiond.store.sealing import KeyRing
from tests.fakes import FakeClock, grant

pytestmark = pytest.mark.anyio

RING = KeyRing({1: bytes(32)})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "LONG", 200_000)
    monkeypatch.setattr(checkpoints, "HELD", 400_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    async with opened(path, RING) as store:
        yield store


def log_bytes(path: Path) -> int:
    return path.with_name("db-wal").stat().st_size


async def write(store: SqliteStore, commits: int) -> None:
    for number in range(commits):
        await store.commit([Put(grant(number, refresh_token=Secret("r" * 3000)))], [])


async def test_where_nobody_reads_the_log_is_sqlite_s_to_copy_and_stays_short(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is copied oftener, or cut off shorter, has each commit wait for more of the disk."""
    monkeypatch.undo()
    asked: list[int] = []

    async def ask() -> tuple[int, int]:
        asked.append(1)
        return 0, 0

    monkeypatch.setattr(store.checkpoints, "_copy", ask)
    before = path.stat().st_size
    for _ in range(3):
        await write(store, 600)  # more than the 1,000 pages after which SQLite does it
        await store.checkpoints.make()
    assert path.stat().st_size > before
    assert 1000 * 4096 < log_bytes(path) < checkpoints.LONG / 2
    assert not asked


async def test_a_log_that_a_reader_has_made_long_shrinks_when_he_is_gone(
    store: SqliteStore, path: Path
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM grants").fetchone()
        with capture_logs() as logs:
            for _ in range(3):
                await write(store, 60)
                await store.checkpoints.make()
        held = log_bytes(path)
        assert [each["event"] for each in logs] == ["somebody reads the database without end"]
        assert logs[0]["log_bytes"] > checkpoints.HELD
    await write(store, 1)
    await store.checkpoints.make()
    assert (held > checkpoints.HELD, log_bytes(path)) == (True, 0)


async def test_one_is_made_soon_after_something_was_written_and_else_none(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, made = FakeClock(), list[int]()

    async def make() -> None:
        made.append(1)

    monkeypatch.setattr(store.checkpoints, "make", make)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.checkpoints.run, clock)
        await clock.advance(10)
        before = len(made)  # what opening has written, if anything
        await write(store, 3)
        await clock.advance(1)
        assert len(made) == before + 1
        await clock.advance(10)
        assert len(made) == before + 1
        tasks.cancel_scope.cancel()


async def test_what_fails_is_told_once_and_logins_go_on(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> tuple[int, int]:
        raise sqlite3.OperationalError("disk I/O error")

    with capture_logs() as logs, monkeypatch.context() as patched:
        patched.setattr(store.checkpoints, "_copy", fail)
        patched.setattr(checkpoints, "LONG", 0)
        for _ in range(3):
            await store.checkpoints.make()
        await write(store, 1)
    assert logs == [
        {"event": "checkpoint failed", "error": "disk I/O error", "log_level": "warning"}
    ]
    await store.checkpoints.make()
