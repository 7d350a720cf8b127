"""Refreshing: begun, rotated, done, refused; and asking again where nothing can be refreshed."""

from datetime import timedelta
from uuid import UUID

import pytest
from msgspec import structs

from sessiond.core.changes import (
    BeginRefresh,
    DropRefreshToken,
    EndSessions,
    KeepGrant,
    Recheck,
    Refresh,
    Refuse,
    Revoke,
    Rotate,
    StopRefreshing,
)
from sessiond.core.decide.draft import REFUSED_KEPT
from sessiond.core.errors import Refusal
from sessiond.core.grant import KnownToken
from sessiond.core.lease import FLOOR
from sessiond.core.principal import Principal
from sessiond.core.queries import FindGrant
from sessiond.core.revocation import Scope
from sessiond.core.rows import Drop, Put
from sessiond.core.secret import Secret
from sessiond.core.session import ActiveSession
from sessiond.core.verdict import PresentedTokens, Verdict
from tests.fakes import (
    HOUR,
    MINUTE,
    RULES,
    START,
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
)
from tests.unit.core.decide.ledger import Ledger

DUE = timedelta(minutes=36)  # 60 % of an hour
REFUSE = Refuse(grant=grant_id(1), reason="refused")


@pytest.fixture
def ledger() -> Ledger:
    """Two of alice's sessions on one grant with a refresh token."""
    ledger = Ledger()
    ledger.log_in(1, "access", "refresh")
    ledger.log_in(2, "access", "refresh")
    return ledger


@pytest.fixture
def bare() -> Ledger:
    """One session on a grant without a refresh token."""
    ledger = Ledger()
    ledger.log_in(1, "opaque")
    return ledger


def rotation(token: str | None, number: int = 1) -> Rotate:
    return Rotate(
        grant=grant_id(number),
        refresh=None if token is None else token_hash(token),
        refresh_token=None if token is None else Secret(token),
    )


def refreshed(says: Verdict, number: int = 1) -> Refresh:
    return Refresh(grant=grant_id(number), verdict=says, draw=0.5)


def newer(ledger: Ledger, refresh: str | None = "newer refresh") -> PresentedTokens:
    return presented("newer", refresh, says=verdict(begin=ledger.now))


# Begun


def test_a_refresh_is_recorded_before_the_issuer_is_asked(ledger: Ledger) -> None:
    ledger.let_pass(DUE)
    begun = ledger.ask(BeginRefresh(grant=grant_id(1)))
    assert begun is ledger.grant(1)
    assert begun.in_flight_since == ledger.now
    assert begun.has_refresh_token


def test_one_whose_access_token_is_wanted_is_begun_although_it_is_not_due(ledger: Ledger) -> None:
    wanted = BeginRefresh(grant=grant_id(1), is_wanted=True)
    begun = ledger.ask(wanted)
    assert begun is not None
    assert begun.in_flight_since == ledger.now
    for number in (1, 2):
        ledger.ask(EndSessions(session=session_id(number)))
    assert ledger.ask(wanted) is None  # nobody is left who could want it


def test_what_is_not_due_is_refreshed_only_at_once(ledger: Ledger) -> None:
    ledger.let_pass(DUE - timedelta(microseconds=1))
    assert ledger.ask(BeginRefresh(grant=grant_id(1))) is None
    assert ledger.writes == []
    assert ledger.ask(BeginRefresh(grant=grant_id(1), at_once=True)) is not None


def test_a_grant_without_sessions_is_refreshed_only_at_once(ledger: Ledger) -> None:
    adopted = ledger.ask(
        KeepGrant(about=process_about(), grant=grant_id(3), presented=presented("other", "adopted"))
    )
    assert adopted == ledger.grant(3)
    assert ledger.ask(BeginRefresh(grant=grant_id(3), at_once=True)) is not None
    ledger.prove()
    ledger.ask(EndSessions(process=process_key()))
    ledger.let_pass(DUE)
    assert ledger.ask(BeginRefresh(grant=grant_id(1))) is None


def test_what_is_proved_by_now_is_not_sent_to_be_proved(ledger: Ledger) -> None:
    ledger.prove()
    assert ledger.ask(BeginRefresh(grant=grant_id(1), at_once=True)) is None
    assert ledger.writes == []


def test_a_grant_that_is_gone_is_neither_refreshed_nor_found(ledger: Ledger) -> None:
    assert ledger.ask(BeginRefresh(grant=grant_id(2), at_once=True)) is None
    assert ledger.ask(FindGrant(grant=grant_id(2))) is None
    assert ledger.ask(FindGrant(grant=grant_id(1))) is ledger.grant(1)
    assert ledger.writes == []


def test_a_grant_without_a_refresh_token_is_not_refreshed(bare: Ledger) -> None:
    assert bare.ask(BeginRefresh(grant=grant_id(1), at_once=True)) is None


# Lost, and let go


def test_what_cannot_be_refreshed_any_more_runs_out_as_it_would_have(ledger: Ledger) -> None:
    ledger.ask(BeginRefresh(grant=grant_id(1), at_once=True))
    before = ledger.grant(1)
    ledger.ask(StopRefreshing(grant=grant_id(1)))
    assert ledger.grant(1) == structs.replace(before, refresh_at=None, in_flight_since=None)
    assert ledger.told == []
    assert ledger.ask(BeginRefresh(grant=grant_id(1), at_once=True)) is None
    ledger.log_in(5, "access", "refresh")  # again, with what is lost here
    assert ledger.session(5).grant == grant_id(1)
    ledger.ask(StopRefreshing(grant=grant_id(7)))
    assert ledger.writes == []


def test_only_what_a_dropped_grant_has_left_is_let_go(ledger: Ledger) -> None:
    grant = ledger.grant(1)
    ledger.ask(DropRefreshToken(grant=grant))
    assert ledger.writes == []
    ledger.ask(Revoke(id=UUID(int=1), scope=Scope.ALL, value="", reason=""))
    assert Drop(grant, give_back=True) in ledger.writes
    ledger.ask(DropRefreshToken(grant=grant))
    assert ledger.writes == [Drop(grant)]


def test_a_refresh_token_travels_with_the_write_that_keeps_it_and_with_no_other(
    ledger: Ledger,
) -> None:
    def brought() -> list[str]:
        tokens = [each.secret for each in ledger.writes if isinstance(each, Put)]
        return [each.reveal() for each in tokens if each is not None]

    ledger.ask(login(5, presented("fifth", "refresh 5", says=verdict(begin=ledger.now))))
    assert brought() == ["refresh 5"]
    ledger.log_in(6, "sixth", "refresh 5")
    ledger.ask(login(7, presented("seventh", "refresh 5", says=verdict(length=3 * HOUR))))
    assert brought() == []
    ledger.ask(BeginRefresh(grant=grant_id(5), at_once=True))
    assert brought() == []
    ledger.ask(rotation("second", 5))
    assert brought() == ["second"]
    ledger.ask(refreshed(verdict(begin=ledger.now), 5))
    assert brought() == []


# Rotated


def test_the_new_refresh_token_replaces_the_old_one_whose_trace_stays(ledger: Ledger) -> None:
    ledger.ask(BeginRefresh(grant=grant_id(1), at_once=True))
    assert ledger.ask(rotation("second"))
    assert ledger.refresh_tokens[grant_id(1)] == "second"
    assert ledger.grant(1).in_flight_since is None
    assert {trace.hash for trace in ledger.rows.tokens_of(grant_id(1))} == {
        token_hash(token) for token in ("refresh", "second")
    }


def test_an_issuer_that_sends_no_new_refresh_token_leaves_the_old_one(ledger: Ledger) -> None:
    ledger.ask(BeginRefresh(grant=grant_id(1), at_once=True))
    assert ledger.ask(rotation(None))
    assert ledger.refresh_tokens[grant_id(1)] == "refresh"
    assert ledger.grant(1).in_flight_since is None


def test_an_issuer_that_sends_the_same_refresh_token_leaves_its_trace(ledger: Ledger) -> None:
    before = ledger.rows.tokens[token_hash("refresh")]
    ledger.let_pass(MINUTE)
    assert ledger.ask(rotation("refresh"))
    assert ledger.rows.tokens[token_hash("refresh")] == before


# Done


def test_every_session_of_the_grant_gets_the_new_lease(ledger: Ledger) -> None:
    ledger.let_pass(DUE)
    ledger.ask(login(3, presented("access", "refresh"), pid=101))
    assert ledger.ask(refreshed(verdict(begin=ledger.now)))
    grant = ledger.grant(1)
    assert grant.lease == lease(ledger.now)
    assert grant.refresh_at == ledger.now + DUE
    assert grant.proven
    assert sorted(ledger.pushed, key=lambda push: push[1]) == [
        ("session.refreshed", 1, process_key()),
        ("session.refreshed", 2, process_key()),
        ("session.refreshed", 3, process_key(101)),
    ]
    assert {getattr(each.event, "expires_at", None) for each in ledger.last.notices} == {
        ledger.now + HOUR
    }


def test_a_newer_token_with_other_roles_is_told(ledger: Ledger) -> None:
    ledger.let_pass(MINUTE)
    says = verdict(begin=ledger.now, roles=("writer",), attributes={"desk": "fx"})
    ledger.ask(refreshed(says))
    assert ledger.told == [
        ("session.refreshed", 1, ""),
        ("session.roles", 1, ""),
        ("session.refreshed", 2, ""),
        ("session.roles", 2, ""),
    ]
    assert len(ledger.pushed) == 4
    assert ledger.session(2).roles == ("writer",)
    assert ledger.session(2).attributes == {"desk": "fx"}


@pytest.mark.parametrize("by", [0.0, 0.9, -0.9])  # seconds; issuers state whole ones
def test_a_refresh_that_gained_nothing_is_no_news_and_the_next_is_no_nearer(
    ledger: Ledger, by: float
) -> None:
    ledger.let_pass(HOUR - timedelta(seconds=6))
    cut = verdict(begin=ledger.now, length=timedelta(seconds=6 + by))
    assert ledger.ask(refreshed(cut))
    assert (ledger.told, ledger.pushed) == ([], [])
    assert (ledger.grant(1).proven, ledger.grant(1).lease) == (True, cut.lease)
    assert ledger.grant(1).refresh_at == ledger.now + FLOOR


def test_a_proof_that_gains_nothing_puts_no_refresh_of_a_short_lease_off() -> None:
    ledger, short = Ledger(), timedelta(seconds=4)
    ledger.ask(login(1, presented("access", "refresh", says=verdict(length=short))))
    assert ledger.ask(refreshed(verdict(length=short)))
    assert ledger.grant(1).refresh_at == START + 0.6 * short


def test_new_roles_are_told_where_the_lease_gained_nothing(ledger: Ledger) -> None:
    ledger.ask(refreshed(verdict(roles=("writer",))))
    assert ledger.told == [("session.roles", 1, ""), ("session.roles", 2, "")]


def test_a_lease_that_was_cut_short_is_told(ledger: Ledger) -> None:
    ledger.ask(refreshed(verdict(length=MINUTE)))
    assert ledger.told == [("session.refreshed", 1, ""), ("session.refreshed", 2, "")]
    assert ledger.grant(1).lease.expires_at == START + MINUTE


@pytest.mark.parametrize(
    "other", [principal("bob"), principal(issuer="partner"), principal(subject="another")]
)
def test_a_refresh_for_another_principal_ends_the_sessions_and_the_grant(
    ledger: Ledger, other: Principal
) -> None:
    assert not ledger.ask(refreshed(verdict(other)))
    assert ledger.told == [
        ("session.revoked", 1, "usermismatch"),
        ("session.revoked", 2, "usermismatch"),
    ]
    assert len(ledger.pushed) == 2
    assert (ledger.alive, ledger.granted) == (set(), set())
    assert ledger.refusal(login(3, presented("access", "refresh"))) is Refusal.INACTIVE


def test_a_refresh_in_flight_is_thrown_away_when_its_user_is_revoked(ledger: Ledger) -> None:
    ledger.ask(BeginRefresh(grant=grant_id(1), at_once=True))
    ledger.ask(Revoke(id=UUID(int=1), scope=Scope.USER, value="alice", reason="left"))
    assert not ledger.ask(rotation("second"))
    assert not ledger.ask(refreshed(verdict(begin=ledger.now)))
    assert ledger.writes == []
    assert ledger.alive == set()


# Refused


def test_a_refused_refresh_ends_the_sessions_and_is_remembered(ledger: Ledger) -> None:
    ledger.ask(rotation("second"))
    ledger.let_pass(DUE)
    ledger.ask(REFUSE)
    assert ledger.told == [
        ("session.revoked", 1, "refused"),
        ("session.revoked", 2, "refused"),
    ]
    assert len(ledger.pushed) == 2
    assert (ledger.alive, ledger.granted) == (set(), set())
    assert ledger.rows.tokens == {
        token_hash(token): KnownToken(
            hash=token_hash(token),
            grant=None,
            seen_at=START,
            keep_until=ledger.now + REFUSED_KEPT,
            is_refused=True,
            came_with=(token_hash("refresh"),) if token == "access" else (),
        )
        for token in ("access", "refresh", "second")
    }
    assert not any(each.give_back for each in ledger.writes if isinstance(each, Drop))


def test_refused_sessions_move_to_no_other_grant_of_the_same_user(ledger: Ledger) -> None:
    ledger.let_pass(DUE)
    ledger.ask(login(3, newer(ledger)))
    ledger.ask(REFUSE)
    assert ledger.told == [
        ("session.revoked", 1, "refused"),
        ("session.revoked", 2, "refused"),
    ]
    assert (ledger.alive, ledger.granted) == ({3}, {3})


def test_refusing_what_is_gone_changes_nothing(ledger: Ledger) -> None:
    ledger.ask(REFUSE)
    ledger.ask(REFUSE)
    assert (ledger.writes, ledger.told) == ([], [])


def test_a_refused_grant_without_sessions_is_dropped_silently(ledger: Ledger) -> None:
    ledger.prove()
    ledger.ask(EndSessions(process=process_key()))
    ledger.ask(REFUSE)
    assert ledger.told == []
    assert ledger.granted == set()


def test_after_a_refusal_a_renewal_with_new_tokens_comes_too_late(ledger: Ledger) -> None:
    ledger.ask(REFUSE)
    assert ledger.refusal(renewal(1, newer(ledger))) is Refusal.REVOKED
    assert isinstance(ledger.ask(login(3, newer(ledger))), ActiveSession)


# Asked again


def test_asking_again_may_prolong_the_lease(bare: Ledger) -> None:
    bare.let_pass(MINUTE)
    assert bare.ask(Recheck(grant=grant_id(1), verdict=verdict(begin=bare.now)))
    assert bare.grant(1).lease == lease(bare.now)
    assert bare.pushed == [("session.refreshed", 1, process_key())]


def test_asking_again_about_what_has_not_changed_is_silent(bare: Ledger) -> None:
    assert bare.ask(Recheck(grant=grant_id(1), verdict=verdict()))
    assert (bare.writes, bare.told) == ([], [])


def test_asking_again_may_change_the_roles_alone(bare: Ledger) -> None:
    assert bare.ask(Recheck(grant=grant_id(1), verdict=verdict(roles=())))
    assert bare.told == [("session.roles", 1, "")]
    assert bare.session(1).roles == ()


def test_a_token_that_is_now_another_principal_s_ends_its_sessions(bare: Ledger) -> None:
    assert not bare.ask(Recheck(grant=grant_id(1), verdict=verdict(principal("bob"))))
    assert bare.told == [("session.revoked", 1, "usermismatch")]
    assert bare.alive == set()


def test_asking_again_about_what_is_gone_is_false(bare: Ledger) -> None:
    assert not bare.ask(Recheck(grant=grant_id(2), verdict=verdict()))


def test_an_issuer_whose_clock_is_far_behind_is_not_asked_again_at_once(ledger: Ledger) -> None:
    ledger.ask(login(1, presented(refresh="r1")))
    old = verdict(begin=START - timedelta(minutes=50), length=HOUR)  # ten minutes are left of it
    assert ledger.ask(Refresh(grant=grant_id(1), verdict=old, draw=0.5))
    refresh_at = ledger.rows.grants[grant_id(1)].refresh_at
    assert refresh_at == ledger.now + timedelta(minutes=10) * RULES.share
