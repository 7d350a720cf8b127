"""A session lasts as long as what it was opened with: prolonged by its own refresh token alone."""

from dataclasses import replace

import pytest

from sessiond.core.changes import BeginRefresh, Close, Expire, Recheck, Refresh, Refuse, Rotate
from sessiond.core.decide.tokens import ENDLESS_KEPT
from sessiond.core.errors import Refusal
from sessiond.core.grant import Grant
from sessiond.core.queries import FindRecheckable
from sessiond.core.rows import Drop
from sessiond.core.secret import Secret
from sessiond.core.session import ActiveSession
from sessiond.core.verdict import PresentedTokens
from tests.fakes import (
    HOUR,
    MINUTE,
    START,
    grant_id,
    lease,
    login,
    presented,
    principal,
    renewal,
    session_id,
    token_hash,
    verdict,
)
from tests.unit.core.decide.ledger import Ledger


@pytest.fixture
def ledger() -> Ledger:
    """Alice with a pair of tokens on handle 1, a thief with her access token alone on 2."""
    ledger = Ledger()
    ledger.log_in(1, "access", "refresh")
    ledger.log_in(2, "access")
    return ledger


def refused(number: int, reason: str = "refused") -> Refuse:
    return Refuse(grant=grant_id(number), reason=reason)


def run_out(ledger: Ledger) -> None:
    """Name whatever could be over, as the table does."""
    ledger.ask(Expire(grants=tuple(ledger.rows.grants), tokens=tuple(ledger.rows.tokens)))


def refreshed(ledger: Ledger, roles: tuple[str, ...] = ("reader",)) -> Refresh:
    says = verdict(begin=ledger.now, roles=roles)
    return Refresh(grant=grant_id(1), verdict=says, draw=0.5)


# Prolonged


def test_a_refresh_prolongs_only_who_brought_a_refresh_token(ledger: Ledger) -> None:
    ledger.let_pass(36 * MINUTE)
    ledger.ask(refreshed(ledger))
    assert ledger.told == [("session.refreshed", 1, "")]
    ledger.let_pass(24 * MINUTE)
    run_out(ledger)
    assert ledger.told == [("session.expired", 2, "expired")]
    assert ledger.alive == {1}


def test_an_access_token_that_comes_alone_first_is_not_prolonged_by_a_pair_that_comes_later() -> (
    None
):
    ledger = Ledger()
    ledger.log_in(2, "access")
    ledger.log_in(1, "access", "refresh")
    ledger.let_pass(36 * MINUTE)
    ledger.ask(refreshed(ledger))
    ledger.let_pass(24 * MINUTE)
    run_out(ledger)
    assert ledger.alive == {1}


def test_renewing_counts_as_what_was_brought_from_then_on(ledger: Ledger) -> None:
    ledger.let_pass(30 * MINUTE)
    says = verdict(begin=ledger.now)
    with_pair = renewal(2, presented("second", "second refresh", says=says), grant=3)
    assert isinstance(ledger.ask(with_pair), ActiveSession)
    assert not ledger.grant(3).proven
    assert isinstance(ledger.ask(renewal(1, presented("third", says=says), grant=4)), ActiveSession)
    assert ledger.session(1).grant == grant_id(4)
    assert not ledger.grant(4).has_refresh_token


def test_renewing_with_the_same_access_token_alone_prolongs_nothing(ledger: Ledger) -> None:
    says = replace(verdict(begin=START + MINUTE), states_end=False)
    ledger.let_pass(MINUTE)
    active = ledger.ask(renewal(2, presented("access", says=says)))
    assert isinstance(active, ActiveSession)
    assert active.expires_at == START + HOUR


# Without a stated end


def endless(ledger: Ledger, refresh: str | None = None) -> PresentedTokens:
    """Return an opaque token whose issuer states no end, as verified now."""
    says = replace(verdict(begin=ledger.now, states_iat=False), states_end=False)
    return presented("opaque", refresh, says=says, presented_at=ledger.now)


@pytest.mark.parametrize("again", ["login", "renewal", "recheck"])
def test_a_token_without_a_stated_end_is_as_old_as_it_was_when_first_seen(again: str) -> None:
    ledger = Ledger()
    ledger.ask(login(1, endless(ledger)))
    ledger.let_pass(40 * MINUTE)
    match again:
        case "login":
            active = ledger.ask(login(2, endless(ledger)))
            assert isinstance(active, ActiveSession)
            assert active.expires_at == START + HOUR
        case "renewal":
            ledger.ask(renewal(1, endless(ledger)))
        case _:
            assert ledger.ask(Recheck(grant=grant_id(1), verdict=endless(ledger).verdict))
    assert ledger.grant(1).lease == lease()
    assert "session.refreshed" not in {kind for kind, _, _ in ledger.told}
    ledger.let_pass(20 * MINUTE)
    run_out(ledger)
    assert ledger.alive == set()
    assert ledger.refusal(login(3, endless(ledger))) is Refusal.EXPIRED
    ledger.let_pass(ENDLESS_KEPT - 2 * HOUR)
    run_out(ledger)
    assert ledger.refusal(login(3, endless(ledger))) is Refusal.EXPIRED


def test_with_a_refresh_token_it_is_no_younger(ledger: Ledger) -> None:
    """It would put the refresh off for ever."""
    ledger.ask(login(3, endless(ledger, "its refresh")))
    ledger.let_pass(30 * MINUTE)
    ledger.ask(login(4, endless(ledger, "its refresh")))
    assert ledger.session(4).grant == grant_id(3)
    assert ledger.grant(3).lease == lease()


# Ended


def test_a_proved_grant_s_refusal_ends_who_came_with_its_access_token_alone(
    ledger: Ledger,
) -> None:
    ledger.prove()
    ledger.ask(refused(1))
    assert ledger.told == [("session.revoked", 1, "refused"), ("session.revoked", 2, "refused")]
    assert (ledger.alive, ledger.granted) == (set(), set())
    assert ledger.refusal(login(3, presented("access"))) is Refusal.INACTIVE


def test_so_does_it_end_who_came_alone_first() -> None:
    ledger = Ledger()
    ledger.log_in(2, "access")
    ledger.log_in(1, "access", "refresh")
    ledger.prove()
    ledger.ask(refused(1))
    assert ledger.alive == set()


def test_and_who_came_with_a_refresh_token_that_nothing_has_proved(ledger: Ledger) -> None:
    ledger.log_in(3, "access", "garbage")
    ledger.log_in(4, "other", "garbage")
    ledger.prove()
    ledger.ask(refused(1))
    assert ledger.alive == {4}


def test_but_nobody_whom_another_proved_grant_carries(ledger: Ledger) -> None:
    ledger.log_in(3, "access", "second refresh")
    ledger.prove(1)
    ledger.prove(3)
    ledger.ask(refused(1))
    assert ledger.alive == {3}


def test_nor_who_signed_in_anew(ledger: Ledger) -> None:
    """The thief's stolen family is killed at the issuer: what hangs on it ends, and no more."""
    ledger.prove()
    ledger.let_pass(MINUTE)
    says = verdict(begin=ledger.now)
    ledger.ask(login(3, presented("new", "new refresh", says=says)))
    ledger.ask(login(4, presented("new", says=says)))
    ledger.ask(refused(1))
    assert ledger.alive == {3, 4}


@pytest.mark.parametrize("beside", ["access", "another valid one"])
def test_a_refresh_token_that_was_never_proved_takes_down_only_what_brought_it(
    ledger: Ledger, beside: str
) -> None:
    ledger.log_in(3, "another valid one")
    ledger.log_in(4, beside, "garbage")
    ledger.ask(refused(4))
    assert ledger.told == [("session.revoked", 4, "refused")]
    assert (ledger.alive, ledger.granted) == ({1, 2, 3}, {1, 2, 3})
    ledger.log_in(5, "access", "refresh")
    ledger.log_in(6, beside)


def test_an_access_token_that_came_with_nothing_else_is_not_taken_again(ledger: Ledger) -> None:
    """Whose user the issuer has shut out does not come back with it."""
    ledger.log_in(3, "only", "its own refresh")
    ledger.ask(refused(3))
    assert ledger.refusal(login(4, presented("only"))) is Refusal.INACTIVE


def test_garbage_that_came_first_bars_no_access_token_that_came_with_another(
    ledger: Ledger,
) -> None:
    ledger.log_in(3, "stolen", "garbage")
    ledger.log_in(4, "stolen", "alice's own")
    ledger.ask(refused(3))
    assert ledger.alive == {1, 2, 4}
    ledger.log_in(5, "stolen", "alice's own")


def test_a_recheck_that_refuses_an_access_token_ends_who_came_with_it_alone(
    ledger: Ledger,
) -> None:
    ledger.log_in(3, "access", "garbage")
    ledger.prove()
    assert ledger.ask(FindRecheckable(grant=grant_id(2))) is not None
    ledger.ask(refused(2, "inactive"))
    assert ledger.alive == {1}  # it follows its own refresh token
    assert ledger.refusal(login(4, presented("access"))) is Refusal.INACTIVE


def test_another_principal_s_answer_for_what_was_proved_ends_them_too(ledger: Ledger) -> None:
    ledger.prove()
    bob = verdict(principal("bob"))
    assert not ledger.ask(Refresh(grant=grant_id(1), verdict=bob, draw=0.5))
    assert ledger.alive == set()


# Roles


def test_roles_that_a_refresh_has_lost_are_lost_to_who_came_alone_and_none_is_gained(
    ledger: Ledger,
) -> None:
    ledger.ask(login(3, presented("access", says=verdict(roles=("reader", "writer")))))
    ledger.let_pass(MINUTE)
    ledger.ask(refreshed(ledger, roles=("admin", "writer")))
    roles = {number: ledger.session(number).roles for number in (1, 2, 3)}
    assert roles == {1: ("admin", "writer"), 2: (), 3: ("writer",)}
    assert [(kind, handle) for kind, handle, _ in ledger.pushed] == [
        ("session.refreshed", 1),
        ("session.roles", 1),
        ("session.roles", 2),
        ("session.roles", 3),
    ]
    told = {notice.event.handle: notice.event for notice in ledger.last.notices}
    assert getattr(told[2], "expires_at", None) == START + HOUR
    ledger.ask(refreshed(ledger, roles=("admin", "reader", "writer")))
    assert ledger.session(2).roles == ()


# What nothing has proved


def test_an_unproved_grant_goes_with_its_last_session_and_is_not_given_back(
    ledger: Ledger,
) -> None:
    ledger.log_in(3, "access", "refresh")
    ledger.ask(login(5, presented("new"), handle=1))
    assert ledger.granted >= {1}
    ledger.ask(login(6, presented("new"), handle=3))
    dropped = [each for each in ledger.writes if isinstance(each, Drop)]
    assert [each.give_back for each in dropped if isinstance(each.row, Grant)] == [False]
    assert 1 not in ledger.granted


def test_it_stays_while_its_refresh_token_is_under_way(ledger: Ledger) -> None:
    process = ledger.session(1).process
    ledger.ask(BeginRefresh(grant=grant_id(1), at_once=True))
    ledger.ask(Close(process=process, handle=1))
    assert ledger.granted == {1, 2}
    ledger.let_pass(HOUR - MINUTE)
    assert ledger.ask(BeginRefresh(grant=grant_id(1))) is None  # there was no answer
    assert ledger.granted == {2}


def test_moving_to_another_grant_leaves_it_too(ledger: Ledger) -> None:
    ledger.ask(renewal(1, presented("new", says=verdict()), grant=5))
    assert ledger.granted == {2, 5}
    ledger.ask(renewal(1, presented("new", says=verdict()), grant=6))
    assert ledger.granted == {2, 5}


def test_four_unproved_refresh_tokens_are_taken_with_one_access_token_over_its_life() -> None:
    ledger = Ledger()
    taken = 0
    for number in range(1, 4001):
        answer = ledger.ask(login(number, presented("access", f"refresh {number}"), handle=1))
        taken += isinstance(answer, ActiveSession)
        assert isinstance(answer, ActiveSession) or answer.reason is Refusal.THROTTLED
    assert taken == 4
    assert ledger.granted == {4}  # each other went with its session, which the next has replaced
    assert len(ledger.rows.tokens) == 5
    ledger.log_in(4001, "access", "refresh 2")  # it is counted already
    ledger.ask(refused(4001))
    assert ledger.refusal(login(4002, presented("access", "new"))) is Refusal.THROTTLED
    assert ledger.refusal(login(4002, presented("access", "refresh 2"))) is Refusal.INACTIVE
    ledger.log_in(4003, "access")


def test_what_is_proved_is_not_counted_but_no_access_token_has_many() -> None:
    ledger = Ledger()
    for number in range(1, 17):
        ledger.log_in(number, "access", f"refresh {number}")
        ledger.prove(number)
    assert ledger.refusal(login(17, presented("access", "refresh 17"))) is Refusal.THROTTLED
    ledger.log_in(18, "other", "refresh 1")
    ledger.log_in(19, "access", "refresh 1")
    rotated = token_hash("rotated")
    ledger.ask(Rotate(grant=grant_id(1), refresh=rotated, refresh_token=Secret("rotated")))
    ledger.log_in(20, "access", "rotated")
    assert len(ledger.rows.tokens[token_hash("access")].came_with) == 16


def test_a_proved_refresh_token_is_taken_with_an_access_token_that_has_its_four() -> None:
    ledger = Ledger()
    for number in range(1, 5):
        ledger.log_in(number, "access", f"refresh {number}")
    ledger.log_in(5, "other", "proved")
    ledger.prove(5)
    ledger.log_in(6, "access", "proved")


def test_the_count_ends_with_the_access_token() -> None:
    ledger = Ledger()
    ledger.log_in(1, "access", "refresh")
    ledger.let_pass(HOUR)
    run_out(ledger)
    assert (ledger.rows.tokens, ledger.rows.grants) == ({}, {})
    assert session_id(1) not in ledger.rows.sessions


def test_a_trace_lasts_as_long_as_its_issuer_has_said_since() -> None:
    ledger = Ledger()
    ledger.log_in(1, "access", "refresh")
    ledger.ask(login(2, presented("access", "refresh", says=verdict(length=2 * HOUR))))
    assert ledger.rows.tokens[token_hash("access")].keep_until == START + 2 * HOUR
