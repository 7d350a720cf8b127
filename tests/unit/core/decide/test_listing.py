"""What is asked of the table in its turn: a login judged in advance, and known names."""

import pytest

from sessiond.core.changes import CheckAdmission, EndSessions, KnownNames, Revoke
from sessiond.core.errors import Refusal
from sessiond.core.revocation import Scope
from tests.fakes import bind, login, presented, principal, session_id, verdict
from tests.unit.core.decide.ledger import Ledger

BOB = verdict(principal("Bob", issuer="other"))


@pytest.fixture
def ledger() -> Ledger:
    """alice on handles 1 to 3 of process 100, Bob (of another issuer) on 4 of process 200."""
    ledger = Ledger()
    for number in (1, 2, 3):
        ledger.log_in(number)
    ledger.ask(login(4, presented("bob's", says=BOB), pid=200))
    ledger.ask(bind(4, pid=200))
    return ledger


def test_a_login_is_judged_as_it_would_be_and_nothing_is_written(ledger: Ledger) -> None:
    def judged(access: str) -> Refusal | None:
        answer = ledger.ask(CheckAdmission(presented=presented(access), is_proof_due=True))
        assert not ledger.writes
        assert not ledger.last.notices
        return answer

    assert judged("new") is None
    ledger.ask(_revoke("alice"))
    assert judged("new") is Refusal.REVOKED
    assert ledger.refusal(login(7, presented("new"))) is Refusal.REVOKED


def _revoke(user: str, number: int = 1) -> Revoke:
    return Revoke(id=session_id(number), scope=Scope.USER, value=user, reason="test")


def test_the_names_that_belong_to_somebody_are_known_also_after_the_last_session(
    ledger: Ledger,
) -> None:
    ledger.ask(EndSessions(session=session_id(4)))
    names = frozenset({"alice", "bob", "mallory", "Bob"})  # names are kept folded
    assert ledger.ask(KnownNames(names=names)) == {"alice", "bob"}
    assert not ledger.writes
