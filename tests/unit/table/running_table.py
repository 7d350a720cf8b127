"""A table at work on a store in memory, and what a test does to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Generic, TypeVar

import anyio

from sessiond.containment import Containment
from sessiond.core.changes import Change
from sessiond.core.errors import StoreError
from sessiond.core.grant import Grant
from sessiond.core.queries import ListOwnSessions, Request
from sessiond.core.session import ActiveSession
from sessiond.table import Committed, Table
from tests.fakes import (
    FakeClock,
    MemoryStore,
    bind,
    idle,
    login,
    presented,
    process_key,
    table_settings,
    verdict,
)

A = TypeVar("A")

KEEP = timedelta(minutes=10)  # how long events are kept


class Submitted(Generic[A]):
    """What was submitted, and the answer once there is one."""

    def __init__(self) -> None:
        self.said: list[A | StoreError] = []
        self._done = anyio.Event()

    def hear(self, answer: A | StoreError) -> None:
        self.said.append(answer)
        self._done.set()

    async def answer(self) -> A:
        await self._done.wait()
        (said,) = self.said
        if isinstance(said, StoreError):
            raise said
        return said


class RunningTable:
    """A running table and what a test does to it."""

    def __init__(self, store: MemoryStore, clock: FakeClock) -> None:
        self.store = store
        self.clock = clock
        self.containment = Containment()
        self.settings = table_settings(keep=KEEP)()
        self.table = Table(store, clock, lambda: self.settings, self.containment)
        self.ask = self.table.ask
        self.news: list[Committed] = []  # since the last look
        self.table.attend(self.news.append)
        self.resumed: list[Grant] = []  # what was there at start
        self.answers: list[Any] = []  # of what was asked in the background, as they come

    def submit(self, request: Request[A]) -> "Submitted[A]":
        submitted = Submitted[A]()
        self.table.submit(request, submitted.hear)
        return submitted

    async def log_in(self, number: int, refresh: str | None = None) -> ActiveSession:
        tokens = presented(f"access {number}", refresh, says=verdict(begin=self.clock.now()))
        active = await self.table.ask(login(number, tokens))
        assert isinstance(active, ActiveSession)
        assert await self.table.ask(bind(number))
        return active

    async def note_answer(self, change: Change[Any]) -> None:
        """Ask, and note the answer or the error when it comes."""
        try:
            self.answers.append(await self.table.ask(change))
        except StoreError as error:
            self.answers.append(error)

    async def alive(self, pid: int = 100) -> set[int]:
        active_sessions = await self.table.ask(ListOwnSessions(process=process_key(pid)))
        return {active.session.id.int for active in active_sessions}

    async def told(self) -> list[tuple[int, str]]:
        """Return what was published since the last look: sequence and kind."""
        return [
            (notice.event.sequence, notice.event.kind)
            for batch in await self.batches()
            for notice in batch.notices
        ]

    async def batches(self) -> list[Committed]:
        await idle()
        batches, self.news[:] = list(self.news), []
        return batches


@asynccontextmanager
async def running_table(store: MemoryStore, clock: FakeClock) -> AsyncIterator[RunningTable]:
    """Run a table on what the store holds until the block ends; then it is closed and drained."""
    running = RunningTable(store, clock)
    await running.table.load()
    running.resumed = running.table.resume()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(running.table.run)
        try:
            yield running
        finally:
            running.table.close()
