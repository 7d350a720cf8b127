"""What connections may keep: bounded for each user and in all, and given back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiond.kdb.budget import ALWAYS, PER_USER, TOTAL, Budget

ALICE, BOB, CAROL = 500, 501, 502

sizes = st.integers(0, 3 * ALWAYS)
moves = st.lists(st.tuples(st.integers(0, 5), sizes, st.booleans()), max_size=40)


def test_a_user_s_connections_keep_so_much_together_and_no_more() -> None:
    budget = Budget(per_user=4 * ALWAYS, total=100 * ALWAYS)
    one, other = budget.open(ALICE), budget.open(ALICE)
    assert one.keep(2 * ALWAYS)
    assert other.keep(2 * ALWAYS)
    assert not one.keep(1)
    assert not other.keep(1)
    one.give(1)
    assert other.keep(1)
    assert budget.kept == 4 * ALWAYS


def test_all_users_keep_so_much_together_and_no_more() -> None:
    budget = Budget(per_user=4 * ALWAYS, total=6 * ALWAYS)
    assert budget.open(ALICE).keep(4 * ALWAYS)
    bobs = budget.open(BOB)
    assert not bobs.keep(3 * ALWAYS)
    assert bobs.keep(2 * ALWAYS)


def test_what_a_login_needs_is_always_there_whatever_the_others_keep() -> None:
    budget = Budget(per_user=4 * ALWAYS, total=4 * ALWAYS)
    assert budget.open(ALICE).keep(4 * ALWAYS)
    for uid in (ALICE, BOB, CAROL):
        account = budget.open(uid)
        assert account.keep(ALWAYS)
        assert not account.keep(1)


def test_one_user_at_the_bound_leaves_the_others_theirs() -> None:
    budget = Budget()
    greedy = budget.open(ALICE)
    while greedy.keep(ALWAYS):
        pass
    assert budget.kept == PER_USER < TOTAL
    assert budget.open(BOB).keep(PER_USER)


def test_what_was_kept_is_given_back_at_the_end_and_only_once() -> None:
    budget = Budget()
    account, other = budget.open(ALICE), budget.open(ALICE)
    assert account.keep(1000)
    assert other.keep(10)
    account.give(100)
    for _ in range(2):
        account.close()
        account.give(50)  # of work that ends later than its connection
        assert not account.keep(1)
        assert budget.kept == 10


@pytest.mark.parametrize("total", [2 * ALWAYS, 50 * ALWAYS])
@given(moves=moves)
def test_whatever_is_kept_and_given_the_bounds_hold_and_nothing_is_left(
    total: int, moves: list[tuple[int, int, bool]]
) -> None:
    budget = Budget(per_user=8 * ALWAYS, total=total)
    accounts = [budget.open(uid) for uid in (ALICE, ALICE, ALICE, BOB, BOB, CAROL)]
    kept = [0] * len(accounts)
    for number, size, is_given in moves:
        if is_given:
            accounts[number].give(min(size, kept[number]))
            kept[number] -= min(size, kept[number])
        elif accounts[number].keep(size):
            kept[number] += size
        assert budget.kept == sum(kept) <= total + len(accounts) * ALWAYS
        assert sum(kept[:3]) <= 8 * ALWAYS + 3 * ALWAYS
    for account in accounts:
        account.close()
    assert budget.kept == 0
