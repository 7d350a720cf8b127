"""One lock: taken, passed on, taken over, and never by two."""

import pytest

from sessiond.tokenstores.lock import (
    LEAST_PATIENCE,
    LONGEST_WAIT,
    Lock,
    Outcome,
    Taken,
    WaitedTooLong,
    Waiter,
    patience_of,
)


def waiter(number: int, *, patience: float = 5.0, at: float = 0.0) -> Waiter:
    return Waiter(number=number, uid=1000, pid=number, patience=patience, until=at + LONGEST_WAIT)


def held(fence: int = 1, *, at: float = 0.0) -> Lock:
    lock, _ = Lock().asked(waiter(0, at=at)).settled(at, fence)
    return lock


def told(outcomes: tuple[Outcome, ...]) -> list[tuple[int, int]]:
    """Return who has got the lock, with which fence; 0: he was sent away."""
    return [(each.waiter.number, each.fence if isinstance(each, Taken) else 0) for each in outcomes]


def began(lock: Lock, fence: int = 1, now: float = 0.0) -> Lock:
    found = lock.write_begun(fence, now)
    assert found is not None
    return found


def over(lock: Lock, fence: int = 1) -> Lock:
    found = lock.released(fence)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("wait_ms", "seconds"), [(-1, 0.25), (0, 0.25), (249, 0.25), (250, 0.25), (251, 0.251)]
)
def test_less_than_a_quarter_of_a_second_counts_as_that(wait_ms: int, seconds: float) -> None:
    assert patience_of(wait_ms) == seconds
    assert LEAST_PATIENCE == 0.25


def test_a_free_lock_is_taken_at_once() -> None:
    lock, outcomes = Lock().asked(waiter(1)).settled(10.0, 7)
    assert outcomes == (Taken(waiter=waiter(1), fence=7),)
    assert lock.is_held_by(7)
    assert lock.waiters == ()


def test_it_is_nobody_else_s_until_it_is_released_and_then_goes_to_who_asked_first() -> None:
    lock = held(1).asked(waiter(1)).asked(waiter(2, patience=9.0))
    lock, outcomes = lock.settled(1.0, 2)
    assert outcomes == ()
    lock, outcomes = over(lock).settled(1.0, 2)
    assert told(outcomes) == [(1, 2)]
    assert not lock.is_held_by(1)
    lock, outcomes = over(lock, 2).settled(1.0, 3)
    assert told(outcomes) == [(2, 3)]


def test_who_hangs_up_loses_his_turn() -> None:
    lock = held(1).asked(waiter(1)).asked(waiter(2)).left(1)
    _, outcomes = over(lock).settled(1.0, 2)
    assert told(outcomes) == [(2, 2)]


def test_without_progress_for_as_long_as_somebody_waits_it_is_his() -> None:
    lock, outcomes = held(1).asked(waiter(1)).settled(4.9, 2)
    assert outcomes == ()
    lock, outcomes = lock.settled(5.0, 2)
    assert told(outcomes) == [(1, 2)]
    (taken,) = outcomes
    assert isinstance(taken, Taken)
    assert taken.was is not None
    assert taken.was.fence == 1
    assert lock.write_begun(1, 5.0) is None
    assert lock.released(1) is None


def test_who_comes_when_it_is_stale_for_him_has_it_at_once_and_before_more_patient_ones() -> None:
    lock, _ = held(1).asked(waiter(1, patience=30.0)).settled(3.0, 2)
    lock, outcomes = lock.asked(waiter(2, patience=3.0, at=3.0)).settled(3.0, 2)
    assert told(outcomes) == [(2, 2)]
    assert [each.number for each in lock.waiters] == [1]


def test_of_two_for_whom_it_is_stale_the_one_who_asked_first_has_it() -> None:
    lock = held(1).asked(waiter(1)).asked(waiter(2))
    _, outcomes = lock.settled(5.0, 2)
    assert told(outcomes) == [(1, 2)]


def test_a_write_is_progress_when_it_begins_and_when_it_ends() -> None:
    lock = began(held(1).asked(waiter(1)), now=4.0)
    lock, outcomes = lock.write_ended(8.0).settled(9.0, 2)
    assert outcomes == ()
    assert lock.look_at(waiter(1), 9.0) == 13.0
    _, outcomes = lock.settled(13.0, 2)
    assert told(outcomes) == [(1, 2)]


def test_nobody_takes_it_over_while_a_write_is_being_committed() -> None:
    lock, outcomes = began(held(1).asked(waiter(1))).settled(50.0, 2)
    assert outcomes == ()
    assert lock.look_at(waiter(1), 50.0) == 55.0
    lock, outcomes = over(lock).settled(50.0, 2)  # nor where it is released meanwhile
    assert outcomes == ()
    assert not lock.is_held_by(1)
    assert lock.write_begun(1, 50.0) is None
    _, outcomes = lock.write_ended(51.0).settled(51.0, 2)
    assert told(outcomes) == [(1, 2)]
    assert outcomes == (Taken(waiter=waiter(1), fence=2),)  # it was free


def test_two_writes_at_a_time_both_have_to_end() -> None:
    lock = over(began(began(held(1).asked(waiter(1)))))
    lock, outcomes = lock.write_ended(1.0).settled(1.0, 2)
    assert outcomes == ()
    _, outcomes = lock.write_ended(2.0).settled(2.0, 2)
    assert told(outcomes) == [(1, 2)]


def test_a_broken_lock_is_nobody_s() -> None:
    assert Lock().broken() == Lock()
    lock, outcomes = held(1).broken().settled(1.0, 2)
    assert (lock, outcomes) == (Lock(), ())


def test_a_request_is_over_after_a_minute_whatever_its_patience() -> None:
    patient = waiter(1, patience=90.0, at=10.0)
    lock, outcomes = held(1).asked(patient).settled(69.9, 2)
    assert outcomes == ()
    assert lock.look_at(patient, 69.9) == 70.0
    lock, outcomes = lock.settled(70.0, 2)
    assert outcomes == (WaitedTooLong(waiter=patient),)
    again = waiter(2, patience=90.0, at=70.0)
    lock, outcomes = lock.asked(again).settled(90.0, 2)  # the same lock's progress still counts
    assert told(outcomes) == [(2, 2)]


def test_a_lock_that_is_free_is_to_be_settled_now() -> None:
    assert Lock().look_at(waiter(1), 3.0) == 3.0


def test_a_write_that_nobody_began_does_not_end() -> None:
    for lock in (Lock(), held(1)):
        with pytest.raises(ValueError, match="no write"):
            lock.write_ended(1.0)
