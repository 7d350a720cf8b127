"""What operators ask of the rows: stretches of sessions, single ones, revocations, counts."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import pytest

from sessiond.core.changes import EndSessions, ReleaseName, Revoke
from sessiond.core.listing import (
    ConnectedProcess,
    Filter,
    Listed,
    count,
    find_session,
    list_names,
    list_processes,
    list_revocations,
    list_sessions,
)
from sessiond.core.revocation import Revocation, Scope
from sessiond.core.rows import Put
from sessiond.core.session import SessionState
from tests.fakes import (
    HOUR,
    START,
    bind,
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


def listed(ledger: Ledger, *, user: str = "", process: str = "", issuer: str = "") -> set[int]:
    asked = Filter(user=user, process=process, issuer=issuer)
    stretch = list_sessions(ledger.rows, asked, look_at=100)
    assert stretch.after is None
    return {each.session.id.int for each in stretch.sessions}


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


@pytest.mark.parametrize("look_at", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("asked", [Filter(), Filter(user="alice", process="rdb100")])
def test_stretches_give_every_session_once(ledger: Ledger, look_at: int, asked: Filter) -> None:
    seen: list[int] = []
    stretch = list_sessions(ledger.rows, asked, look_at=look_at)
    while True:
        seen += [each.session.id.int for each in stretch.sessions]
        if stretch.after is None:
            break
        stretch = list_sessions(ledger.rows, asked, after=stretch.after, look_at=look_at)
    assert seen == ([1, 2, 3] if asked.user else [1, 2, 3, 4])


def test_a_session_that_ends_between_two_stretches_moves_no_other(ledger: Ledger) -> None:
    first = list_sessions(ledger.rows, Filter(), look_at=2)
    ledger.ask(EndSessions(session=session_id(2)))
    second = list_sessions(ledger.rows, Filter(), after=first.after, look_at=2)
    assert [each.session.id.int for each in second.sessions] == [3, 4]


def test_what_a_revocation_covers_is_listed_no_more_before_its_end_is_written(
    ledger: Ledger,
) -> None:
    all_of_alice = Revocation(
        id=UUID(int=1), scope=Scope.USER, value="alice", at=ledger.now, reason="left"
    )
    ledger.rows.apply(Put(all_of_alice))
    assert listed(ledger) == {4}
    assert find_session(ledger.rows, session_id(1)) is None
    assert find_session(ledger.rows, session_id(4)) is not None


def test_one_session_is_found_with_the_times_of_its_grant(ledger: Ledger) -> None:
    ledger.ask(login(5, presented("with refresh", "refresh"), handle=5))
    found = find_session(ledger.rows, session_id(5))
    assert found == Listed(
        session=ledger.session(5),
        expires_at=START + HOUR,
        refresh_at=START + timedelta(minutes=36),
    )
    assert find_session(ledger.rows, session_id(1)).refresh_at is None  # type: ignore[union-attr]
    assert find_session(ledger.rows, session_id(9)) is None


def test_revocations_are_listed_oldest_first(ledger: Ledger) -> None:
    ledger.ask(_revoke("zoe", 2))
    ledger.let_pass(HOUR)
    ledger.ask(_revoke("Abe", 1))
    found = list_revocations(ledger.rows)
    assert [(each.id.int, each.value) for each in found] == [(2, "zoe"), (1, "abe")]


def test_rows_are_counted(ledger: Ledger) -> None:
    ledger.ask(login(5, presented("with refresh", "refresh"), handle=5))
    ledger.ask(_revoke("zoe"))
    counts = count(ledger.rows, ledger.now)
    assert counts.sessions == {
        SessionState.UNBOUND: 1,
        SessionState.OPEN: 4,
        SessionState.WAITING: 0,
        SessionState.WEB: 0,
    }
    assert (counts.grants, counts.revocations) == (3, 1)
    assert counts.next_refresh_at == START + timedelta(minutes=36)


def test_without_refresh_tokens_nothing_is_due(ledger: Ledger) -> None:
    assert count(ledger.rows, ledger.now).next_refresh_at is None


def test_leases_that_end_soon_are_counted_by_session() -> None:
    ledger = Ledger()

    def expiring() -> Mapping[float, int]:
        return count(ledger.rows, ledger.now, expiring_within=(60, 300)).expiring

    ledger.log_in(1)
    ledger.log_in(2)
    assert expiring() == {60: 0, 300: 0}
    ledger.let_pass(HOUR - timedelta(seconds=200))
    ledger.ask(login(3, presented("newer", says=verdict(begin=ledger.now))))
    assert expiring() == {60: 0, 300: 2}
    ledger.let_pass(timedelta(seconds=150))
    assert expiring() == {60: 2, 300: 2}


def test_processes_are_listed_in_the_order_of_their_keys_from_any_of_them(ledger: Ledger) -> None:
    connected = {
        process_key(100): ConnectedProcess(about=process_about(100), hook="0.2.0"),
        process_key(300): ConnectedProcess(about=process_about(300)),
    }
    found = list_processes(ledger.rows, connected, limit=9)
    assert [(each.key.pid, each.is_connected, each.hook, each.sessions) for each in found] == [
        (100, True, "0.2.0", 3),
        (200, False, "", 1),
        (300, True, "", 0),
    ]
    assert [each.about.name for each in found] == ["rdb100", "rdb200", "rdb300"]
    after = list_processes(ledger.rows, connected, after=process_key(100), limit=1)
    assert [each.key.pid for each in after] == [200]


@pytest.mark.parametrize(
    ("begin", "after", "limit", "found"),
    [
        ("", "", 9, ["alice", "bob"]),
        ("", "", 1, ["alice"]),
        ("", "alice", 9, ["bob"]),
        ("", "al", 9, ["alice", "bob"]),
        ("B", "", 9, ["bob"]),
        ("bob", "", 9, ["bob"]),
        ("b", "a", 9, ["bob"]),
        ("b", "BOB", 9, []),
        ("c", "", 9, []),
        ("bobby", "", 9, []),
    ],
)
def test_names_are_listed_in_order_from_any_place(
    ledger: Ledger, begin: str, after: str, limit: int, found: list[str]
) -> None:
    names = list_names(ledger.rows, begin, after=after, limit=limit)
    assert [each.owner.name for each in names] == found
    live = {"alice": 3, "bob": 1}
    assert [each.sessions for each in names] == [live[name] for name in found]


def test_a_name_that_was_forgotten_is_listed_no_more(ledger: Ledger) -> None:
    ledger.ask(ReleaseName(name="bob"))
    assert [each.owner.name for each in list_names(ledger.rows, limit=9)] == ["alice"]


def _revoke(user: str, number: int = 1) -> Revoke:
    return Revoke(id=session_id(number), scope=Scope.USER, value=user, reason="test")
