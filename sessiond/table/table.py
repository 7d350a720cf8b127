"""The token table: one writer, and what waits is written together."""

import asyncio  # noqa: TID251 - a future is all that one who waits for an answer needs
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import anyio
import structlog

from sessiond.clock import Clock
from sessiond.containment import Containment
from sessiond.core.answering import Answered, answer
from sessiond.core.decide import Decision, Notice, Rules, decide, unfinished
from sessiond.core.decide.presence import resumed
from sessiond.core.errors import Refusal, StoreError, TableClosed
from sessiond.core.grant import Grant, GrantId
from sessiond.core.queries import Query, Request
from sessiond.core.refusals import Refusals, Refused, told
from sessiond.core.revocation import Revocation, superseded
from sessiond.core.rows import Drop, Put, RowsView, SecretRow, Write
from sessiond.core.secret import Secret
from sessiond.core.session import ProcessAbout, ProcessKey, Session
from sessiond.core.written_rows import Rows
from sessiond.notifier import Notifier
from sessiond.table.agenda import Agenda, Submission, Then, unheard
from sessiond.table.batch import ENDING, RETURNING, Batch, Decided, numbered_after
from sessiond.table.expiry import Expiry
from sessiond.table.hearing import Answer, Committed, Hearing, Reader
from sessiond.table.store import Store

A = TypeVar("A")

log = structlog.get_logger()

REFUSALS_EVERY = 1.0  # seconds between writes of refused logins
PRUNE_EVERY = 60.0  # seconds between dropping old events
MAX_EVENTS = 5_000_000  # kept, however young, some 3 GB: somebody may log in and out without end
CLOSED = "the daemon is stopping, wanted it at work: ask again when it is back"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSettings:
    """What the table goes by."""

    rules: Rules
    keep_events: timedelta


class Table:
    """Owns the rows. Every change and query goes through `submit`; nothing else writes."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        settings: Callable[[], TableSettings],
        containment: Containment | None = None,
    ) -> None:
        """Make a table.

        Args:
            store: Keeps the rows and events.
            clock: Wall time decides what is over.
            settings: Those of now, also for what waits in the queue already.
            containment: Where exceptions end that nobody may raise who hears of what is on disk.
        """
        self._settings = settings
        self._pruned_at = float("-inf")  # monotonic
        self._store = store
        self._clock = clock
        self._rows = Rows()
        self._sequence = 0
        self._owed = deque[Batch]()  # what has ended and could not be written yet
        self._is_failing = False  # the store refused the last write
        self._agenda = Agenda()
        self._expiry = Expiry(clock, self.ask)
        self._refusals = Refusals()
        self._hearing = Hearing(containment or Containment())
        self._is_writing = False  # rows that are not on disk yet
        self._written = Notifier()

    def attend(self, *readers: Reader, heralds: Iterable[Reader] = ()) -> None:
        """Have each batch that is on disk read by these, in this order, by plain calls.

        A reader appends and decides nothing: what it submits is for a later batch. `heralds` read
        it before those who asked are answered.
        """
        self._hearing.attend(*readers, heralds=heralds)

    async def load(self) -> None:
        """Read the store, before `run`."""
        loaded = await self._store.load()
        rows = loaded.rows
        needless = superseded([row for row in rows if isinstance(row, Revocation)])
        if needless:
            dropped = {row.id for row in needless}
            rows = [row for row in rows if getattr(row, "id", None) not in dropped]
        self._rows = Rows(rows)
        self._sequence = loaded.sequence
        if needless:
            self._owed.append(Batch(writes=[Drop(row) for row in needless]))

    def resume(self) -> list[Grant]:
        """Start the time that sessions of an earlier run wait, and return all grants.

        To be called at readiness: until then no process could have come back. What a revocation
        had only begun to end ends first.
        """
        now, rules = self._clock.now(), self._settings().rules
        found = resumed(self._rows, self._rows.sessions.values(), now=now, rules=rules)
        self._rows.put_states(list(found))
        self._expiry.note_all(self._rows)
        for change in unfinished(self._rows):
            self.submit(change)
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
        """The last committed event's number."""
        return self._sequence

    @property
    def waiting(self) -> int:
        """How many changes and queries wait for their turn."""
        return self._agenda.waiting

    @property
    def is_crowded(self) -> bool:
        """Whether whoever reads from strangers should pause, so many wait for an answer."""
        return self._hearing.is_crowded

    def when_room(self, resume: Callable[[], object]) -> None:
        """Have this called once, after those that asked before, when few wait for an answer."""
        self._hearing.when_room(resume)

    async def rows(self) -> RowsView:
        """Return the rows as they are on disk, to be read, not kept: good until the next await.

        Whoever reads so holds up nobody, and sees everything that was acknowledged before.
        """
        await self._written.wait_for(lambda: not self._is_writing)
        return self._rows

    def submit(self, request: Request[A], then: Then[A] = unheard) -> None:
        """Put a change or a query in the queue. Each has its turn in the order of submitting.

        Never waits and never refuses, so that nothing keeps access from being taken away: who
        reads from strangers goes by `is_crowded`.

        Args:
            request: The change or query.
            then: Called once, by the writer, with the answer when all that it reflects is on disk,
                a change's own writes too, or with what kept that: then what takes nothing away
                did not happen. `TableClosed` where this comes too late. It appends and decides
                nothing, and what it submits is for a later batch.
        """
        submission = Submission(request, then)
        if self._agenda.is_closed:
            self._hearing.answer_later(submission, TableClosed(CLOSED))
        else:
            self._hearing.expect()
            self._agenda.enter(submission)

    async def ask(self, request: Request[A]) -> A:
        """Submit a change or a query and return its answer. Cancelling changes nothing.

        Raises:
            StoreError: It could not be written. What takes nothing away did not happen.
        """
        answer = await self._answer_to(request)
        if isinstance(answer, StoreError):
            raise type(answer)(*answer.args)  # whoever raises one makes its traceback longer
        return answer

    async def ask_all(self, requests: Iterable[Request[A]]) -> list[A | StoreError]:
        """Submit them together, in this order; return the answer or error of each."""
        return [await answer for answer in [self._answer_to(each) for each in requests]]

    def _answer_to(self, request: Request[A]) -> asyncio.Future[A | StoreError]:
        answer = asyncio.get_running_loop().create_future()
        self.submit(request, partial(_give, answer))
        return answer

    async def refresh_token(self, grant: GrantId) -> Secret | None:
        """Return a grant's refresh token as the store has it, for who is about to spend it.

        Raises:
            StoreError: It could not be read.
        """
        return await self._store.refresh_token(grant)

    async def secret(self, row: SecretRow) -> Secret | None:
        """Return what is sealed beside a row, in the same way."""
        return await self._store.secret(row)

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
                tasks.start_soon(self._expiry.watch)
                tasks.start_soon(self._tell_refusals)
                while batch := await self._agenda.next():
                    await self._write(batch)
                    await self._prune()
                tasks.cancel_scope.cancel()
            if self._refusals or self._owed:
                self._hearing.expect()
                last = told(self._refusals.take_all(), self._clock.now())
                await self._write([Submission(last)])
        finally:
            self._agenda.close()
            left = self._agenda.take_all()
            self._hearing.answer([(each, TableClosed(CLOSED)) for each in left])

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
            self._do_without(batch, error)
            return
        draft = self._decide(batch)
        if draft.is_empty:
            self._settle(draft)
            return
        numbered = numbered_after(self._sequence, draft.notices)
        self._is_writing = True
        try:
            await self._commit(draft.writes, numbered, is_large=draft.is_large)
        except StoreError as error:
            for write in reversed(draft.undo):
                self._rows.apply(write)
            self._do_without([each.submission for each in draft.decided], error)
            return
        finally:
            self._is_writing = False
            self._written.notify()
        self._sequence += len(numbered)
        committed = Committed(draft.writes, numbered)
        self._hearing.herald(committed)
        self._settle(draft)
        self._hearing.tell(committed)

    async def _pay(self, owed: Batch) -> None:
        """Write what has ended while nothing could be written."""
        numbered = numbered_after(self._sequence, owed.notices)
        await self._commit(owed.writes, numbered)
        self._sequence += len(numbered)
        self._hearing.tell(Committed((), numbered))  # its writes are known already

    async def _commit(
        self, writes: Sequence[Write], notices: Sequence[Notice], *, is_large: bool = False
    ) -> None:
        """Have it written, and tell the operator when that begins to fail and when it is over."""
        try:
            with anyio.CancelScope(shield=True):
                if is_large:
                    await asyncio.sleep(0)  # others have waited long enough while it was decided
                await self._store.commit(writes, [notice.event for notice in notices])
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
        """Answer what is decided and stands, and go on with what is not decided to its end."""
        answers = list[Answer]()
        for each in draft.decided:
            if each.rest is not None:
                self._agenda.go_on(each.submission, each.rest)
            else:
                self._agenda.finish(each.submission)
                answers.append((each.submission, each.answer))
        self._hearing.answer(answers)
        self._expiry.note(write.row for write in draft.writes if isinstance(write, Put))

    def _do_without(self, batch: Sequence[Submission[Any]], error: StoreError) -> None:
        """Take access away even while it cannot be written, and owe the writing.

        The processes are pushed at once, with sequence 0; what is owed is written first of all,
        once that can be. What writes nothing has its answer all the same; but nobody is told of
        an end, or of anything else, that it is on disk.
        """
        draft = self._decide([each for each in batch if isinstance(each.request, (Query, *ENDING))])
        for each in draft.decided:
            if not isinstance(each.submission.request, (Query, *RETURNING)):
                each.submission.fail(error)
        ended = Committed(draft.writes, draft.notices)
        self._hearing.herald(ended)
        self._settle(draft)
        if not draft.is_empty:
            self._hearing.tell(ended)
            draft.notices = [Notice(notice.event, None) for notice in draft.notices]
            self._owed.append(draft)
        now, rules = self._clock.now(), self._settings().rules
        answers = list[Answer]()
        for submission in batch:
            request = submission.request
            if isinstance(request, (Query, *ENDING)):
                continue
            decision = decide(self._rows, request, now, rules)
            if decision.writes or decision.notices:
                submission.fail(error)
            self._agenda.finish(submission)
            answers.append((submission, decision.answer))
        self._hearing.answer(answers)

    async def _tell_refusals(self) -> None:
        while True:
            await self._clock.sleep(REFUSALS_EVERY)
            refused = self._refusals.take(self._clock.monotonic())
            if not refused and not self._owed:
                continue
            try:
                await self.ask(told(refused, self._clock.now()))
            except StoreError as error:
                self._refusals.put_back(refused)
                if isinstance(error, TableClosed):
                    return  # `run` writes them last


def _give(answer: "asyncio.Future[A | StoreError]", given: A | StoreError) -> None:
    if not answer.done():  # else whoever asked was cancelled
        answer.set_result(given)
