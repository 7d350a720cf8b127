"""Issuers whose tokens count only once a refresh has proved whose they are."""

from dataclasses import replace
from uuid import UUID

import pytest

from sessiond.core.changes import BeginRefresh, Forsake, KeepGrant, Refresh, Refuse, Revoke
from sessiond.core.errors import Refusal
from sessiond.core.grant import Grant
from sessiond.core.queries import FindGrant
from sessiond.core.revocation import Scope
from sessiond.core.session import ActiveSession
from sessiond.core.verdict import PresentedTokens
from tests.fakes import (
    RULES,
    grant_id,
    login,
    presented,
    principal,
    process_about,
    renewal,
    verdict,
)
from tests.unit.core.decide.ledger import Ledger


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger()
    ledger.rules = replace(RULES, proved=frozenset({"corp"}))
    return ledger


TOKENS = presented("access", "refresh")


def adopt(tokens: PresentedTokens = TOKENS, number: int = 1) -> KeepGrant:
    return KeepGrant(about=process_about(), grant=grant_id(number), presented=tokens)


def prove(ledger: Ledger) -> None:
    assert isinstance(ledger.ask(adopt()), Grant)
    assert ledger.ask(BeginRefresh(grant=grant_id(1), at_once=True)) is not None
    assert ledger.ask(Refresh(grant=grant_id(1), verdict=verdict(), draw=0.5))


def test_a_login_that_is_not_proved_is_refused(ledger: Ledger) -> None:
    assert ledger.refusal(login(1, TOKENS)) is Refusal.WRONGAUDIENCE
    ledger.ask(adopt())
    assert ledger.refusal(login(1, TOKENS)) is Refusal.WRONGAUDIENCE


def test_adopted_tokens_make_a_grant_that_no_session_hangs_on(ledger: Ledger) -> None:
    grant = ledger.ask(adopt())
    assert grant == ledger.grant(1)
    assert ledger.alive == set()
    assert ledger.told == []
    assert ledger.ask(FindGrant(grant=grant_id(1))) == grant


def test_what_a_refresh_has_proved_comes_in(ledger: Ledger) -> None:
    prove(ledger)
    active = ledger.ask(login(2, TOKENS))
    assert isinstance(active, ActiveSession)
    assert active.session.grant == grant_id(1)
    assert ledger.grant(1).proven


def test_adopting_known_tokens_joins_their_grant(ledger: Ledger) -> None:
    prove(ledger)
    grant = ledger.ask(adopt(number=2))
    assert isinstance(grant, Grant)
    assert (grant.id, grant.proven) == (grant_id(1), True)
    assert ledger.granted == {1}


def test_a_new_refresh_token_must_be_proved_anew(ledger: Ledger) -> None:
    prove(ledger)
    other = presented("access", "another refresh")
    assert ledger.refusal(login(2, other)) is Refusal.WRONGAUDIENCE


def test_a_renewal_must_be_proved_too(ledger: Ledger) -> None:
    prove(ledger)
    ledger.ask(login(2, TOKENS))
    assert ledger.refusal(renewal(2, presented("fresh", "fresh refresh"))) is Refusal.WRONGAUDIENCE


def test_other_issuers_need_no_proof(ledger: Ledger) -> None:
    carol = presented(says=verdict(principal("carol", issuer="partner")))
    assert isinstance(ledger.ask(login(1, carol)), ActiveSession)


def test_a_refresh_that_returns_another_principal_proves_the_theft(ledger: Ledger) -> None:
    ledger.ask(adopt())
    bob = verdict(principal("bob"))
    assert not ledger.ask(Refresh(grant=grant_id(1), verdict=bob, draw=0.5))
    assert ledger.refusal(login(2, TOKENS)) is Refusal.INACTIVE


def test_an_access_token_that_came_with_what_is_proved_comes_in_alone_too(
    ledger: Ledger,
) -> None:
    assert ledger.refusal(login(1, presented("access"))) is Refusal.WRONGAUDIENCE
    prove(ledger)
    assert isinstance(ledger.ask(login(2, presented("access"))), ActiveSession)


def test_what_nobody_waits_for_is_dropped_unless_somebody_is_in_by_it(ledger: Ledger) -> None:
    ledger.ask(adopt())
    ledger.ask(Forsake(grant=grant_id(1)))
    assert ledger.granted == set()
    ledger.ask(Forsake(grant=grant_id(1)))
    assert ledger.writes == []
    prove(ledger)
    ledger.ask(Forsake(grant=grant_id(1)))
    assert ledger.granted == {1}
    ledger.rules = RULES
    ledger.log_in(2, "other", "unproved")
    ledger.ask(Forsake(grant=grant_id(2)))
    assert ledger.granted == {1, 2}


def test_an_adopted_grant_that_is_not_proved_when_it_is_due_goes(ledger: Ledger) -> None:
    ledger.ask(adopt())
    ledger.ask(BeginRefresh(grant=grant_id(1), at_once=True))
    assert ledger.ask(BeginRefresh(grant=grant_id(1))) is None
    assert ledger.granted == set()


def test_tokens_that_are_refused_are_not_adopted(ledger: Ledger) -> None:
    ledger.ask(adopt())
    ledger.ask(Refuse(grant=grant_id(1), reason="refused"))
    assert ledger.refusal(adopt(number=2)) is Refusal.INACTIVE
    ledger.ask(Revoke(id=UUID(int=1), scope=Scope.ALL, value="", reason=""))
    assert ledger.refusal(adopt(presented("new", "new refresh"), number=3)) is Refusal.REVOKED
    assert ledger.granted == set()
