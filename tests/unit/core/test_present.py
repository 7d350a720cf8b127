"""Who has a session: whatever is written, and whenever those found at first are taken in."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core import ordered
from sessiond.core.present import Present
from sessiond.core.rows import Drop, Put, Write
from sessiond.core.session import Session, SessionId, SessionState
from tests.fakes import START, grant, session

NAMES = ("alice", "ALICE", "bob")
SESSIONS = st.builds(
    lambda number, name, age: session(
        number, typed=NAMES[name + number % 2], since=START + timedelta(seconds=age)
    ),
    st.integers(1, 9),
    st.integers(0, 1),
    st.integers(0, 2),
)
WRITES = st.one_of(SESSIONS.map(Put), SESSIONS.map(Drop), st.just(Put(grant())))


def told_as(of: Session) -> str:
    return of.typed


@pytest.fixture(autouse=True, scope="module")
def short_runs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordered, "SIZE", 2)
        yield


@given(
    found=st.lists(SESSIONS, max_size=9, unique_by=lambda each: each.id),
    batches=st.lists(st.tuples(st.lists(WRITES, max_size=4), st.integers(0, 3)), max_size=12),
)
def test_the_newest_session_of_each_name_is_found_whatever_was_written_and_when(
    found: list[Session], batches: list[tuple[list[Write], int]]
) -> None:
    present = Present(found, told_as)
    live: dict[SessionId, Session] = {each.id: each for each in found}
    for writes, filled in batches:
        before = _newest(live)
        for write in writes:
            if isinstance(write.row, Session):
                live.pop(write.row.id, None)
                if isinstance(write, Put):
                    live[write.row.id] = write.row
        put, left = present.take(writes)
        concerned = put + left
        assert len(set(concerned)) == len(concerned)
        after = _newest(live)
        if present.is_whole:
            assert {n for n in NAMES if before.get(n) != after.get(n)} <= {*concerned}
        present.fill(filled)
    while not present.is_whole:
        present.fill(1)
    assert {name: present.newest(name) for name in present.names} == _newest(live)
    assert present.newest("nobody") is None


def _newest(live: dict[SessionId, Session]) -> dict[str, Session]:
    by_age = sorted(live.values(), key=lambda each: (each.since, each.id.int))
    return {each.typed: each for each in by_age}


def test_what_was_found_does_not_come_back_once_it_was_dropped() -> None:
    present = Present([session(1)], told_as)
    assert present.take([Drop(session(1))]) == ([], [])
    present.fill(1)
    assert present.is_whole
    assert not present.names


def test_who_only_waits_for_his_process_is_no_news_and_who_was_put_comes_first() -> None:
    present = Present([], told_as)
    assert present.take([Put(session(1)), Put(session(2, typed="bob"))]) == (["alice", "bob"], [])
    waiting = session(1, state=SessionState.WAITING)
    assert present.take([Put(waiting)]) == ([], [])
    assert present.newest("alice") is waiting
    writes: list[Write] = [Drop(session(1)), Drop(session(2)), Put(session(3, typed="carol"))]
    assert present.take(writes) == (["carol"], ["alice", "bob"])
