"""Verified tokens that are refused all the same: over, revoked, refused before."""

from datetime import timedelta
from uuid import UUID

import pytest

from sessiond.core.changes import Expire, LiftRevocation, Reconcile, Refuse, Revoke
from sessiond.core.decide.tokens import UNDATED_KEPT
from sessiond.core.errors import Refusal
from sessiond.core.revocation import Scope
from sessiond.core.session import ActiveSession
from tests.fakes import (
    HOUR,
    MINUTE,
    START,
    bind,
    grant_id,
    login,
    presented,
    process_about,
    process_key,
    session_id,
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
    change = login(1, presented(says=verdict(begin=begin)))
    if refused:
        assert ledger.refusal(change) is Refusal.REVOKED
    else:
        assert isinstance(ledger.ask(change), ActiveSession)


def test_a_token_that_states_no_iat_is_judged_by_when_it_was_first_presented(
    ledger: Ledger,
) -> None:
    says = verdict(states_iat=False)
    ledger.ask(login(1, presented("seen", says=says)))
    ledger.let_pass(MINUTE)
    ledger.ask(ALL)
    ledger.let_pass(MINUTE)
    again = presented("seen", says=says, presented_at=ledger.now)
    assert ledger.refusal(login(2, again)) is Refusal.REVOKED
    unseen = presented("not seen", says=says, presented_at=ledger.now)
    assert isinstance(ledger.ask(login(3, unseen)), ActiveSession)


def test_a_token_presented_before_the_revocation_was_issued_before_it_whatever_it_states(
    ledger: Ledger,
) -> None:
    ahead = verdict(begin=START + timedelta(seconds=20))  # the issuer's clock is fast
    ledger.ask(ALL)
    ledger.let_pass(timedelta(seconds=1))
    during = presented(says=ahead, presented_at=START)  # its verification took that long
    assert ledger.refusal(login(1, during)) is Refusal.REVOKED


def test_a_token_seen_before_the_revocation_was_issued_before_it_whatever_it_states(
    ledger: Ledger,
) -> None:
    ahead = verdict(begin=START + timedelta(seconds=20))
    ledger.ask(login(1, presented(says=ahead, presented_at=START)))
    ledger.let_pass(timedelta(seconds=5))
    ledger.ask(ALL)
    ledger.let_pass(MINUTE)
    again = presented(says=ahead, presented_at=ledger.now)
    assert ledger.refusal(login(2, again)) is Refusal.REVOKED


def test_a_refresh_token_from_before_the_revocation_brings_no_new_access_token_in(
    ledger: Ledger,
) -> None:
    ledger.ask(login(1, presented("old", "refresh")))
    ledger.let_pass(MINUTE)
    ledger.ask(ALL)
    ledger.let_pass(MINUTE)
    says = verdict(begin=ledger.now)
    assert ledger.refusal(login(2, presented("new", "refresh", says=says))) is Refusal.REVOKED
    assert isinstance(
        ledger.ask(login(3, presented("new", "new refresh", says=says))), ActiveSession
    )


@pytest.mark.parametrize("comes", [timedelta(hours=2), timedelta(days=80)])
def test_a_revocation_knows_its_tokens_long_after_their_lease(
    ledger: Ledger, comes: timedelta
) -> None:
    """An opaque token that states no end may be good for as long as its issuer likes."""
    ledger.ask(login(1, presented("opaque", says=verdict(states_iat=False))))
    ledger.ask(ALL)
    ledger.let_pass(comes)
    ledger.ask(Expire(tokens=(token_hash("opaque"),)))
    says = verdict(begin=ledger.now, states_iat=False)
    assert ledger.refusal(login(2, presented("opaque", says=says))) is Refusal.REVOKED


def test_a_token_without_iat_is_known_again_for_days_when_its_grant_has_run_out(
    ledger: Ledger,
) -> None:
    ledger.ask(login(1, presented("undated", says=verdict(states_iat=False))))
    ledger.ask(login(2, presented("dated")))
    ledger.let_pass(HOUR)
    ledger.ask(Expire(grants=(grant_id(1), grant_id(2))))
    assert set(ledger.rows.tokens) == {token_hash("undated")}
    ledger.let_pass(UNDATED_KEPT - HOUR)
    ledger.ask(Expire(tokens=(token_hash("undated"),)))
    assert ledger.rows.tokens == {}


def test_a_token_is_first_seen_once_even_when_its_grant_is_gone(ledger: Ledger) -> None:
    says = verdict(states_iat=False)
    ledger.ask(login(1, presented(says=says)))
    ledger.ask(ALL)  # drops the grant, keeps the trace
    ledger.ask(LiftRevocation(id=ALL.id))
    ledger.let_pass(MINUTE)
    ledger.ask(login(2, presented(says=says)))
    trace = ledger.rows.tokens[token_hash("access")]
    assert (trace.seen_at, trace.grant) == (START, grant_id(2))


@pytest.mark.parametrize("again", [("access", None), ("new", "refresh"), ("new", "access")])
def test_tokens_that_the_issuer_refused_come_in_no_more(
    ledger: Ledger, again: tuple[str, str | None]
) -> None:
    ledger.log_in(1, "access", "refresh")
    ledger.ask(Refuse(grant=grant_id(1), reason="refused"))
    assert ledger.refusal(login(2, presented(*again))) is Refusal.INACTIVE


def test_what_came_after_a_revocation_is_not_older_than_it_for_a_clock_that_is_set_back(
    ledger: Ledger,
) -> None:
    ledger.ask(ALL)
    ledger.let_pass(HOUR)
    says = verdict(begin=ledger.now - MINUTE)
    fresh = presented("fresh", "refresh", says=says, presented_at=ledger.now)
    for number in (1, 2):
        assert isinstance(ledger.ask(login(number, fresh)), ActiveSession)
    ledger.let_pass(-2 * HOUR)
    assert isinstance(ledger.ask(login(3, fresh)), ActiveSession)
    assert ledger.ask(bind(1))
    held = tuple((number, session_id(number)) for number in (1, 2, 3))
    back = Reconcile(process=process_key(), about=process_about(), held=held)
    for _ in range(2):
        assert ledger.ask(back) == []
