"""The token table: one writer, and what waits is written together."""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import msgspec
import structlog
from anyio import ClosedResourceError, EndOfStream

from sessiond.bus import Bus, Committed
from sessiond.clock import Clock
from sessiond.core.answering import Answered, answer
from sessiond.core.changes import (
    Close,
    Disown,
    EndCovered,
    EndSessions,
    Expire,
    ProcessLost,
    Reconcile,
    Refuse,
    Revoke,
    Withdraw,
)
from sessiond.core.decide import Decision, Notice, Rules, decide, unfinished
from sessiond.core.decide.presence import resumed
from sessiond.core.errors import Refusal, StoreError
from sessiond.core.events import Event
from sessiond.core.grant import Grant, KnownToken
from sessiond.core.queries import Query, Request
from sessiond.core.refusals import Refusals, Refused, told
from sessiond.core.revocation import Revocation, superseded
from sessiond.core.rows import Drop, Put, Row, Rows, RowsView, Write
from sessiond.core.session import ProcessAbout, ProcessKey, Session
from sessiond.due import DueQueue
from sessiond.table.agenda import Agenda, Submission
from sessiond.table.batch import Batch, Decided
from sessiond.table.store import Store

A = TypeVar("A")

log = structlog.get_logger()

REFUSALS_EVERY = 1.0  # seconds between writes of refused logins
MAX_DUE = 512  # rows looked at in one go when their time is there
PRUNE_EVERY = 60.0  # seconds between dropping old events
MAX_EVENTS = 5_000_000  # kept, however young, some 3 GB: somebody may log in and out without end
RETRY_IN = 1.0  # seconds, when writing failed

# What takes access away, and so does not wait for a disk that is full.
ENDING = (
    Close,
    Disown,
    EndSessions,
    EndCovered,
    Expire,
    ProcessLost,
    Reconcile,
    Refuse,
    Revoke,
    Withdraw,
)
# What a process that comes back asks for. It gives nobody new access, and after a crash the process
# says it all again: so it is answered before it is on disk, where the disk is full.
RETURNING = (ProcessLost, Reconcile)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSettings:
    """What the table goes by."""

    rules: Rules
    keep_events: timedelta


class Table:
    """Owns the rows. Every change and query goes through `submit`; nothing else writes."""

    def __init__(
        self, store: Store, bus: Bus, clock: Clock, settings: Callable[[], TableSettings]
    ) -> None:
        """Make a table; `settings` are those of now, also for what waits in the queue already."""
        self._settings = settings
        self._pruned_at = float("-inf")  # monotonic
        self._store = store
        self._bus = bus
        self._clock = clock
        self._rows = Rows()
        self._sequence = 0
        self._owed = deque[Batch]()  # what has ended and could not be written yet
        self._is_failing = False  # the store refused the last write
        self._agenda = Agenda()
        self._due = DueQueue[Expire](clock)
        self._refusals = Refusals()
        self._written: anyio.Event | None = None  # set when what is being written is on disk

    async def load(self) -> None:
        """Read the store, before `run`."""
        loaded = await self._store.load()
        needless = superseded(row for row in loaded.rows if isinstance(row, Revocation))
        dropped = {row.id for row in needless}
        self._rows = Rows(row for row in loaded.rows if getattr(row, "id", None) not in dropped)
        self._sequence = loaded.sequence
        if needless:
            self._owed.append(Batch(writes=[Drop(row) for row in needless]))

    def resume(self) -> list[Grant]:
        """Start the time that sessions of an earlier run wait, and return all grants.

        To be called at readiness: until then no process could have come back. What a revocation
        had only begun to end ends first.
        """
        now, rules = self._clock.now(), self._settings().rules
        for session in tuple(self._rows.sessions.values()):
            self._rows.put_state(resumed(session, now=now, rules=rules))
        for rows in (self._rows.sessions, self._rows.grants, self._rows.tokens):
            for row in rows.values():
                self._note_due(row)
        self._agenda.put_back(Submission(change) for change in unfinished(self._rows))
        return self.grants()

    def grants(self) -> list[Grant]:
        """Return the grants as they stand, those that are being written included."""
        return list(self._rows.grants.values())

    def sessions(self) -> list[Session]:
        """Return the sessions in the same way."""
        return list(self._rows.sessions.values())

    def processes(self) -> dict[ProcessKey, ProcessAbout]:
        """Return whose sessions there are, and what each process said of itself."""
        return {each.process: each.about for each in self._rows.sessions.values()}

    @property
    def sequence(self) -> int:
        """The last committed event's number; the event log hears of it just after."""
        return self._sequence

    @property
    def waiting(self) -> int:
        """How many changes and queries wait for their turn."""
        return self._agenda.waiting

    async def rows(self) -> RowsView:
        """Return the rows as they are on disk, to be read, not kept: good until the next await.

        Whoever reads so holds up nobody, and sees everything that was acknowledged before.
        """
        while self._written is not None:
            await self._written.wait()
        return self._rows

    async def submit(self, request: Request[A]) -> Submission[A]:
        """Put a change or a query in the queue. Each has its turn in the order of submitting."""
        submission = Submission(request)
        await self._agenda.enter(submission)
        return submission

    async def ask(self, request: Request[A]) -> A:
        """Submit a change or a query and wait for its answer.

        Raises:
            StoreError: It could not be written, and did not happen.
        """
        submission = await self.submit(request)
        return await submission.answer()

    def note_refusal(
        self, *, user: str, issuer: str, process: ProcessAbout | None, reason: Refusal
    ) -> None:
        """Have a refused login told, with others like it, at no commit of its own."""
        refused = Refused(user, issuer, process, reason)
        self._refusals.note(refused, at=self._clock.monotonic())

    async def run(self) -> None:
        """Decide and write until closed. The only caller of `Store.commit`."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch_time)
                tasks.start_soon(self._tell_refusals)
                with suppress(EndOfStream):
                    while True:
                        await self._write(await self._agenda.next())
                        await self._prune()
                tasks.cancel_scope.cancel()
        finally:
            self._agenda.end()
        if self._refusals or self._owed:
            await self._write([Submission(told(self._refusals.take_all(), self._clock.now()))])

    def close(self) -> None:
        """Take no more changes; what was taken is still written."""
        self._agenda.close()

    async def _prune(self) -> None:
        """Drop old events now and then."""
        monotonic = self._clock.monotonic()
        if monotonic - self._pruned_at < PRUNE_EVERY:
            return
        self._pruned_at = monotonic
        before = self._clock.now() - self._settings().keep_events
        with suppress(StoreError), anyio.CancelScope(shield=True):  # the next time will do
            await self._store.forget_events(before=before, up_to=self._sequence - MAX_EVENTS)

    async def _write(self, batch: list[Submission[Any]]) -> None:
        try:
            while self._owed:
                await self._pay(self._owed[0])
                self._owed.popleft()
        except StoreError as error:
            await self._do_without(batch, error)
            return
        draft = self._decide(batch)
        numbered = self._numbered(draft.notices)
        written = self._written = anyio.Event()
        try:
            if draft.is_large:
                await anyio.lowlevel.cancel_shielded_checkpoint()
            if not draft.is_empty:
                await self._commit(draft.writes, [notice.event for notice in numbered])
        except StoreError as error:
            for write in reversed(draft.undo):
                self._rows.apply(write)
            await self._do_without([each.submission for each in draft.decided], error)
            return
        finally:
            written.set()
            self._written = None
        self._sequence += len(numbered)
        self._settle(draft)
        if not draft.is_empty:
            await self._bus.publish(Committed(draft.writes, numbered))

    async def _pay(self, owed: Batch) -> None:
        """Write what has ended while nothing could be written."""
        numbered = self._numbered(owed.notices)
        await self._commit(owed.writes, [notice.event for notice in numbered])
        self._sequence += len(numbered)
        await self._bus.publish(Committed((), numbered))  # its writes are known already

    def _numbered(self, notices: Sequence[Notice]) -> list[Notice]:
        return [
            replace(notice, event=msgspec.structs.replace(notice.event, sequence=number))
            for number, notice in enumerate(notices, self._sequence + 1)
        ]

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

    def _decide(self, batch: Sequence[Submission[Any]]) -> Batch:
        """Carry out one after the other, each on the rows that the one before has left.

        What there is no room for, or must wait for an unfinished one, goes back on the agenda.
        """
        draft, now, rules = Batch(), self._clock.now(), self._settings().rules
        for number, submission in enumerate(batch):
            if draft.is_full:
                self._agenda.put_back(batch[number:])
                break
            if self._agenda.holds_back(submission):
                continue
            outcome = self._carry_out(submission.request, draft, now, rules)
            draft.decided.append(Decided(submission, outcome.answer, outcome.rest))
            if outcome.rest is not None:
                self._agenda.claim(submission, outcome.rest)
        for write in draft.writes:
            if isinstance(write, Put):
                self._note_due(write.row)
        return draft

    def _carry_out(
        self, request: Request[Any], draft: Batch, now: datetime, rules: Rules
    ) -> Answered | Decision:
        if isinstance(request, Query):
            return answer(self._rows, request, now, rules)
        decision = decide(self._rows, request, now, rules)
        draft.writes += decision.writes
        draft.notices += decision.notices
        draft.undo += filter(None, map(self._rows.apply, decision.writes))
        return decision

    def _settle(self, draft: Batch) -> None:
        """Answer what is decided, and go on with what is not decided to its end."""
        for each in draft.decided:
            if each.rest is not None:
                self._agenda.go_on(each.submission, each.rest)
            else:
                self._agenda.finish(each.submission)
                each.submission.settle(each.answer)

    async def _do_without(self, batch: Sequence[Submission[Any]], error: StoreError) -> None:
        """Take access away even while it cannot be written, and owe the writing.

        The processes are pushed at once, with sequence 0; what is owed is written first of all,
        once that can be. What writes nothing has its answer all the same; but nobody is told of
        an end, or of anything else, that it is on disk.
        """
        draft = self._decide([each for each in batch if isinstance(each.request, (Query, *ENDING))])
        for each in draft.decided:
            if not isinstance(each.submission.request, (Query, *RETURNING)):
                each.submission.fail(error)
        self._settle(draft)
        if not draft.is_empty:
            await self._bus.publish(Committed(draft.writes, draft.notices))
            draft.notices = [replace(notice, push_to=None) for notice in draft.notices]
            self._owed.append(draft)
        now, rules = self._clock.now(), self._settings().rules
        for submission in batch:
            request = submission.request
            if isinstance(request, (Query, *ENDING)):
                continue
            decision = decide(self._rows, request, now, rules)
            if decision.writes or decision.notices:
                submission.fail(error)
            self._agenda.finish(submission)
            submission.settle(decision.answer)

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
            due = await self._due.take(MAX_DUE)
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
            refused = self._refusals.take(self._clock.monotonic())
            if not refused and not self._owed:
                continue
            try:
                await self.ask(told(refused, self._clock.now()))
            except StoreError:
                self._refusals.put_back(refused)
            except ClosedResourceError:
                self._refusals.put_back(refused)  # `run` writes them last
                return
