"""A user brings fresh tokens for a live session."""

from datetime import timedelta
from uuid import UUID

import pytest

from sessiond.core.changes import Revoke
from sessiond.core.errors import Refusal
from sessiond.core.principal import Principal
from sessiond.core.revocation import Scope
from sessiond.core.session import ActiveSession, SessionState
from tests.fakes import (
    HOUR,
    MINUTE,
    START,
    grant_id,
    login,
    presented,
    principal,
    renewal,
    token_hash,
    verdict,
)
from tests.unit.core.decide.ledger import Ledger


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def test_a_renewal_hangs_the_session_on_the_fresh_tokens_grant(ledger: Ledger) -> None:
    ledger.log_in(1, "access", "refresh")
    ledger.let_pass(30 * MINUTE)
    says = verdict(begin=ledger.now, attributes={"desk": "fx"})
    active = ledger.ask(renewal(1, presented("fresh", "fresh refresh", says=says), grant=2))
    assert active == ActiveSession(session=ledger.session(1), expires_at=ledger.now + HOUR)
    session = ledger.session(1)
    assert session.grant == grant_id(2)
    assert session.access == token_hash("fresh")
    assert session.attributes == {"desk": "fx"}
    assert (session.handle, session.state, session.since) == (1, SessionState.OPEN, START)
    assert ledger.told == [("session.renewed", 1, "")]
    assert ledger.pushed == []


def test_a_renewal_nobody_waits_for_is_pushed(ledger: Ledger) -> None:
    ledger.log_in(1)
    process = ledger.session(1).process
    ledger.ask(renewal(1, presented("fresh"), push=True))
    assert ledger.pushed == [("session.renewed", 1, process)]


def test_other_roles_are_pushed_even_when_the_renewal_is_answered(ledger: Ledger) -> None:
    ledger.log_in(1)
    process = ledger.session(1).process
    ledger.ask(renewal(1, presented("fresh", says=verdict(roles=("writer",)))))
    assert ledger.told == [("session.renewed", 1, ""), ("session.roles", 1, "")]
    assert ledger.pushed == [("session.roles", 1, process)]
    assert ledger.session(1).roles == ("writer",)


def test_a_renewal_of_what_is_gone_or_another_process_s_is_refused(ledger: Ledger) -> None:
    ledger.log_in(1)
    assert ledger.refusal(renewal(2, presented("fresh"))) is Refusal.REVOKED
    assert ledger.refusal(renewal(1, presented("fresh"), pid=101)) is Refusal.REVOKED


@pytest.mark.parametrize(
    "other", [principal("bob"), principal(subject="other"), principal(issuer="partner")]
)
def test_a_renewal_by_another_principal_is_refused(ledger: Ledger, other: Principal) -> None:
    ledger.log_in(1)
    assert ledger.refusal(renewal(1, presented("x", says=verdict(other)))) is Refusal.USERMISMATCH


def test_a_renewal_with_a_token_from_before_a_revocation_is_refused(ledger: Ledger) -> None:
    ledger.ask(Revoke(id=UUID(int=1), scope=Scope.USER, value="alice", reason=""))
    ledger.let_pass(timedelta(seconds=1))
    ledger.ask(login(1, presented("new", says=verdict(begin=ledger.now))))
    assert ledger.refusal(renewal(1, presented("old"))) is Refusal.REVOKED


def test_renewing_leaves_the_old_grant_to_its_other_sessions(ledger: Ledger) -> None:
    ledger.log_in(1, "access", "refresh")
    ledger.log_in(2, "access", "refresh")
    ledger.ask(renewal(1, presented("fresh", "fresh refresh"), grant=3))
    assert ledger.granted == {1, 3}
    assert ledger.session(2).grant == grant_id(1)
