"""One user's tickets are spent so fast and no faster, and nobody else's are held up by that."""

from sessiond.tickets.pace import A_SECOND, AT_ONCE, MAX_USERS, Pace


def spent(pace: Pace, user: str, number: int, *, now: float = 0.0) -> int:
    return sum(pace.take(user, now=now) for _ in range(number))


def test_so_many_are_spent_at_once_and_then_so_many_a_second() -> None:
    pace = Pace()
    assert spent(pace, "alice", AT_ONCE + 10) == AT_ONCE
    assert spent(pace, "Alice", 1) == 0  # who is the same
    assert spent(pace, "alice", AT_ONCE, now=2.0) == 2 * A_SECOND
    assert spent(pace, "alice", 2 * AT_ONCE, now=1e6) == AT_ONCE


def test_another_user_does_not_wait_for_it() -> None:
    pace = Pace()
    spent(pace, "alice", AT_ONCE)
    assert spent(pace, "bob", 1) == 1


def test_so_many_users_are_known_and_who_was_away_for_longest_is_forgotten() -> None:
    pace = Pace()
    assert spent(pace, "alice", AT_ONCE + 1) == AT_ONCE
    for number in range(MAX_USERS - 1):
        pace.take(f"user{number}", now=0.0)
    assert spent(pace, "alice", 1) == 0  # and has come again
    for number in range(MAX_USERS):
        pace.take(f"other{number}", now=0.0)
    assert spent(pace, "alice", 1) == 1
