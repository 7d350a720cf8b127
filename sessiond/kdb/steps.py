"""One message each: recorded in the order of the messages, answered in that order too."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import anyio
import anyio.to_thread
import structlog

from sessiond.core.changes import Bind, Change, Withdraw
from sessiond.core.errors import CallError, Refusal, StoreError
from sessiond.core.queries import ListOwnSessions
from sessiond.core.session import ActiveSession, ProcessKey
from sessiond.kdb import replies
from sessiond.kdb.authentication import Login, RenewalAuthentication
from sessiond.kdb.calls import TABLE, Subscription
from sessiond.kdb.feed import Feed, rows
from sessiond.kdb.submitted import Submitted, submit
from sessiond.kdb.tasks import Later
from sessiond.qipc import (
    NIL,
    MessageKind,
    Value,
    dictionary,
    encode_message,
    list_,
    symbol,
)
from sessiond.table import Table

A = TypeVar("A")
Pushing = Callable[[Value], None]
Withdrawing = Callable[[Withdraw], None]

BESIDE = 200  # sessions in a list; more are some milliseconds' work

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Encoded:
    """An answer as the message that it is sent in."""

    message: bytes = field(repr=False)


class Step(ABC):
    """A message under way."""

    keeps_time = False  # whether it answers by its deadline itself

    async def record(self) -> None:  # noqa: B027 - a step that changes nothing has nothing to do
        """Submit what it changes. The next message's turn comes when this returns."""

    @abstractmethod
    async def answer(self) -> Value | Encoded:
        """Return the answer, once it may be given.

        Raises:
            CallError: The answer is this q error.
            StoreError: It could not be written.
        """


class Said(Step):
    """An answer that needs nothing: a ping's, or what is certain at once."""

    def __init__(self, value: Value = NIL) -> None:
        self._value = value

    async def answer(self) -> Value:
        return self._value


class Wrong(Step):
    """A call that is answered with an error."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def answer(self) -> Value:
        raise CallError(self._text)


class Changed(Step, Generic[A]):
    """A change, and its answer in q's terms."""

    def __init__(self, table: Table, change: Change[A], render: Callable[[A], Value]) -> None:
        self._table = table
        self._change = change
        self._render = render
        self._submission: Submitted[A] | None = None

    async def record(self) -> None:
        self._submission = await submit(self._table, self._change)

    async def answer(self) -> Value:
        if self._submission is None:
            raise CallError("not recorded")
        return self._render(await self._submission.answer())


class Listing(Step):
    """A `sessions`. What lists thousands is made beside the loop, where it holds nobody up.

    It changes nothing, so the table is asked when the answer is due: however many are asked for in
    a row, one is made at a time, and none for which the time is over.
    """

    def __init__(self, table: Table, process: ProcessKey) -> None:
        self._table = table
        self._process = process

    async def answer(self) -> Value | Encoded:
        active_sessions = await self._table.ask(ListOwnSessions(process=self._process))
        if len(active_sessions) <= BESIDE:
            return replies.sessions(active_sessions)
        return await anyio.to_thread.run_sync(_encoded, active_sessions)


class Binding(Step):
    """An `opened`: when the login does not stand, the process is told to close the handle.

    That is told however late it turns out, and when it could not be written too: otherwise the
    user would stay on a handle of which nobody here knows.
    """

    def __init__(self, table: Table, change: Bind, push: Pushing, later: Later) -> None:
        self._table = table
        self._change = change
        self._push = push
        self._later = later
        self._submission: Submitted[bool] | None = None

    async def record(self) -> None:
        self._submission = await submit(self._table, self._change)

    async def answer(self) -> Value:
        is_settled = False
        try:
            await self._settle()
            is_settled = True
        finally:
            if not is_settled:  # the time for answers is over, or the connection is
                self._later(self._settle)
        return NIL

    async def _settle(self) -> None:
        if self._submission is None:  # the connection is being cut: the process must reconcile
            return
        try:
            stands = await self._submission.answer()
        except StoreError as error:
            log.warning("opening not recorded", error=str(error))
            stands = False
        if not stands:
            self._push(replies.unknown_session(self._change.session, self._change.handle))


class LoginStep(Step):
    """A `connect`; its verifying goes on while earlier messages have their turn."""

    keeps_time = True

    def __init__(self, login: Login, verified: anyio.Event, withdraw: Withdrawing) -> None:
        self._login = login
        self._verified = verified
        self._withdraw = withdraw

    async def record(self) -> None:
        await self._verified.wait()
        await self._login.record()

    async def answer(self) -> Value:
        outcome = await self._login.outcome()
        if self._login.is_late:
            self._withdraw(Withdraw(session=self._login.session))
        return _answer(outcome)


class RenewalStep(Step):
    """A sync `renew`. One that happens after its answer was `deadline` is told by a push."""

    keeps_time = True

    def __init__(
        self,
        attempt: RenewalAuthentication,
        verified: anyio.Event,
        later: Later,
        push: Pushing,
        over: Callable[[], None],
    ) -> None:
        self._attempt = attempt
        self._verified = verified
        self._later = later
        self._push = push
        self._over = over  # another may follow

    async def record(self) -> None:
        await self._verified.wait()
        await self._attempt.record()

    async def answer(self) -> Value:
        try:
            outcome = await self._attempt.outcome()
        finally:
            self._over()
        if self._attempt.is_late:
            self._later(self._tell_late)
        return _answer(outcome)

    async def _tell_late(self) -> None:
        active = await self._attempt.late_outcome()
        if active is not None:
            self._push(replies.renewed_late(active))


class Subscribing(Step):
    """A `.u.sub`: answered with the table, empty, before any row; again, it only moves the filter.

    It needs nobody, so the answer is on its way when the first row can be.
    """

    def __init__(self, call: Subscription, feed: Feed, later: Later) -> None:
        self._call = call
        self._feed = feed
        self._later = later

    async def answer(self) -> Value:
        self._feed.follow(self._call.users, self._later)
        return list_(symbol(TABLE), rows(()))


async def renew_apart(
    attempt: RenewalAuthentication, push: Pushing, over: Callable[[], None]
) -> None:
    """Carry an async `renew` out. No message waits for it: its issuer may take long.

    A renewal that happens is pushed by what is committed, one that is refused from here.
    """
    try:
        await attempt.verify()
        await attempt.record()
        outcome = await attempt.outcome()
    finally:
        over()
    if not isinstance(outcome, ActiveSession):
        push(replies.renewal_refused(attempt.session, attempt.handle, outcome))


def _encoded(active_sessions: list[ActiveSession]) -> Encoded:
    return Encoded(encode_message(MessageKind.RESPONSE, replies.sessions(active_sessions)))


def _answer(outcome: ActiveSession | Refusal) -> Value:
    if isinstance(outcome, ActiveSession):
        return dictionary(replies.accepted(outcome))
    return dictionary(replies.refused(outcome))
