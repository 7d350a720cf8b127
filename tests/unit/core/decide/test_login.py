"""Logins and renewals: who is let in, on which grant, and who is not."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sessiond.core.changes import EndSessions, Withdraw
from sessiond.core.errors import Refusal
from sessiond.core.rows import NameOwner, Put
from sessiond.core.session import ActiveSession, Session, SessionState
from tests.fakes import (
    HOUR,
    RULES,
    START,
    bind,
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
    return Ledger()


# A login's life


def test_a_login_is_unbound_until_it_is_opened_and_only_then_told(ledger: Ledger) -> None:
    active = ledger.ask(login(7, presented(says=verdict(attributes={"desk": "rates"}))))
    assert isinstance(active, ActiveSession)
    assert active.session == ledger.session(7)
    assert active.expires_at == START + HOUR
    assert not ledger.grant(7).proven
    assert (active.session.state, active.session.until) == (
        SessionState.UNBOUND,
        START + RULES.unbound,
    )
    assert active.session.roles == ("reader",)
    assert active.session.attributes == {"desk": "rates"}
    assert ledger.told == []

    ledger.let_pass(timedelta(seconds=3))
    assert ledger.ask(bind(7))
    opened = ledger.session(7)
    assert (opened.state, opened.since, opened.until) == (SessionState.OPEN, ledger.now, None)
    assert ledger.told == [("session.opened", 7, "")]
    assert ledger.pushed == []


def test_opening_tells_who_where_and_until_when(ledger: Ledger) -> None:
    ledger.ask(login(7))
    ledger.ask(bind(7))
    (notice,) = ledger.last.notices
    session = ledger.session(7)
    assert notice.event.user == "alice"
    assert notice.event.issuer == "corp"
    assert notice.event.session == session.id
    assert notice.event.process == session.about
    assert getattr(notice.event, "expires_at", None) == START + HOUR
    assert getattr(notice.event, "roles", None) == ("reader",)


def test_opening_tells_the_handle_that_the_login_did_not_know(ledger: Ledger) -> None:
    ledger.ask(login(1, handle=0))
    assert ledger.ask(bind(1, handle=9))
    assert ledger.session(1).handle == 9


def test_opening_twice_changes_nothing(ledger: Ledger) -> None:
    ledger.log_in(7)
    assert ledger.ask(bind(7))
    assert ledger.writes == []


def test_opening_an_open_session_on_another_handle_is_false(ledger: Ledger) -> None:
    ledger.log_in(7)
    assert not ledger.ask(bind(7, handle=8))
    assert ledger.session(7).handle == 7


def test_what_is_not_there_or_another_process_s_cannot_be_opened(ledger: Ledger) -> None:
    ledger.ask(login(7))
    assert not ledger.ask(bind(8))
    assert not ledger.ask(bind(7, pid=101))
    assert ledger.session(7).state is SessionState.UNBOUND


def test_what_is_over_cannot_be_opened_even_before_it_is_expired(ledger: Ledger) -> None:
    ledger.ask(login(7, presented(says=verdict(length=timedelta(seconds=4)))))
    ledger.let_pass(timedelta(seconds=4))
    assert not ledger.ask(bind(7))


def test_connect_for_a_handle_ends_the_session_that_was_on_it(ledger: Ledger) -> None:
    ledger.log_in(1)
    ledger.ask(login(2, presented("other"), handle=1))
    assert ledger.told == [("session.closed", 1, "replaced")]
    assert ledger.pushed == []
    assert ledger.alive == {2}


def test_opened_for_a_handle_ends_the_session_that_was_on_it(ledger: Ledger) -> None:
    ledger.log_in(1)
    ledger.ask(login(2, presented("other"), handle=0))
    assert ledger.ask(bind(2, handle=1))
    assert ledger.told == [("session.closed", 1, "replaced"), ("session.opened", 1, "")]
    assert ledger.alive == {2}


def test_an_unopened_login_is_replaced_silently(ledger: Ledger) -> None:
    ledger.ask(login(1))
    ledger.ask(login(2, presented("other"), handle=1))
    assert ledger.told == []
    assert ledger.alive == {2}


def test_the_same_handle_of_another_process_is_another_handle(ledger: Ledger) -> None:
    ledger.ask(login(1, handle=7))
    ledger.ask(login(2, handle=7, pid=101))
    assert ledger.alive == {1, 2}


def test_logins_on_unknown_handles_do_not_replace_each_other(ledger: Ledger) -> None:
    ledger.ask(login(1, presented("one"), handle=0))
    ledger.ask(login(2, presented("other"), handle=0))
    assert ledger.alive == {1, 2}


@pytest.mark.parametrize("handle", [0, 7])
def test_a_repeated_connect_gets_the_same_session_without_a_write(
    ledger: Ledger, handle: int
) -> None:
    first = ledger.ask(login(1, presented("access", "refresh"), handle=handle))
    ledger.let_pass(timedelta(seconds=1))
    assert ledger.ask(login(2, presented("access", "refresh"), handle=handle)) == first
    assert ledger.writes == []


def test_a_repeated_connect_gets_more_time_when_half_of_it_is_over(ledger: Ledger) -> None:
    ledger.ask(login(1))
    ledger.let_pass(RULES.unbound / 2)
    ledger.ask(login(2, handle=1))
    assert ledger.writes == []
    ledger.let_pass(timedelta(microseconds=1))
    active = ledger.ask(login(3, handle=1))
    assert isinstance(active, ActiveSession)
    assert active.session == ledger.session(1)
    assert ledger.session(1).until == ledger.now + RULES.unbound


def test_a_repeated_connect_follows_the_newer_verdict(ledger: Ledger) -> None:
    ledger.ask(login(1))
    newer = presented(says=verdict(roles=("writer",), attributes={"desk": "fx"}))
    ledger.ask(login(2, newer, handle=1))
    assert ledger.alive == {1}
    assert ledger.session(1).roles == ("writer",)
    assert ledger.session(1).attributes == {"desk": "fx"}


def test_a_connect_like_an_opened_session_s_is_a_new_login(ledger: Ledger) -> None:
    ledger.log_in(1)
    ledger.ask(login(2, handle=1))
    assert ledger.alive == {2}


def test_another_token_or_handle_is_no_repetition(ledger: Ledger) -> None:
    ledger.ask(login(1, presented("one", "refresh")))
    ledger.ask(login(2, presented("two", "refresh"), handle=0))
    ledger.ask(login(3, presented("two", "refresh"), handle=3))
    assert ledger.alive == {1, 2, 3}


def test_withdrawing_undoes_an_unopened_login_silently(ledger: Ledger) -> None:
    ledger.ask(login(1))
    ledger.ask(Withdraw(session=session_id(1)))
    assert ledger.told == []
    assert ledger.alive == set()
    assert not ledger.ask(bind(1))


def test_what_is_opened_or_gone_is_not_withdrawn(ledger: Ledger) -> None:
    ledger.log_in(1)
    ledger.ask(Withdraw(session=session_id(1)))
    ledger.ask(Withdraw(session=session_id(2)))
    assert ledger.alive == {1}


# Names


def test_a_name_of_another_subject_is_refused(ledger: Ledger) -> None:
    ledger.log_in(1)
    usurper = presented("hers", says=verdict(principal("ALICE", "another subject")))
    assert ledger.refusal(login(2, usurper)) is Refusal.USERMISMATCH


def test_a_name_of_another_issuer_is_refused(ledger: Ledger) -> None:
    ledger.log_in(1)
    usurper = presented("hers", says=verdict(principal("alice", issuer="partner")))
    assert ledger.refusal(login(2, usurper)) is Refusal.USERMISMATCH


def test_a_name_stays_with_its_subject_after_the_last_session(ledger: Ledger) -> None:
    ledger.log_in(1)
    ledger.ask(EndSessions(session=session_id(1)))
    assert ledger.rows.owner_of("Alice") == NameOwner(
        name="alice", issuer="corp", subject="subject of alice"
    )
    usurper = presented("hers", says=verdict(principal("alice", "another subject")))
    assert ledger.refusal(login(2, usurper)) is Refusal.USERMISMATCH


def test_a_subject_may_change_its_name(ledger: Ledger) -> None:
    ledger.log_in(1)
    renamed = principal("alice.smith", "subject of alice")
    assert isinstance(ledger.ask(login(2, presented("new", says=verdict(renamed)))), ActiveSession)


def test_sessions_are_listed_oldest_first(ledger: Ledger) -> None:
    for number in (3, 1, 2):
        ledger.let_pass(timedelta(seconds=1))
        ledger.log_in(number)
    process = ledger.session(1).process
    assert [each.id.int for each in ledger.rows.sessions_of(process)] == [3, 1, 2]


def test_an_answered_standing_is_the_session_that_was_written(ledger: Ledger) -> None:
    active = ledger.ask(login(1))
    assert isinstance(active, ActiveSession)
    written = [
        write.row
        for write in ledger.writes
        if isinstance(write, Put) and isinstance(write.row, Session)
    ]
    assert written == [active.session]


def test_a_process_has_so_many_sessions_at_most_and_the_surplus_is_throttled() -> None:
    ledger = Ledger()
    ledger.rules = replace(RULES, max_sessions=2)
    ledger.log_in(1)
    ledger.log_in(2)
    assert ledger.refusal(login(3, presented("third"))) is Refusal.THROTTLED
    ledger.ask(login(4, presented("fourth"), handle=1))  # takes the place of the one on its handle
    assert ledger.alive == {2, 4}
    ledger.ask(login(5, presented("fifth"), pid=200))  # another process has its own
    assert ledger.alive == {2, 4, 5}
    ledger.rules = replace(RULES, max_sessions=1)  # fewer are allowed now: nobody is sent away
    assert ledger.alive == {2, 4, 5}
    assert ledger.refusal(login(6, presented("sixth"))) is Refusal.THROTTLED


def test_a_login_tried_again_without_a_handle_is_found_among_those_of_its_token_alone() -> None:
    ledger = Ledger()
    for number in range(1, 6):
        ledger.ask(login(number, presented(f"access {number}"), handle=0))
    found = list(ledger.rows.unopened(process_key(), 0, token_hash("access 3")))
    assert [each.id.int for each in found] == [3]
    ledger.ask(login(9, presented("access 3"), handle=0))
    assert ledger.alive == {1, 2, 3, 4, 5}


def test_however_many_logins_one_token_has_each_is_compared_with_that_of_its_handle() -> None:
    ledger = Ledger()
    for number in range(1, 6):
        ledger.ask(login(number, presented("access"), handle=number))
    assert ledger.alive == {1, 2, 3, 4, 5}
    found = list(ledger.rows.unopened(process_key(), 3, token_hash("access")))
    assert [each.id.int for each in found] == [3]
