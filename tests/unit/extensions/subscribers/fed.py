"""Subscribers at work on a table and a clock of the test's, with processes that are scripted."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import anyio
from anyio.abc import TaskGroup

from sessiond.config import SubscriberConfig
from sessiond.core.changes import RecordEvents
from sessiond.core.cursor import Cursor, DeadLetter
from sessiond.core.events import Event, LoginRefused
from sessiond.core.rows import Put
from sessiond.eventlog import EventLog
from sessiond.extensions.subscribers import DeliveryRules, Subscribers, SubscriberSettings
from sessiond.extensions.subscribers.subprocesses import Gone, NotStartedError
from sessiond.extensions.subscribers.wire import Batch, FromChild, Ready, Received, Setup, ToChild
from sessiond.table import Table
from tests.fakes import START, FakeClock, MemoryStore, Settings, idle, table_settings

KEEP = timedelta(hours=1)
AUDIT = SubscriberConfig(plugin="audit", name="audit", deadline=5.0)

Answer = FromChild | Gone | None  # None: it never comes


def takes_all(events: Sequence[Event]) -> Answer:
    return Received(sequence=events[-1].sequence)


class ScriptedChild:
    """Fulfils `Child`; answers each batch as the test says."""

    def __init__(self, children: "Children", pid: int) -> None:
        self._children = children
        self.pid = pid
        self._say, self._said = anyio.create_memory_object_stream[FromChild | Gone](10)

    async def send(self, message: ToChild) -> None:
        assert isinstance(message, Batch)
        self._children.offered.append([event.sequence for event in message.events])
        self._children.kinds += [event.kind for event in message.events]
        answer = self._children.answer(message.events)
        if answer is not None:
            self.say(answer)

    async def receive(self) -> FromChild | Gone:
        return await self._said.receive()

    async def stop(self) -> None:
        self._children.stopped.append(self.pid)

    def say(self, answer: FromChild | Gone) -> None:
        self._say.send_nowait(answer)

    def close(self) -> None:
        self._say.close()
        self._said.close()


class Children:
    """Starts scripted processes, and keeps what was done to them."""

    def __init__(
        self, answer: Callable[[Sequence[Event]], Answer] = takes_all, *, batch: int = 1
    ) -> None:
        self.answer = answer
        self.ready: Answer = Ready(batch=batch)
        self.is_full = False  # none can be started
        self.setups: list[Setup] = []
        self.offered: list[list[int]] = []
        self.kinds: list[str] = []
        self.stopped: list[int] = []
        self.alive: list[ScriptedChild] = []

    @asynccontextmanager
    async def start(self, setup: Setup) -> AsyncIterator[ScriptedChild]:
        if self.is_full:
            raise NotStartedError("it cannot be started: no memory")
        self.setups.append(setup)
        child = ScriptedChild(self, len(self.setups))
        if self.ready is not None:
            child.say(self.ready)
        self.alive.append(child)
        try:
            yield child
        finally:
            self.alive.remove(child)
            child.close()


class Fed:
    """Running subscribers, and what a test does to them."""

    def __init__(
        self,
        store: MemoryStore,
        clock: FakeClock,
        children: Children,
        wanted: tuple[SubscriberConfig, ...],
    ) -> None:
        self.tasks: TaskGroup  # the test may start more
        self.store, self.clock = store, clock
        self.children = children
        self.events = EventLog(store, clock)
        self.table = Table(store, clock, table_settings(keep=KEEP))
        self.table.attend(self.events.take)
        rules = DeliveryRules(max_attempts=3, keep=KEEP)
        self.settings = Settings(SubscriberSettings(wanted=wanted, rules=rules))
        self.subscribers = Subscribers(
            self.settings,
            self.events,
            self.table,
            clock,
            start=self.children.start,
            draw=lambda: 0.0,
        )

    async def want(self, *configs: SubscriberConfig) -> None:
        """Have these and no others configured, and return when that is so."""
        self.settings.now = replace(self.settings.now, wanted=configs)
        await self.subscribers.apply()

    async def happen(self, count: int) -> None:
        """Have so many events committed at once, and heard by who listens."""
        await self.table.ask(RecordEvents(events=tuple(event() for _ in range(count))))
        await idle()

    @property
    def cursors(self) -> list[int]:
        """Every place of the subscriber `audit` that was written, in order."""
        return [
            write.row.sequence
            for writes, _ in self.store.commits
            for write in writes
            if isinstance(write.row, Cursor) and write.row.subscriber == "audit"
        ]

    @property
    def set_aside(self) -> list[DeadLetter]:
        return [row for row in self.store.rows.values() if isinstance(row, DeadLetter)]


def event(sequence: int = 0, *, after: timedelta = timedelta()) -> Event:
    return LoginRefused(
        sequence=sequence, at=START + after, user="alice", reason="expired", count=1
    )


async def stored(*sequences: int, place: int | None = 0) -> MemoryStore:
    """Return a store with these events and, unless None, with the place of `audit`."""
    store = MemoryStore()
    rows = [] if place is None else [Cursor(subscriber="audit", sequence=place, at=START)]
    await store.commit([Put(row) for row in rows], [event(each) for each in sequences])
    return store


@asynccontextmanager
async def fed(
    *configs: SubscriberConfig,
    store: MemoryStore | None = None,
    children: Children | None = None,
) -> AsyncIterator[Fed]:
    """Run subscribers until the block ends; they are stopped there, if they were not before."""
    running = Fed(store or MemoryStore(), FakeClock(), children or Children(), configs or (AUDIT,))
    await running.table.load()
    running.events.begin((await running.store.load()).sequence)
    async with anyio.create_task_group() as tasks:
        running.tasks = tasks
        tasks.start_soon(running.table.run)
        tasks.start_soon(running.subscribers.run)
        await idle()
        yield running
        tasks.start_soon(running.subscribers.stop)
        await running.clock.advance(10)
        running.table.close()
