"""Between the pieces of what takes long others have their turn: also they open no child too many.

A reload, a refresh, a refusal, a revocation or an end of very much is decided piece by piece. Here
tickets are spent, and everything else is done, between any two pieces.
"""

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from sessiond.core import reading
from sessiond.core.changes import (
    Change,
    EndSessions,
    Expire,
    LiftRevocation,
    OpenTicket,
    Reassess,
    Refresh,
    Refuse,
    Revoke,
)
from sessiond.core.decide import decide, unfinished
from sessiond.core.errors import Refusal
from sessiond.core.revocation import Scope
from sessiond.core.rows import Row
from sessiond.core.session import ActiveSession
from sessiond.core.ticket import Ticket
from sessiond.core.written_rows import Rows
from tests.fakes import bind, login, presented, ticket, ticket_login
from tests.unit.core.decide.ledger import Ledger
from tests.unit.core.decide.test_ticket_sequences import Families

LONG = (Reassess, Refresh, Refuse, Revoke, EndSessions, Expire)


class Interleaved(Families):
    """Keeps what is left of long changes, and goes on with it among the others."""

    def __init__(self) -> None:
        self.left: list[Change[object]] = []
        super().__init__()

    def ask(self, change: Change[object]) -> object:
        if isinstance(change, LONG):
            return self.begin(change)
        is_late = isinstance(change, OpenTicket) and self.is_revoked(change.ticket)
        answer = super().ask(change)
        assert not (is_late and isinstance(answer, ActiveSession)), "a child of who is revoked"
        return answer

    def is_revoked(self, spent: Ticket) -> bool:
        """Say whether its parent was taken back: that is on disk, though it has not ended yet."""
        rows = self.ledger.rows
        parent = None if spent.parent is None else rows.sessions.get(spent.parent)
        return parent is not None and rows.is_revoked(parent)

    def begin(self, change: Change[object]) -> object:
        """Decide one piece, and look at what it has left."""
        before = dict(self.ledger.rows.sessions)
        decision = decide(self.ledger.rows, change, self.ledger.now, self.ledger.rules)
        for write in decision.writes:
            self.ledger.write(write)
        self.look(before)
        if decision.rest is not None:
            self.left.append(decision.rest)
        return decision.answer

    def all_is_by_the_rules(self) -> None:
        if not self.left:
            super().all_is_by_the_rules()

    @rule(pieces=st.integers(1, 3))
    def go_on(self, pieces: int) -> None:
        for _ in range(min(pieces, len(self.left))):
            self.begin(self.left.pop(0))

    @rule()
    def finish(self) -> None:
        while self.left:
            self.begin(self.left.pop(0))
        self.all_is_by_the_rules()
        rows = self.ledger.rows
        assert not any(map(rows.is_revoked, rows.sessions.values()))

    @rule(name=st.sampled_from(["alice", "bob"]))
    def revoke(self, name: str) -> None:
        self.ledger.let_pass(timedelta(seconds=1))
        self.ask(Revoke(id=UUID(int=self.new()), scope=Scope.USER, value=name, reason="x"))

    @rule(name=st.sampled_from(["alice", "bob"]))
    def revoke_and_forgive(self, name: str) -> None:
        """Forgive, which waits until the revocation is finished."""
        self.revoke(name)
        self.finish()
        for each in list(self.ledger.rows.revocations):
            self.ask(LiftRevocation(id=each))
        self.ledger.let_pass(timedelta(seconds=1))

    @rule()
    def crash(self) -> None:
        """What is on disk is all that there is; a start ends and judges what was left."""
        self.left.clear()
        rows = self.ledger.rows
        kept: list[Row] = [
            *rows.grants.values(),
            *rows.sessions.values(),
            *rows.tokens.values(),
            *rows.names.values(),
            *rows.spent_tickets.values(),
            *rows.revocations.values(),
        ]
        self.ledger.rows = Rows(kept)
        for each in unfinished(self.ledger.rows):
            self.ask(each)
        self.ask(Reassess())
        self.finish()


TestWhateverComesBetween = Interleaved.TestCase
TestWhateverComesBetween.settings = settings(
    max_examples=100, stateful_step_count=30, deadline=None
)


def test_whom_a_revocation_covers_spends_no_ticket_before_it_has_come_to_him(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = Ledger()
    for number in range(1, 4):
        ledger.ask(login(number, presented(f"access {number}")))
        ledger.ask(bind(number))
    ledger.let_pass(timedelta(seconds=1))
    monkeypatch.setattr(reading, "PIECE", 3)
    change = Revoke(id=UUID(int=1), scope=Scope.USER, value="alice", reason="x")
    begun = decide(ledger.rows, change, ledger.now, ledger.rules)
    for write in begun.writes:
        ledger.write(write)
    assert begun.rest is not None
    assert 3 in ledger.alive
    lasts = ledger.now + timedelta(seconds=30)
    given = ticket(9, parent=3, expires_at=lasts)
    assert ledger.refusal(ticket_login(9, given)) is Refusal.REVOKED
