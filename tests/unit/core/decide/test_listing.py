"""What operators ask of the rows: pages, single sessions, counts, and a login judged in advance."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from sessiond.core.changes import (
    Count,
    End,
    FindProcesses,
    FindSession,
    Judge,
    KnownNames,
    Listed,
    ListRevocations,
    ListSessions,
    Revoke,
)
from sessiond.core.errors import Refusal
from sessiond.core.revocation import Scope
from sessiond.core.session import SessionState
from tests.fakes import (
    HOUR,
    START,
    bind,
    brought,
    login,
    principal,
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
    ledger.ask(login(4, brought("bob's", says=BOB), pid=200))
    ledger.ask(bind(4, pid=200))
    return ledger


def listed(ledger: Ledger, *, user: str = "", process: str = "", issuer: str = "") -> set[int]:
    page = ledger.ask(ListSessions(limit=100, user=user, process=process, issuer=issuer))
    assert not ledger.writes
    return {each.session.id.int for each in page.sessions}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, {1, 2, 3, 4}),
        ({"user": "ALICE"}, {1, 2, 3}),
        ({"user": "bob"}, {4}),
        ({"user": "bo"}, set()),
        ({"issuer": "other"}, {4}),
        ({"issuer": "OTHER"}, set()),
        ({"process": "rdb100"}, {1, 2, 3}),
        ({"process": "rdb200:200"}, {4}),
        ({"process": "rdb200:201"}, set()),
        ({"process": "rdb100", "user": "bob"}, set()),
    ],
)
def test_sessions_are_listed_by_user_issuer_and_process(
    ledger: Ledger, asked: dict[str, str], found: set[int]
) -> None:
    assert listed(ledger, **asked) == found


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
def test_pages_give_every_session_once(ledger: Ledger, limit: int) -> None:
    seen: list[int] = []
    after = None
    while True:
        page = ledger.ask(ListSessions(limit=limit, after=after))
        assert len(page.sessions) <= limit
        seen += [each.session.id.int for each in page.sessions]
        if not page.has_more:
            break
        after = page.sessions[-1].session.id
    assert seen == [1, 2, 3, 4]


def test_a_session_that_ends_between_two_pages_moves_no_other(ledger: Ledger) -> None:
    first = ledger.ask(ListSessions(limit=2))
    ledger.ask(End(session=session_id(1)))
    second = ledger.ask(ListSessions(limit=2, after=first.sessions[-1].session.id))
    assert [each.session.id.int for each in second.sessions] == [3, 4]


def test_one_session_is_found_with_the_times_of_its_grant(ledger: Ledger) -> None:
    ledger.ask(login(5, brought("with refresh", "refresh"), handle=5))
    found = ledger.ask(FindSession(session=session_id(5)))
    assert found == Listed(
        session=ledger.session(5),
        expires_at=START + HOUR,
        refresh_at=START + timedelta(minutes=36),
    )
    assert ledger.ask(FindSession(session=session_id(1))).refresh_at is None  # type: ignore[union-attr]
    assert ledger.ask(FindSession(session=session_id(9))) is None


def test_processes_are_found_by_what_they_call_themselves(ledger: Ledger) -> None:
    assert ledger.ask(FindProcesses(process="rdb100")) == (process_key(100),)
    assert ledger.ask(FindProcesses(process="rdb200:200")) == (process_key(200),)
    assert ledger.ask(FindProcesses(process="rdb")) == ()


def test_revocations_are_listed_oldest_first(ledger: Ledger) -> None:
    ledger.ask(_revoke("zoe", 2))
    ledger.let_pass(HOUR)
    ledger.ask(_revoke("Abe", 1))
    found = ledger.ask(ListRevocations())
    assert [(each.id.int, each.value) for each in found] == [(2, "zoe"), (1, "abe")]


def test_rows_are_counted(ledger: Ledger) -> None:
    ledger.ask(login(5, brought("with refresh", "refresh"), handle=5))
    ledger.ask(_revoke("zoe"))
    counts = ledger.ask(Count())
    assert counts.sessions == {
        SessionState.UNBOUND: 1,
        SessionState.OPEN: 4,
        SessionState.WAITING: 0,
    }
    assert (counts.grants, counts.revocations) == (3, 1)
    assert counts.next_refresh_at == START + timedelta(minutes=36)


def test_without_refresh_tokens_nothing_is_due(ledger: Ledger) -> None:
    assert ledger.ask(Count()).next_refresh_at is None


def test_leases_that_end_soon_are_counted_by_session() -> None:
    ledger = Ledger()

    def expiring() -> Mapping[float, int]:
        return ledger.ask(Count(expiring_within=(60, 300))).expiring

    ledger.log_in(1)
    ledger.log_in(2)
    assert expiring() == {60: 0, 300: 0}
    ledger.let_pass(HOUR - timedelta(seconds=200))
    ledger.ask(login(3, brought("newer", says=verdict(begin=ledger.now))))
    assert expiring() == {60: 0, 300: 2}
    ledger.let_pass(timedelta(seconds=150))
    assert expiring() == {60: 2, 300: 2}


def test_a_login_is_judged_as_it_would_be_and_nothing_is_written(ledger: Ledger) -> None:
    def judged(access: str) -> Refusal | None:
        answer = ledger.ask(Judge(brought=brought(access), is_proof_due=True))
        assert not ledger.writes
        assert not ledger.last.notices
        return answer

    assert judged("new") is None
    ledger.ask(_revoke("alice"))
    assert judged("new") is Refusal.REVOKED
    assert ledger.refusal(login(7, brought("new"))) is Refusal.REVOKED


def _revoke(user: str, number: int = 1) -> Revoke:
    return Revoke(id=session_id(number), scope=Scope.USER, value=user, reason="test")


def test_the_names_that_belong_to_somebody_are_known_also_after_the_last_session(
    ledger: Ledger,
) -> None:
    ledger.ask(End(session=session_id(4)))
    names = frozenset({"alice", "bob", "mallory", "Bob"})  # names are kept folded
    assert ledger.ask(KnownNames(names=names)) == {"alice", "bob"}
    assert not ledger.writes
