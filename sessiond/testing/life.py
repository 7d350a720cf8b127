"""A daemon as far as one subscriber sees it, from its start to its end, in this process."""

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import anyio
from anyio.streams.stapled import StapledObjectStream

from sessiond.config import SubscriberConfig
from sessiond.core.answering import answer
from sessiond.core.cursor import Cursor
from sessiond.core.decide import Notice, Rules, decide
from sessiond.core.events import Event
from sessiond.core.queries import Query, Request
from sessiond.core.rows import Put
from sessiond.core.written_rows import Rows
from sessiond.eventlog import EventLog
from sessiond.extensions.subscribers import DeliveryRules, child, subprocesses, wire
from sessiond.extensions.subscribers.cursor import KeptCursor
from sessiond.extensions.subscribers.runner import SubscriberRunner
from sessiond.extensions.subscribers.subprocesses import Gone
from sessiond.extensions.subscribers.wire import FromChild, Setup, Stop, ToChild
from sessiond.racing import first
from sessiond.table import Committed
from sessiond.testing.clock import FakeClock

NAME = "tested"  # of the subscriber

_NO_SESSIONS = Rules(unbound=timedelta(1), grace=timedelta(1), share=0.5, jitter=0.0)

Make = Callable[[Callable[[], bool]], Any]

A = TypeVar("A")


class Disk:
    """What outlives a daemon: events, places and what was set aside."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.rows = Rows()
        self.events: list[Event] = []
        self.sequence = 0  # of the last event, kept or not
        self._safe: dict[str, Cursor] = {}  # places that outlive a power cut too

    def sync(self) -> None:
        """Have all that is written outlive a power cut."""
        self._safe = dict(self.rows.cursors)

    def cut_power(self) -> None:
        """Lose what is only in the kernel: places that were written alone."""
        for cursor in self._safe.values():
            self.rows.apply(Put(cursor))

    async def ask(self, asked: Request[A]) -> A:
        """Have a change made or a query answered, by the daemon's own rules."""
        if isinstance(asked, Query):
            found: A = answer(self.rows, asked, self._clock.now(), _NO_SESSIONS).answer
            return found
        decision = decide(self.rows, asked, self._clock.now(), _NO_SESSIONS)
        for write in decision.writes:
            self.rows.apply(write)
            if not isinstance(write.row, Cursor):
                self.sync()
        for name, place in self.rows.cursors.items():
            self._safe.setdefault(name, place)
        made: A = decision.answer
        return made

    async def events_after(self, sequence: int, *, limit: int) -> list[Event]:
        """Return kept events in order, beginning after a sequence number."""
        return [event for event in self.events if event.sequence > sequence][:limit]


class Life:
    """One run of the daemon: the real feeder, and a subscriber's process that is a task."""

    def __init__(
        self,
        disk: Disk,
        clock: FakeClock,
        *,
        make: Make,
        deadline: float,
        rules: DeliveryRules,
    ) -> None:
        """Make it; `run` brings it to life.

        Args:
            disk: What is there from earlier lives.
            clock: Measures deadlines and pauses.
            make: Returns the plugin, at each start of its process. It is given a question to
                ask: was the process killed?
            deadline: Seconds that one receive may take.
            rules: The `[events]` table's.
        """
        self._disk = disk
        self._clock = clock
        self._make = make
        self._process: _Process | None = None  # while there is one
        self._log = EventLog(disk, clock, newest=1)  # the others it reads from the disk
        self._log.begin(disk.sequence)
        self.feeder = SubscriberRunner(
            SubscriberConfig(plugin=NAME, name=NAME, deadline=deadline),
            events=self._log,
            place=KeptCursor(NAME, disk, clock),
            start=self._start,
            clock=clock,
            draw=lambda: 0.0,
            rules=lambda: rules,
        )
        self.ended = anyio.Event()

    async def run(self) -> None:
        """Feed until stopped. Cancelling ends it as SIGKILL does."""
        try:
            await self.feeder.run()
        finally:
            self.ended.set()

    def tell(self, events: Sequence[Event]) -> None:
        """Say that events are on the disk."""
        notices = [Notice(event=event) for event in events]
        self._log.take(Committed(writes=(), notices=notices))

    def kill_process(self) -> None:
        """End the subscriber's process as SIGKILL does."""
        if self._process is not None:
            self._process.kill()

    async def stop(self) -> None:
        """Stop as the daemon does: what is on the disk is offered first, once."""
        self.feeder.finish(self._disk.sequence)
        await self._clock.settle()
        self.feeder.cut()
        await self._clock.settle()
        if not self.ended.is_set():
            await self._clock.advance(subprocesses.STOP_WITHIN)
        await self.ended.wait()

    @asynccontextmanager
    async def _start(self, _: Setup) -> AsyncIterator["_Process"]:
        async with anyio.create_task_group() as tasks:
            process = self._process = _Process(self._clock)
            tasks.start_soon(process.run, self._make)
            try:
                yield process
            finally:
                self._process = None
                process.kill()
                tasks.cancel_scope.cancel()
                process.close()


class _Process:
    """Fulfils `Child`: the code of the real process on a wire of its own, in a task."""

    pid = 0

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        to_child, from_daemon = anyio.create_memory_object_stream[bytes](math.inf)
        to_daemon, from_child = anyio.create_memory_object_stream[bytes](math.inf)
        self._streams = (to_child, from_daemon, to_daemon, from_child)
        self._childs = StapledObjectStream(to_daemon, from_daemon)
        self._link = wire.daemons_end(StapledObjectStream(to_child, from_child))
        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()
        self._is_killed = False

    async def run(self, make: Make) -> None:
        """Be the process."""
        try:
            async with self._childs:
                with self._scope:
                    await child.live(
                        wire.childs_end(self._childs), lambda: make(lambda: self._is_killed)
                    )
        finally:
            self._ended.set()

    def kill(self) -> None:
        """End it at once; its plugin's `stop` is not called."""
        self._is_killed = not self._ended.is_set()
        self._scope.cancel()

    def close(self) -> None:
        """Let go of its wire."""
        for stream in self._streams:
            stream.close()

    async def send(self, message: ToChild) -> None:
        with suppress(anyio.BrokenResourceError):
            await self._link.send(message)

    async def receive(self) -> FromChild | Gone:
        try:
            return await self._link.receive()
        except anyio.EndOfStream:
            return Gone("it was ended by SIGKILL" if self._is_killed else "it ended")

    async def stop(self) -> None:
        await self.send(Stop())

        async def time_is_up() -> None:
            await self._clock.sleep(subprocesses.STOP_WITHIN)

        await first(self._ended.wait, time_is_up)
