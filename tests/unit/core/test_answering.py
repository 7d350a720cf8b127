"""What queries are answered with: always the rows as they stand, and nothing is written."""

from dataclasses import replace
from datetime import timedelta
from types import ModuleType
from uuid import UUID

import pytest

from sessiond.core import changes, queries
from sessiond.core.access import AccessRules, Ceiling
from sessiond.core.answering import _ANSWERS, answer
from sessiond.core.changes import Change, EndSessions, KeepCursor, Revoke
from sessiond.core.cursor import Cursor, Cursors
from sessiond.core.decide import _DECIDERS, turn_of
from sessiond.core.errors import Refusal
from sessiond.core.queries import (
    CheckAdmission,
    FindGrant,
    FindRecheckable,
    FindSession,
    KnownNames,
    ListCursors,
    ListOwnSessions,
    Ping,
    Query,
)
from sessiond.core.reading import PIECE, Reading
from sessiond.core.revocation import Revocation, Scope
from sessiond.core.rows import Put, RowsView
from sessiond.core.written_rows import Rows
from tests.fakes import (
    HOUR,
    RULES,
    START,
    bind,
    grant_id,
    login,
    presented,
    principal,
    process_about,
    process_key,
    session_id,
    verdict,
)
from tests.unit.core.decide.ledger import Ledger

BOB = verdict(principal("Bob", issuer="other"))


@pytest.fixture
def ledger() -> Ledger:
    """alice on handles 1 to 3 of process 100, Bob (of another issuer) on 4 of process 200."""
    ledger = Ledger()
    for number in (1, 2, 3):
        ledger.log_in(number)
    ledger.ask(login(4, presented("bob's", says=BOB), pid=200))
    ledger.ask(bind(4, pid=200))
    return ledger


def revoke(user: str) -> Revoke:
    return Revoke(id=UUID(int=1), scope=Scope.USER, value=user, reason="test")


def of_module(module: ModuleType, kind: type) -> set[object]:
    """Return the types of a kind that a module has, not the kind itself."""
    found = (each for each in vars(module).values() if isinstance(each, type))
    return {each for each in found if issubclass(each, kind) and each is not kind}


def test_whatever_is_asked_is_a_query_or_a_change_and_never_both() -> None:
    assert set(_ANSWERS) == of_module(queries, Query)
    assert set(_DECIDERS) == of_module(changes, Change)
    assert not of_module(queries, Change)
    assert not of_module(changes, Query)


def test_who_answers_a_query_has_nothing_to_write_with() -> None:
    assert not {"writes", "notices", "put", "drop", "tell", "push"} & set(dir(Reading))
    writing = {"apply", "put_states"}
    assert writing <= set(dir(Rows))
    assert not writing & set(dir(RowsView))


def test_a_ping_is_answered_with_nothing(ledger: Ledger) -> None:
    assert ledger.ask(Ping()) is None


def test_a_process_is_shown_its_live_sessions_oldest_first(ledger: Ledger) -> None:
    found = ledger.ask(ListOwnSessions(process=process_key()))
    assert [each.session for each in found] == [ledger.session(number) for number in (1, 2, 3)]
    assert {each.expires_at for each in found} == {START + HOUR}
    assert ledger.ask(ListOwnSessions(process=process_key(102))) == []


def test_a_process_is_not_shown_what_was_taken_back_and_is_still_to_be_ended(
    ledger: Ledger,
) -> None:
    row = Revocation(id=UUID(int=1), scope=Scope.ALL, value="", at=ledger.now, reason="test")
    ledger.rows.apply(Put(row))
    assert ledger.ask(ListOwnSessions(process=process_key())) == []
    assert ledger.ask(FindSession(process=process_key(), session=session_id(1))) is None


def test_a_long_list_comes_in_pieces_that_each_look_at_so_many_rows_and_no_more() -> None:
    ledger = Ledger()
    for number in range(1, 2 * PIECE + 2):
        ledger.ask(login(number, presented("access"), handle=number))
    first = answer(ledger.rows, ListOwnSessions(process=process_key()), ledger.now, RULES)
    assert first.answer is None
    assert isinstance(first.rest, ListOwnSessions)
    assert first.rest.unseen is not None
    assert len(first.rest.seen) == PIECE
    assert len(first.rest.unseen) == PIECE + 1
    assert turn_of(first.rest) == process_key()  # so nothing of the process passes it
    assert len(ledger.ask(ListOwnSessions(process=process_key()))) == 2 * PIECE + 1
    assert ledger.pieces == 3


def test_a_session_that_ends_while_its_list_is_being_made_is_not_in_it(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessiond.core.reading.PIECE", 1)
    first = answer(ledger.rows, ListOwnSessions(process=process_key()), ledger.now, RULES)
    assert first.rest is not None
    ledger.ask(EndSessions(session=session_id(2)))
    found = ledger.ask(first.rest)
    assert [each.session.id.int for each in found] == [1, 3]


def test_a_session_is_found_while_it_is_alive_and_by_its_own_process(ledger: Ledger) -> None:
    ledger.ask(login(5, presented("brief", says=verdict(length=timedelta(seconds=5)))))
    found = ledger.ask(FindSession(process=process_key(), session=session_id(5)))
    assert found is not None
    assert found.session == ledger.session(5)
    ledger.let_pass(timedelta(seconds=5))
    assert ledger.ask(FindSession(process=process_key(), session=session_id(5))) is None
    assert ledger.ask(FindSession(process=process_key(), session=session_id(6))) is None
    assert ledger.ask(FindSession(process=process_key(101), session=session_id(1))) is None


def test_a_grant_is_found_by_its_id(ledger: Ledger) -> None:
    assert ledger.ask(FindGrant(grant=grant_id(1))) is ledger.grant(1)
    assert ledger.ask(FindGrant(grant=grant_id(9))) is None


def test_only_a_grant_with_sessions_and_nothing_to_refresh_with_is_asked_about(
    ledger: Ledger,
) -> None:
    ledger.ask(login(5, presented("other", "refresh")))
    assert ledger.ask(FindRecheckable(grant=grant_id(5))) is None
    assert ledger.ask(FindRecheckable(grant=grant_id(4))) is ledger.grant(4)
    ledger.ask(EndSessions(session=session_id(4)))
    assert ledger.ask(FindRecheckable(grant=grant_id(4))) is None
    assert ledger.ask(FindRecheckable(grant=grant_id(9))) is None


def test_a_login_is_judged_as_it_would_be(ledger: Ledger) -> None:
    def judged(access: str) -> Refusal | None:
        denied = ledger.ask(CheckAdmission(presented=presented(access), is_proof_due=True))
        return None if denied is None else denied.reason

    assert judged("new") is None
    ledger.ask(revoke("alice"))
    assert judged("new") is Refusal.REVOKED
    assert ledger.refusal(login(7, presented("new"))) is Refusal.REVOKED


def test_a_login_is_judged_for_the_process_where_it_would_be(ledger: Ledger) -> None:
    rules = AccessRules(ceilings=(Ceiling(name="rdb100", users=("bob",)),))
    ledger.rules = replace(ledger.rules, access=rules)
    for pid, reason in ((100, Refusal.NOTALLOWED), (101, None)):
        check = CheckAdmission(
            presented=presented("new"), about=process_about(pid), is_proof_due=True
        )
        denied = ledger.ask(check)
        assert (None if denied is None else denied.reason) is reason


def test_the_names_that_belong_to_somebody_are_known_also_after_the_last_session(
    ledger: Ledger,
) -> None:
    ledger.ask(EndSessions(session=session_id(4)))
    names = frozenset({"alice", "bob", "mallory", "Bob"})  # names are kept folded
    assert ledger.ask(KnownNames(names=names)) == {"alice", "bob"}


def test_the_cursors_that_are_kept_are_listed_by_subscriber(ledger: Ledger) -> None:
    for subscriber in ("webhook", "audit"):
        ledger.ask(KeepCursor(subscriber=subscriber, sequence=3))
    cursors = tuple(Cursor(subscriber=each, sequence=3, at=START) for each in ("audit", "webhook"))
    assert ledger.ask(ListCursors()) == Cursors(cursors=cursors, dead_letters=())
