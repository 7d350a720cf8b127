"""Verified tokens that are refused all the same: over, revoked, refused before."""

from datetime import timedelta
from uuid import UUID

import pytest

from sessiond.core.changes import Forgive, Refuse, Revoke, Standing
from sessiond.core.errors import Refusal
from sessiond.core.revocation import Scope
from tests.fakes import (
    HOUR,
    MINUTE,
    START,
    brought,
    grant_id,
    login,
    token_hash,
    verdict,
)
from tests.unit.core.decide.ledger import Ledger

ALL = Revoke(id=UUID(int=1), scope=Scope.ALL, value="", reason="drill")


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def test_nothing_is_accepted_at_its_expiry(ledger: Ledger) -> None:
    ledger.let_pass(HOUR)
    assert ledger.refusal(login(1)) is Refusal.EXPIRED


@pytest.mark.parametrize(
    ("issued", "refused"), [(-1, True), (0, True), (1, False)], ids=["before", "at", "after"]
)
def test_a_revocation_refuses_what_was_issued_at_or_before_it(
    ledger: Ledger, issued: int, refused: bool
) -> None:
    ledger.ask(ALL)
    begin = ledger.now + timedelta(seconds=issued)
    ledger.let_pass(MINUTE)
    change = login(1, brought(says=verdict(begin=begin)))
    if refused:
        assert ledger.refusal(change) is Refusal.REVOKED
    else:
        assert isinstance(ledger.ask(change), Standing)


def test_a_token_that_states_no_iat_is_judged_by_when_it_was_first_seen(ledger: Ledger) -> None:
    says = verdict(states_iat=False)
    ledger.ask(login(1, brought("seen", says=says)))
    ledger.let_pass(MINUTE)
    ledger.ask(ALL)
    ledger.let_pass(MINUTE)
    assert ledger.refusal(login(2, brought("seen", says=says))) is Refusal.REVOKED
    assert isinstance(ledger.ask(login(3, brought("not seen", says=says))), Standing)


def test_a_token_seen_before_the_revocation_was_issued_before_it_whatever_it_states(
    ledger: Ledger,
) -> None:
    ahead = verdict(begin=START + timedelta(seconds=20))  # the issuer's clock is fast
    ledger.ask(login(1, brought(says=ahead)))
    ledger.let_pass(timedelta(seconds=5))
    ledger.ask(ALL)
    ledger.let_pass(MINUTE)
    assert ledger.refusal(login(2, brought(says=ahead))) is Refusal.REVOKED


def test_an_unseen_token_without_iat_counts_as_issued_now(ledger: Ledger) -> None:
    ledger.ask(ALL)
    assert ledger.refusal(login(1, brought(says=verdict(states_iat=False)))) is Refusal.REVOKED


def test_a_token_is_first_seen_once_even_when_its_grant_is_gone(ledger: Ledger) -> None:
    says = verdict(states_iat=False)
    ledger.ask(login(1, brought(says=says)))
    ledger.ask(ALL)  # drops the grant, keeps the trace
    ledger.ask(Forgive(id=ALL.id))
    ledger.let_pass(MINUTE)
    ledger.ask(login(2, brought(says=says)))
    trace = ledger.rows.tokens[token_hash("access")]
    assert (trace.seen_at, trace.grant) == (START, grant_id(2))


@pytest.mark.parametrize("again", [("access", None), ("new", "refresh"), ("new", "access")])
def test_tokens_that_the_issuer_refused_come_in_no_more(
    ledger: Ledger, again: tuple[str, str | None]
) -> None:
    ledger.log_in(1, "access", "refresh")
    ledger.ask(Refuse(grant=grant_id(1), reason="refused"))
    assert ledger.refusal(login(2, brought(*again))) is Refusal.INACTIVE
