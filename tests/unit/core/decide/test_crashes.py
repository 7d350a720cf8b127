"""Whatever is asked, and wherever in it the daemon is killed, the next start ends what was begun.

What one decision cannot hold is decided in pieces, each on disk before the next.
"""

from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from sessiond.core.changes import Change, Expire
from sessiond.core.decide import Decision, decide, draft, unfinished
from sessiond.core.rows import Row, Rows
from tests.unit.core.decide.ledger import Ledger
from tests.unit.core.decide.test_life_spans import Issuing

A = TypeVar("A")

SMALL = 3  # writes and events of a piece


class MortalLedger(Ledger):
    """Is killed once after so many pieces of a change, and starts again on what was written."""

    pieces_left = 0  # until then; 0: it is not killed

    def ask(self, change: Change[A]) -> A:
        if not self.pieces_left:
            return super().ask(change)
        self.last, self.undo = Decision(None, [], []), []
        rest: Change[Any] | None = change
        while rest is not None:
            piece = decide(self.rows, rest, self.now, self.rules)
            for write in piece.writes:
                self.rows.apply(write)
            self.last.notices.extend(piece.notices)
            rest, self.pieces_left = piece.rest, self.pieces_left - 1
            if not self.pieces_left:
                self.start_again()
                break
        answer: A = piece.answer
        return answer

    def start_again(self) -> None:
        """Read what is there, end what was being ended, and what is over by now."""
        last, rows = self.last, self.rows
        written: list[Row] = [
            *rows.sessions.values(),
            *rows.grants.values(),
            *rows.tokens.values(),
            *rows.names.values(),
            *rows.revocations.values(),
        ]
        self.rows = Rows(written)
        for each in unfinished(self.rows):
            self.ask(each)
        over = Expire(
            sessions=tuple(self.rows.sessions),
            grants=tuple(self.rows.grants),
            tokens=tuple(self.rows.tokens),
        )
        self.ask(over)
        self.last = last


class Crashing(Issuing):
    """The world of an issuer, in which the daemon is killed between two pieces."""

    def __init__(self) -> None:
        super().__init__()
        mortal = MortalLedger()
        mortal.rules, self.ledger = self.ledger.rules, mortal
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(draft, "PIECE", SMALL)

    def teardown(self) -> None:
        self.patch.undo()

    @rule(pieces=st.integers(1, 4))
    def be_killed(self, pieces: int) -> None:
        assert isinstance(self.ledger, MortalLedger)
        self.ledger.pieces_left = pieces

    @invariant()
    def nothing_that_was_begun_is_left(self) -> None:
        assert unfinished(self.ledger.rows) == []

    @invariant()
    def no_refused_token_has_a_grant(self) -> None:
        for trace in self.ledger.rows.tokens.values():
            assert not (trace.is_refused and trace.grant is not None)


TestWhereverItIsKilled = Crashing.TestCase
TestWhereverItIsKilled.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
