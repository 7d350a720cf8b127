"""Sessions that tickets opened follow the one that their tickets were made for."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from sessiond.core.access import MAX_SHARED, Access, AccessRules, Ceiling, Denied
from sessiond.core.changes import (
    Close,
    EndSessions,
    Expire,
    ProcessLost,
    ProcessMet,
    Reassess,
    Reconcile,
    Refresh,
    Refuse,
    Revoke,
    SignOut,
)
from sessiond.core.decide import draft as drafting
from sessiond.core.decide import tickets, unfinished
from sessiond.core.errors import Refusal
from sessiond.core.events import Operator, OperatorRevoked, SessionRolesChanged
from sessiond.core.revocation import Scope
from sessiond.core.rows import Drop, Put
from sessiond.core.session import ActiveSession, ProcessAbout, Session, SessionState
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
    web_login,
)
from tests.unit.core.decide.ledger import Ledger

BOTH = verdict(roles=("reader", "trader"))
RDB = Ceiling(name="rdb200", roles=("trader",))


@pytest.fixture
def ledger() -> Ledger:
    """Return rows with a session, 1, at process 100, and one that its ticket opened, 2, at 200."""
    ledger = Ledger()
    ledger.ask(login(1, presented("access", "refresh", says=BOTH)))
    ledger.ask(bind(1))
    spend(ledger, 2)
    return ledger


def spend(ledger: Ledger, number: int, *, parent: int = 1, pid: int = 200) -> Session:
    lasts = ledger.now + timedelta(seconds=30)
    opened = ticket_login(number, ticket(number, parent=parent, expires_at=lasts), pid=pid)
    active = ledger.ask(opened)
    assert isinstance(active, ActiveSession), active
    assert ledger.ask(bind(number, pid=pid))
    return ledger.session(number)


def refusal(ledger: Ledger, number: int, *, parent: int = 1, handle: int | None = None) -> Refusal:
    return ledger.refusal(
        ticket_login(number, ticket(number, parent=parent), handle=handle, pid=200)
    )


def refresh(ledger: Ledger, *roles: str, number: int = 1) -> None:
    says = verdict(begin=ledger.now + MINUTE, roles=roles, attributes={"desk": "fx"}, acr=("mfa",))
    assert ledger.ask(Refresh(grant=grant_id(number), verdict=says, draw=0.5))


def reload(ledger: Ledger, *ceilings: Ceiling) -> None:
    ledger.rules = replace(RULES, access=AccessRules(ceilings=ceilings))
    ledger.ask(Reassess())


def roles_told(ledger: Ledger) -> dict[int, tuple[str, ...]]:
    """Return which roles were pushed, by handle."""
    events = [each.event for each in ledger.last.notices if each.push_to is not None]
    return {each.handle: each.roles for each in events if isinstance(each, SessionRolesChanged)}


def test_a_refresh_of_the_parent_s_grant_is_its_own(ledger: Ledger) -> None:
    refresh(ledger, "reader")
    child = ledger.session(2)
    assert (child.roles, dict(child.attributes), child.acr) == (
        ("reader",),
        {"desk": "fx"},
        ("mfa",),
    )
    assert roles_told(ledger) == {1: ("reader",), 2: ("reader",)}
    assert [each[:2] for each in ledger.pushed].count(("session.refreshed", 2)) == 1


def test_a_refresh_that_leaves_no_role_for_its_process_ends_it_alone(ledger: Ledger) -> None:
    reload(ledger, RDB)
    refresh(ledger, "reader")
    assert ledger.alive == {1}
    assert ("session.revoked", 2, "noroles") in ledger.told


def test_it_is_told_of_a_refresh_in_the_piece_of_its_parent(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many sessions the grant has, whichever is older, no child is ahead or behind."""
    for number in range(3, 9):
        ledger.ask(login(number, presented("access", "refresh", says=BOTH)))
        ledger.ask(bind(number))
        spend(ledger, 50 + number, parent=number)
    monkeypatch.setattr("sessiond.core.reading.PIECE", 4)
    refresh(ledger, "reader")
    assert ledger.pieces > 3
    assert {each.roles for each in ledger.rows.sessions.values()} == {("reader",)}
    assert len(roles_told(ledger)) == 14


def test_however_many_follow_a_session_its_roles_are_worked_out_once_a_ceiling(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one user with a thousand roles and many sessions by ticket holds everybody up.

    They follow it in one decision, which nobody else's can go between.
    """
    reload(ledger, RDB, Ceiling(name="rdb2*", roles=("role*", "reader")))
    worked_out, asked = AccessRules.worked_out, list[object]()

    def counted(self: AccessRules, *by: Any) -> Access | Denied:
        asked.append(by)
        return worked_out(self, *by)

    monkeypatch.setattr(AccessRules, "worked_out", counted)
    for number in range(3, 43):
        spend(ledger, number, pid=200 + number)
    many = ("trader", *(f"role{number:02}" for number in range(MAX_SHARED)))
    asked.clear()
    refresh(ledger, *many)
    assert len(asked) == 3  # of the session, and of those that follow it under either ceiling
    assert ledger.session(2).roles == ("trader",)
    assert {ledger.session(number).roles for number in range(3, 43)} == {many[1:]}


def test_a_renewal_may_bring_it_roles_back(ledger: Ledger) -> None:
    refresh(ledger, "reader")
    ledger.ask(renewal(1, presented("fresh", says=replace(BOTH, lease=ledger.grant(1).lease))))
    assert ledger.session(2).roles == ("reader", "trader")
    assert ledger.session(2).grant == ledger.session(1).grant


def test_a_grant_that_nothing_hangs_on_any_more_goes_with_the_renewal(ledger: Ledger) -> None:
    ledger.ask(renewal(1, presented("fresh", says=verdict(begin=START + MINUTE))))
    assert ledger.granted == {900}
    ledger.ask(Close(process=process_key(), handle=1))
    assert not ledger.alive


def test_a_reload_s_ceiling_at_the_parent_s_process_bounds_it_too(ledger: Ledger) -> None:
    reload(ledger, Ceiling(name="rdb100", roles=("reader",)))
    assert ledger.session(2).roles == ("reader",)
    assert roles_told(ledger) == {1: ("reader",), 2: ("reader",)}
    assert ledger.last.answer.changed == 2
    reload(ledger)
    assert ledger.session(2).roles == ("reader", "trader")


def test_a_reload_s_ceiling_at_its_own_process_bounds_it_alone(ledger: Ledger) -> None:
    reload(ledger, RDB)
    assert (ledger.session(1).roles, ledger.session(2).roles) == (("reader", "trader"), ("trader",))
    assert ledger.last.answer.changed == 1
    reload(ledger, Ceiling(name="rdb200", users=("bob",)))
    assert ledger.alive == {1}
    assert ledger.last.answer.ended == 1


def test_a_reload_that_ends_the_parent_ends_it_with_that(ledger: Ledger) -> None:
    reload(ledger, Ceiling(name="rdb100", users=("bob",)))
    assert not ledger.alive
    assert ledger.last.answer.ended == 2
    assert ("session.revoked", 2, "parent") in ledger.told


def test_what_is_taken_back_already_is_not_judged_anew(ledger: Ledger) -> None:
    ledger.rows.apply(Drop(ledger.session(2)))
    ledger.ask(Revoke(id=session_id(7), scope=Scope.USER, value="alice", reason="left"))
    assert ledger.ask(Reassess()).changed == 0


def test_a_process_that_says_another_name_changes_what_its_tickets_gave(ledger: Ledger) -> None:
    ledger.rules = replace(
        RULES, access=AccessRules(ceilings=(Ceiling(name="gateway", roles=("reader",)),))
    )
    about = ProcessAbout(name="gateway", type="rdb", host="h", pid=100)
    held = ((1, session_id(1)),)
    ledger.ask(Reconcile(process=process_key(), about=about, held=held))
    assert ledger.session(2).roles == ("reader",)
    assert roles_told(ledger)[2] == ("reader",)


def test_a_name_that_a_process_says_changes_what_its_logins_over_http_gave(ledger: Ledger) -> None:
    ledger.ask(web_login(5, presented("b", says=BOTH)))
    spend(ledger, 6, parent=5)
    ledger.rules = replace(
        RULES, access=AccessRules(ceilings=(Ceiling(name="gateway", roles=("reader",)),))
    )
    about = ProcessAbout(name="gateway", type="rdb", host="h", pid=100)
    ledger.ask(Reconcile(process=process_key(), about=about, held=()))
    assert ledger.session(6).roles == ("reader",)


def test_one_that_is_opened_again_by_newer_rules_is_followed(ledger: Ledger) -> None:
    ledger.ask(ProcessLost(process=process_key()))
    ledger.rules = replace(
        RULES, access=AccessRules(ceilings=(Ceiling(name="rdb100", roles=("reader",)),))
    )
    assert ledger.ask(bind(1))
    assert ledger.session(2).roles == ("reader",)


def test_a_child_beside_its_parent_is_not_left_behind_by_a_new_name(ledger: Ledger) -> None:
    spend(ledger, 3, pid=100)
    ledger.rules = replace(
        RULES, access=AccessRules(ceilings=(Ceiling(name="gateway", roles=("reader",)),))
    )
    about = ProcessAbout(name="gateway", type="rdb", host="h", pid=100)
    for held in (
        ((1, session_id(1)), (3, session_id(3))),
        ((3, session_id(3)), (1, session_id(1))),
    ):
        ledger.ask(Reconcile(process=process_key(), about=about, held=held))
        assert ledger.session(3).about == about
        assert ledger.session(3).roles == ("reader",)


def test_an_unopened_child_beside_its_parent_follows_a_new_name(ledger: Ledger) -> None:
    ledger.ask(ticket_login(3, pid=100))
    ledger.rules = replace(
        RULES, access=AccessRules(ceilings=(Ceiling(name="gateway", roles=("reader",)),))
    )
    about = ProcessAbout(name="gateway", type="rdb", host="h", pid=100)
    ledger.ask(Reconcile(process=process_key(), about=about, held=((1, session_id(1)),)))
    assert (ledger.session(3).about, ledger.session(3).roles) == (about, ("reader",))


def test_it_goes_on_while_its_parent_s_process_is_away(ledger: Ledger) -> None:
    ledger.ask(ProcessLost(process=process_key()))
    assert ledger.session(2).state is SessionState.OPEN
    assert spend(ledger, 3).parent == session_id(1)
    ledger.ask(ProcessMet(process=process_key()))
    held = ((1, session_id(1)),)
    ledger.ask(Reconcile(process=process_key(), about=process_about(), held=held))
    assert ledger.alive == {1, 2, 3}


def test_it_ends_when_its_parent_s_process_does_not_come_back(ledger: Ledger) -> None:
    ledger.ask(ProcessLost(process=process_key()))
    ledger.let_pass(RULES.grace)
    ledger.ask(Expire(sessions=(session_id(1),)))
    assert not ledger.alive
    assert ("session.revoked", 2, process_key(200)) in ledger.pushed


def test_it_ends_when_its_parent_is_not_among_what_its_process_holds(ledger: Ledger) -> None:
    ledger.ask(Reconcile(process=process_key(), about=process_about(), held=()))
    assert not ledger.alive


def test_its_own_process_s_loss_is_no_matter_of_its_parent_s(ledger: Ledger) -> None:
    ledger.ask(ProcessLost(process=process_key(200)))
    assert (ledger.session(1).state, ledger.session(2).state) == (
        SessionState.OPEN,
        SessionState.WAITING,
    )
    refresh(ledger, "reader")
    assert ledger.session(2).roles == ("reader",)
    held = ((2, session_id(2)),)
    ledger.ask(Reconcile(process=process_key(200), about=process_about(200), held=held))
    assert roles_told(ledger) == {2: ("reader",)}  # what it had been told was lost


def test_its_lease_s_end_is_its_parent_s(ledger: Ledger) -> None:
    ledger.let_pass(HOUR)
    ledger.ask(Expire(grants=(grant_id(1),)))
    assert not ledger.alive
    assert {each[1] for each in ledger.pushed} == {1, 2}


def test_an_issuer_s_refusal_ends_both(ledger: Ledger) -> None:
    ledger.ask(Refuse(grant=grant_id(1), reason="refused"))
    assert not ledger.alive


def test_an_operator_is_told_how_many_end_with_one(ledger: Ledger) -> None:
    spend(ledger, 3, parent=2)
    by = Operator(uid=1, name="olga")
    assert ledger.ask(EndSessions(session=session_id(1), by=by)) == 3
    order = ledger.last.notices[0].event
    assert isinstance(order, OperatorRevoked)
    assert order.count == 3
    assert not ledger.alive


def test_an_operator_is_told_how_many_end_elsewhere_with_a_process_s(ledger: Ledger) -> None:
    spend(ledger, 3, pid=100)
    by = Operator(uid=1, name="olga")
    assert ledger.ask(EndSessions(process=process_key(), by=by)) == 3
    order = ledger.last.notices[0].event
    assert isinstance(order, OperatorRevoked)
    assert order.count == 3


def test_a_revoked_user_s_tickets_open_nothing(ledger: Ledger) -> None:
    ledger.ask(Revoke(id=session_id(7), scope=Scope.USER, value="alice", reason="left"))
    assert not ledger.alive
    assert refusal(ledger, 3) is Refusal.REVOKED


def test_a_ticket_s_session_may_have_tickets_of_its_own(ledger: Ledger) -> None:
    child = spend(ledger, 3, parent=2, pid=300)
    assert (child.hops, child.parent) == (2, session_id(2))
    reload(ledger, Ceiling(name="rdb200", roles=("reader",)))
    assert ledger.session(3).roles == ("reader",)
    ledger.ask(renewal(1, presented("fresh", says=verdict(begin=START + MINUTE))))
    assert {each.grant for each in ledger.rows.sessions.values()} == {grant_id(900)}
    ledger.ask(Close(process=process_key(200), handle=2))
    assert ledger.alive == {1}


def test_only_so_many_sessions_hang_on_one(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (tickets, drafting):
        monkeypatch.setattr(module, "MAX_FAMILY", 2)
    spend(ledger, 3, parent=2)
    assert refusal(ledger, 4) is Refusal.THROTTLED
    assert refusal(ledger, 4, parent=3) is Refusal.THROTTLED
    ledger.ask(Close(process=process_key(200), handle=3))
    spend(ledger, 5)


def test_it_counts_among_the_sessions_of_its_process(ledger: Ledger) -> None:
    ledger.rules = replace(RULES, max_sessions=1)
    assert refusal(ledger, 3) is Refusal.THROTTLED
    assert isinstance(ledger.ask(ticket_login(3, handle=2)), ActiveSession)  # in another's place
    assert ledger.alive == {1, 3}


def test_a_ticket_on_the_handle_of_its_own_parent_opens_nothing(ledger: Ledger) -> None:
    spend(ledger, 3, parent=2)
    for parent in (2, 3):
        assert refusal(ledger, 4, parent=parent, handle=2) is Refusal.REVOKED


def test_one_that_is_opened_on_its_parent_s_handle_has_ended_with_that(ledger: Ledger) -> None:
    ledger.ask(ticket_login(3, pid=100))
    assert ledger.ask(bind(3, handle=1)) is None
    assert not ledger.alive


def test_who_left_the_name_to_another_passes_nothing_on(ledger: Ledger) -> None:
    ledger.rows.apply(Put(structs.replace(ledger.rows.names["alice"], subject="another")))
    assert refusal(ledger, 3) is Refusal.USERMISMATCH


def test_a_login_over_http_passes_on_until_it_is_over(ledger: Ledger) -> None:
    ledger.ask(web_login(5, presented("b", says=BOTH), cookie="c", base="https://gw", pid=100))
    spend(ledger, 6, parent=5)
    ledger.let_pass(RULES.web.idle)
    lasts = ledger.now + MINUTE
    late = ticket_login(7, ticket(7, parent=5, expires_at=lasts))
    assert ledger.refusal(late) is Refusal.REVOKED
    ledger.let_pass(-MINUTE)
    assert ledger.ask(SignOut(process=process_key(), session=session_id(5)))
    assert ledger.alive == {1, 2}


def test_a_bearer_that_comes_again_with_other_roles_changes_its_tickets_(ledger: Ledger) -> None:
    ledger.ask(web_login(5, presented("b", says=BOTH)))
    spend(ledger, 6, parent=5)
    fewer = replace(BOTH, roles=("reader",))
    ledger.ask(web_login(8, presented("b", says=fewer)))
    assert ledger.session(6).roles == ("reader",)


def test_a_websocket_s_ticket_ends_with_the_login_behind_it(ledger: Ledger) -> None:
    ledger.ask(web_login(5, presented("b", says=BOTH)))
    websocket = ledger.ask(bind(5, handle=9))
    assert websocket is not None
    assert websocket.int == 500_005
    spend(ledger, 6, parent=500_005)
    assert ledger.session(500_005).hops == 0
    ledger.ask(SignOut(process=process_key(), session=session_id(5)))
    assert ledger.alive == {1, 2}


def test_a_lease_that_is_over_passes_nothing_on(ledger: Ledger) -> None:
    ledger.let_pass(HOUR)
    late = ticket_login(3, ticket(3, expires_at=ledger.now + MINUTE))
    assert ledger.refusal(late) is Refusal.REVOKED


def test_who_relies_on_a_grant_loses_roles_with_all_that_he_passed_on(ledger: Ledger) -> None:
    ledger.ask(login(5, presented("access", says=BOTH)))  # the access token alone
    ledger.ask(bind(5))
    spend(ledger, 6, parent=5)
    refresh(ledger, "reader")
    assert ledger.session(5).grant != ledger.session(1).grant
    assert (ledger.session(5).roles, ledger.session(6).roles) == (("reader",), ("reader",))
    assert ledger.session(6).access == token_hash("access")


def test_a_process_that_cannot_come_back_takes_all_along(ledger: Ledger) -> None:
    ledger.ask(login(5, presented("b", says=BOTH), pid=0))
    ledger.ask(bind(5, pid=0))
    spend(ledger, 6, parent=5)
    spend(ledger, 7, parent=5, pid=0)
    ledger.ask(ProcessLost(process=process_key(0)))
    assert ledger.alive == {1, 2}
    assert ("session.revoked", 6, process_key(200)) in ledger.pushed


def orphan(ledger: Ledger) -> None:
    """Leave 2 without its parent, as no decision does."""
    ledger.rows.apply(Drop(ledger.session(1)))


def test_a_start_ends_what_has_lost_its_parent(ledger: Ledger) -> None:
    assert unfinished(ledger.rows) == []
    orphan(ledger)
    (change,) = unfinished(ledger.rows)
    ledger.ask(change)
    assert not ledger.alive
    assert ledger.told == [("session.revoked", 2, "parent")]
    ledger.ask(change)
    assert ledger.told == []


def test_many_orphans_end_in_pieces(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3, 9):
        spend(ledger, number)
    orphan(ledger)
    monkeypatch.setattr("sessiond.core.reading.PIECE", 4)
    (change,) = unfinished(ledger.rows)
    ledger.ask(change)
    assert not ledger.alive
    assert ledger.pieces > 2


def test_an_orphan_may_do_nothing_until_then(ledger: Ledger) -> None:
    spend(ledger, 3, parent=2)
    ledger.ask(ticket_login(4))
    orphan(ledger)
    assert ledger.ask(Reassess()).ended == 0
    assert ledger.ask(bind(4, pid=200)) is None
    assert spend(ledger, 5, parent=3).parent == session_id(3)
    assert not isinstance(ledger.ask(ticket_login(6, ticket(6, parent=2))), Denied)


def test_traces_of_tickets_go_in_pieces_too(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3, 9):
        spend(ledger, number)
    monkeypatch.setattr("sessiond.core.reading.PIECE", 2)
    ledger.let_pass(HOUR)
    ledger.ask(Expire(tickets=tuple(map(ticket_id, (*range(2, 9), 2, 77)))))
    assert not ledger.rows.spent_tickets
    assert ledger.pieces > 2


def test_a_family_s_many_roles_are_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time takes a millisecond, and a family changes in one decision."""
    ledger, roles = Ledger(), tuple(f"role{number}" for number in range(MAX_SHARED + 1))
    ledger.ask(login(1, presented("access", "refresh", says=verdict(roles=roles))))
    ledger.ask(bind(1))
    for number in range(2, 6):
        spend(ledger, number)
    spend(ledger, 6, parent=2)
    worked_out, times = AccessRules.worked_out, list[int]()

    def counted(rules: AccessRules, *found: Any) -> Access | Denied:
        times.append(1)
        return worked_out(rules, *found)

    monkeypatch.setattr(AccessRules, "worked_out", counted)
    refresh(ledger, *roles)
    assert len(times) == 2  # the parent's, and what it passes on
    assert {ledger.session(number).roles for number in range(1, 7)} == {tuple(sorted(roles))}
