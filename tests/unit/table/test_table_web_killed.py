"""Killed at each commit of a browser's life: nothing is half there, and no sign-in counts twice."""

import multiprocessing
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio
import pytest

from sessiond.core.access import Denied
from sessiond.core.changes import OpenWeb, ProcessMet, SignOut
from sessiond.core.grant import TokenHash
from sessiond.core.queries import FindWeb
from sessiond.core.session import ActiveSession
from sessiond.store import opened
from sessiond.store.sealing import KeyRing
from sessiond.table import Table
from tests.chaos.dying import DyingConnection
from tests.fakes import (
    HOUR,
    FakeClock,
    bind,
    grant_id,
    presented,
    process_key,
    session_id,
    table_settings,
    token_hash,
    verdict,
    web_login,
)

RING = KeyRing({1: bytes(range(32))})
FIND = FindWeb(process=process_key(), cookie=token_hash("cookie"), base="https://gw")
SIGN_IN, WEBSOCKET, SIGN_OUT = range(1, 4)


@dataclass(frozen=True)
class Left:
    """What the next start finds."""

    sessions: int = 0
    web_logins: int = 0
    used_states: int = 0
    grants: int = 0
    refresh_token: str | None = None


LIFE = (
    Left(),
    Left(sessions=1, web_logins=1, used_states=1, grants=1, refresh_token="refresh"),
    Left(sessions=2, web_logins=1, used_states=1, grants=1, refresh_token="refresh"),
    Left(used_states=1),  # what was to be given back is forgotten at a start
)


def sign_in(number: int = 1) -> OpenWeb:
    says = verdict(length=10 * HOUR)
    tokens = presented("access", "refresh", says=says)
    access, refresh = TokenHash(b"access".ljust(32)), TokenHash(b"refresh".ljust(32))
    tokens = replace(tokens, access=access, refresh=refresh)  # of the size that the store reads
    return web_login(number, tokens, cookie="cookie", base="https://gw", state="state")


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
    async with table_on(path) as table:
        await table.ask(sign_in())
        await table.ask(bind(1, handle=9))
        await table.ask(SignOut(process=process_key(), session=session_id(1)))


def die(path: Path, moment: str, number: int) -> None:
    DyingConnection.moment, DyingConnection.number = moment, number
    sqlite3.connect = partial(sqlite3.connect, factory=DyingConnection)  # type: ignore[assignment]
    anyio.run(live, path)


async def find_what_is_left(path: Path, reached: int) -> None:
    async with opened(path, RING) as store:
        kinds = [type(row).__name__ for row in (await store.load()).rows]
        token = await store.refresh_token(grant_id(1))
    assert LIFE[reached] == Left(
        sessions=kinds.count("Session"),
        web_logins=kinds.count("WebLogin"),
        used_states=kinds.count("UsedState"),
        grants=kinds.count("Grant"),
        refresh_token=None if token is None else token.reveal(),
    )
    async with table_on(path) as table:
        await table.ask(ProcessMet(process=process_key()))
        found, again = await table.ask(FIND), await table.ask(sign_in(2))
        assert (found is not None) == (reached in (SIGN_IN, WEBSOCKET))
        assert isinstance(again, ActiveSession if reached < SIGN_IN else Denied)


@pytest.mark.parametrize("number", [SIGN_IN, WEBSOCKET, SIGN_OUT])
@pytest.mark.parametrize("moment", ["torn", "committed"])
def test_what_is_on_disk_is_whole_and_a_sign_in_makes_one_session_over_a_crash(
    tmp_path: Path, moment: str, number: int
) -> None:
    path = tmp_path / "sessiond.db"
    killed = multiprocessing.get_context("fork").Process(target=die, args=(path, moment, number))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    anyio.run(find_what_is_left, path, number if moment == "committed" else number - 1)
