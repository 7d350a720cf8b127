from dataclasses import replace
from uuid import UUID

import pytest
from msgspec import structs

from sessiond.core.cursor import Cursor, DeadLetter
from sessiond.core.grant import KnownToken
from sessiond.core.revocation import Revocation, Scope
from sessiond.core.rows import Drop, NameOwner, Put, Row
from sessiond.core.session import SessionState
from sessiond.core.written_rows import Rows
from tests.fakes import (
    HOUR,
    START,
    grant,
    grant_id,
    opened_event,
    principal,
    process_key,
    session,
    session_id,
    token_hash,
)

TOKEN = KnownToken(
    hash=token_hash("access"), grant=grant_id(1), seen_at=START, keep_until=START + HOUR
)
OWNER = NameOwner(name="alice", issuer="corp", subject="subject of alice")
REVOCATION = Revocation(id=UUID(int=9), scope=Scope.ALL, value="", at=START, reason="drill")
PLACE = Cursor(subscriber="audit", sequence=7, at=START)
ASIDE = DeadLetter(subscriber="audit", event=opened_event(7), attempts=8, error="full", at=START)
EACH: list[tuple[Row, Row]] = [  # a row, and another with the same key
    (session(), session(handle=8)),
    (grant(), grant(proven=True)),
    (TOKEN, KnownToken(hash=TOKEN.hash, grant=None, seen_at=START, keep_until=START)),
    (OWNER, NameOwner(name="alice", issuer="corp", subject="another")),
    (REVOCATION, Revocation(id=UUID(int=9), scope=Scope.USER, value="x", at=START, reason="")),
    (PLACE, Cursor(subscriber="audit", sequence=9, at=START)),
    (ASIDE, replace(ASIDE, attempts=9)),
]


def all_of(rows: Rows) -> list[Row]:
    entitled = (rows.sessions, rows.grants, rows.tokens, rows.names, rows.revocations)
    tables = (*entitled, rows.cursors, rows.dead_letters)
    return [row for table in tables for row in table.values()]


@pytest.mark.parametrize(("row", "other"), EACH)
def test_a_write_is_answered_with_what_takes_it_back(row: Row, other: Row) -> None:
    rows = Rows()
    assert rows.apply(Put(row)) == Drop(row)
    assert rows.apply(Put(other)) == Put(row)
    assert all_of(rows) == [other]
    assert rows.apply(Drop(row)) == Put(other)  # the key decides
    assert all_of(rows) == []
    assert rows.apply(Drop(row)) is None


def test_a_session_is_found_by_its_handle_until_it_moves_or_ends() -> None:
    rows = Rows([session(1)])
    assert rows.session_on(process_key(), 1) == session(1)
    rows.apply(Put(session(1, handle=5)))
    assert rows.session_on(process_key(), 1) is None
    assert rows.session_on(process_key(), 5) == session(1, handle=5)
    rows.apply(Drop(session(1)))
    assert rows.session_on(process_key(), 5) is None


def test_handle_0_is_not_known_so_nothing_is_found_on_it() -> None:
    rows = Rows([session(1, handle=0), session(2, handle=0)])
    assert rows.session_on(process_key(), 0) is None
    rows.apply(Drop(session(1)))
    assert rows.sessions == {session_id(2): session(2, handle=0)}


def test_swapping_two_handles_and_back_loses_neither() -> None:
    rows = Rows([session(1), session(2)])
    undo = [rows.apply(Put(session(1, handle=2))), rows.apply(Put(session(2, handle=1)))]
    assert rows.session_on(process_key(), 1) == session(2, handle=1)
    assert rows.session_on(process_key(), 2) == session(1, handle=2)
    for write in reversed(undo):
        assert write is not None
        rows.apply(write)
    assert rows.session_on(process_key(), 1) == session(1)
    assert rows.session_on(process_key(), 2) == session(2)


def test_sessions_are_yielded_by_process_and_by_grant_the_longest_unchanged_first() -> None:
    one, two = session(1), session(2)
    elsewhere = session(3, process=process_key(9), grant=grant_id(2))
    rows = Rows([one, elsewhere, two])
    assert list(rows.sessions_of(process_key())) == [one, two]
    changed = session(1, roles=())
    rows.apply(Put(changed))
    assert list(rows.sessions_of(process_key())) == [two, changed]
    assert list(rows.sessions_of(grant_id(1))) == [two, changed]
    assert list(rows.sessions_of(grant_id(2))) == [elsewhere]
    assert list(rows.sessions_of(process_key(1))) == []
    assert list(rows.sessions_of(grant_id(3))) == []
    assert [rows.count_of(each) for each in (process_key(), grant_id(2), process_key(1))] == [
        2,
        1,
        0,
    ]


def test_a_grant_has_sessions_until_the_last_one_leaves() -> None:
    rows = Rows([session(1), session(2)])
    rows.apply(Drop(session(1)))
    assert rows.has_sessions(grant_id(1))
    rows.apply(Put(session(2, grant=grant_id(2))))
    assert not rows.has_sessions(grant_id(1))
    assert rows.has_sessions(grant_id(2))
    assert list(rows.ids_of(grant_id(1))) == []
    assert list(rows.ids_of(grant_id(2))) == [session_id(2)]


def test_another_state_alone_leaves_a_session_where_it_was() -> None:
    rows = Rows([session(1), session(2)])
    waiting = session(1, state=SessionState.WAITING)
    rows.put_states([waiting])
    assert list(rows.sessions_of(process_key())) == [waiting, session(2)]
    assert [rows.count_in(state) for state in SessionState] == [0, 1, 1, 0]


def test_an_access_token_is_found_by_the_grants_of_the_refresh_tokens_it_came_with() -> None:
    refresh = KnownToken(
        hash=token_hash("refresh"), grant=grant_id(1), seen_at=START, keep_until=START
    )
    rotated = structs.replace(refresh, hash=token_hash("rotated"))
    access = structs.replace(TOKEN, grant=None, came_with=(refresh.hash, rotated.hash))
    rows = Rows([grant(1), access, refresh, rotated])
    assert rows.access_beside(grant_id(1)) == [access]
    assert rows.access_beside(grant_id(2)) == []
    rows.apply(Put(structs.replace(access, came_with=(rotated.hash,))))
    rows.apply(Drop(rotated))
    assert rows.access_beside(grant_id(1)) == []
    rows.apply(Put(rotated))
    assert [each.hash for each in rows.access_beside(grant_id(1))] == [access.hash]
    rows.apply(Drop(access))
    assert rows.access_beside(grant_id(1)) == []


def test_a_token_is_known_by_its_grant_until_it_loses_it() -> None:
    rows = Rows([grant(1), TOKEN])
    assert rows.grant_of(TOKEN.hash) == grant(1)
    assert list(rows.tokens_of(grant_id(1))) == [TOKEN]
    assert rows.grant_of(None) is None
    assert rows.grant_of(token_hash("never seen")) is None
    rows.apply(Put(KnownToken(hash=TOKEN.hash, grant=None, seen_at=START, keep_until=START)))
    assert rows.grant_of(TOKEN.hash) is None
    assert list(rows.tokens_of(grant_id(1))) == []


def test_a_name_is_looked_up_in_any_case() -> None:
    rows = Rows([OWNER])
    assert rows.owner_of("ALICE") == OWNER
    assert rows.owner_of("bob") is None


def test_the_revocations_that_cover_a_principal_are_yielded() -> None:
    bob = Revocation(id=UUID(int=8), scope=Scope.USER, value="bob", at=START, reason="")
    rows = Rows([REVOCATION, bob])
    assert list(rows.revocations_of(principal("alice"))) == [REVOCATION]
    assert list(rows.revocations_of(principal("bob"))) == [bob, REVOCATION]


def test_what_was_set_aside_is_yielded_by_subscriber() -> None:
    other = replace(ASIDE, subscriber="webhook")
    rows = Rows([ASIDE, other])
    assert list(rows.set_aside_of("audit")) == [ASIDE]
    assert list(rows.set_aside_of("nobody")) == []
