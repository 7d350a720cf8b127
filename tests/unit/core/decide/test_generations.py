"""What is verified by one configuration counts under no other; of a gone issuer nothing stands."""

from dataclasses import replace

import pytest

from sessiond.core.access import Denied
from sessiond.core.changes import Disown, Recheck, Refresh, Renew
from sessiond.core.errors import Refusal
from sessiond.core.queries import FindSession
from tests.fakes import (
    HOUR,
    RULES,
    START,
    bind,
    grant_id,
    login,
    presented,
    process_key,
    renewal,
    session_id,
    verdict,
)
from tests.unit.core.decide.ledger import Ledger

OLD, NEW = replace(verdict(), generation=1), replace(verdict(), generation=2)


@pytest.fixture
def ledger() -> Ledger:
    """Session 1, let in by what is now the configuration before."""
    ledger = Ledger()
    ledger.rules = replace(RULES, generations={"corp": 1})
    ledger.ask(login(1, presented("access", "refresh", says=OLD)))
    assert ledger.ask(bind(1))
    ledger.rules = replace(RULES, generations={"corp": 2})
    return ledger


def test_a_login_is_judged_by_the_configuration_that_counts_now(ledger: Ledger) -> None:
    assert ledger.refusal(login(2, presented("two", says=OLD))) is Refusal.UNAVAILABLE
    assert not isinstance(ledger.ask(login(2, presented("two", says=NEW))), Denied)


def test_a_login_through_an_issuer_that_is_gone_is_refused(ledger: Ledger) -> None:
    ledger.rules = replace(RULES, generations={"other": 3})
    assert ledger.refusal(login(2, presented("two", says=NEW))) is Refusal.WRONGISSUER


def test_so_is_a_renewal(ledger: Ledger) -> None:
    asked: Renew = renewal(1, presented("fresh", says=OLD))
    assert ledger.refusal(asked) is Refusal.UNAVAILABLE


@pytest.mark.parametrize("kind", ["refresh", "recheck"])
def test_a_refresh_verified_before_changes_nothing(ledger: Ledger, kind: str) -> None:
    later = replace(verdict(begin=START, length=2 * HOUR, roles=("admin",)), generation=1)
    if kind == "refresh":
        assert not ledger.ask(Refresh(grant=grant_id(1), verdict=later, draw=0.5))
    else:
        assert not ledger.ask(Recheck(grant=grant_id(1), verdict=later))
    assert (ledger.writes, ledger.told) == ([], [])
    assert ledger.rows.sessions[session_id(1)].roles == ("reader",)


def test_disowned_sessions_end_and_their_tokens_are_as_good_as_before(ledger: Ledger) -> None:
    ledger.ask(Disown(grants=(grant_id(1), grant_id(1), grant_id(9))))
    (told,) = ledger.last.notices
    assert (told.event.kind, told.push_to) == ("session.revoked", process_key())
    assert getattr(told.event, "reason", "") == "wrongissuer"
    assert ledger.rows.grants == {}
    assert not any(each.is_refused for each in ledger.rows.tokens.values())
    assert ledger.ask(FindSession(process=process_key(), session=session_id(1))) is None
    ledger.rules = replace(RULES, generations={"corp": 3})
    again = replace(verdict(), generation=3)
    active = ledger.ask(login(2, presented("access", "refresh", says=again)))
    assert not isinstance(active, Denied)


def test_a_grant_keeps_whom_its_issuers_name_named(ledger: Ledger) -> None:
    ledger.rules = replace(RULES, generations={"corp": 2}, iss={"corp": "https://one.example/"})
    ledger.ask(login(2, presented("two", says=NEW)))
    ledger.rules = replace(RULES, generations={"corp": 2}, iss={"corp": "https://other.example/"})
    assert ledger.grant(2).iss == "https://one.example/"
