"""Users leave; processes leave and come back."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from sessiond.core.access import Denied
from sessiond.core.changes import Close, Expire, ProcessLost, Reconcile
from sessiond.core.decide.presence import can_come_back, resumed
from sessiond.core.session import ProcessKey, SessionId, SessionState
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
    renewal,
    session_id,
    verdict,
)
from tests.unit.core.decide.ledger import Ledger

LOSE = ProcessLost(process=process_key())


@pytest.fixture
def ledger() -> Ledger:
    """Three open sessions, on handles 1 to 3."""
    ledger = Ledger()
    for number in (1, 2, 3):
        ledger.log_in(number)
    return ledger


def back(*held: tuple[int, int], pid: int = 100) -> Reconcile:
    """Return what a process says that holds, on each handle, the session of a number."""
    pairs: list[tuple[int, SessionId]] = [(handle, session_id(number)) for handle, number in held]
    return Reconcile(process=process_key(pid), about=process_about(pid), held=tuple(pairs))


def test_a_user_who_leaves_ends_the_session_on_the_handle(ledger: Ledger) -> None:
    ledger.ask(Close(process=process_key(), handle=2))
    assert ledger.told == [("session.closed", 2, "disconnect")]
    assert ledger.pushed == []
    assert ledger.alive == {1, 3}


def test_leaving_a_handle_without_a_session_changes_nothing(ledger: Ledger) -> None:
    ledger.ask(Close(process=process_key(), handle=9))
    ledger.ask(Close(process=process_key(101), handle=1))
    ledger.ask(Close(process=process_key(), handle=0))
    assert ledger.alive == {1, 2, 3}


def test_leaving_before_opening_is_silent(ledger: Ledger) -> None:
    ledger.ask(login(4, presented("other")))
    ledger.ask(Close(process=process_key(), handle=4))
    assert ledger.told == []
    assert ledger.alive == {1, 2, 3}


def test_a_late_word_that_alice_left_does_not_end_who_is_on_her_handle_by_now(
    ledger: Ledger,
) -> None:
    ledger.ask(login(4, presented("bob's", says=verdict(principal("bob"))), handle=2))
    assert ledger.told == [("session.closed", 2, "replaced")]
    ledger.ask(Close(process=process_key(), handle=2, session=session_id(2)))
    assert ledger.writes == []
    assert ledger.alive == {1, 3, 4}


@pytest.mark.parametrize("handle", [0, 1, 2, 9])
def test_a_session_that_is_named_ends_and_no_other_whatever_the_handle(
    ledger: Ledger, handle: int
) -> None:
    ledger.ask(Close(process=process_key(), handle=handle, session=session_id(2)))
    assert ledger.told == [("session.closed", 2, "disconnect")]
    assert ledger.pushed == []
    assert ledger.alive == {1, 3}


def test_a_session_that_is_named_ends_also_while_it_waits_or_is_not_opened(
    ledger: Ledger,
) -> None:
    ledger.ask(login(4, presented("unopened")))
    ledger.ask(LOSE)
    ledger.ask(Close(process=process_key(), handle=4, session=session_id(4)))
    assert ledger.told == []
    ledger.ask(Close(process=process_key(), handle=2, session=session_id(2)))
    assert ledger.told == [("session.closed", 2, "disconnect")]
    assert ledger.alive == {1, 3}


def test_nobody_ends_another_process_s_session_by_naming_it(ledger: Ledger) -> None:
    ledger.ask(login(6, pid=101))
    ledger.ask(bind(6, pid=101))
    ledger.ask(Close(process=process_key(), handle=6, session=session_id(6)))
    ledger.ask(Close(process=process_key(), handle=1, session=SessionId(UUID(int=0))))
    assert ledger.writes == []
    assert ledger.alive == {1, 2, 3, 6}


def test_a_process_that_is_known_by_its_connection_alone_cannot_come_back(
    ledger: Ledger,
) -> None:
    unknown = ProcessKey(uid=500, pid=0, started=0, label="gw1 #1 of this run")
    for number, is_opened in ((7, True), (8, False)):
        ledger.ask(replace(login(number, presented(f"of {number}")), process=unknown))
        if is_opened:
            ledger.ask(replace(bind(number), process=unknown))
    ledger.ask(ProcessLost(process=unknown))
    assert ledger.told == [("session.closed", 7, "lost")]  # of the other nobody was told
    assert ledger.pushed == []
    assert ledger.alive == {1, 2, 3}
    assert [can_come_back(each) for each in (unknown, process_key())] == [False, True]


def test_sessions_of_a_lost_process_wait_for_it(ledger: Ledger) -> None:
    ledger.log_in(4, "elsewhere")
    ledger.ask(login(5, presented("unopened")))
    ledger.ask(login(6, pid=101))
    ledger.ask(bind(6, pid=101))
    ledger.ask(LOSE)
    assert ledger.told == []
    until = START + RULES.grace
    assert {ledger.session(number).state for number in (1, 2, 3, 4)} == {SessionState.WAITING}
    assert {ledger.session(number).until for number in (1, 2, 3, 4)} == {until}
    assert ledger.session(5).state is SessionState.UNBOUND
    assert ledger.session(6).state is SessionState.OPEN


def test_losing_a_process_twice_does_not_make_it_wait_longer(ledger: Ledger) -> None:
    ledger.ask(LOSE)
    ledger.let_pass(timedelta(seconds=20))
    ledger.ask(LOSE)
    assert ledger.writes == []


def test_what_waits_in_vain_is_closed_as_lost(ledger: Ledger) -> None:
    ledger.ask(LOSE)
    ledger.let_pass(RULES.grace)
    ledger.ask(Expire(sessions=(session_id(1), session_id(2))))
    assert ledger.told == [("session.closed", 1, "lost"), ("session.closed", 2, "lost")]
    assert len(ledger.pushed) == 2  # in case it is there and was only not heard
    assert ledger.alive == {3}


def test_a_process_that_is_back_keeps_what_it_holds(ledger: Ledger) -> None:
    ledger.ask(LOSE)
    assert ledger.ask(back((1, 1), (2, 2), (3, 3))) == []
    assert ledger.told == []
    assert {ledger.session(number).state for number in (1, 2, 3)} == {SessionState.OPEN}
    assert {ledger.session(number).until for number in (1, 2, 3)} == {None}
    assert ledger.session(1).since == START


def test_a_session_it_no_longer_holds_was_left_meanwhile(ledger: Ledger) -> None:
    ledger.ask(LOSE)
    assert ledger.ask(back((1, 1), (3, 3))) == []
    assert ledger.told == [("session.closed", 2, "disconnect")]
    assert ledger.alive == {1, 3}


def test_a_session_that_ended_meanwhile_is_to_be_closed(ledger: Ledger) -> None:
    ledger.ask(Close(process=process_key(), handle=2))
    assert ledger.ask(back((1, 1), (2, 2), (3, 3), (9, 8))) == [2, 9]


def test_another_process_s_session_is_to_be_closed(ledger: Ledger) -> None:
    assert ledger.ask(back((1, 1), pid=101)) == [1]
    assert ledger.session(1).process == process_key()


def test_handles_may_have_been_swapped(ledger: Ledger) -> None:
    ledger.ask(LOSE)
    assert ledger.ask(back((2, 1), (1, 2), (3, 3))) == []
    assert (ledger.session(1).handle, ledger.session(2).handle) == (2, 1)
    ledger.ask(Close(process=process_key(), handle=2))
    assert ledger.alive == {2, 3}


def test_reconciling_without_having_been_lost_writes_nothing(ledger: Ledger) -> None:
    assert ledger.ask(back((1, 1), (2, 2), (3, 3))) == []
    assert ledger.writes == []


def test_a_login_opened_while_the_process_was_away_is_opened(ledger: Ledger) -> None:
    ledger.ask(login(4, presented("other"), handle=0))
    ledger.let_pass(timedelta(seconds=5))
    assert ledger.ask(back((1, 1), (2, 2), (3, 3), (4, 4))) == []
    assert ledger.told == [("session.opened", 4, "")]
    opened = ledger.session(4)
    assert (opened.state, opened.handle, opened.until) == (SessionState.OPEN, 4, None)
    assert opened.since == ledger.now


def test_a_login_that_is_not_opened_yet_stays(ledger: Ledger) -> None:
    ledger.ask(login(4, presented("other")))
    ledger.ask(back((1, 1), (2, 2), (3, 3)))
    assert ledger.session(4).state is SessionState.UNBOUND


def test_a_login_that_is_not_opened_yet_gives_way_to_what_the_process_holds(
    ledger: Ledger,
) -> None:
    ledger.ask(login(4, presented("other")))
    assert ledger.ask(back((4, 1), (2, 2), (3, 3))) == []
    assert ledger.told == []
    assert ledger.alive == {1, 2, 3}
    assert ledger.session(1).handle == 4


def test_a_session_on_two_handles_keeps_the_later_and_the_other_is_to_be_closed(
    ledger: Ledger,
) -> None:
    assert ledger.ask(back((1, 1), (7, 1), (2, 2), (3, 3))) == [1]
    assert ledger.session(1).handle == 7


def test_a_handle_with_two_sessions_holds_the_later(ledger: Ledger) -> None:
    assert ledger.ask(back((1, 1), (1, 2), (3, 3))) == []
    assert ledger.alive == {2, 3}
    assert ledger.session(2).handle == 1


def test_what_is_over_is_to_be_closed_and_ends_at_once(ledger: Ledger) -> None:
    ledger.let_pass(HOUR)
    assert ledger.ask(back((1, 1), (5, 2))) == [1, 5]
    assert ledger.told == [
        ("session.closed", 3, "disconnect"),
        ("session.expired", 1, "expired"),
        ("session.expired", 2, "expired"),
    ]
    assert ledger.alive == set()


def test_a_waiting_session_may_be_opened_again_without_being_told_again(ledger: Ledger) -> None:
    ledger.ask(LOSE)
    assert ledger.ask(bind(1))
    assert ledger.told == []
    assert ledger.session(1).state is SessionState.OPEN


def test_a_process_may_call_itself_otherwise_when_it_is_back(ledger: Ledger) -> None:
    ledger.ask(LOSE)
    held = back((1, 1), (2, 2), (3, 3)).held
    ledger.ask(Reconcile(process=process_key(), about=process_about(7), held=held))
    assert ledger.session(1).about == process_about(7)


def test_a_connect_on_a_waiting_session_s_handle_replaces_it(ledger: Ledger) -> None:
    ledger.ask(LOSE)
    ledger.ask(login(4, presented("other"), handle=1))
    assert ledger.told == [("session.closed", 1, "replaced")]


def test_a_waiting_session_may_be_renewed(ledger: Ledger) -> None:
    ledger.ask(LOSE)
    answer = ledger.ask(renewal(1, presented("fresh")))
    assert not isinstance(answer, Denied)
    assert ledger.session(1).until == START + RULES.grace


@pytest.mark.parametrize(
    ("number", "state", "wait"),
    [(1, SessionState.WAITING, RULES.grace), (4, SessionState.UNBOUND, RULES.unbound)],
)
def test_after_a_restart_everything_waits_from_then_on(
    ledger: Ledger, number: int, state: SessionState, wait: timedelta
) -> None:
    ledger.ask(login(4, presented("unopened")))
    (later,) = resumed(ledger.rows, [ledger.session(number)], now=START + HOUR, rules=RULES)
    assert (later.state, later.until) == (state, START + HOUR + wait)


def test_what_waits_as_long_as_others_has_its_end_with_them(ledger: Ledger) -> None:
    first, second = resumed(
        ledger.rows, [ledger.session(1), ledger.session(2)], now=START, rules=RULES
    )
    assert first.until is second.until


def test_the_grant_outlives_its_sessions(ledger: Ledger) -> None:
    for handle in (1, 2, 3):
        ledger.ask(Close(process=process_key(), handle=handle))
    assert ledger.granted == {1}
    assert not ledger.rows.has_sessions(grant_id(1))
