"""What is large is decided in pieces: others go between, and from the first on it counts."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from sessiond.core import reading
from sessiond.core.changes import (
    BeginRefresh,
    Change,
    Disown,
    EndCovered,
    EndSessions,
    Expire,
    LiftRevocation,
    ProcessLost,
    ProcessMet,
    Recheck,
    Reconcile,
    Refresh,
    Refuse,
    Revoke,
    Rotate,
    Taken,
)
from sessiond.core.decide import Decision, decide, turn_of, unfinished
from sessiond.core.decide.draft import REFUSED_KEPT
from sessiond.core.errors import Refusal
from sessiond.core.lease import Lease
from sessiond.core.queries import FindSession, ListOwnSessions
from sessiond.core.reading import PIECE
from sessiond.core.revocation import Revocation, Scope
from sessiond.core.rows import Put
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
    process_about,
    process_key,
    renewal,
    session_id,
    verdict,
    web_login,
)
from tests.unit.core.decide.ledger import Ledger

MANY = 12  # sessions
ALL = Revoke(id=UUID(int=77), scope=Scope.ALL, value="", reason="drill")


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PIECE", 6)


def one_grant() -> Ledger:
    ledger = Ledger()
    for number in range(1, MANY + 1):
        ledger.log_in(number, "access", "refresh")
    return ledger


def many_grants() -> Ledger:
    ledger = Ledger()
    for number in range(1, MANY + 1):
        ledger.log_in(number, f"access {number}", f"refresh {number}")
    return ledger


def waiting() -> Ledger:
    ledger = many_grants()
    ledger.ask(ProcessLost(process=process_key()))
    ledger.let_pass(RULES.grace)
    return ledger


def revoked() -> Ledger:
    ledger = many_grants()
    ledger.ask(ALL)
    ledger.let_pass(REFUSED_KEPT)
    return ledger


def browsers() -> Ledger:
    """Return sign-ins on grants of their own, each with a websocket, and a login beside them."""
    ledger = Ledger()
    for number in range(1, MANY + 1):
        says = verdict(length=10 * HOUR)
        tokens = presented(f"access {number}", f"refresh {number}", says=says)
        cookie, state = f"cookie {number}", f"state {number}"
        ledger.ask(web_login(number, tokens, cookie=cookie, base="https://gw", state=state))
        child = session_id(100 + number)
        assert ledger.ask(replace(bind(number), child=child)) == child
    ledger.log_in(99)
    return ledger


def browsers_away() -> Ledger:
    ledger = browsers()
    ledger.ask(ProcessLost(process=process_key()))
    ledger.let_pass(MINUTE / 4)
    return ledger


def browsers_over() -> Ledger:
    ledger = browsers()
    ledger.let_pass(HOUR)
    return ledger


def everything_over(ledger: Ledger) -> Expire:
    rows = ledger.rows
    return Expire(
        sessions=tuple(rows.sessions),
        grants=tuple(rows.grants),
        tokens=tuple(rows.tokens),
        states=tuple(rows.used_states),
    )


def begin(ledger: Ledger, change: Change[Any]) -> Decision:
    """Decide and apply the first piece only."""
    piece = decide(ledger.rows, change, ledger.now, ledger.rules)
    for write in piece.writes:
        ledger.rows.apply(write)
    return piece


def refreshed(ledger: Ledger, roles: tuple[str, ...] = ("writer",)) -> Refresh:
    says = verdict(begin=ledger.now, roles=roles)
    return Refresh(grant=grant_id(1), verdict=says, draw=0.5)


EVERYTHING = tuple((number, session_id(number)) for number in range(1, MANY + 1))
LARGE: dict[str, tuple[Callable[[], Ledger], Callable[[Ledger], Change[Any]]]] = {
    "revoke one grant": (one_grant, lambda _: ALL),
    "revoke many grants": (many_grants, lambda _: ALL),
    "revoke a user": (
        many_grants,
        lambda _: Revoke(id=UUID(int=7), scope=Scope.USER, value="alice", reason="left"),
    ),
    "revoke an issuer": (
        many_grants,
        lambda _: Revoke(id=UUID(int=7), scope=Scope.ISSUER, value="corp", reason="left"),
    ),
    "end a process": (many_grants, lambda _: EndSessions(process=process_key())),
    "disown": (one_grant, lambda _: Disown(grants=(grant_id(1),))),
    "disown many": (
        many_grants,
        lambda _: Disown(grants=tuple(grant_id(each) for each in range(1, MANY + 1))),
    ),
    "lose": (many_grants, lambda _: ProcessLost(process=process_key())),
    "reconcile with nothing": (
        many_grants,
        lambda _: Reconcile(process=process_key(), about=process_about(), held=()),
    ),
    "revoke browsers": (browsers, lambda _: ALL),
    "end a process of browsers": (browsers, lambda _: EndSessions(process=process_key())),
    "lose browsers": (browsers, lambda _: ProcessLost(process=process_key())),
    "meet": (browsers, lambda _: ProcessMet(process=process_key())),
    "meet again": (browsers_away, lambda _: ProcessMet(process=process_key())),
    "reconcile browsers with nothing": (
        browsers,
        lambda _: Reconcile(process=process_key(), about=process_about(), held=()),
    ),
    "expire browsers": (browsers_over, everything_over),
    "refresh": (one_grant, refreshed),
    "expire what waits": (
        waiting,
        lambda ledger: Expire(grants=(grant_id(1),), sessions=tuple(ledger.rows.sessions)),
    ),
    "expire traces": (revoked, lambda ledger: Expire(tokens=tuple(ledger.rows.tokens))),
    "refuse": (one_grant, lambda _: Refuse(grant=grant_id(1), reason="refused")),
    "another's": (
        one_grant,
        lambda ledger: Refresh(
            grant=grant_id(1), verdict=verdict(principal("eve"), begin=ledger.now), draw=0.5
        ),
    ),
}


@pytest.mark.parametrize("name", LARGE)
def test_in_pieces_everything_comes_to_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made, asked = LARGE[name]
    whole, cut = made(), made()
    expected = whole.ask(asked(whole))
    monkeypatch.setattr(reading, "PIECE", 6)
    assert cut.ask(asked(cut)) == expected
    assert whole.pieces == 1
    assert cut.pieces > 2
    assert sorted(cut.told) == sorted(whole.told)
    for one, other in (
        (cut.rows.sessions, whole.rows.sessions),
        (cut.rows.grants, whole.rows.grants),
    ):
        assert one == other
    assert cut.rows.tokens == whole.rows.tokens
    assert cut.rows.web_logins == whole.rows.web_logins
    assert cut.rows.used_states == whole.rows.used_states


def test_a_piece_has_room_for_what_is_usual() -> None:
    ledger = many_grants()
    assert ledger.ask(ALL) == Taken(id=ALL.id, sessions=MANY)
    assert ledger.pieces == 1
    assert len(ledger.writes) + len(ledger.last.notices) < PIECE


def test_reconciling_in_pieces_answers_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def back() -> tuple[Ledger, Reconcile]:
        ledger = many_grants()
        ledger.ask(ProcessLost(process=process_key()))
        held = ((1, session_id(2)), (2, session_id(1)), *EVERYTHING[4:], (90, session_id(99)))
        return ledger, Reconcile(
            process=process_key(), about=process_about(), held=(*held, (91, session_id(5)))
        )

    whole, asked = back()
    expected = whole.ask(asked)
    monkeypatch.setattr(reading, "PIECE", 3)
    cut, asked = back()
    assert cut.ask(asked) == expected
    assert cut.pieces > 3
    assert cut.rows.sessions == whole.rows.sessions
    assert sorted(cut.told) == sorted(whole.told)


def test_what_changes_nothing_goes_in_pieces_too(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = many_grants()
    in_place = tuple((number, session_id(number)) for number in range(1, MANY + 1))
    unknown = tuple((100 + number, session_id(100 + number)) for number in range(MANY))
    back = Reconcile(process=process_key(), about=process_about(), held=(*in_place, *unknown))
    look = ListOwnSessions(process=process_key())
    expected = ledger.ask(look)
    monkeypatch.setattr(reading, "PIECE", 3)
    assert ledger.ask(look) == expected
    assert ledger.pieces == MANY // 3
    assert sorted(ledger.ask(back)) == [handle for handle, _ in unknown]
    assert ledger.pieces == 2 * MANY // 3


def test_the_sessions_that_a_reconciling_leaves_out_may_have_ended_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = many_grants()
    monkeypatch.setattr(reading, "PIECE", 3)
    gone = tuple(session_id(100 + number) for number in range(MANY))
    back = Reconcile(process=process_key(), about=process_about(), held=(), unsaid=gone)
    assert ledger.ask(back) == []
    assert ledger.pieces == MANY // 3


@pytest.mark.usefixtures("small_pieces")
def test_from_the_first_piece_of_a_revocation_on_all_it_covers_counts_as_ended() -> None:
    ledger = many_grants()
    begun = begin(ledger, ALL)
    assert begun.rest is not None
    last = max(ledger.alive)
    assert ledger.ask(ListOwnSessions(process=process_key())) == []
    assert ledger.ask(FindSession(process=process_key(), session=session_id(last))) is None
    assert ledger.refusal(login(50, presented(f"access {last}"))) is Refusal.REVOKED
    assert ledger.refusal(renewal(last, presented("fresh"))) is Refusal.REVOKED
    held = ((last, session_id(last)),)
    ask = Reconcile(process=process_key(), about=process_about(), held=held)
    assert ledger.ask(ask) == [last]
    assert ledger.ask(BeginRefresh(grant=grant_id(last), at_once=True)) is None
    assert not ledger.ask(Rotate(grant=grant_id(last), refresh=None, refresh_token=None))
    says = verdict(begin=ledger.now)
    assert not ledger.ask(Refresh(grant=grant_id(last), verdict=says, draw=0.5))
    assert not ledger.writes
    assert ledger.ask(EndSessions(session=session_id(last))) == 0


@pytest.mark.usefixtures("small_pieces")
def test_a_login_accepted_before_a_revocation_is_not_opened_between_its_pieces() -> None:
    ledger = many_grants()
    ledger.ask(login(50, presented("late", "late")))
    begin(ledger, ALL)
    assert not ledger.ask(bind(50))
    assert not ledger.writes


@pytest.mark.usefixtures("small_pieces")
def test_who_comes_with_newer_tokens_between_the_pieces_stays() -> None:
    ledger = many_grants()
    rest = begin(ledger, ALL).rest
    ledger.let_pass(MINUTE)
    fresh = presented("fresh", "fresh refresh", says=verdict(begin=ledger.now))
    ledger.ask(login(50, fresh))
    assert ledger.ask(bind(50))
    assert rest is not None
    assert ledger.ask(rest) == Taken(id=ALL.id, sessions=MANY)
    assert (ledger.alive, ledger.granted) == ({50}, {50})


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("scope", Scope)
def test_what_was_begun_to_end_is_found_in_the_rows_that_a_crash_leaves(scope: Scope) -> None:
    ledger = many_grants()
    value = {Scope.USER: "alice", Scope.ISSUER: "corp", Scope.ALL: ""}[scope]
    begin(ledger, Revoke(id=UUID(int=7), scope=scope, value=value, reason="left"))
    ledger.let_pass(HOUR)
    (left,) = unfinished(ledger.rows)
    assert isinstance(left, EndCovered)
    ledger.ask(left)
    assert (ledger.alive, ledger.granted) == (set(), set())
    assert unfinished(ledger.rows) == []


@pytest.mark.usefixtures("small_pieces")
def test_a_crash_leaves_a_refused_grant_to_be_ended_and_not_to_be_sent_again() -> None:
    ledger = one_grant()
    begin(ledger, Refuse(grant=grant_id(1), reason="refused"))
    assert ledger.refusal(login(50, presented("access", "refresh"))) is Refusal.INACTIVE
    (left,) = unfinished(ledger.rows)
    ledger.ask(left)
    assert (ledger.alive, ledger.granted) == (set(), set())
    assert unfinished(ledger.rows) == []


@pytest.mark.usefixtures("small_pieces")
def test_a_grant_is_due_until_the_last_of_its_sessions_is_told_of_a_refresh() -> None:
    ledger = one_grant()
    ledger.let_pass(36 * MINUTE)
    rest = begin(ledger, refreshed(ledger)).rest
    assert rest is not None
    assert ledger.grant(1).refresh_at == ledger.now
    assert ledger.grant(1).lease.expires_at == ledger.now + HOUR
    assert ledger.ask(rest)
    assert ledger.grant(1).refresh_at == ledger.now + 36 * MINUTE
    assert {each.roles for each in ledger.rows.sessions.values()} == {("writer",)}


@pytest.mark.usefixtures("small_pieces")
def test_telling_of_a_refresh_leaves_out_who_ended_or_moved_and_stops_with_the_grant() -> None:
    ledger = one_grant()
    rest = begin(ledger, refreshed(ledger)).rest
    assert rest is not None
    ledger.ask(EndSessions(session=session_id(3)))
    ledger.ask(renewal(4, presented("newer", "newer refresh"), grant=900))
    ledger.ask(rest)
    assert {handle for _, handle, _ in ledger.told} == set(range(1, MANY + 1)) - {3, 4}
    rest = begin(ledger, refreshed(ledger)).rest
    assert rest is not None
    ledger.ask(Refuse(grant=grant_id(1), reason="refused"))
    assert not ledger.ask(rest)
    assert not ledger.writes


@pytest.mark.usefixtures("small_pieces")
def test_a_recheck_of_many_sessions_tells_only_what_is_new() -> None:
    ledger = Ledger()
    for number in range(1, MANY + 1):
        ledger.log_in(number, "access")
    same = Recheck(grant=grant_id(1), verdict=verdict())
    assert ledger.ask(same)
    assert ledger.told == []
    assert ledger.pieces > 2  # though nothing is written, others have their turn
    assert ledger.ask(Recheck(grant=grant_id(1), verdict=verdict(roles=("writer",))))
    assert ledger.told == [("session.roles", number, "") for number in range(1, MANY + 1)]


@pytest.mark.usefixtures("small_pieces")
def test_leases_that_end_together_end_in_pieces_and_a_prolonged_one_stays() -> None:
    ledger = one_grant()
    ledger.let_pass(HOUR)
    over = Expire(grants=(grant_id(1),), sessions=(session_id(1),))
    rest = begin(ledger, over).rest
    assert rest is not None
    alive = ledger.alive
    longer = Lease(issued_at=START, expires_at=START + 3 * HOUR)
    ledger.rows.apply(Put(structs.replace(ledger.grant(1), lease=longer)))
    ledger.ask(rest)
    assert ledger.alive == alive
    ledger.let_pass(timedelta(hours=3))
    ledger.ask(over)
    assert (ledger.alive, ledger.granted) == (set(), set())


def test_when_the_clock_was_set_back_a_revocation_ends_in_one_piece_who_came_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = many_grants()
    ledger.let_pass(-HOUR)
    monkeypatch.setattr(reading, "PIECE", 6)
    assert ledger.ask(ALL).sessions == MANY
    assert ledger.pieces == 1
    assert (ledger.alive, ledger.granted) == (set(), set())
    assert ledger.rows.revocations[ALL.id].at == ledger.now


def test_revoking_the_same_again_moves_its_time_and_keeps_its_id() -> None:
    ledger = many_grants()
    ledger.ask(ALL)
    ledger.let_pass(MINUTE)
    ledger.ask(login(50, presented("fresh", says=verdict(begin=ledger.now))))
    again = Revoke(id=UUID(int=78), scope=Scope.ALL, value="", reason="another drill")
    assert ledger.ask(again) == Taken(id=ALL.id, sessions=1)
    moved = Revocation(id=ALL.id, scope=Scope.ALL, value="", at=ledger.now, reason="another drill")
    assert list(ledger.rows.revocations.values()) == [moved]
    ledger.let_pass(-HOUR)
    ledger.ask(again)
    assert ledger.rows.revocations[ALL.id].at == moved.at  # what was refused stays so
    assert ledger.ask(LiftRevocation(id=ALL.id))
    assert ledger.rows.revocation(Scope.ALL, "") is None


def test_what_is_about_the_same_waits_for_its_turn() -> None:
    row = Revocation(id=UUID(int=7), scope=Scope.ALL, value="", at=START, reason="")
    assert turn_of(EndCovered(revocation=row)) == turn_of(LiftRevocation(id=row.id)) == row.id
    assert turn_of(ProcessLost(process=process_key())) == turn_of(login(1)) == process_key()
    assert turn_of(Refuse(grant=grant_id(1), reason="")) is None


@given(size=st.integers(1, 40), asked=st.lists(st.sampled_from(sorted(LARGE)), max_size=3))
def test_whatever_the_size_of_the_pieces_all_of_them_come_to_an_end(
    size: int, asked: list[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        ledger = many_grants()
        patch.setattr(reading, "PIECE", size)
        for name in asked:
            ledger.ask(LARGE[name][1](ledger))
        assert {each.state for each in ledger.rows.sessions.values()} <= {
            SessionState.OPEN,
            SessionState.WAITING,
        }
        assert unfinished(ledger.rows) == []


def test_at_a_start_nothing_is_found_to_end_among_those_who_came_after_a_revocation() -> None:
    ledger = many_grants()
    ledger.ask(ALL)
    ledger.let_pass(MINUTE)
    ledger.ask(login(50, presented("fresh", "fresh refresh", says=verdict(begin=ledger.now))))
    assert unfinished(ledger.rows) == []


def test_a_session_that_ended_between_two_pieces_of_reconciling_is_passed_over() -> None:
    ledger = many_grants()
    back = Reconcile(process=process_key(), about=process_about(), held=EVERYTHING[1:])
    gone = replace(back, unsaid=(session_id(99),))
    assert ledger.ask(gone) == []
    assert ledger.alive == set(range(1, MANY + 1))
