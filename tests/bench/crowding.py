"""Logins beside many operators who read, and with many revocations in force."""

import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import anyio

from sessiond.config.credentials import store_key
from sessiond.core.revocation import Revocation, Scope
from sessiond.core.rows import Put
from sessiond.store import opened
from sessiond.store.sealing import KeyRing
from tests.bench.bench import Bench, must_be_accepted
from tests.bench.everybody import Control
from tests.bench.figures import Figures, Row, medians, of_load
from tests.issuer.running import ALICE
from tests.many_sessions import fill
from tests.running_daemon import RunningDaemon, configuration

ROUNDS = 3
LOGINS = 200  # a round
SESSIONS = 10_000  # to be read
READERS = 64
REVOCATIONS = 10_000
PAGE = "/v1/sessions?limit=100"


def measure(bench: Bench) -> Iterator[Row]:
    """Measure cached logins on one connection, with and without, by turns."""
    login = (ALICE, bench.issuer.tokens()["access_token"])
    later = datetime.now(UTC) + timedelta(days=10)

    def round_of(daemon: RunningDaemon) -> Figures:
        return of_load(must_be_accepted(bench.load(daemon, [[login] * bench.few(LOGINS)])))

    folder = _folder(bench, "read")
    fill(folder / "sessiond.db", bench.few(SESSIONS), refresh_at=later, expires_at=later)
    quiet, read = [], []
    with RunningDaemon(folder, configuration(bench.issuer, login="grace = 600.0")) as daemon:
        round_of(daemon)
        for _ in range(bench.rounds(ROUNDS)):
            quiet.append(round_of(daemon))
            with readers(folder / "c"):
                read.append(round_of(daemon))
    yield Row(f"cached login, 1 connection, {bench.few(SESSIONS):,} sessions", medians(quiet))
    yield Row(f"- beside {READERS} operators who read all the time", medians(read), PAGE)

    none, some = _folder(bench, "none"), _folder(bench, "some")
    _revoke(some / "sessiond.db", bench.few(REVOCATIONS))
    text, free, revoked = configuration(bench.issuer), [], []
    with RunningDaemon(none, text) as one, RunningDaemon(some, text) as other:
        round_of(one), round_of(other)
        for _ in range(bench.rounds(ROUNDS)):
            free.append(round_of(one))
            revoked.append(round_of(other))
    yield Row("cached login, 1 connection, no revocation", medians(free))
    yield Row(f"- with {bench.few(REVOCATIONS):,} revocations in force", medians(revoked))


@contextmanager
def readers(path: Path) -> Iterator[None]:
    """Read pages from the control socket, in a process of its own, until the block ends."""
    spawned = multiprocessing.get_context("spawn").Process(target=_read, args=(path,), daemon=True)
    spawned.start()
    try:
        yield
    finally:
        spawned.kill()
        spawned.join()


def _read(path: Path) -> None:
    def read() -> None:
        connection = Control(path)
        while True:
            connection.request("GET", PAGE)
            connection.getresponse().read()

    for _ in range(READERS - 1):
        threading.Thread(target=read, daemon=True).start()
    read()


def _folder(bench: Bench, name: str) -> Path:
    folder = bench.folder / name
    folder.mkdir()
    return folder


def _revoke(database: Path, count: int) -> None:
    """Put revocations of users whom nobody knows into a new database."""
    ring = KeyRing.from_text(store_key("", database=database, environ={}))
    now = datetime.now(UTC)
    rows = [
        Revocation(id=UUID(int=n), scope=Scope.USER, value=f"gone{n}", at=now, reason="left")
        for n in range(1, count + 1)
    ]

    async def commit() -> None:
        async with opened(database, ring) as store:
            await store.commit([Put(row) for row in rows], [])

    anyio.run(commit)
