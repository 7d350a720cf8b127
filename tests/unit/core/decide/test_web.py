"""Logins over HTTP: a browser's cookie, a bearer's token, and the websockets that they let in."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from msgspec import structs

from sessiond.core.access import Ceiling
from sessiond.core.changes import (
    Close,
    EndSessions,
    Expire,
    ProcessLost,
    ProcessMet,
    Reassess,
    Reassessed,
    Reconcile,
    Refresh,
    Revoke,
    SignOut,
    TouchWeb,
    Withdraw,
)
from sessiond.core.decide import web
from sessiond.core.errors import Refusal
from sessiond.core.events import Operator, OperatorRevoked, SessionOpened
from sessiond.core.grant import Grant
from sessiond.core.queries import FindSession, FindWeb, ListOwnSessions
from sessiond.core.revocation import Revocation, Scope
from sessiond.core.rows import Drop, Put
from sessiond.core.session import ActiveSession, ProcessKey, Session, SessionId, SessionState
from sessiond.core.web_login import SIGN_IN_LASTS, UsedState, WebLogin
from tests.fakes import (
    HOUR,
    MINUTE,
    RULES,
    bind,
    grant_id,
    lease,
    login,
    presented,
    principal,
    process_about,
    process_key,
    renewal,
    session_id,
    token_hash,
    verdict,
    web_login,
)
from tests.unit.core.decide.ledger import Ledger

BASE = "https://gw.example:5007"
LOSE, MEET = ProcessLost(process=process_key()), ProcessMet(process=process_key())
LONG = 30 * HOUR  # of a lease that is not what ends a session


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def find(cookie: str = "cookie", base: str = BASE, pid: int = 100) -> FindWeb:
    return FindWeb(process=process_key(pid), cookie=token_hash(cookie), base=base)


def touch(number: int = 1) -> TouchWeb:
    return TouchWeb(session=session_id(number))


def sign_out(number: int = 1, pid: int = 100) -> SignOut:
    return SignOut(process=process_key(pid), session=session_id(number))


def over(ledger: Ledger) -> Expire:
    """Name whatever could be over, as the table does at every tick."""
    rows = ledger.rows
    return Expire(
        sessions=tuple(rows.sessions),
        grants=tuple(rows.grants),
        tokens=tuple(rows.tokens),
        states=tuple(rows.used_states),
    )


def sign_in(
    ledger: Ledger, number: int = 1, cookie: str = "cookie", *, roles: tuple[str, ...] = ("reader",)
) -> ActiveSession:
    """Have alice sign in with her browser."""
    says = verdict(begin=ledger.now, length=LONG, roles=roles)
    tokens = presented(f"access {number}", f"refresh {number}", says=says)
    change = web_login(number, tokens, cookie=cookie, base=BASE, state=f"state {number}")
    active = ledger.ask(change)
    assert isinstance(active, ActiveSession), active
    return active


def come(ledger: Ledger, number: int = 1, access: str = "access") -> ActiveSession:
    """Have alice come with a bearer's token."""
    says = verdict(length=LONG)
    active = ledger.ask(web_login(number, presented(access, says=says)))
    assert isinstance(active, ActiveSession), active
    return active


def child_of(ledger: Ledger, number: int = 1, handle: int = 9) -> SessionId:
    """Have a websocket let in by a session."""
    change = replace(bind(number, handle=handle), child=session_id(100 + handle))
    child = ledger.ask(change)
    assert child == change.child
    return change.child


def test_a_browser_that_signs_in_is_found_by_its_cookie_at_its_origin_and_process(
    ledger: Ledger,
) -> None:
    active = sign_in(ledger)
    assert ledger.told == [("session.opened", 0, "")]
    assert not ledger.pushed
    assert (active.session.state, active.session.handle) == (SessionState.WEB, 0)
    assert active.session.until == ledger.now + HOUR
    assert ledger.ask(find()) == active
    assert ledger.ask(find("another")) is None
    assert ledger.ask(find(base="https://gw.example:5008")) is None
    assert ledger.ask(find(pid=101)) is None
    assert ledger.ask(FindSession(process=process_key(), session=session_id(1))) == active
    assert ledger.ask(ListOwnSessions(process=process_key())) == [active]


def test_what_is_told_of_it_says_why_it_has_its_roles(ledger: Ledger) -> None:
    sign_in(ledger)
    (notice,) = ledger.last.notices
    assert isinstance(notice.event, SessionOpened)
    assert notice.event.because.roles == {"reader": ("verifier",)}
    assert notice.event.expires_at == ledger.now + LONG


def test_a_sign_in_makes_one_session_for_as_long_as_one_could_be_completed(
    ledger: Ledger,
) -> None:
    sign_in(ledger)
    again = web_login(2, presented("b", "c"), cookie="another", base=BASE, state="state 1")
    ledger.ask(sign_out())
    assert ledger.refusal(again) is Refusal.REVOKED
    ledger.let_pass(SIGN_IN_LASTS - timedelta(seconds=1))
    ledger.ask(over(ledger))
    assert ledger.refusal(again) is Refusal.REVOKED
    ledger.let_pass(timedelta(seconds=1))
    ledger.ask(over(ledger))
    assert not ledger.rows.used_states


def test_a_sign_in_that_is_refused_may_be_completed_by_another(ledger: Ledger) -> None:
    """Nothing is written of a refusal; the code was spent at the issuer in any case."""
    stale = presented("access 1", says=verdict(begin=ledger.now - 2 * HOUR))
    change = web_login(1, stale, cookie="cookie", base=BASE, state="state 1")
    assert ledger.refusal(change) is Refusal.EXPIRED
    sign_in(ledger)


def test_who_may_not_be_there_does_not_come_in_by_a_browser_either(ledger: Ledger) -> None:
    access = replace(RULES.access, ceilings=(Ceiling(name="rdb*", users=("bob",)),))
    ledger.rules = replace(RULES, access=access)
    tokens = presented("access", "refresh")
    change = web_login(1, tokens, cookie="cookie", base=BASE, state="state 1")
    assert ledger.refusal(change) is Refusal.NOTALLOWED


def test_what_the_issuer_gave_to_us_needs_no_proof_and_what_a_bearer_brings_does(
    ledger: Ledger,
) -> None:
    ledger.rules = replace(RULES, proved=frozenset({"corp"}))
    assert ledger.refusal(web_login(2)) is Refusal.WRONGAUDIENCE
    sign_in(ledger)
    assert ledger.grant(1).proven
    assert ledger.refresh_tokens[grant_id(1)] == "refresh 1"


def test_a_sign_in_proves_what_another_login_had_brought_unproved(ledger: Ledger) -> None:
    ledger.log_in(5, "access 1", "refresh 1")
    assert not ledger.grant(5).proven
    sign_in(ledger)
    assert ledger.grant(5).proven
    assert ledger.session(1).grant == grant_id(5)


def test_a_sign_in_without_a_refresh_token_lasts_as_long_as_its_access_token(
    ledger: Ledger,
) -> None:
    ledger.ask(web_login(1, presented("a"), cookie="cookie", base=BASE, state="state 1"))
    assert not ledger.grant(1).has_refresh_token
    ledger.let_pass(HOUR)
    ledger.ask(over(ledger))
    assert ledger.told == [("session.expired", 0, "expired")]
    assert not ledger.rows.web_logins


def test_the_same_bearer_is_one_session_at_one_process(ledger: Ledger) -> None:
    first = come(ledger, 1)
    assert come(ledger, 2) == first
    assert not ledger.writes
    assert not ledger.told
    elsewhere = ledger.ask(web_login(3, presented(says=verdict(length=LONG)), pid=101))
    assert isinstance(elsewhere, ActiveSession)
    assert ledger.alive == {1, 3}
    come(ledger, 4, "another")
    assert ledger.alive == {1, 3, 4}


def test_a_bearer_is_not_taken_for_the_browser_that_has_its_token(ledger: Ledger) -> None:
    """The browser's session is refreshed; a token alone is not."""
    sign_in(ledger)
    says = presented("access 1", says=verdict(length=LONG), client="qstudio")
    active = ledger.ask(web_login(2, says))
    assert isinstance(active, ActiveSession)
    assert active.session.id == session_id(2)
    assert not ledger.grant(2).has_refresh_token


def test_a_bearer_may_do_what_its_newest_verdict_says(ledger: Ledger) -> None:
    come(ledger)
    says = verdict(length=LONG, roles=("writer",), attributes={"desk": "fx"})
    active = ledger.ask(web_login(2, presented(says=says)))
    assert isinstance(active, ActiveSession)
    assert (active.session.id, active.session.roles) == (session_id(1), ("writer",))
    assert active.session == ledger.session(1)
    assert ledger.told == [("session.roles", 0, "")]
    assert ledger.pushed == [("session.roles", 0, process_key())]


def test_a_bearer_that_comes_back_too_late_has_a_session_of_its_own_again(ledger: Ledger) -> None:
    come(ledger)
    ledger.let_pass(HOUR)
    assert come(ledger, 2).session.id == session_id(2)
    assert ledger.told == [("session.expired", 0, "idle"), ("session.opened", 0, "")]
    assert ledger.alive == {2}


def test_who_uses_it_keeps_it_and_a_use_is_written_ten_times_an_idle_time_at_most(
    ledger: Ledger,
) -> None:
    sign_in(ledger)
    ledger.let_pass(6 * MINUTE - timedelta(seconds=1))
    assert ledger.ask(touch())
    assert not ledger.writes
    ledger.let_pass(timedelta(seconds=1))
    assert ledger.ask(touch())
    assert len(ledger.writes) == 2
    assert ledger.session(1).until == ledger.now + HOUR
    assert not ledger.told


def test_one_that_nobody_uses_ends(ledger: Ledger) -> None:
    sign_in(ledger)
    ledger.let_pass(HOUR - timedelta(seconds=1))
    ledger.ask(over(ledger))
    assert ledger.alive == {1}
    ledger.let_pass(timedelta(seconds=1))
    assert ledger.ask(find()) is None
    assert not ledger.ask(touch())
    ledger.ask(over(ledger))
    assert ledger.told == [("session.expired", 0, "idle")]
    assert ledger.pushed == [("session.expired", 0, process_key())]
    assert not ledger.rows.web_logins


def test_one_that_is_used_without_end_ends_when_a_session_must(ledger: Ledger) -> None:
    sign_in(ledger)
    for _ in range(16):
        ledger.let_pass(HOUR / 2)
        ledger.ask(touch())
    assert ledger.session(1).until == ledger.now
    assert ledger.ask(find()) is None
    ledger.ask(over(ledger))
    assert ledger.told == [("session.expired", 0, "expired")]


def test_other_lengths_count_from_the_next_use_on(ledger: Ledger) -> None:
    sign_in(ledger)
    ledger.let_pass(MINUTE)
    ledger.rules = replace(RULES, web=replace(RULES.web, idle=2 * HOUR))
    assert ledger.ask(touch())
    assert ledger.session(1).until == ledger.now + 2 * HOUR
    ledger.rules = replace(RULES, web=replace(RULES.web, idle=MINUTE))
    ledger.let_pass(MINUTE)
    assert not ledger.ask(touch())
    assert ledger.ask(find()) is None


def test_there_is_nothing_to_be_touched_or_signed_out_of_but_a_login_over_http(
    ledger: Ledger,
) -> None:
    ledger.log_in(1)
    sign_in(ledger, 2)
    assert not ledger.ask(touch(1))
    assert not ledger.ask(touch(77))
    assert not ledger.ask(sign_out(1))
    assert not ledger.ask(sign_out(77))
    assert not ledger.ask(sign_out(2, pid=101))
    assert ledger.alive == {1, 2}


def test_who_signs_out_leaves_nothing_and_the_issuer_is_given_back_what_it_gave(
    ledger: Ledger,
) -> None:
    sign_in(ledger)
    child = child_of(ledger)
    assert ledger.ask(sign_out())
    assert ledger.told == [("session.closed", 0, "signout"), ("session.revoked", 9, "parent")]
    assert [each[:2] for each in ledger.pushed] == [("session.closed", 0), ("session.revoked", 9)]
    assert child not in ledger.rows.sessions
    assert not ledger.rows.web_logins
    assert ledger.granted == set()
    assert any(
        isinstance(each.row, Grant) and each == Drop(each.row, give_back=True)
        for each in ledger.writes
    )
    assert ledger.ask(find()) is None
    assert not ledger.ask(sign_out())


def test_signing_out_takes_no_refresh_token_from_who_needs_it_still(ledger: Ledger) -> None:
    sign_in(ledger)
    says = verdict(length=LONG)
    tokens = presented("access 1", "refresh 1", says=says)
    ledger.ask(web_login(2, tokens, cookie="other", base=BASE, state="other state"))
    assert ledger.ask(sign_out())
    assert ledger.granted == {1}
    assert ledger.ask(sign_out(2))
    assert ledger.granted == set()


def test_a_bearer_that_is_signed_out_leaves_its_grant_to_run_out(ledger: Ledger) -> None:
    come(ledger)
    assert ledger.ask(sign_out())
    assert (ledger.alive, ledger.granted) == (set(), {1})


def test_the_longest_unused_makes_room_for_another_of_its_user(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "MAX_OF_ONE", 3)
    for number in (1, 2, 3):
        sign_in(ledger, number, f"cookie {number}")
        ledger.let_pass(MINUTE)
    ledger.let_pass(10 * MINUTE)
    ledger.ask(touch(1))
    sign_in(ledger, 4, "cookie 4")
    assert ledger.told == [("session.closed", 0, "replaced"), ("session.opened", 0, "")]
    assert ledger.pushed == [("session.closed", 0, process_key())]
    assert ledger.alive == {1, 3, 4}
    bob = presented("bob's", says=verdict(principal("bob")))
    assert isinstance(ledger.ask(web_login(5, bob)), ActiveSession)
    assert ledger.alive == {1, 3, 4, 5}


def test_a_process_has_no_more_of_them_than_it_may_have_sessions(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.rules = replace(RULES, max_sessions=2)
    come(ledger, 1)
    ledger.log_in(2)
    assert ledger.refusal(web_login(3, presented("third"))) is Refusal.THROTTLED
    assert come(ledger, 4).session.id == session_id(1)  # the same again is no more
    monkeypatch.setattr(web, "MAX_OF_ONE", 1)
    sign_in(ledger, 5)
    assert ledger.alive == {2, 5}


def test_one_that_is_over_gives_its_place_to_its_bearer_where_there_is_no_other(
    ledger: Ledger,
) -> None:
    ledger.rules = replace(RULES, max_sessions=1)
    come(ledger, 1)
    ledger.let_pass(HOUR)
    come(ledger, 2)
    assert ledger.alive == {2}


def test_an_answer_that_came_too_late_is_undone_and_that_is_told(ledger: Ledger) -> None:
    sign_in(ledger)
    ledger.ask(Withdraw(session=session_id(1)))
    assert ledger.told == [("session.closed", 0, "disconnect")]
    assert ledger.pushed == [("session.closed", 0, process_key())]
    assert not ledger.rows.web_logins
    ledger.ask(Withdraw(session=session_id(1)))
    assert not ledger.writes


def test_a_handle_that_it_lets_in_is_a_session_like_it(ledger: Ledger) -> None:
    parent = sign_in(ledger).session
    ledger.let_pass(MINUTE)
    child = child_of(ledger)
    assert ledger.told == [("session.opened", 9, "")]
    assert ledger.rows.sessions[child] == structs.replace(
        parent,
        id=child,
        handle=9,
        state=SessionState.OPEN,
        since=ledger.now,
        until=None,
        parent=parent.id,
    )
    assert list(ledger.rows.children_of(parent.id)) == [child]
    assert ledger.rows.session_on(process_key(), 9) == ledger.rows.sessions[child]


def test_who_was_on_the_handle_before_is_gone(ledger: Ledger) -> None:
    sign_in(ledger)
    first = child_of(ledger)
    second = ledger.ask(replace(bind(1, handle=9), child=session_id(7)))
    assert second == session_id(7)
    assert ledger.told == [("session.closed", 9, "replaced"), ("session.opened", 9, "")]
    assert first not in ledger.rows.sessions


@pytest.mark.parametrize("end", ["idle", "session", "lease", "operator", "user", "process", "lost"])
def test_whatever_ends_it_ends_what_it_let_in(ledger: Ledger, end: str) -> None:
    sign_in(ledger)
    for handle in (8, 9):
        child_of(ledger, handle=handle)
    by = Operator(uid=0, name="root")
    match end:
        case "idle":
            ledger.let_pass(HOUR)
            ledger.ask(over(ledger))
        case "session":
            for _ in range(16):
                ledger.let_pass(HOUR / 2)
                ledger.ask(touch())
            ledger.ask(over(ledger))
        case "lease":
            ledger.rows.apply(Put(structs.replace(ledger.grant(1), lease=lease(length=MINUTE))))
            ledger.let_pass(MINUTE)
            ledger.ask(over(ledger))
        case "operator":
            assert ledger.ask(EndSessions(session=session_id(1), by=by, reason="x")) == 3
            assert isinstance(ledger.last.notices[0].event, OperatorRevoked)
            assert ledger.last.notices[0].event.count == 3
        case "user":
            revoke = Revoke(id=UUID(int=1), scope=Scope.USER, value="alice", reason="x", by=by)
            assert ledger.ask(revoke).sessions == 3
        case "process":
            assert ledger.ask(EndSessions(process=process_key(), by=by, reason="x")) == 3
        case _:
            assert end == "lost"
            ledger.ask(LOSE)
            ledger.let_pass(RULES.grace)
            ledger.ask(over(ledger))
    ended = [notice.event.session for notice in ledger.last.notices if notice.event.session]
    assert len(ended) - (end == "operator") == 3
    assert ledger.alive == set()
    assert not ledger.rows.web_logins
    pushed = {handle: kind for kind, handle, _ in ledger.pushed}
    assert pushed.keys() == {0, 8, 9}


def test_there_are_only_so_many_handles_that_one_may_let_in(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "MAX_FAMILY", 2)
    sign_in(ledger)
    child_of(ledger, handle=8)
    child_of(ledger, handle=9)
    assert ledger.ask(bind(1, handle=10)) is None
    assert not ledger.writes
    ledger.ask(Close(process=process_key(), handle=8))
    child_of(ledger, handle=10)


def test_handles_count_among_the_sessions_of_their_process(ledger: Ledger) -> None:
    ledger.rules = replace(RULES, max_sessions=2)
    sign_in(ledger)
    child_of(ledger, handle=8)
    assert ledger.ask(bind(1, handle=9)) is None
    assert ledger.ask(replace(bind(1, handle=8), child=session_id(7))) == session_id(7)


def test_nothing_is_let_in_by_one_that_is_over_or_another_s_or_not_to_be_there(
    ledger: Ledger,
) -> None:
    sign_in(ledger)
    assert ledger.ask(bind(1, handle=9, pid=101)) is None
    access = replace(RULES.access, ceilings=(Ceiling(name="rdb*", users=("bob",)),))
    ledger.rules = replace(RULES, access=access)
    assert ledger.ask(bind(1, handle=9)) is None
    assert ledger.told == [("session.revoked", 0, "notallowed")]
    ledger.rules = RULES
    sign_in(ledger, 2)
    ledger.let_pass(HOUR)
    assert ledger.ask(bind(2, handle=9)) is None
    assert not ledger.writes


def test_it_cannot_be_renewed_for_it_is_its_token_or_its_cookie(ledger: Ledger) -> None:
    come(ledger)
    assert ledger.refusal(renewal(1, presented("fresh"))) is Refusal.REVOKED
    child = child_of(ledger)
    fresh = presented("fresh", says=verdict(length=LONG))
    assert isinstance(ledger.ask(renewal(child.int, fresh)), ActiveSession)
    ledger.ask(sign_out())
    assert ledger.alive == set()


def test_no_handle_was_left_by_one_that_has_none(ledger: Ledger) -> None:
    sign_in(ledger)
    ledger.ask(Close(process=process_key(), handle=9, session=session_id(1)))
    ledger.ask(Close(process=process_key(), handle=0))
    assert ledger.alive == {1}


def test_it_waits_for_a_lost_process_and_goes_on_with_it_as_if_it_had_not_been_away(
    ledger: Ledger,
) -> None:
    sign_in(ledger)
    before = ledger.session(1)
    ledger.ask(LOSE)
    assert ledger.session(1).state is SessionState.WAITING
    assert ledger.session(1).until == ledger.now + RULES.grace
    assert ledger.ask(find()) is None
    assert not ledger.ask(touch())
    assert ledger.ask(bind(1, handle=9)) is None
    ledger.ask(LOSE)
    assert not ledger.writes
    ledger.let_pass(RULES.grace - timedelta(seconds=1))
    ledger.ask(MEET)
    assert ledger.session(1) == before
    assert ledger.ask(find()) is not None
    ledger.ask(MEET)
    assert not ledger.writes
    ledger.let_pass(RULES.grace)
    ledger.ask(over(ledger))
    assert ledger.alive == {1}


def test_what_may_be_done_by_it_has_changed_while_its_process_was_away(ledger: Ledger) -> None:
    sign_in(ledger, roles=("reader", "writer"))
    ledger.ask(LOSE)
    access = replace(RULES.access, ceilings=(Ceiling(name="rdb*", roles=("reader",)),))
    ledger.rules = replace(RULES, access=access)
    ledger.ask(Reassess())
    ledger.ask(MEET)
    assert ledger.pushed == [("session.roles", 0, process_key())]
    assert ledger.session(1).roles == ("reader",)
    ledger.ask(LOSE)
    access = replace(RULES.access, ceilings=(Ceiling(name="rdb*", users=("bob",)),))
    ledger.rules = replace(RULES, access=access)
    ledger.ask(MEET)
    assert ledger.told == [("session.revoked", 0, "notallowed")]


def test_a_process_that_may_not_have_it_any_more_has_nothing_that_it_let_in(ledger: Ledger) -> None:
    sign_in(ledger)
    child_of(ledger)
    ledger.rows.put_states([structs.replace(ledger.session(1), state=SessionState.WAITING)])
    access = replace(RULES.access, ceilings=(Ceiling(name="rdb*", users=("bob",)),))
    ledger.rules = replace(RULES, access=access)
    ledger.ask(MEET)
    assert ledger.alive == set()
    assert len(ledger.told) == 2


def test_a_lost_process_prolongs_nothing(ledger: Ledger) -> None:
    sign_in(ledger)
    ledger.let_pass(HOUR - timedelta(seconds=5))
    ledger.ask(LOSE)
    assert ledger.session(1).until == ledger.now + timedelta(seconds=5)


def test_one_whose_process_stays_away_ends(ledger: Ledger) -> None:
    sign_in(ledger)
    ledger.ask(LOSE)
    ledger.let_pass(RULES.grace)
    ledger.ask(over(ledger))
    assert ledger.told == [("session.closed", 0, "lost")]
    assert (ledger.alive, dict(ledger.rows.web_logins)) == (set(), {})


def test_one_of_a_process_that_cannot_come_back_ends_at_once(ledger: Ledger) -> None:
    unknown = ProcessKey(uid=500, pid=0, started=0, label="gw #1")
    change = replace(web_login(1, cookie="cookie", base=BASE, state="s"), process=unknown)
    ledger.ask(change)
    ledger.ask(replace(bind(1, handle=9), process=unknown))
    ledger.ask(ProcessLost(process=unknown))
    assert ledger.alive == set()
    assert len(ledger.told) == 2


def test_who_says_hello_lets_other_sessions_wait(ledger: Ledger) -> None:
    ledger.log_in(1)
    ledger.ask(login(2, presented("second")))
    ledger.ask(MEET)
    states = [ledger.session(number).state for number in (1, 2)]
    assert states == [SessionState.WAITING, SessionState.UNBOUND]
    assert ledger.session(1).until == ledger.now + RULES.grace


def test_reconciling_says_nothing_of_it(ledger: Ledger) -> None:
    sign_in(ledger)
    child = child_of(ledger)
    ledger.ask(LOSE)
    ledger.ask(MEET)
    back = Reconcile(process=process_key(), about=process_about(), held=((9, child),))
    assert ledger.ask(back) == []
    assert ledger.alive == {1, child.int}
    back = Reconcile(process=process_key(), about=process_about(), held=((9, session_id(1)),))
    assert ledger.ask(back) == [9]
    assert ledger.alive == {1}
    assert ledger.session(1).state is SessionState.WEB


def test_a_process_that_calls_itself_otherwise_has_other_rights_to_it(ledger: Ledger) -> None:
    sign_in(ledger, roles=("reader", "writer"))
    child = child_of(ledger)
    other = replace(process_about(), name="gateway1")
    access = replace(RULES.access, ceilings=(Ceiling(name="gateway*", roles=("reader",)),))
    ledger.rules = replace(RULES, access=access)
    back = Reconcile(process=process_key(), about=other, held=((9, child),))
    assert ledger.ask(back) == []
    assert ledger.session(1).about == ledger.rows.sessions[child].about == other
    assert ledger.session(1).roles == ledger.rows.sessions[child].roles == ("reader",)
    assert [each[:2] for each in ledger.pushed] == [("session.roles", 0), ("session.roles", 9)]
    access = replace(RULES.access, ceilings=(Ceiling(name="rdb*", users=("bob",)),))
    ledger.rules = replace(RULES, access=access)
    back = Reconcile(process=process_key(), about=process_about(), held=((9, child),))
    assert ledger.ask(back) == [9]
    assert ledger.alive == set()
    assert len(ledger.told) == 2


def test_other_rules_end_it_with_what_it_let_in_once(ledger: Ledger) -> None:
    sign_in(ledger)
    child_of(ledger)
    access = replace(RULES.access, ceilings=(Ceiling(name="rdb*", users=("bob",)),))
    ledger.rules = replace(RULES, access=access)
    assert ledger.ask(Reassess()) == Reassessed(changed=0, ended=2)
    assert sorted(ledger.told) == [
        ("session.revoked", 0, "notallowed"),
        ("session.revoked", 9, "parent"),
    ]


def test_a_refresh_that_ends_it_gives_nothing_to_what_it_let_in(ledger: Ledger) -> None:
    sign_in(ledger)
    child_of(ledger)
    renamed = verdict(principal("alice.smith", "subject of alice"), begin=ledger.now)
    ledger.ask(Refresh(grant=grant_id(1), verdict=renamed, draw=0.5))
    assert ledger.alive == set()
    assert len(ledger.told) == 2


def test_what_is_revoked_is_not_found_though_its_end_is_not_written_yet(ledger: Ledger) -> None:
    sign_in(ledger)
    child = child_of(ledger)
    ledger.rows.apply(
        Put(Revocation(id=UUID(int=1), scope=Scope.ALL, value="", at=ledger.now, reason="x"))
    )
    assert ledger.ask(find()) is None
    assert not ledger.ask(touch())
    assert not ledger.ask(sign_out())
    assert ledger.ask(bind(1, handle=10)) is None
    assert child in ledger.rows.sessions


def test_no_sign_in_is_completed_that_a_revocation_has_overtaken(ledger: Ledger) -> None:
    tokens = presented("access", "refresh")
    ledger.ask(Revoke(id=UUID(int=1), scope=Scope.USER, value="alice", reason="left"))
    change = web_login(1, tokens, cookie="cookie", base=BASE, state="state 1")
    assert ledger.refusal(change) is Refusal.REVOKED
    assert ledger.refusal(web_login(2, tokens)) is Refusal.REVOKED


def test_what_stands_beside_a_session_is_written_after_it_and_dropped_before_it(
    ledger: Ledger,
) -> None:
    sign_in(ledger)
    kinds: list[type] = [type(write.row) for write in ledger.writes]
    assert kinds.index(WebLogin) > kinds.index(Session)
    assert UsedState in kinds
    ledger.ask(sign_out())
    kinds = [type(write.row) for write in ledger.writes]
    assert kinds.index(WebLogin) < kinds.index(Session)
