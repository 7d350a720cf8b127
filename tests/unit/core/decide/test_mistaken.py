"""An access token that somebody has brought as a refresh token, by mistake or on purpose."""

from dataclasses import replace
from uuid import UUID

import pytest

from sessiond.core.access import Denied
from sessiond.core.changes import Expire, KeepGrant, Refuse, Revoke
from sessiond.core.decide import unfinished
from sessiond.core.errors import Refusal
from sessiond.core.revocation import Revocation, Scope
from sessiond.core.session import ActiveSession
from sessiond.core.verdict import Verdict
from tests.fakes import (
    HOUR,
    MINUTE,
    grant_id,
    login,
    presented,
    principal,
    process_about,
    token_hash,
    verdict,
)
from tests.unit.core.decide.ledger import Ledger

ALL = Revoke(id=UUID(int=77), scope=Scope.ALL, value="", reason="drill")


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.mark.parametrize("refresh", [None, "refresh"])
def test_a_grant_whose_only_token_was_an_access_token_is_revoked_like_any_other(
    ledger: Ledger, refresh: str | None
) -> None:
    ledger.log_in(1, "one", "other")
    ledger.log_in(2, "other", refresh)
    assert list(ledger.rows.tokens_of(grant_id(1))) == []
    ledger.let_pass(MINUTE)
    assert ledger.ask(ALL).sessions == 2
    assert (ledger.alive, ledger.granted) == (set(), set())


def test_nor_does_a_start_forget_to_end_it(ledger: Ledger) -> None:
    ledger.log_in(1, "one", "other")
    ledger.log_in(2, "other")
    revocation = Revocation(id=ALL.id, scope=Scope.ALL, value="", at=ledger.now, reason="")
    assert not ledger.rows.was_there(ledger.grant(1), revocation.at - MINUTE)
    assert ledger.rows.was_there(ledger.grant(1), revocation.at)
    assert unfinished(ledger.rows) == []


@pytest.mark.parametrize("refresh", [None, "refresh"])
def test_whoever_has_brought_another_s_access_token_as_a_refresh_token_bars_nobody(
    ledger: Ledger, refresh: str | None
) -> None:
    mallory = verdict(principal("mallory"))
    thief = ledger.ask(login(1, presented("own", "hers", says=mallory)))
    assert isinstance(thief, ActiveSession)
    ledger.log_in(2, "hers", refresh)
    again = presented("own", "hers", says=mallory)
    assert ledger.refusal(login(3, again)) in {Refusal.WRONGTYPE, Refusal.USERMISMATCH}
    ledger.ask(Refuse(grant=grant_id(1), reason="refused"))
    assert ledger.alive == {2}
    assert not ledger.rows.tokens[token_hash("hers")].is_refused


def test_a_refresh_token_proves_no_access_token_that_is_the_same(ledger: Ledger) -> None:
    ledger.log_in(1, "one", "other")
    ledger.rules = replace(ledger.rules, proved=frozenset({"corp"}))
    assert ledger.refusal(login(2, presented("other"))) is Refusal.WRONGAUDIENCE
    adopted = ledger.ask(
        KeepGrant(about=process_about(), grant=grant_id(3), presented=presented("other", "refresh"))
    )
    assert not isinstance(adopted, Denied)


@pytest.mark.parametrize("refresh", [None, "refresh"])
def test_what_the_issuer_has_refreshed_with_is_no_access_token_whatever_it_says_of_it(
    ledger: Ledger, refresh: str | None
) -> None:
    ledger.log_in(1, "one", "other")
    ledger.prove()
    assert ledger.refusal(login(2, presented("other", refresh))) is Refusal.WRONGTYPE
    keep = KeepGrant(
        about=process_about(), grant=grant_id(3), presented=presented("other", refresh)
    )
    assert ledger.refusal(keep) is Refusal.WRONGTYPE


@pytest.mark.parametrize("refresh", [None, "refresh"])
def test_a_token_that_states_no_end_is_no_younger_for_having_come_as_a_refresh_token_first(
    ledger: Ledger, refresh: str | None
) -> None:
    def says() -> Verdict:
        return replace(verdict(begin=ledger.now, states_iat=False), states_end=False)

    ledger.log_in(1, "one", "other")
    ledger.ask(login(2, presented("other", refresh, says=says())))
    ledger.let_pass(HOUR)
    tokens = [token_hash("one"), token_hash("other"), token_hash("refresh")]
    ledger.ask(
        Expire(
            sessions=tuple(ledger.rows.sessions),
            grants=tuple(ledger.rows.grants),
            tokens=tuple(tokens),
        )
    )
    assert ledger.alive == set()
    assert ledger.refusal(login(3, presented("other", refresh, says=says()))) is Refusal.EXPIRED
