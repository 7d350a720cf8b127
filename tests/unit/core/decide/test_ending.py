"""What is taken back, and what runs out."""

from datetime import timedelta
from uuid import UUID

import pytest

from sessiond.core.changes import (
    EndSessions,
    Expire,
    LiftRevocation,
    Open,
    ProcessLost,
    RecordEvents,
    Refresh,
    Refuse,
    ReleaseName,
    Revoke,
)
from sessiond.core.decide import Notice, decide
from sessiond.core.decide.draft import REFUSED_KEPT
from sessiond.core.errors import Refusal
from sessiond.core.events import LoginRefused
from sessiond.core.grant import Grant
from sessiond.core.revocation import Revocation, Scope
from sessiond.core.rows import Drop
from sessiond.core.session import SessionState
from tests.fakes import (
    HOUR,
    MINUTE,
    RULES,
    START,
    bind,
    grant_id,
    login,
    presented,
    principal,
    process_key,
    session_id,
    token_hash,
    verdict,
)
from tests.unit.core.decide.ledger import Ledger


@pytest.fixture
def ledger() -> Ledger:
    """Alice's sessions 1 and 2 on one grant, bob's 3, and carol's 4 from another issuer."""
    ledger = Ledger()
    ledger.log_in(1, "access", "refresh")
    ledger.log_in(2, "access", "refresh")
    ledger.ask(login(3, presented("bob", "bob's", says=verdict(principal("bob")))))
    ledger.ask(bind(3))
    carol = verdict(principal("carol", issuer="partner"))
    ledger.ask(login(4, presented("carol", says=carol), pid=101))
    ledger.ask(bind(4, pid=101))
    return ledger


def revocation(scope: Scope, value: str = "") -> Revoke:
    return Revoke(id=UUID(int=77), scope=scope, value=value, reason="left the firm")


# Taken back


@pytest.mark.parametrize(
    ("scope", "value", "ended"),
    [
        (Scope.USER, "ALICE", {1, 2}),
        (Scope.ISSUER, "partner", {4}),
        (Scope.ALL, "", {1, 2, 3, 4}),
        (Scope.USER, "nobody", set()),
    ],
)
def test_a_revocation_ends_what_it_covers_and_drops_its_grants(
    ledger: Ledger, scope: Scope, value: str, ended: set[int]
) -> None:
    grants = {1: 1, 2: 1, 3: 3, 4: 4}
    assert ledger.ask(revocation(scope, value)).sessions == len(ended)
    assert {handle for _, handle, _ in ledger.pushed} == ended
    assert {(kind, reason) for kind, _, reason in ledger.told} == (
        {("session.revoked", "operator")} if ended else set()
    )
    assert ledger.alive == {1, 2, 3, 4} - ended
    assert ledger.granted == {1, 3, 4} - {grants[number] for number in ended}


def test_a_revocation_is_kept_with_its_time_and_the_operator_s_words(ledger: Ledger) -> None:
    ledger.let_pass(MINUTE)
    ledger.ask(revocation(Scope.USER, "Alice"))
    assert list(ledger.rows.revocations.values()) == [
        Revocation(
            id=UUID(int=77),
            scope=Scope.USER,
            value="alice",
            at=START + MINUTE,
            reason="left the firm",
        )
    ]


def test_a_revocation_by_user_drops_idle_grants_too(ledger: Ledger) -> None:
    ledger.prove(1)
    ledger.ask(EndSessions(process=process_key()))
    assert ledger.granted == {1, 4}
    assert ledger.ask(revocation(Scope.USER, "alice")).sessions == 0
    assert ledger.granted == {4}
    access = ledger.rows.tokens[token_hash("access")]
    assert access.keep_until == ledger.now + REFUSED_KEPT
    trace = ledger.rows.tokens[token_hash("refresh")]
    assert (trace.grant, trace.is_refused) == (None, False)


def test_a_revocation_by_one_name_ends_the_subject_s_sessions_under_all_its_names(
    ledger: Ledger,
) -> None:
    renamed = verdict(principal("alice.smith", "subject of alice"))
    ledger.ask(login(5, presented("new", "refresh", says=renamed)))
    ledger.ask(login(6, presented("newer", "newer refresh", says=renamed)))
    assert ledger.ask(revocation(Scope.USER, "alice.smith")).sessions == 4
    assert ledger.alive == {3, 4}
    assert ledger.granted == {3, 4}


def test_a_revocation_drops_the_grants_of_a_name_that_was_forgotten(ledger: Ledger) -> None:
    assert ledger.ask(ReleaseName(name="Alice"))
    assert ledger.ask(revocation(Scope.USER, "alice")).sessions == 2
    assert ledger.granted == {3, 4}


def test_only_what_an_operator_revokes_is_given_back_to_the_issuer(ledger: Ledger) -> None:
    ledger.ask(revocation(Scope.USER, "alice"))
    dropped = [each for each in ledger.writes if isinstance(each, Drop) and each.give_back]
    assert [type(each.row) for each in dropped] == [Grant]
    ledger.let_pass(HOUR)
    ledger.ask(Expire(grants=(grant_id(3),)))
    assert not any(each.give_back for each in ledger.writes if isinstance(each, Drop))


def test_no_login_undoes_a_revocation(ledger: Ledger) -> None:
    ledger.ask(revocation(Scope.USER, "alice"))
    ledger.let_pass(MINUTE)
    assert ledger.refusal(login(5, presented("access", "refresh"))) is Refusal.REVOKED


def test_a_login_that_is_revoked_before_it_is_opened_cannot_be_opened(ledger: Ledger) -> None:
    ledger.ask(login(5, presented("access", "refresh")))
    ledger.ask(revocation(Scope.USER, "alice"))
    assert ("session.revoked", 5, process_key()) in ledger.pushed
    assert not ledger.ask(bind(5))


def test_a_forgiven_revocation_refuses_nobody_and_revives_nothing(ledger: Ledger) -> None:
    ledger.ask(revocation(Scope.USER, "alice"))
    ledger.let_pass(MINUTE)
    assert ledger.ask(LiftRevocation(id=UUID(int=77)))
    assert ledger.alive == {3, 4}
    ledger.ask(login(5, presented("access", "refresh")))
    assert ledger.alive == {3, 4, 5}


def test_what_is_not_there_is_neither_forgiven_nor_forgotten(ledger: Ledger) -> None:
    assert not ledger.ask(LiftRevocation(id=UUID(int=78)))
    assert not ledger.ask(ReleaseName(name="nobody"))
    assert ledger.writes == []


def test_a_forgotten_name_may_go_to_another_subject(ledger: Ledger) -> None:
    heir = login(5, presented("heir", says=verdict(principal("alice", "heir"))))
    assert ledger.refusal(heir) is Refusal.USERMISMATCH
    assert ledger.ask(ReleaseName(name="ALICE"))
    ledger.ask(heir)
    assert 5 in ledger.alive
    assert ledger.refusal(login(6, presented("access", "refresh"))) is Refusal.USERMISMATCH


def test_ending_a_session_ends_nothing_more(ledger: Ledger) -> None:
    assert ledger.ask(EndSessions(session=session_id(1))) == 1
    assert ledger.pushed == [("session.revoked", 1, process_key())]
    assert ledger.told == [("session.revoked", 1, "operator")]
    assert (ledger.alive, ledger.granted) == ({2, 3, 4}, {1, 3, 4})
    ledger.ask(login(5, presented("access", "refresh")))  # and may come back
    assert 5 in ledger.alive


def test_ending_a_process_ends_its_sessions(ledger: Ledger) -> None:
    assert ledger.ask(EndSessions(process=process_key())) == 3
    assert ledger.alive == {4}


def test_ending_what_is_not_there_ends_nothing(ledger: Ledger) -> None:
    assert ledger.ask(EndSessions(session=session_id(9))) == 0
    assert ledger.ask(EndSessions()) == 0
    assert ledger.ask(EndSessions(process=process_key(9))) == 0
    assert ledger.alive == {1, 2, 3, 4}


# Run out


def test_the_end_of_the_lease_ends_the_sessions_and_forgets_the_grant(ledger: Ledger) -> None:
    ledger.let_pass(HOUR)
    ledger.ask(Expire(grants=(grant_id(1),), tokens=(token_hash("access"),)))
    assert ledger.told == [("session.expired", 1, "expired"), ("session.expired", 2, "expired")]
    assert len(ledger.pushed) == 2
    assert (ledger.alive, ledger.granted) == ({3, 4}, {3, 4})
    assert token_hash("access") not in ledger.rows.tokens
    assert token_hash("refresh") not in ledger.rows.tokens


def test_nothing_ends_before_its_time(ledger: Ledger) -> None:
    ledger.let_pass(HOUR - timedelta(microseconds=1))
    ledger.ask(Expire(grants=(grant_id(1),), sessions=(session_id(1),)))
    assert ledger.writes == []


def test_what_was_prolonged_meanwhile_stays(ledger: Ledger) -> None:
    ledger.let_pass(30 * MINUTE)
    ledger.ask(Refresh(grant=grant_id(1), verdict=verdict(begin=ledger.now), draw=0.5))
    ledger.let_pass(30 * MINUTE)
    ledger.ask(Expire(grants=(grant_id(1),)))
    assert ledger.writes == []


def test_what_is_named_twice_ends_once(ledger: Ledger) -> None:
    ledger.let_pass(HOUR)
    ledger.ask(Expire(grants=(grant_id(4), grant_id(4))))
    assert ledger.told == [("session.expired", 4, "expired")]
    ledger.ask(ProcessLost(process=process_key()))
    ledger.let_pass(RULES.grace)
    ledger.ask(Expire(sessions=(session_id(3), session_id(3))))
    assert ledger.told == [("session.closed", 3, "lost")]


def test_a_session_whose_lease_and_grace_end_together_ends_once(ledger: Ledger) -> None:
    ledger.let_pass(HOUR - RULES.grace)
    ledger.ask(ProcessLost(process=process_key(101)))
    ledger.let_pass(RULES.grace)
    ledger.ask(Expire(sessions=(session_id(4),), grants=(grant_id(4),)))
    assert ledger.told == [("session.expired", 4, "expired")]


def test_a_login_never_opened_ends_silently(ledger: Ledger) -> None:
    ledger.ask(login(5, presented("access", "refresh")))
    ledger.let_pass(RULES.unbound)
    ledger.ask(Expire(sessions=(session_id(5),)))
    assert ledger.told == []
    assert ledger.alive == {1, 2, 3, 4}


def test_a_login_opened_meanwhile_stays(ledger: Ledger) -> None:
    ledger.ask(login(5, presented("access", "refresh")))
    ledger.ask(bind(5))
    ledger.let_pass(RULES.unbound)
    ledger.ask(Expire(sessions=(session_id(5), session_id(99)), grants=(grant_id(99),)))
    assert ledger.session(5).state is SessionState.OPEN


def test_the_trace_of_a_refused_token_is_forgotten_in_the_end(ledger: Ledger) -> None:
    ledger.ask(Refuse(grant=grant_id(1), reason="refused"))
    tokens = (token_hash("access"), token_hash("refresh"), token_hash("never seen"))
    ledger.let_pass(REFUSED_KEPT - timedelta(microseconds=1))
    ledger.ask(Expire(tokens=tokens))
    assert ledger.writes == []
    ledger.let_pass(timedelta(microseconds=1))
    ledger.ask(Expire(tokens=(*tokens, *tokens)))
    assert len(ledger.writes) == 2
    assert not set(tokens) & set(ledger.rows.tokens)


def test_a_trace_that_belongs_to_a_grant_lasts_as_long_as_it(ledger: Ledger) -> None:
    ledger.ask(Refresh(grant=grant_id(1), verdict=verdict(length=2 * HOUR), draw=0.5))
    ledger.let_pass(HOUR)
    ledger.ask(Expire(tokens=(token_hash("refresh"),)))
    assert ledger.writes == []


# Told


def test_telling_writes_no_row(ledger: Ledger) -> None:
    refused = LoginRefused(at=START, user="mallory", reason="badsignature", count=3)
    ledger.ask(RecordEvents(events=(refused,)))
    assert ledger.writes == []
    assert ledger.last.notices == [Notice(refused)]


def test_deciding_changes_no_row_by_itself(ledger: Ledger) -> None:
    change: Open = login(5, presented("other"), handle=1)
    before = (dict(ledger.rows.sessions), dict(ledger.rows.grants), dict(ledger.rows.tokens))
    assert decide(ledger.rows, change, ledger.now, ledger.rules).writes
    after = (dict(ledger.rows.sessions), dict(ledger.rows.grants), dict(ledger.rows.tokens))
    assert after == before
