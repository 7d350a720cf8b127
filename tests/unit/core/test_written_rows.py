from sessiond.core.grant import KnownToken
from sessiond.core.rows import NameOwner, Put, Row
from sessiond.core.session import SessionState
from sessiond.core.written_rows import Rows
from tests.fakes import START, grant, grant_id, process_key, session, token_hash

KEPT: list[Row] = [
    session(1),
    grant(1, refresh_at=START),
    session(2, state=SessionState.UNBOUND, until=START),
    session(3, grant=grant_id(9), handle=0),
    KnownToken(hash=token_hash("refresh"), grant=grant_id(1), seen_at=START, keep_until=START),
    KnownToken(
        hash=token_hash("access"),
        grant=None,
        seen_at=START,
        keep_until=START,
        came_with=(token_hash("refresh"),),
    ),
    NameOwner(name="alice", issuer="corp", subject="subject of alice"),
]


def test_rows_that_come_at_once_are_found_as_if_they_had_come_one_by_one() -> None:
    at_once, one_by_one = Rows(KEPT), Rows()
    for row in KEPT:
        one_by_one.apply(Put(row))
    for rows in (at_once, one_by_one):
        assert list(rows.sessions_of(process_key())) == [KEPT[0], KEPT[2], KEPT[3]]
        assert list(rows.sessions_of(grant_id(1))) == [KEPT[0], KEPT[2]]
        assert rows.session_on(process_key(), 2) == KEPT[2]
        assert rows.next_refresh_at == START
        assert [each.hash for each in rows.access_beside(grant_id(1))] == [token_hash("access")]
        assert [rows.count_in(state) for state in SessionState] == [1, 2, 0, 0]
        assert rows.count_listed(user="alice") == 3
        assert list(rows.ordered_names.since("")) == ["alice"]
        second = int(grant(1).lease.expires_at.timestamp())
        assert rows.ending_in(second) == 2


def test_states_alone_are_put_without_moving_a_session() -> None:
    rows = Rows(KEPT)
    waiting = session(1, state=SessionState.WAITING)
    rows.put_states([waiting])
    assert next(iter(rows.sessions_of(process_key()))) == waiting
    assert [rows.count_in(state) for state in SessionState] == [1, 1, 1, 0]
