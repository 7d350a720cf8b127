"""Killed at each commit of a ticket's life: it is spent with its session, and once."""

import multiprocessing
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import pytest

from sessiond.core.access import Denied
from sessiond.core.changes import Close
from sessiond.core.errors import Refusal
from sessiond.core.grant import TokenHash
from sessiond.core.session import ActiveSession, SessionState
from sessiond.store import opened
from sessiond.store.sealing import KeyRing
from sessiond.table import Table
from tests.chaos.dying import DyingConnection
from tests.fakes import (
    FakeClock,
    bind,
    login,
    presented,
    process_key,
    session_id,
    table_settings,
    ticket,
    ticket_login,
)

RING = KeyRing({1: bytes(range(32))})
LOGIN, OPENED, SPENT, CHILD_OPENED, CLOSED = range(1, 6)
LIVE: tuple[set[int], ...] = (set(), {1}, {1}, {1, 2}, {1, 2}, set())  # what the next start finds


@asynccontextmanager
async def table_on(path: Path) -> AsyncIterator[Table]:
    async with opened(path, RING) as store, anyio.create_task_group() as tasks:
        table = Table(store, FakeClock(), table_settings())
        await table.load()
        table.resume()
        tasks.start_soon(table.run)
        yield table
        table.close()


async def live(path: Path) -> None:
    tokens = replace(presented(), access=TokenHash(bytes(32)))  # of the size that the store reads
    async with table_on(path) as table:
        await table.ask(login(1, tokens))
        await table.ask(bind(1))
        await table.ask(ticket_login(2))
        await table.ask(bind(2, pid=200))
        await table.ask(Close(process=process_key(), handle=1))


def die(path: Path, moment: str, number: int) -> None:
    DyingConnection.moment, DyingConnection.number = moment, number
    sqlite3.connect = partial(sqlite3.connect, factory=DyingConnection)  # type: ignore[assignment]
    anyio.run(live, path)


async def find_what_is_left(path: Path, reached: int) -> None:
    async with table_on(path) as table:
        found = {each.id.int: each for each in table.sessions()}
        assert set(found) == LIVE[reached]
        for each in found.values():
            assert each.parent is None or each.parent.int in found
        is_unopened = 2 in found and found[2].state is SessionState.UNBOUND
        assert is_unopened == (reached == SPENT)
        again = await table.ask(ticket_login(3, ticket(2)))
        if reached in (LOGIN, OPENED):
            assert isinstance(again, ActiveSession)
            assert again.session.id == session_id(3)
        else:  # kdb+'s repeated handshake is on the handle that it began on
            assert isinstance(again, Denied)
            assert again.reason is Refusal.REVOKED


@pytest.mark.parametrize("number", [LOGIN, OPENED, SPENT, CHILD_OPENED, CLOSED])
@pytest.mark.parametrize("moment", ["torn", "committed"])
def test_a_ticket_opens_one_session_over_a_crash_and_no_child_is_left_alone(
    tmp_path: Path, moment: str, number: int
) -> None:
    path = tmp_path / "sessiond.db"
    killed = multiprocessing.get_context("fork").Process(target=die, args=(path, moment, number))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    anyio.run(find_what_is_left, path, number if moment == "committed" else number - 1)
