"""The token table: one writer, and what waits is written together."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar, cast

import anyio
import msgspec
import structlog
from anyio import ClosedResourceError, EndOfStream, WouldBlock

from sessiond.bus import Bus, Committed
from sessiond.clock import Clock
from sessiond.core.changes import (
    Change,
    Close,
    Disown,
    End,
    Expire,
    Lose,
    Reconcile,
    Refuse,
    Revoke,
    Tell,
    Withdraw,
)
from sessiond.core.decide import Notice, Rules, decide
from sessiond.core.decide.presence import resumed
from sessiond.core.errors import Refusal, StoreError
from sessiond.core.events import Event, LoginRefused
from sessiond.core.grant import Grant, KnownToken
from sessiond.core.rows import Put, Row, Rows, Write
from sessiond.core.session import ProcessAbout, ProcessKey, Session
from sessiond.due import DueQueue

A = TypeVar("A")

log = structlog.get_logger()

INBOX = 4096  # changes that wait; whoever asks beyond that waits to ask
MAX_BATCH = 512  # changes in one transaction
REFUSALS_EVERY = 1.0  # seconds between writes of refused logins
MAX_REFUSALS = 1000  # different ones between two writes; the surplus is summed by reason
PRUNE_EVERY = 600.0  # seconds between dropping old events
RETRY_IN = 1.0  # seconds, when writing failed

_Refused = tuple[str, str, ProcessAbout | None, Refusal]  # user, issuer, process, reason

# What takes access away, and so does not wait for a disk that is full.
ENDING = (Close, Disown, End, Expire, Lose, Reconcile, Refuse, Revoke, Withdraw)
# What a process that comes back asks for. It gives nobody new access, and after a crash the process
# says it all again: so it is answered before it is on disk, where the disk is full.
RETURNING = (Lose, Reconcile)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a store holds at start."""

    rows: Sequence[Row]
    sequence: int  # the last event's, also when that event is no longer kept


class Store(Protocol):
    """Keeps rows and events. Only the table task calls `commit`, one call at a time."""

    async def load(self) -> Loaded:
        """Return everything that is kept."""
        ...

    async def commit(self, writes: Sequence[Write], events: Sequence[Event]) -> None:
        """Make writes and events durable, all or nothing.

        Raises:
            StoreError: Nothing of it is kept.
        """
        ...

    async def events_after(self, sequence: int, *, limit: int) -> list[Event]:
        """Return kept events in order, beginning after a sequence number."""
        ...

    async def forget_events(self, *, before: datetime) -> None:
        """Drop the events of before a time."""
        ...


class Ticket(Generic[A]):
    """A change on its way through the table."""

    def __init__(self, change: Change[A]) -> None:
        self.change = change
        self._done = anyio.Event()
        self._answer: A | None = None
        self._error: StoreError | None = None

    async def answer(self) -> A:
        """Wait until the change is on disk and return its answer. Cancelling changes nothing.

        Raises:
            StoreError: It could not be written, and did not happen.
        """
        await self._done.wait()
        if self._error is not None:
            raise self._error
        return cast("A", self._answer)

    def settle(self, answer: A | None, error: StoreError | None = None) -> None:
        self._answer, self._error = answer, error
        self._done.set()


@dataclass(slots=True)
class _Draft:
    """Decisions that are not on disk: what they write and tell, and what takes them back."""

    answers: list[Any] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    undo: list[Write] = field(default_factory=list)


class Table:
    """Owns the rows. Every change goes through `submit`; nothing else writes."""

    def __init__(
        self, store: Store, bus: Bus, clock: Clock, rules: Rules, *, keep_events: timedelta
    ) -> None:
        self._keep_events = keep_events
        self._pruned_at = float("-inf")  # monotonic
        self._store = store
        self._bus = bus
        self._clock = clock
        self._rules = rules
        self._rows = Rows()
        self._sequence = 0
        self._owed = _Draft()  # what has ended and could not be written yet
        self._is_failing = False  # the store refused the last write
        self._send, self._inbox = anyio.create_memory_object_stream[Ticket[Any]](INBOX)
        self._due = DueQueue[Expire](clock)
        self._refused: Counter[_Refused] = Counter()

    async def load(self) -> None:
        """Read the store, before `run`."""
        loaded = await self._store.load()
        self._rows = Rows(loaded.rows)
        self._sequence = loaded.sequence

    def resume(self) -> list[Grant]:
        """Start the time that sessions of an earlier run wait, and return all grants.

        To be called at readiness: until then no process could have come back.
        """
        now = self._clock.now()
        sessions = self._rows.sessions
        for key, session in sessions.items():  # what indexes them stays as it is
            sessions[key] = resumed(session, now=now, rules=self._rules)
        for rows in (sessions, self._rows.grants, self._rows.tokens):
            for row in rows.values():
                self._note_due(row)
        return self.grants()

    def use(self, rules: Rules, *, keep_events: timedelta) -> None:
        """Decide by other rules, what waits in the queue already included."""
        self._rules, self._keep_events = rules, keep_events

    def grants(self) -> list[Grant]:
        """Return the grants as they stand, those that are being written included."""
        return list(self._rows.grants.values())

    def processes(self) -> dict[ProcessKey, ProcessAbout]:
        """Return whose sessions there are, and what each process said of itself."""
        return {each.process: each.about for each in self._rows.sessions.values()}

    @property
    def waiting(self) -> int:
        """How many changes wait to be decided."""
        return self._inbox.statistics().current_buffer_used

    async def submit(self, change: Change[A]) -> Ticket[A]:
        """Put a change in the queue. Changes are decided in the order in which this returns."""
        ticket = Ticket(change)
        await self._send.send(ticket)
        return ticket

    async def ask(self, change: Change[A]) -> A:
        """Submit a change and wait for its answer.

        Raises:
            StoreError: It could not be written, and did not happen.
        """
        ticket = await self.submit(change)
        return await ticket.answer()

    def note_refusal(
        self, *, user: str, issuer: str, process: ProcessAbout | None, reason: Refusal
    ) -> None:
        """Have a refused login told, with others like it, at no commit of its own."""
        self._count({(user, issuer, process, reason): 1})

    def _count(self, refused: Mapping[_Refused, int]) -> None:
        for key, count in refused.items():
            if key not in self._refused and len(self._refused) >= MAX_REFUSALS:
                _, issuer, _, reason = key
                key = ("", issuer, None, reason)
            self._refused[key] += count

    async def run(self) -> None:
        """Decide and write until closed. The only caller of `Store.commit`."""
        with self._inbox:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch_time)
                tasks.start_soon(self._tell_refusals)
                async for first in self._inbox:
                    await self._write([first, *self._waiting()])
                    await self._prune()
                tasks.cancel_scope.cancel()
        if self._refused or self._owed.writes:
            await self._write([Ticket(self._told(self._refused))])

    def close(self) -> None:
        """Take no more changes; what was taken is still written."""
        self._send.close()

    async def _prune(self) -> None:
        """Drop old events now and then."""
        monotonic = self._clock.monotonic()
        if monotonic - self._pruned_at < PRUNE_EVERY:
            return
        self._pruned_at = monotonic
        with suppress(StoreError), anyio.CancelScope(shield=True):  # the next time will do
            await self._store.forget_events(before=self._clock.now() - self._keep_events)

    def _waiting(self) -> Iterator[Ticket[Any]]:
        with suppress(WouldBlock, EndOfStream):
            for _ in range(MAX_BATCH - 1):
                yield self._inbox.receive_nowait()

    async def _write(self, batch: list[Ticket[Any]]) -> None:
        draft = self._decide([ticket.change for ticket in batch])
        writes = [*self._owed.writes, *draft.writes]
        numbered = [
            replace(notice, event=msgspec.structs.replace(notice.event, sequence=number))
            for number, notice in enumerate(
                [*self._owed.notices, *draft.notices], self._sequence + 1
            )
        ]
        try:
            if writes or numbered:
                await self._commit(writes, [notice.event for notice in numbered])
        except StoreError as error:
            for write in reversed(draft.undo):
                self._rows.apply(write)
            ended = await self._end_all_the_same(batch)
            self._settle_unwritten(batch, ended, error)
            return
        self._owed = _Draft()
        self._sequence += len(numbered)
        for ticket, answer in zip(batch, draft.answers, strict=True):
            ticket.settle(answer)
        if writes or numbered:
            await self._bus.publish(Committed(writes, numbered))

    async def _commit(self, writes: Sequence[Write], events: Sequence[Event]) -> None:
        """Have it written, and tell the operator when that begins to fail and when it is over."""
        try:
            with anyio.CancelScope(shield=True):
                await self._store.commit(writes, events)
        except StoreError as error:
            if not self._is_failing:
                log.error("nothing can be written", error=str(error))
            self._is_failing = True
            raise
        if self._is_failing:
            log.warning("writing works again")
        self._is_failing = False

    def _decide(self, asked: Iterable[Change[Any]]) -> "_Draft":
        """Decide changes one after the other, each on the rows that the one before has left."""
        draft, now = _Draft(), self._clock.now()
        for change in asked:
            decision = decide(self._rows, change, now, self._rules)
            draft.answers.append(decision.answer)
            draft.writes += decision.writes
            draft.notices += decision.notices
            draft.undo += filter(None, map(self._rows.apply, decision.writes))
        for write in draft.writes:
            if isinstance(write, Put):
                self._note_due(write.row)
        return draft

    async def _end_all_the_same(self, batch: Iterable[Ticket[Any]]) -> dict[Ticket[Any], Any]:
        """Take access away even while it cannot be written, and owe the writing.

        The processes are pushed at once, with sequence 0; the next batch that can be written
        writes what is owed, first. Return what those who asked are answered once it is.
        """
        ending = [ticket for ticket in batch if isinstance(ticket.change, ENDING)]
        draft = self._decide(ticket.change for ticket in ending)
        if draft.writes or draft.notices:
            await self._bus.publish(Committed(draft.writes, draft.notices))
            self._owed.writes += draft.writes
            self._owed.notices += [replace(notice, push_to=None) for notice in draft.notices]
        return dict(zip(ending, draft.answers, strict=True))

    def _settle_unwritten(
        self, batch: Iterable[Ticket[Any]], ended: Mapping[Ticket[Any], Any], error: StoreError
    ) -> None:
        """Answer a batch that could not be written, by the rows as they stand now.

        What changes nothing has its answer all the same; but nobody is told of an end, or of
        anything else, that it is on disk.
        """
        now = self._clock.now()
        for ticket in batch:
            if isinstance(ticket.change, RETURNING):
                ticket.settle(ended[ticket])
                continue
            decision = decide(self._rows, ticket.change, now, self._rules)
            if ticket in ended or decision.writes or decision.notices:
                ticket.settle(None, error)
            else:
                ticket.settle(decision.answer)

    def _note_due(self, row: Row) -> None:
        match row:
            case Session(until=until) if until is not None:
                self._due.add(until, Expire(sessions=(row.id,)))
            case Grant():
                self._due.add(row.lease.expires_at, Expire(grants=(row.id,)))
            case KnownToken(grant=None):
                self._due.add(row.keep_until, Expire(tokens=(row.hash,)))
            case _:
                pass

    async def _watch_time(self) -> None:
        """Submit what is over. The rows decide whether it really is."""
        while True:
            due = await self._due.take(MAX_BATCH)
            over = Expire(
                sessions=tuple(key for each in due for key in each.sessions),
                grants=tuple(key for each in due for key in each.grants),
                tokens=tuple(key for each in due for key in each.tokens),
            )
            try:
                await self.ask(over)
            except StoreError:
                self._due.add_in(RETRY_IN, over)
            except ClosedResourceError:
                return

    async def _tell_refusals(self) -> None:
        while True:
            await self._clock.sleep(REFUSALS_EVERY)
            if not self._refused and not self._owed.writes:
                continue
            refused, self._refused = self._refused, Counter()
            try:
                await self.ask(self._told(refused))
            except StoreError:
                self._count(refused)
            except ClosedResourceError:
                self._count(refused)  # `run` writes them last
                return

    def _told(self, refused: Mapping[_Refused, int]) -> Tell:
        now = self._clock.now()
        return Tell(
            events=tuple(
                LoginRefused(
                    at=now, user=user, issuer=issuer, process=process, reason=reason, count=count
                )
                for (user, issuer, process, reason), count in refused.items()
            )
        )
