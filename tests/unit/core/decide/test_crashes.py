"""Whatever is asked, and wherever in it the daemon is killed, the next start ends what was begun.

What one decision cannot hold is decided in pieces, each on disk before the next.
"""

from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from sessiond.core import reading
from sessiond.core.changes import Change, Expire
from sessiond.core.decide import Decision, decide, unfinished
from sessiond.core.rows import Row
from sessiond.core.written_rows import Rows
from tests.fakes import process_key
from tests.unit.core.decide.ledger import Ledger
from tests.unit.core.decide.test_life_spans import Issuing, picks

A = TypeVar("A")

SMALL = 3  # writes and events of a piece


class MortalLedger(Ledger):
    """Is killed once with a change half decided, and starts again on what was written."""

    killed_after = 0  # pieces of the next change that has more; 0: it is not killed

    def change(self, change: Change[A]) -> A:
        if not self.killed_after:
            return super().change(change)
        self.last, self.pieces = Decision(None, [], []), 0
        rest: Change[Any] | None = change
        while rest is not None:
            piece = decide(self.rows, rest, self.now, self.rules)
            for write in piece.writes:
                self.write(write)
            self.last.notices.extend(piece.notices)
            rest, self.pieces = piece.rest, self.pieces + 1
            if rest is not None and self.pieces == self.killed_after:
                self.killed_after = 0
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
        self.patch.setattr(reading, "PIECE", SMALL)

    def teardown(self) -> None:
        self.patch.undo()

    @rule(of=picks, pair=st.sampled_from([None, "own"]), pieces=st.integers(1, 3))
    def be_killed_soon_with_many_on_one_grant(self, of: int, pair: str | None, pieces: int) -> None:
        assert isinstance(self.ledger, MortalLedger)
        self.ledger.killed_after = 0
        for handle in range(4, 10):
            self.come(of, pair, 0, handle, opens=True)
        self.ledger.killed_after = pieces

    @rule(of=picks, pair=st.sampled_from([None, "own"]), pieces=st.integers(1, 3))
    def be_killed_while_refusing(self, of: int, pair: str | None, pieces: int) -> None:
        self.be_killed_soon_with_many_on_one_grant(of, pair, pieces)
        on_last = self.ledger.rows.session_on(process_key(), 9)
        if on_last is not None:
            self.access[of % len(self.access)].family.stands = False
            self.refuse(on_last.grant)

    @invariant()
    def nothing_that_was_begun_is_left(self) -> None:
        assert unfinished(self.ledger.rows) == []

    @invariant()
    def no_refused_token_has_a_grant(self) -> None:
        for trace in self.ledger.rows.tokens.values():
            assert not (trace.is_refused and trace.grant is not None)


TestWhereverItIsKilled = Crashing.TestCase
TestWhereverItIsKilled.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
