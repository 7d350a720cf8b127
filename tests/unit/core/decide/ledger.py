"""Rows that changes are decided against one after another, as the table does it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from sessiond.core.access import Denied
from sessiond.core.answering import answer
from sessiond.core.changes import Change, Refresh
from sessiond.core.decide import Decision, decide
from sessiond.core.errors import Refusal
from sessiond.core.grant import Grant, GrantId
from sessiond.core.queries import Query, Request
from sessiond.core.rows import Put, SecretRow, Write
from sessiond.core.session import ActiveSession, ProcessKey, Session
from sessiond.core.written_rows import Rows
from tests.fakes import RULES, START, bind, grant_id, login, session_id, verdict
from tests.fakes import presented as tokens

A = TypeVar("A")


class Ledger:
    """What a test asks about the last change: its `told`, `pushed`, `writes`."""

    def __init__(self) -> None:
        self.rows = Rows()
        self.refresh_tokens: dict[GrantId, str] = {}  # as the store has them
        self.secrets: list[str] = []  # in the order in which they were put
        self.now = START
        self.rules = RULES
        self.last = Decision(None, [], [])
        self.undo: list[Write] = []  # of the last change, in the order it is to be made
        self.pieces = 0  # of the last change

    def ask(self, asked: Request[A]) -> A:
        """Carry it out with all its pieces, apply what it writes and return its answer."""
        self.last, self.undo, self.pieces = Decision(None, [], []), [], 0
        return self.answer(asked) if isinstance(asked, Query) else self.change(asked)

    def answer(self, query: Query[A]) -> A:
        rest: Query[Any] | None = query
        while rest is not None:
            piece = answer(self.rows, rest, self.now, self.rules)
            rest, self.pieces = piece.rest, self.pieces + 1
        found: A = piece.answer
        return found

    def change(self, change: Change[A]) -> A:
        rest: Change[Any] | None = change
        while rest is not None:
            piece = decide(self.rows, rest, self.now, self.rules)
            for write in piece.writes:
                undo = self.write(write)
                self.undo[:0] = [] if undo is None else [undo]
            self.last.writes.extend(piece.writes)
            self.last.notices.extend(piece.notices)
            rest, self.pieces = piece.rest, self.pieces + 1
        self.last = replace(self.last, answer=piece.answer)
        made: A = piece.answer
        return made

    def write(self, write: Write) -> Write | None:
        """Make one write; return what takes it back."""
        if isinstance(write, Put) and write.secret is not None:
            assert isinstance(write.row, SecretRow)
            self.secrets.append(write.secret.reveal())
            if isinstance(write.row, Grant):
                assert write.row.has_refresh_token
                self.refresh_tokens[write.row.id] = write.secret.reveal()
        return self.rows.apply(write)

    def let_pass(self, by: timedelta) -> None:
        self.now += by

    @property
    def writes(self) -> list[Write]:
        return self.last.writes

    @property
    def told(self) -> list[tuple[str, int, str]]:
        """Each event of the last change: kind, handle and reason."""
        return [
            (notice.event.kind, notice.event.handle, getattr(notice.event, "reason", ""))
            for notice in self.last.notices
        ]

    @property
    def pushed(self) -> list[tuple[str, int, ProcessKey]]:
        """Those of them that a process is pushed: kind, handle and process."""
        return [
            (notice.event.kind, notice.event.handle, notice.push_to)
            for notice in self.last.notices
            if notice.push_to is not None
        ]

    def log_in(
        self, number: int, access: str = "access", refresh: str | None = None
    ) -> ActiveSession:
        """Have alice let in and opened, on a handle of the session's number."""
        active = self.ask(login(number, tokens(access, refresh)))
        assert isinstance(active, ActiveSession), active
        assert self.ask(bind(number))
        return active

    def prove(self, number: int = 1) -> None:
        """Have a refresh prove whose the grant's refresh token is; its lease begins anew."""
        says = verdict(begin=self.now)
        assert self.ask(Refresh(grant=grant_id(number), verdict=says, draw=0.5))

    def refusal(self, change: Change[ActiveSession | Denied] | Change[Grant | Denied]) -> Refusal:
        """Return why a login or renewal is refused, which must then have written nothing."""
        answer = self.ask(change)
        assert isinstance(answer, Denied), answer
        assert not self.last.writes
        assert not self.last.notices
        return answer.reason

    def session(self, number: int) -> Session:
        return self.rows.sessions[session_id(number)]

    def grant(self, number: int) -> Grant:
        return self.rows.grants[grant_id(number)]

    @property
    def alive(self) -> set[int]:
        """The numbers of the live sessions."""
        return {key.int for key in self.rows.sessions}

    @property
    def granted(self) -> set[int]:
        """The numbers of the grants there are."""
        return {key.int - 1000 for key in self.rows.grants}
