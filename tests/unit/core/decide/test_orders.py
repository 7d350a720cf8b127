"""What an operator has done is told with who, why and what it covers, before what it leads to."""

from typing import Any
from uuid import UUID

import pytest

from sessiond.core.changes import (
    Change,
    EndSessions,
    LiftRevocation,
    RecordReload,
    ReleaseName,
    Revoke,
)
from sessiond.core.events import (
    Event,
    Operator,
    OperatorEvent,
    OperatorForgave,
    OperatorForgot,
    OperatorReloaded,
    OperatorRevoked,
    SessionRevoked,
)
from sessiond.core.revocation import Scope
from tests.fakes import (
    bind,
    login,
    presented,
    principal,
    process_about,
    process_key,
    session_id,
    verdict,
)
from tests.unit.core.decide.ledger import Ledger

OLGA = Operator(uid=1001, name="olga")
MANY = 300  # sessions: more than one decision ends
LASTING = UUID(int=77)


@pytest.fixture
def ledger() -> Ledger:
    """Alice's sessions 1 and 2, and carol's 3 from another issuer on another process."""
    ledger = Ledger()
    ledger.log_in(1, "access", "refresh")
    ledger.log_in(2, "access", "refresh")
    carol = verdict(principal("carol", issuer="partner"))
    ledger.ask(login(3, presented("carol", says=carol), pid=101))
    ledger.ask(bind(3, pid=101))
    return ledger


def told(ledger: Ledger, *changes: Change[Any]) -> list[Event]:
    """Return what changes have told, or the last one."""
    if not changes:
        return [each.event for each in ledger.last.notices]
    found: list[Event] = []
    for change in changes:
        ledger.ask(change)
        found += told(ledger)
    return found


def revoke(scope: Scope, value: str = "", by: Operator | None = OLGA) -> Revoke:
    return Revoke(id=LASTING, scope=scope, value=value, reason="left us", by=by)


@pytest.mark.parametrize(
    ("scope", "value", "covers", "count"),
    [
        (Scope.USER, "ALICE", ("alice", ""), 2),
        (Scope.USER, "nobody", ("nobody", ""), 0),
        (Scope.ISSUER, "partner", ("", "partner"), 1),
        (Scope.ALL, "", ("", ""), 3),
    ],
)
def test_a_revocation_is_told_before_the_ends_with_how_many_there_will_be(
    ledger: Ledger, scope: Scope, value: str, covers: tuple[str, str], count: int
) -> None:
    taken = ledger.ask(revoke(scope, value))
    first, *ends = told(ledger)
    assert isinstance(first, OperatorRevoked)
    assert (first.by, first.reason, first.at) == (OLGA, "left us", ledger.now)
    assert (first.scope, first.value) == (scope.value, value.lower())
    assert (first.user, first.issuer, first.session) == (*covers, None)
    assert first.count == taken.sessions == len(ends) == count
    assert {(each.reason, each.detail) for each in ends if isinstance(each, SessionRevoked)} == (
        {("operator", "left us")} if ends else set()
    )


def test_what_ends_in_pieces_is_told_once_and_each_end_has_the_words() -> None:
    ledger = Ledger()
    for number in range(1, MANY + 1):
        ledger.log_in(number, f"access {number}")
    assert ledger.ask(revoke(Scope.ALL)).sessions == MANY
    first, *ends = told(ledger)
    assert isinstance(first, OperatorRevoked)
    assert first.count == MANY == len(ends)
    assert {each.detail for each in ends if isinstance(each, SessionRevoked)} == {"left us"}


def test_a_process_that_ends_in_pieces_is_told_once_too() -> None:
    ledger = Ledger()
    for number in range(1, MANY + 1):
        ledger.log_in(number, f"access {number}")
    end = EndSessions(process=process_key(), by=OLGA, reason="down")
    assert ledger.ask(end) == MANY
    first, *ends = told(ledger)
    assert isinstance(first, OperatorRevoked)
    about = process_about()
    assert (first.scope, first.value) == ("process", f"{about.name}:{about.pid}")
    assert (first.process, first.count, len(ends)) == (about, MANY, MANY)
    assert {each.detail for each in ends if isinstance(each, SessionRevoked)} == {"down"}


def test_one_session_is_named_with_its_user_and_its_process(ledger: Ledger) -> None:
    ledger.ask(EndSessions(session=session_id(3), by=OLGA, reason="wrong desk"))
    order, end = told(ledger)
    assert isinstance(order, OperatorRevoked)
    assert (order.scope, order.value) == ("session", str(session_id(3)))
    assert (order.session, order.user, order.issuer) == (session_id(3), "carol", "partner")
    assert (order.process, order.handle, order.count) == (end.process, end.handle, 1)


def test_what_changes_nothing_is_not_told(ledger: Ledger) -> None:
    nothing = told(
        ledger,
        EndSessions(session=session_id(9), by=OLGA, reason="x"),
        EndSessions(process=process_key(9), by=OLGA, reason="x"),
        LiftRevocation(id=UUID(int=1), by=OLGA),
        ReleaseName(name="nobody", by=OLGA),
    )
    assert nothing == []


def test_what_nobody_has_ordered_has_no_operator_s_event(ledger: Ledger) -> None:
    ends = told(
        ledger,
        EndSessions(session=session_id(1)),
        EndSessions(process=process_key()),
        revoke(Scope.ALL, by=None),
        LiftRevocation(id=LASTING),
        ReleaseName(name="alice"),
    )
    assert len(ends) == 3
    assert not any(isinstance(each, OperatorEvent) for each in ends)


@pytest.mark.parametrize(
    ("scope", "value", "covers"),
    [
        (Scope.USER, "alice", ("alice", "")),
        (Scope.ISSUER, "partner", ("", "partner")),
        (Scope.ALL, "", ("", "")),
    ],
)
def test_forgiving_is_told_with_what_was_lifted(
    ledger: Ledger, scope: Scope, value: str, covers: tuple[str, str]
) -> None:
    ledger.ask(revoke(scope, value, by=None))
    ledger.ask(LiftRevocation(id=LASTING, by=OLGA, reason="a mistake"))
    (order,) = told(ledger)
    assert isinstance(order, OperatorForgave)
    assert (order.by, order.reason, order.scope, order.value) == (
        OLGA,
        "a mistake",
        scope.value,
        value,
    )
    assert (order.user, order.issuer, order.count) == (*covers, 0)


def test_forgetting_is_told_with_whose_the_name_was(ledger: Ledger) -> None:
    ledger.ask(ReleaseName(name="Alice", by=OLGA, reason="renamed"))
    (order,) = told(ledger)
    assert isinstance(order, OperatorForgot)
    assert (order.user, order.issuer, order.value) == ("alice", "corp", "alice")
    assert (order.by, order.reason, order.scope) == (OLGA, "renamed", "user")


@pytest.mark.parametrize("by", [OLGA, None])
def test_a_reload_is_told_whoever_has_asked_for_it(ledger: Ledger, by: Operator | None) -> None:
    ledger.ask(RecordReload(generation=3, by=by, reason="more issuers", ended=5))
    (order,) = told(ledger)
    assert isinstance(order, OperatorReloaded)
    assert (order.by, order.reason, order.count) == (by, "more issuers", 5)
    assert (order.scope, order.value) == ("configuration", "3")
