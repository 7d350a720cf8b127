from collections.abc import Iterator
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.core import ordered
from sessiond.core.ordered import Ordered, OrderedIds, SessionLists
from sessiond.core.session import SessionId
from tests.fakes import principal, process_about, session, session_id

IDS = st.integers(0, 40).map(lambda number: SessionId(UUID(int=number)))


@pytest.fixture(autouse=True, scope="module")
def short_runs() -> Iterator[None]:
    """Cut runs so short that a few ids make many of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordered, "SIZE", 2)
        yield


@given(steps=st.lists(st.tuples(st.booleans(), IDS), max_size=80), after=st.none() | IDS)
def test_ids_are_in_order_whatever_comes_and_goes(
    steps: list[tuple[bool, SessionId]], after: SessionId | None
) -> None:
    numbers, plain = Ordered[int](), set[SessionId]()
    ids = OrderedIds(numbers)
    for is_added, key in steps:
        numbers.add(key.int) if is_added else numbers.discard(key.int)
        plain.add(key) if is_added else plain.discard(key)
        assert (len(ids), bool(ids)) == (len(plain), bool(plain))
    expected = sorted(key for key in plain if after is None or key > after)
    assert list(ids.after(after)) == expected
    assert all(len(run) < 2 * ordered.SIZE for run in numbers._runs)


@given(names=st.lists(st.text("abc", max_size=3), max_size=30), at=st.text("abc", max_size=3))
def test_names_are_read_from_any_place_with_or_without_the_one_that_is_there(
    names: list[str], at: str
) -> None:
    held = Ordered[str]()
    for name in names:
        held.add(name)
    assert list(held.since(at)) == sorted({name for name in names if name >= at})
    assert list(held.beyond(at)) == sorted({name for name in names if name > at})


def test_a_session_is_in_each_of_its_lists_until_it_goes() -> None:
    lists, one, two = SessionLists(), session(1), session(2, principal=principal("Bob"))
    lists.replace(None, one)
    lists.replace(None, two)
    assert list(lists.of().after(None)) == [one.id, two.id]
    assert list(lists.of(user="bob").after(None)) == [two.id]
    assert list(lists.of(process="rdb100").after(None)) == [one.id, two.id]
    assert list(lists.of(process="rdb100:100").after(session_id(1))) == [two.id]
    assert list(lists.of(issuer="partner").after(None)) == []
    assert list(lists.of(user="alice", process="rdb100").after(None)) == [one.id]  # the shortest
    lists.replace(two, None)
    assert list(lists.of(user="bob").after(None)) == []
    assert len(lists.of()) == 1


def test_a_session_that_moves_leaves_the_lists_it_was_in() -> None:
    lists, before = SessionLists(), session(1)
    after = session(1, about=process_about(200))
    lists.replace(None, before)
    lists.replace(before, after)
    assert not lists.of(process="rdb100")
    assert list(lists.of(process="rdb200").after(None)) == [after.id]
    assert len(lists.of()) == 1


def test_lists_made_at_once_are_those_made_one_by_one() -> None:
    sessions = [
        session(number, principal=principal(f"user{number % 3}"), about=process_about(number % 2))
        for number in (7, 2, 9, 4, 1, 3, 8, 6)
    ]
    at_once, one_by_one = SessionLists(), SessionLists()
    at_once.fill(sessions)
    for each in sessions:
        one_by_one.replace(None, each)
    assert at_once._lists.keys() == one_by_one._lists.keys()
    for key in at_once._lists:
        assert list(at_once._of(key).after(None)) == list(one_by_one._of(key).after(None))
    for each in sessions:
        at_once.replace(each, None)
    assert not at_once.of()
