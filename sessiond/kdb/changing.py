"""Calls that change what is known of a process's handles, or ask for it."""

from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

import anyio.to_thread
import structlog

from sessiond.core.changes import Bind, Change
from sessiond.core.errors import CallError, StoreError
from sessiond.core.queries import ListOwnSessions
from sessiond.core.session import ActiveSession, ProcessKey, SessionId
from sessiond.kdb import replies
from sessiond.kdb.slots import Answer, Encoded, Slot, Wrong
from sessiond.kdb.tasks import ConnectionTasks
from sessiond.qipc import NIL, MessageKind, Value, encode_message, guid
from sessiond.table import Table

A = TypeVar("A")

BESIDE = 200  # sessions in a list; more are some milliseconds' work

log = structlog.get_logger()


class Changing(Generic[A]):
    """A change, and its answer in q's terms."""

    def __init__(
        self, table: Table, change: Change[A], slot: Slot, render: Callable[[A], Value]
    ) -> None:
        self._table = table
        self._change = change
        self._slot = slot
        self._render = render

    def begin(self) -> None:
        """Have it recorded, when the messages before it are."""
        self._slot.enter(self._submit)

    def _submit(self) -> None:
        self._table.submit(self._change, self._slot.guarded(self._committed))

    def _committed(self, answer: A | StoreError) -> None:
        if isinstance(answer, StoreError):
            self._slot.settle(failing(answer))
        else:
            self._slot.settle(partial(self._render, answer))


class Opening(Changing[SessionId | None]):
    """An `opened`: when the login does not stand, the process is told to close the handle.

    That is told however late it turns out, and when it could not be written too: otherwise the
    user would stay on a handle of which nobody here knows. A login over HTTP gets a session of its
    own for the handle: whoever waits for the answer is told its id, or none.
    """

    def __init__(
        self, table: Table, change: Bind, slot: Slot, push: Callable[[bytes], None]
    ) -> None:
        super().__init__(table, change, slot, partial(_opened, change.session))
        self._bind = change
        self._push = push

    def _committed(self, answer: SessionId | StoreError | None) -> None:
        if isinstance(answer, StoreError):
            log.warning("opening not recorded", error=str(answer))
            answer = None
        if answer is None:
            self._push(replies.unknown_session(self._bind.session, self._bind.handle))
        super()._committed(answer)


class Listing:
    """A `sessions`. What lists thousands is made beside the loop, where it holds nobody up.

    It changes nothing, so the table is asked when the answer is due: however many are asked for in
    a row, one is made at a time, and none for which the time is over.
    """

    def __init__(
        self, table: Table, process: ProcessKey, slot: Slot, tasks: ConnectionTasks
    ) -> None:
        self._table = table
        self._process = process
        self._slot = slot
        self._tasks = tasks

    def begin(self) -> None:
        """Have it asked for, when the messages before it are answered."""
        self._slot.when_due(self._ask)

    def _ask(self) -> None:
        own = ListOwnSessions(process=self._process)
        self._table.submit(own, self._slot.guarded(self._found))

    def _found(self, found: list[ActiveSession] | StoreError) -> None:
        if isinstance(found, StoreError):
            self._slot.settle(failing(found))
        elif self._slot.is_settled:
            return
        elif len(found) <= BESIDE:
            self._slot.settle(partial(replies.sessions, found))
        else:
            self._slot.stopped = self._tasks.begin(partial(self._encode, found))

    async def _encode(self, found: list[ActiveSession]) -> None:
        encoded = await anyio.to_thread.run_sync(_encoded, found)
        self._slot.settle(lambda: encoded)


def _opened(named: SessionId, session: SessionId | None) -> Value:
    return NIL if session == named else guid(session or replies.NO_SESSION)


def nothing() -> Value:
    """Return q's `::`, which answers what has no other answer."""
    return NIL


def failing(error: CallError | StoreError) -> Answer:
    """Return an answer that says this error's text."""
    wrong = Wrong(str(error))
    return lambda: wrong


def _encoded(active_sessions: list[ActiveSession]) -> Encoded:
    return Encoded(encode_message(MessageKind.RESPONSE, replies.sessions(active_sessions)))
