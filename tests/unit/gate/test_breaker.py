"""When a breaker opens, what closes it, and how long trial calls wait."""

import pytest

from sessiond.gate import Breaker
from tests.fakes import FakeClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def breaker(clock: FakeClock) -> Breaker:
    return Breaker(clock, slow_after=1.0)


def fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        breaker.finish(breaker.start(), ok=False)


def test_three_failures_in_a_row_open_it(breaker: Breaker) -> None:
    fail(breaker, 2)
    assert not breaker.is_open
    fail(breaker)
    assert breaker.is_open


def test_a_success_between_failures_begins_the_count_anew(breaker: Breaker) -> None:
    fail(breaker, 2)
    breaker.finish(breaker.start(), ok=True)
    fail(breaker, 2)
    assert not breaker.is_open


@pytest.mark.parametrize(("seconds", "opens"), [(1.0, False), (1.001, True)])
async def test_a_call_slower_than_the_limit_is_as_bad_as_a_failed_one(
    breaker: Breaker, clock: FakeClock, seconds: float, opens: bool
) -> None:
    for _ in range(3):
        started = breaker.start()
        await clock.advance(seconds)
        breaker.finish(started, ok=True)
    assert breaker.is_open is opens


async def test_each_failed_trial_doubles_the_pause_up_to_half_a_minute(
    breaker: Breaker, clock: FakeClock
) -> None:
    fail(breaker, 3)
    pauses = []
    for _ in range(7):
        pauses.append(breaker.pause)
        await clock.advance(breaker.pause)
        fail(breaker)
    assert pauses == [1, 2, 4, 8, 16, 30, 30]


async def test_calls_that_were_under_way_when_it_opened_do_not_lengthen_the_pause(
    breaker: Breaker, clock: FakeClock
) -> None:
    started = [breaker.start() for _ in range(64)]
    await clock.advance(5)
    for each in started:
        breaker.finish(each, ok=False)
    assert breaker.is_open
    assert breaker.pause == 1


async def test_a_good_trial_closes_it_and_the_next_pause_is_short_again(
    breaker: Breaker, clock: FakeClock
) -> None:
    fail(breaker, 3)
    await clock.advance(1)
    fail(breaker)
    breaker.finish(breaker.start(), ok=True)
    assert not breaker.is_open
    fail(breaker, 3)
    assert breaker.pause == 1


async def test_a_slow_trial_does_not_close_it(breaker: Breaker, clock: FakeClock) -> None:
    fail(breaker, 3)
    await clock.advance(1)
    started = breaker.start()
    await clock.advance(2)
    breaker.finish(started, ok=True)
    assert breaker.is_open
    assert breaker.pause == 2


async def test_what_the_issuer_asks_for_opens_it_at_once_and_sets_the_pause(
    breaker: Breaker, clock: FakeClock
) -> None:
    def state() -> tuple[bool, bool, float]:
        return breaker.is_open, breaker.is_held, breaker.pause

    breaker.hold(120)
    assert state() == (True, True, 120)
    await clock.advance(100)
    assert state() == (True, True, 20)
    await clock.advance(20)
    assert state() == (True, False, 1)


def test_of_two_moments_the_issuer_named_the_later_counts(breaker: Breaker) -> None:
    breaker.hold(120)
    breaker.hold(5)
    assert breaker.pause == 120
    breaker.hold(200)
    assert breaker.pause == 200


async def test_a_call_that_was_under_way_does_not_end_a_hold(
    breaker: Breaker, clock: FakeClock
) -> None:
    started = breaker.start()
    breaker.hold(120)
    breaker.finish(started, ok=True)
    assert breaker.is_open
    fail(breaker)
    assert breaker.pause == 120
    await clock.advance(120)
    breaker.finish(breaker.start(), ok=True)
    assert not breaker.is_open


def test_a_short_hold_does_not_shorten_the_pause_of_a_sick_issuer(breaker: Breaker) -> None:
    fail(breaker, 3)
    breaker.hold(0.25)
    assert breaker.pause == 1
