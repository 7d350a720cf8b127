"""Which grant the tokens of a login belong to."""

from datetime import timedelta

import pytest

from sessiond.core.changes import EndSessions, Expire, Rotate
from sessiond.core.errors import Refusal
from sessiond.core.rows import Put
from sessiond.core.secret import Secret
from sessiond.core.session import ActiveSession
from tests.fakes import (
    HOUR,
    MINUTE,
    START,
    grant_id,
    lease,
    login,
    presented,
    principal,
    session_id,
    token_hash,
    verdict,
)
from tests.unit.core.decide.ledger import Ledger


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def test_three_logins_with_one_refresh_token_hang_on_one_grant(ledger: Ledger) -> None:
    for number in (1, 2, 3):
        ledger.log_in(number, f"access {number}", "refresh")
    assert ledger.granted == {1}
    assert {ledger.session(number).grant for number in (1, 2, 3)} == {grant_id(1)}


def test_without_a_refresh_token_a_grant_is_known_by_its_access_token(ledger: Ledger) -> None:
    ledger.log_in(1, "access")
    ledger.log_in(2, "access")
    ledger.log_in(3, "another")
    assert ledger.granted == {1, 3}
    assert ledger.grant(1).refresh_at is None


def test_the_access_token_alone_has_a_grant_of_its_own_whichever_came_first(
    ledger: Ledger,
) -> None:
    ledger.log_in(1, "access", "refresh")
    ledger.log_in(2, "access")
    ledger.log_in(3, "access")
    ledger.log_in(4, "access", "refresh")
    assert {number: ledger.session(number).grant for number in (1, 2, 3, 4)} == {
        1: grant_id(1),
        2: grant_id(2),
        3: grant_id(2),
        4: grant_id(1),
    }
    trace = ledger.rows.tokens[token_hash("access")]
    assert (trace.grant, trace.came_with) == (grant_id(2), (token_hash("refresh"),))


def test_an_access_token_that_came_as_a_refresh_token_first_is_one_all_the_same(
    ledger: Ledger,
) -> None:
    ledger.log_in(1, "another", "access")
    ledger.log_in(2, "access", "refresh")
    trace = ledger.rows.tokens[token_hash("access")]
    assert (trace.grant, trace.came_with) == (None, (token_hash("refresh"),))
    ledger.log_in(3, "other", "opaque")
    ledger.log_in(4, "opaque")
    assert ledger.rows.tokens[token_hash("opaque")].grant == grant_id(4)


@pytest.mark.parametrize("refresh", ["access", "alone", "both"])
def test_no_access_token_is_taken_as_a_refresh_token(ledger: Ledger, refresh: str) -> None:
    """It would prolong what came with the access token alone."""
    ledger.log_in(1, "alone")
    ledger.log_in(2, "both", "refresh")
    longer = verdict(length=2 * HOUR)
    assert ledger.refusal(login(3, presented("access", refresh, says=longer))) is Refusal.WRONGTYPE


def test_any_refresh_token_that_a_grant_has_had_joins_it(ledger: Ledger) -> None:
    ledger.log_in(1, "access", "first")
    for token in ("second", "third"):
        assert ledger.ask(
            Rotate(grant=grant_id(1), refresh=token_hash(token), refresh_token=Secret(token))
        )
    for number, token in enumerate(("first", "second", "third"), start=2):
        ledger.log_in(number, f"access {number}", token)
    assert ledger.granted == {1}
    assert ledger.refresh_tokens[grant_id(1)] == "third"


def test_an_unknown_refresh_token_is_not_joined_to_its_access_token_s_grant(
    ledger: Ledger,
) -> None:
    ledger.log_in(1, "access", "one")
    ledger.log_in(2, "access", "two")
    assert ledger.granted == {1, 2}


@pytest.mark.parametrize("stolen", ["access", "refresh"])
def test_a_token_of_another_principal_s_grant_is_refused(ledger: Ledger, stolen: str) -> None:
    ledger.log_in(1, "access", "refresh")
    theirs = {"access": "theirs", "refresh": "their refresh"} | {stolen: stolen}
    bob = presented(theirs["access"], theirs["refresh"], says=verdict(principal("bob")))
    assert ledger.refusal(login(2, bob)) is Refusal.USERMISMATCH


def test_a_refresh_token_is_bound_to_the_client_it_was_issued_to(ledger: Ledger) -> None:
    ledger.log_in(1, "access", "refresh")
    other = presented("another", "refresh", client="excel")
    assert ledger.refusal(login(2, other)) is Refusal.USERMISMATCH


def test_a_login_with_a_longer_lease_prolongs_the_grant_and_its_refresh(ledger: Ledger) -> None:
    ledger.log_in(1, "access", "refresh")
    ledger.prove()
    assert ledger.grant(1).refresh_at == START + 0.6 * HOUR
    ledger.let_pass(30 * MINUTE)
    active = ledger.ask(login(2, presented("newer", "refresh", says=verdict(begin=ledger.now))))
    assert isinstance(active, ActiveSession)
    assert active.expires_at == ledger.now + HOUR
    assert ledger.grant(1).lease == lease(ledger.now)
    assert ledger.grant(1).refresh_at == ledger.now + 0.6 * HOUR


def test_a_login_with_a_longer_lease_does_not_put_off_the_proof(ledger: Ledger) -> None:
    ledger.log_in(1, "access", "refresh")
    ledger.let_pass(30 * MINUTE)
    ledger.ask(login(2, presented("newer", "refresh", says=verdict(begin=ledger.now))))
    assert ledger.grant(1).lease == lease(ledger.now)
    assert ledger.grant(1).refresh_at == START + 0.6 * HOUR


def test_an_access_token_alone_lasts_as_long_as_its_issuer_states(ledger: Ledger) -> None:
    ledger.log_in(1)
    longer = verdict(length=2 * HOUR)  # asked later, introspection may say so
    ledger.ask(login(2, presented(says=longer)))
    assert ledger.grant(1).lease == longer.lease
    assert ledger.grant(1).refresh_at is None


def test_a_login_with_a_shorter_lease_shortens_nothing(ledger: Ledger) -> None:
    ledger.log_in(1, "access", "refresh")
    active = ledger.ask(login(2, presented("short", "refresh", says=verdict(length=MINUTE))))
    assert isinstance(active, ActiveSession)
    assert active.expires_at == START + HOUR


def test_joining_a_grant_that_was_idle_writes_it_so_that_it_is_refreshed(ledger: Ledger) -> None:
    ledger.log_in(1, "access", "refresh")
    ledger.prove()
    ledger.ask(EndSessions(session=session_id(1)))
    ledger.ask(login(2, presented("access", "refresh")))
    assert Put(ledger.grant(1)) in ledger.writes
    ledger.ask(login(3, presented("access", "refresh")))
    assert Put(ledger.grant(1)) not in ledger.writes


def test_the_draw_moves_the_refresh_by_the_jitter(ledger: Ledger) -> None:
    ledger.ask(login(1, presented("access", "refresh", draw=0.0)))
    assert ledger.grant(1).refresh_at == START + 0.5 * HOUR


def test_an_idle_grant_is_kept_for_whoever_comes_back_until_its_lease_ends(
    ledger: Ledger,
) -> None:
    ledger.log_in(1, "access", "refresh")
    ledger.prove()
    ledger.ask(EndSessions(session=session_id(1)))
    ledger.let_pass(HOUR - timedelta(microseconds=1))
    ledger.ask(Expire(grants=(grant_id(1),)))
    assert ledger.granted == {1}
    ledger.let_pass(timedelta(microseconds=1))
    ledger.ask(Expire(grants=(grant_id(1),), tokens=(token_hash("access"),)))
    assert ledger.granted == set()
    assert ledger.rows.tokens == {}
