"""Tickets: what they open, once, and what becomes of it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sessiond.core.access import AccessRules, Ceiling
from sessiond.core.changes import Close, Expire, ProcessLost, Refuse, Withdraw
from sessiond.core.errors import Refusal
from sessiond.core.session import ActiveSession, SessionState
from sessiond.core.ticket import SPENT_KEPT
from tests.fakes import (
    HOUR,
    MINUTE,
    RULES,
    START,
    bind,
    grant_id,
    login,
    presented,
    process_about,
    process_key,
    renewal,
    session_id,
    ticket,
    ticket_id,
    ticket_login,
    token_hash,
    verdict,
)
from tests.unit.core.decide.ledger import Ledger

SIGNED_IN = START - MINUTE
SAYS = verdict(roles=("reader", "trader"), auth_time=SIGNED_IN, acr=("mfa",))


@pytest.fixture
def ledger() -> Ledger:
    """Return rows with a session of alice's, 1, at process 100."""
    ledger = Ledger()
    ledger.ask(login(1, presented(says=SAYS)))
    ledger.ask(bind(1))
    return ledger


def spend(ledger: Ledger, number: int = 2, **how: object) -> ActiveSession:
    """Open the session of a ticket at process 200, on a handle of its number."""
    active = ledger.ask(ticket_login(number, **how))  # type: ignore[arg-type]
    assert isinstance(active, ActiveSession), active
    assert ledger.ask(bind(number, pid=200))
    return active


def under(*ceilings: Ceiling) -> AccessRules:
    return AccessRules(ceilings=ceilings)


def test_a_ticket_s_session_is_its_parent_s_user_s_elsewhere(ledger: Ledger) -> None:
    active = spend(ledger)
    parent, child = ledger.session(1), ledger.session(2)
    assert (child.principal, child.grant, child.access) == (
        parent.principal,
        parent.grant,
        parent.access,
    )
    assert (child.process, child.about) == (process_key(200), process_about(200))
    assert (child.parent, child.hops) == (parent.id, 1)
    assert (child.auth_time, child.acr) == (SIGNED_IN, ("mfa",))
    assert (child.roles, child.attributes) == (parent.roles, parent.attributes)
    assert active.expires_at == START + HOUR
    assert ledger.told == [("session.opened", 2, "")]


def test_its_events_name_its_parent(ledger: Ledger) -> None:
    spend(ledger)
    assert ledger.last.notices[0].event.parent == session_id(1)  # type: ignore[union-attr]


def test_a_ticket_is_spent_once(ledger: Ledger) -> None:
    spend(ledger)
    assert ledger.refusal(ticket_login(3, ticket(2))) is Refusal.REVOKED
    ledger.ask(Close(process=process_key(200), handle=2))
    assert ledger.refusal(ticket_login(3, ticket(2))) is Refusal.REVOKED


def test_kdb_s_repeated_handshake_is_no_second_use(ledger: Ledger) -> None:
    first = ledger.ask(ticket_login(2))
    again = ledger.ask(ticket_login(3, ticket(2), handle=2))
    assert isinstance(first, ActiveSession)
    assert isinstance(again, ActiveSession)
    assert again.session.id == first.session.id
    assert ledger.refusal(ticket_login(3, ticket(2), handle=3)) is Refusal.REVOKED
    assert ledger.refusal(ticket_login(3, ticket(2), handle=2, pid=300)) is Refusal.REVOKED


def test_a_login_by_the_parent_s_token_is_no_repetition_of_a_ticket_s(ledger: Ledger) -> None:
    ledger.rules = replace(RULES, access=under(Ceiling(name="rdb100", roles=("reader",))))
    ledger.ask(ticket_login(2))
    active = ledger.ask(login(3, presented(says=SAYS), handle=2, pid=200))
    assert isinstance(active, ActiveSession)
    assert active.session.id == session_id(3)
    assert 2 not in ledger.alive


def test_a_ticket_that_has_run_out_opens_nothing(ledger: Ledger) -> None:
    ledger.let_pass(timedelta(seconds=30))
    assert ledger.refusal(ticket_login(2)) is Refusal.EXPIRED


def test_a_ticket_of_a_session_that_has_ended_opens_nothing(ledger: Ledger) -> None:
    ledger.ask(Close(process=process_key(), handle=1))
    assert ledger.refusal(ticket_login(2)) is Refusal.REVOKED


def test_a_ticket_under_another_name_opens_nothing(ledger: Ledger) -> None:
    assert ledger.refusal(ticket_login(2, ticket(2, name="bob"))) is Refusal.USERMISMATCH
    assert isinstance(ledger.ask(ticket_login(2, ticket(2, name="ALICE"))), ActiveSession)


def test_the_process_s_own_ceiling_counts(ledger: Ledger) -> None:
    ledger.rules = replace(RULES, access=under(Ceiling(name="rdb200", roles=("trader",))))
    assert spend(ledger).session.roles == ("trader",)
    ledger.rules = replace(RULES, access=under(Ceiling(name="rdb200", roles=("none",))))
    assert ledger.refusal(ticket_login(3)) is Refusal.NOROLES
    ledger.rules = replace(RULES, access=under(Ceiling(name="rdb200", users=("bob",))))
    assert ledger.refusal(ticket_login(3)) is Refusal.NOTALLOWED
    ledger.rules = replace(RULES, access=under(Ceiling(name="rdb200", acr=("phr",))))
    assert ledger.refusal(ticket_login(3)) is Refusal.STEPUP
    ledger.rules = replace(RULES, access=under(Ceiling(name="rdb200", max_age=MINUTE)))
    assert isinstance(ledger.ask(ticket_login(3)), ActiveSession)


def test_it_ends_with_its_parent_in_the_same_decision(ledger: Ledger) -> None:
    spend(ledger)
    ledger.ask(Close(process=process_key(), handle=1))
    assert not ledger.alive
    assert ledger.pushed == [("session.revoked", 2, process_key(200))]
    assert ("session.revoked", 2, "parent") in ledger.told


def test_it_goes_along_with_its_parent_s_renewal(ledger: Ledger) -> None:
    spend(ledger)
    says = verdict(begin=START + MINUTE, roles=("reader",), acr=("pwd",))
    ledger.ask(renewal(1, presented("fresh", says=says)))
    child = ledger.session(2)
    assert (child.grant, child.access) == (ledger.session(1).grant, token_hash("fresh"))
    assert (child.roles, child.auth_time, child.acr) == (("reader",), None, ("pwd",))
    assert ledger.pushed == [
        ("session.roles", 1, process_key(100)),
        ("session.refreshed", 2, process_key(200)),
        ("session.roles", 2, process_key(200)),
    ]


def test_it_is_not_renewed_itself(ledger: Ledger) -> None:
    spend(ledger)
    says = verdict(begin=START + MINUTE)
    assert ledger.refusal(renewal(2, presented("fresh", says=says), pid=200)) is Refusal.WRONGTYPE


def test_an_exchanged_ticket_s_session_has_no_parent(ledger: Ledger) -> None:
    tokens = presented("shown", says=SAYS)
    active = spend(ledger, tokens=tokens)
    assert (active.session.parent, active.session.hops) == (None, 1)
    assert (active.session.auth_time, active.session.acr) == (SIGNED_IN, ("mfa",))
    assert ledger.grant(2).lease == SAYS.lease
    ledger.ask(Close(process=process_key(), handle=1))
    assert ledger.alive == {2}
    assert ledger.refusal(ticket_login(3, ticket(2, parent=None), tokens=tokens)) is Refusal.REVOKED


def test_a_spent_ticket_is_known_until_the_clock_could_not_bring_it_back(ledger: Ledger) -> None:
    spend(ledger)
    until = ticket(2).expires_at + SPENT_KEPT
    assert ledger.rows.spent_tickets[ticket_id(2)].keep_until == until
    ledger.now = until - timedelta(microseconds=1)
    ledger.ask(Expire(tickets=(ticket_id(2),)))
    assert ticket_id(2) in ledger.rows.spent_tickets
    ledger.now = until
    ledger.ask(Expire(tickets=(ticket_id(2),)))
    assert not ledger.rows.spent_tickets


def test_a_ticket_whose_login_was_withdrawn_stays_spent(ledger: Ledger) -> None:
    ledger.ask(ticket_login(2))
    ledger.ask(Withdraw(session=session_id(2)))
    assert ledger.alive == {1}
    assert ledger.refusal(ticket_login(3, ticket(2), handle=2)) is Refusal.REVOKED


def test_an_exchanged_ticket_s_handshake_may_be_repeated_as_well(ledger: Ledger) -> None:
    tokens = presented("shown", says=SAYS)
    ledger.ask(ticket_login(2, tokens=tokens))
    again = ledger.ask(ticket_login(3, ticket(2, parent=None), tokens=tokens, handle=2))
    assert isinstance(again, ActiveSession)
    assert again.session.id == session_id(2)


def test_an_exchanged_ticket_is_judged_as_a_login_by_its_token(ledger: Ledger) -> None:
    tokens = presented("shown", says=SAYS)
    other = ticket_login(2, ticket(2, parent=None, name="bob"), tokens=tokens)
    assert ledger.refusal(other) is Refusal.USERMISMATCH
    ledger.rules = replace(RULES, max_sessions=0)
    assert ledger.refusal(ticket_login(2, tokens=tokens)) is Refusal.THROTTLED
    ledger.rules = replace(RULES, access=under(Ceiling(name="rdb200", users=("bob",))))
    assert ledger.refusal(ticket_login(2, tokens=tokens)) is Refusal.NOTALLOWED


def test_a_ticket_for_nobody_opens_nothing(ledger: Ledger) -> None:
    assert ledger.refusal(ticket_login(2, ticket(2, parent=None))) is Refusal.REVOKED


def test_what_it_may_follows_the_newer_rules_where_its_handshake_is_repeated(
    ledger: Ledger,
) -> None:
    ledger.ask(ticket_login(2))
    ledger.rules = replace(RULES, access=under(Ceiling(name="rdb200", roles=("trader",))))
    again = ledger.ask(ticket_login(3, ticket(2), handle=2))
    assert isinstance(again, ActiveSession)
    assert again.session.roles == ("trader",)


def test_a_parent_that_waits_for_its_process_lets_in_too(ledger: Ledger) -> None:
    ledger.ask(ProcessLost(process=process_key()))
    assert ledger.session(1).state is SessionState.WAITING
    assert isinstance(ledger.ask(ticket_login(2)), ActiveSession)


def test_whatever_ends_a_grant_what_tickets_opened_on_it_ends_with_its_parent(
    ledger: Ledger,
) -> None:
    tickets = range(2, 12)  # many: the order in which a grant's sessions are found is any
    for number in tickets:
        spend(ledger, number)
    ledger.ask(Refuse(grant=grant_id(1), reason="refused"))
    reasons = {handle: reason for _, handle, reason in ledger.told}
    assert reasons == {1: "refused", **dict.fromkeys(tickets, "parent")}


def test_so_many_are_known_to_be_spent_and_the_surplus_is_throttled(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repeated handshake is no further one."""
    monkeypatch.setattr("sessiond.core.decide.tickets.MAX_SPENT", 1)
    first = ticket_login(2, ticket(2, parent=1))
    opened = ledger.ask(first)
    assert ledger.refusal(ticket_login(3, ticket(3, parent=1))) is Refusal.THROTTLED
    assert ledger.ask(first) == opened
