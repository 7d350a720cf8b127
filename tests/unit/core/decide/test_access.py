"""What sessions may do, as tokens, processes and the configuration change."""

from dataclasses import replace
from uuid import UUID

import pytest

from sessiond.core.access import AccessRules, Ceiling, LocalGrant
from sessiond.core.changes import ProcessLost, Reassess, Reassessed, Reconcile, Refresh, Revoke
from sessiond.core.decide import decide
from sessiond.core.decide.access import LOOKED_AT
from sessiond.core.errors import Refusal
from sessiond.core.events import Event, SessionOpened, SessionRolesChanged
from sessiond.core.reading import PIECE
from sessiond.core.revocation import Scope
from tests.fakes import (
    HOUR,
    RULES,
    bind,
    grant_id,
    login,
    presented,
    process_about,
    process_key,
    renewal,
    session_id,
    verdict,
)
from tests.unit.core.decide.ledger import Ledger

DIGEST = "a" * 64


@pytest.fixture
def ledger() -> Ledger:
    """Session 1 is alice's, with the roles reader and writer, on rdb100."""
    ledger = Ledger()
    ledger.ask(login(1, presented("access", "refresh", says=verdict(roles=("reader", "writer")))))
    assert ledger.ask(bind(1))
    return ledger


def access(ledger: Ledger, *ceilings: Ceiling, **members: object) -> None:
    """Have other rules count from now on."""
    found = AccessRules(ceilings=ceilings, configuration=DIGEST, **members)  # type: ignore[arg-type]
    ledger.rules = replace(RULES, access=found)


def changed(ledger: Ledger) -> SessionRolesChanged:
    """Return the one event of the last change, which says that roles have changed."""
    (notice,) = ledger.last.notices
    assert isinstance(notice.event, SessionRolesChanged)
    assert notice.push_to == process_key()
    return notice.event


def refresh(ledger: Ledger, *roles: str) -> None:
    says = verdict(begin=ledger.now, roles=roles)
    ledger.ask(Refresh(grant=grant_id(1), verdict=says, draw=0.5))


def test_a_narrower_ceiling_takes_roles_and_a_wider_one_gives_them_back(ledger: Ledger) -> None:
    access(ledger, Ceiling(name="rdb*", roles=("reader",)))
    assert ledger.ask(Reassess()) == Reassessed(changed=1, ended=0)
    event = changed(ledger)
    assert event.roles == ledger.session(1).roles == ("reader",)
    assert event.because.cut == ("writer",)
    assert set(event.because.roles) == {"reader", "writer"}
    assert event.configuration == DIGEST
    assert ledger.ask(Reassess()) == Reassessed(changed=0, ended=0)
    assert (ledger.writes, ledger.told) == ([], [])
    access(ledger)
    assert ledger.ask(Reassess()) == Reassessed(changed=1, ended=0)
    assert changed(ledger).roles == ("reader", "writer")


@pytest.mark.parametrize(
    ("ceiling", "reason"),
    [
        (Ceiling(users=("bob",)), "notallowed"),
        (Ceiling(roles=("none",)), "noroles"),
    ],
)
def test_a_session_that_may_not_be_there_any_more_ends(
    ledger: Ledger, ceiling: Ceiling, reason: str
) -> None:
    access(ledger, ceiling)
    assert ledger.ask(Reassess()) == Reassessed(changed=0, ended=1)
    assert ledger.told == [("session.revoked", 1, reason)]
    assert ledger.pushed == [("session.revoked", 1, process_key())]
    assert ledger.refusal(login(2)) is Refusal(reason)


def test_very_many_sessions_are_judged_in_pieces() -> None:
    ledger = Ledger()
    for number in range(1, 2 * PIECE):
        ledger.log_in(number, f"access {number}")
    access(ledger, grants=(LocalGrant(users=("alice",), roles=("ops",)),))
    assert ledger.ask(Reassess()) == Reassessed(changed=2 * PIECE - 1, ended=0)
    assert ledger.pieces > 2
    assert ledger.ask(Reassess()) == Reassessed(changed=0, ended=0)
    assert ledger.pieces == 1


def test_of_sessions_with_very_many_roles_fewer_are_judged_in_a_piece() -> None:
    ledger = Ledger()
    many = tuple(f"role{number:03}" for number in range(LOOKED_AT // 2))
    for number in range(1, 7):
        ledger.ask(login(number, presented(f"access {number}", says=verdict(roles=many))))
    assert ledger.ask(Reassess()) == Reassessed(changed=0, ended=0)
    assert ledger.pieces == 3


def test_so_are_those_of_a_process_that_is_back() -> None:
    ledger = Ledger()
    many = tuple(f"role{number:03}" for number in range(PIECE // 2 + 1))
    for number in range(1, 7):
        ledger.ask(login(number, presented(f"access {number}", says=verdict(roles=many))))
        ledger.ask(bind(number))
    ledger.ask(ProcessLost(process=process_key(100)))
    held = tuple((number, session_id(number)) for number in range(1, 7))
    assert ledger.ask(Reconcile(process=process_key(100), about=process_about(), held=held)) == []
    assert ledger.pieces == 3


def test_a_refresh_is_judged_under_the_ceiling(ledger: Ledger) -> None:
    access(ledger, Ceiling(roles=("reader", "ops")))
    ledger.let_pass(HOUR / 2)
    refresh(ledger, "reader", "ops", "writer")
    assert ledger.session(1).roles == ("ops", "reader")
    assert set(ledger.session(1).assigned) == {"ops", "reader", "writer"}
    access(ledger, Ceiling(roles=("reader",)))
    refresh(ledger, "ops")
    assert ledger.told == [("session.revoked", 1, "noroles")]


def test_a_refreshed_token_that_lets_its_user_in_nowhere_ends_all_that_came_with_it(
    ledger: Ledger,
) -> None:
    access(ledger, required=frozenset({"corp"}))
    refresh(ledger)
    assert ledger.told == [("session.revoked", 1, "noroles")]
    assert ledger.refusal(login(2, presented("access", "refresh"))) is Refusal.INACTIVE


def test_a_login_and_a_renewal_are_asked_how_the_user_signed_in(ledger: Ledger) -> None:
    access(ledger, Ceiling(acr=("gold",)))
    assert ledger.refusal(login(2, presented("two"))) is Refusal.STEPUP
    assert ledger.refusal(renewal(1, presented("two"))) is Refusal.STEPUP
    assert ledger.session(1).roles == ("reader", "writer")
    gold = replace(verdict(roles=("reader",)), acr=("gold",))
    ledger.ask(renewal(1, presented("three", says=gold)))
    assert ledger.told == [("session.renewed", 1, ""), ("session.roles", 1, "")]
    refresh(ledger, "reader")
    assert ledger.alive == {1}  # nobody is asked again at a refresh


def opened(event: Event) -> SessionOpened:
    assert isinstance(event, SessionOpened)
    return event


def test_a_login_that_is_opened_under_other_rules_than_it_was_answered_by_is_told(
    ledger: Ledger,
) -> None:
    ledger.ask(login(2, presented("two", says=verdict(roles=("reader", "writer")))))
    access(ledger, Ceiling(roles=("reader",)))
    assert ledger.ask(bind(2))
    first, second = ledger.last.notices
    assert opened(first.event).because.cut == ("writer",)
    assert (first.push_to, second.push_to) == (None, process_key())
    assert isinstance(second.event, SessionRolesChanged)
    ledger.ask(login(3, presented("three")))
    access(ledger, Ceiling(users=()))
    assert not ledger.ask(bind(3))
    assert session_id(3) not in ledger.rows.sessions


def test_a_process_that_was_away_hears_of_roles_when_it_is_back(ledger: Ledger) -> None:
    ledger.ask(ProcessLost(process=process_key()))
    back = Reconcile(process=process_key(), about=process_about(), held=((1, session_id(1)),))
    access(ledger, Ceiling(roles=("reader",)))
    assert ledger.ask(Reassess()) == Reassessed(changed=1, ended=0)
    assert ledger.session(1).roles == ("reader",)
    access(ledger)
    ledger.ask(Reassess())
    ledger.ask(back)
    assert ledger.told == []  # what it knows of is true again
    ledger.ask(ProcessLost(process=process_key()))
    access(ledger, Ceiling(roles=("reader",)))
    ledger.ask(Reassess())
    assert ledger.ask(back) == []
    assert changed(ledger).roles == ("reader",)


def test_a_process_that_comes_back_hears_again_of_roles_whose_push_it_may_have_lost(
    ledger: Ledger,
) -> None:
    back = Reconcile(process=process_key(), about=process_about(), held=((1, session_id(1)),))
    for ceilings, roles in (
        ((Ceiling(roles=("reader",)),), ("reader",)),
        ((), ("reader", "writer")),
    ):
        access(ledger, *ceilings)
        ledger.ask(Reassess())
        assert changed(ledger).roles == roles  # on a connection that is cut at that moment
        ledger.ask(ProcessLost(process=process_key()))
        ledger.ask(back)
        assert changed(ledger).roles == roles


def test_a_process_that_comes_back_by_another_name_has_that_ones_ceiling(ledger: Ledger) -> None:
    access(
        ledger, Ceiling(name="rdb*"), Ceiling(name="gateway", roles=("reader",)), Ceiling(users=())
    )
    for name, doomed in (("gateway", []), ("other", [1])):
        about = replace(process_about(), name=name)
        held = Reconcile(process=process_key(), about=about, held=((1, session_id(1)),))
        assert ledger.ask(held) == doomed
    assert ledger.told == [("session.revoked", 1, "notallowed")]
    assert ledger.alive == set()


def test_subscribers_hear_of_a_role_above_the_ceiling_that_is_protected_no_more(
    ledger: Ledger,
) -> None:
    access(ledger, Ceiling(roles=("reader",)), protected=("writer",))
    ledger.ask(Reassess())
    access(ledger, Ceiling(roles=("reader",)))
    assert ledger.ask(Reassess()) == Reassessed(changed=0, ended=0)
    (notice,) = ledger.last.notices
    assert isinstance(notice.event, SessionRolesChanged)
    assert (notice.event.because.cut, notice.push_to) == (("writer",), None)
    ledger.ask(Reassess())
    assert (ledger.writes, ledger.told) == ([], [])


def test_subscribers_hear_at_which_process_a_session_is_once_that_has_another_name(
    ledger: Ledger,
) -> None:
    about = replace(process_about(), name="hdb")
    ledger.ask(Reconcile(process=process_key(), about=about, held=((1, session_id(1)),)))
    (notice,) = ledger.last.notices
    assert isinstance(notice.event, SessionRolesChanged)
    assert (notice.event.process, notice.push_to) == (about, None)


@pytest.mark.parametrize(("name", "is_alive"), [("gateway", True), ("other", False)])
def test_an_unopened_login_at_a_process_that_comes_back_by_another_name_has_that_ones_ceiling(
    ledger: Ledger, name: str, is_alive: bool
) -> None:
    access(
        ledger, Ceiling(name="rdb*"), Ceiling(name="gateway", roles=("reader",)), Ceiling(users=())
    )
    ledger.ask(login(2, presented("two", says=verdict(roles=("reader", "writer")))))
    about = replace(process_about(), name=name)
    ledger.ask(Reconcile(process=process_key(), about=about, held=()))
    assert (2 in ledger.alive) == is_alive
    assert bool(ledger.ask(bind(2))) == is_alive
    if is_alive:
        assert ledger.session(2).roles == ("reader",)
        assert [each.push_to for each in ledger.last.notices] == [None, process_key()]


def test_who_relies_on_a_grant_that_has_lost_all_his_roles_there_ends_too(ledger: Ledger) -> None:
    ledger.ask(login(2, presented("access", says=verdict(roles=("reader", "writer")))))
    access(ledger, Ceiling(roles=("reader",)))
    ledger.ask(Reassess())
    refresh(ledger, "writer")
    assert sorted(ledger.told) == [
        ("session.revoked", 1, "noroles"),
        ("session.revoked", 2, "noroles"),
    ]


def test_a_session_that_ended_while_others_were_judged_is_passed_over(ledger: Ledger) -> None:
    asked = Reassess(sessions=(session_id(9), session_id(1)))
    assert ledger.ask(asked) == Reassessed(changed=0, ended=0)


def test_the_name_is_kept_as_it_was_typed(ledger: Ledger) -> None:
    ledger.ask(replace(login(2, presented("two")), typed="ALICE"))
    assert ledger.session(2).typed == "ALICE"
    ledger.ask(replace(login(2, presented("two")), typed="Alice"))  # kdb+ tries twice
    assert ledger.session(2).typed == "Alice"


def test_a_role_that_is_not_why_a_session_is_here_changes_no_push(ledger: Ledger) -> None:
    says = verdict(begin=ledger.now, roles=()).assigning(
        {"reader": ("role source ldap",), "writer": ("claim roles: x",)}
    )
    ledger.ask(Refresh(grant=grant_id(1), verdict=says, draw=0.5))
    assert ledger.session(1).assigned["reader"] == ("role source ldap",)
    assert ledger.told == []


def test_a_session_that_was_taken_back_already_ends_as_that_and_changes_no_more() -> None:
    ledger = Ledger()
    for number in range(1, PIECE):
        ledger.log_in(number, f"access {number}")
    ledger.let_pass(HOUR / 2)
    revoke = Revoke(id=UUID(int=1), scope=Scope.USER, value="alice", reason="")
    rest = decide(ledger.rows, revoke, ledger.now, ledger.rules)
    for write in rest.writes:
        ledger.write(write)
    assert rest.rest is not None
    access(ledger, Ceiling(users=()))
    assert ledger.ask(Reassess()) == Reassessed(changed=0, ended=0)


def test_roles_above_the_ceiling_are_told_to_subscribers_and_not_to_the_process(
    ledger: Ledger,
) -> None:
    access(ledger, Ceiling(name="rdb*", roles=("reader",)))
    ledger.ask(Reassess())
    for has_changed in (True, False):
        refresh(ledger, "reader", "admin")
        told = [n for n in ledger.last.notices if isinstance(n.event, SessionRolesChanged)]
        assert bool(told) == has_changed
        for notice in told:
            assert isinstance(notice.event, SessionRolesChanged)
            assert (notice.push_to, notice.event.roles) == (None, ("reader",))
            assert notice.event.because.cut == ("admin",)
            assert set(notice.event.because.roles) == {"reader", "admin"}
