"""Everybody gets a turn."""

import pytest

from sessiond.core.round_robin import RoundRobin


@pytest.fixture
def turns() -> RoundRobin[str]:
    """Two owners, of whom one has many things of two parts."""
    turns = RoundRobin[str]()
    for number in range(1, 4):
        turns.add(f"a.x{number}", owner="a", part="x")
    turns.add("a.y1", owner="a", part="y")
    turns.add("b1", owner="b")
    turns.add("b2", owner="b")
    return turns


def test_owners_take_turns_and_so_do_their_parts(turns: RoundRobin[str]) -> None:
    assert len(turns) == 6
    served = [turns.take() for _ in range(len(turns))]
    assert served == ["a.x1", "b1", "a.y1", "b2", "a.x2", "a.x3"]
    assert len(turns) == 0


def test_who_comes_anew_waits_for_one_round_at_most(turns: RoundRobin[str]) -> None:
    turns.add("c", owner="c")
    assert [turns.take() for _ in range(3)] == ["a.x1", "b1", "c"]


def test_what_is_removed_is_served_no_more(turns: RoundRobin[str]) -> None:
    turns.remove("a.x2", owner="a", part="x")
    turns.remove("a.y1", owner="a", part="y")
    turns.remove("b1", owner="b")
    turns.remove("b2", owner="b")
    assert [turns.take() for _ in range(len(turns))] == ["a.x1", "a.x3"]
