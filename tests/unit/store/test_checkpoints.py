"""The write-ahead log is copied beside the commits, by none of them, and stays short."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from sessiond.store import SqliteStore, checkpoints, opened
from sessiond.store.sealing import KeyRing
from tests.fakes import FakeClock, grant_id, idle, refreshable

pytestmark = pytest.mark.anyio

RING = KeyRing({1: bytes(32)})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "LONG", 300_000)
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


async def write(store: SqliteStore, commits: int, *, start: int = 0) -> None:
    for number in range(start, start + commits):
        await store.commit([refreshable(number, "r" * 3000)], [])


async def kept(store: SqliteStore, number: int) -> str:
    found = await store.refresh_token(grant_id(number))
    return "" if found is None else found.reveal()


async def test_no_commit_copies_anything(store: SqliteStore, path: Path) -> None:
    async with store._db.execute("PRAGMA wal_autocheckpoint") as cursor:
        assert await cursor.fetchone() == (0,)
    said: list[str] = []
    await store._db.set_trace_callback(said.append)
    before = path.read_bytes()
    await write(store, 100)
    assert path.read_bytes() == before
    assert log_bytes(path) > checkpoints.HELD
    await store.checkpoints.make()
    assert path.stat().st_size > len(before)
    assert not [each for each in said if "checkpoint" in each]


async def test_where_nobody_reads_the_log_is_begun_anew_and_cut(
    store: SqliteStore, path: Path
) -> None:
    await store._db.execute(f"PRAGMA journal_size_limit={checkpoints.LONG}")
    await write(store, 100)
    long = log_bytes(path)
    await store.checkpoints.make()
    await write(store, 1)
    assert (long > checkpoints.LONG, log_bytes(path)) == (True, checkpoints.LONG)
    for _ in range(5):
        await store.checkpoints.make()
        await write(store, 9)
    assert log_bytes(path) == checkpoints.LONG


async def test_a_log_that_another_process_s_reading_has_made_long_shrinks_when_it_is_gone(
    store: SqliteStore, path: Path
) -> None:
    await store._db.execute(f"PRAGMA journal_size_limit={checkpoints.LONG}")
    with reading(path):
        with capture_logs() as logs:
            for _ in range(3):
                await write(store, 100)
                await store.checkpoints.make()
        held = log_bytes(path)
        assert [each["event"] for each in logs] == ["somebody reads the database without end"]
        assert logs[0]["log_bytes"] > checkpoints.HELD
    await store.checkpoints.make()
    await write(store, 1)
    assert (held > checkpoints.HELD, log_bytes(path)) == (True, checkpoints.LONG)


async def copies_while_somebody_writes(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> list[bool]:
    """Copy while a row is written; return of each copy whether a commit had to wait for it."""
    copy, held = store.checkpoints._copy, list[bool]()

    async def copy_and_write() -> tuple[int, int]:
        held.append(store._turn.locked())
        found = await copy()
        if not store._turn.locked():
            await write(store, 1)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(store.checkpoints, "_copy", copy_and_write)
        await store.checkpoints.make()
    return held


async def test_no_commit_waits_for_a_copy_while_the_log_is_short(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(store, 4)
    assert log_bytes(path) < checkpoints.LONG
    assert await copies_while_somebody_writes(store, monkeypatch) == [False]
    await write(store, 100)
    assert await copies_while_somebody_writes(store, monkeypatch) == [False, True]


async def test_no_commit_waits_for_a_copy_that_a_reader_keeps_from_its_end(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reading(path):
        await write(store, 100)
        assert log_bytes(path) > checkpoints.LONG
        assert await copies_while_somebody_writes(store, monkeypatch) == [False]


async def test_a_log_below_the_mark_is_begun_anew_once_nobody_writes(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(store, 4)
    await copies_while_somebody_writes(store, monkeypatch)
    await store.checkpoints.make()
    before = log_bytes(path)
    await write(store, 4)
    assert log_bytes(path) == before


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Have another process read the database all the while."""
    read = (
        "import sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "db.execute('BEGIN')\n"
        "db.execute('SELECT count(*) FROM grants').fetchone()\n"
        "print(flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", read, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        yield
        reader.communicate(b"")


async def test_the_last_of_the_log_is_copied_while_a_commit_waits(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one commit follows upon the other there is always something more to copy."""
    copy, copies = store.checkpoints._copy, list[tuple[int, int]]()

    async def copy_and_write() -> tuple[int, int]:
        pages, copied = await copy()
        copies.append((pages, copied))
        if len(copies) == 1:
            await write(store, 1)
            return pages, copied
        late = asyncio.ensure_future(write(store, 1))
        await idle()
        assert not late.done()
        waiting.append(late)
        return pages, copied

    waiting: list[asyncio.Future[None]] = []
    await write(store, 100)
    monkeypatch.setattr(store.checkpoints, "_copy", copy_and_write)
    await store.checkpoints.make()
    assert len(copies) == 2
    assert copies[1][0] == copies[1][1]
    await waiting[0]


async def test_kill_9_in_between_loses_nothing(path: Path) -> None:
    program = (
        "import anyio, os, sys\n"
        "from pathlib import Path\n"
        "from sessiond.store import opened\n"
        "from tests.unit.store.test_checkpoints import RING, write\n"
        "async def main():\n"
        "    async with opened(Path(sys.argv[1]), RING) as store:\n"
        "        await write(store, 40)\n"
        "        await store.checkpoints.make()\n"
        "        await write(store, 40, start=40)\n"
        "        os.kill(os.getpid(), 9)\n"
        "anyio.run(main)\n"
    )
    ended = await anyio.run_process([sys.executable, "-c", program, str(path)], check=False)
    assert ended.returncode == -9, ended.stderr
    async with opened(path, RING) as store:
        assert [await kept(store, number) for number in range(80)] == ["r" * 3000] * 80


async def test_much_is_copied_soon_little_later_and_nothing_never(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, made = FakeClock(), list[float]()
    make = store.checkpoints.make

    async def note() -> None:
        with clock.holding():
            await make()
        made.append(clock.monotonic() - began)

    monkeypatch.setattr(store.checkpoints, "make", note)
    began = clock.monotonic()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.checkpoints.run, clock)
        await clock.advance(10)
        await write(store, 1)
        await clock.advance(60)
        assert made == [10 + checkpoints.LATE]
        store.checkpoints.note_commit(checkpoints.MANY - 1)
        await clock.advance(1)
        store.checkpoints.note_commit(1)
        await clock.advance(1)
        assert made[1:] == [71]
        await clock.advance(100)
        assert len(made) == 2
        tasks.cancel_scope.cancel()


async def test_what_fails_is_told_once_and_logins_go_on(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> tuple[int, int]:
        raise sqlite3.OperationalError("disk I/O error")

    with capture_logs() as logs, monkeypatch.context() as patched:
        patched.setattr(store.checkpoints, "_copy", fail)
        for _ in range(3):
            await store.checkpoints.make()
        await write(store, 1)
    assert logs == [
        {"event": "checkpoint failed", "error": "disk I/O error", "log_level": "warning"}
    ]
    await store.checkpoints.make()
