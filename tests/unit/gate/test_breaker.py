"""When a breaker opens, what closes it, and how long trial calls wait."""

import pytest

from sessiond.core.errors import (
    ClientRefused,
    IssuerThrottled,
    IssuerUnavailable,
    Refusal,
    TokenRejected,
    UnusableAnswer,
)
from sessiond.gate import Breaker
from tests.fakes import FakeClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def breaker(clock: FakeClock) -> Breaker:
    return Breaker(clock, slow_after=lambda: 1.0)


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


async def test_a_slow_call_counts_while_it_lasts_and_only_once(
    breaker: Breaker, clock: FakeClock
) -> None:
    calls, found = [breaker.start() for _ in range(3)], []
    for seconds in (1.0, 0.001):
        await clock.advance(seconds)
        found.append(breaker.is_open)
    assert found == [False, True]
    for call, ok in zip(calls, (True, False, True), strict=True):
        breaker.finish(call, ok=ok)
    assert (breaker.is_open, breaker.pause) == (True, 1)


async def test_of_two_slow_calls_each_counts_once_also_where_it_ends_badly(
    breaker: Breaker, clock: FakeClock
) -> None:
    calls = [breaker.start() for _ in range(2)]
    await clock.advance(1.5)
    for call in calls:
        breaker.finish(call, ok=False)
    assert not breaker.is_open
    fail(breaker)
    assert breaker.is_open


async def test_a_call_that_is_given_up_counts_as_nothing(
    breaker: Breaker, clock: FakeClock
) -> None:
    for _ in range(3):
        breaker.forget(breaker.start())
    await clock.advance(2.0)
    assert not breaker.is_open


def test_where_there_is_doubt_quick_failures_ask_for_a_trial_at_once(clock: FakeClock) -> None:
    breaker = Breaker(clock, slow_after=lambda: 1.0, doubts=True)
    fail(breaker, 2)
    assert not breaker.needs_trial
    fail(breaker, 2)
    assert (breaker.is_open, breaker.needs_trial, breaker.pause) == (False, True, 0)
    breaker.finish(breaker.start(is_trial=True), ok=True)
    assert not breaker.needs_trial
    fail(breaker, 3)
    breaker.finish(breaker.start(is_trial=True), ok=False)
    assert (breaker.is_open, breaker.pause) == (True, 1)


async def test_a_slow_call_leaves_no_doubt(clock: FakeClock) -> None:
    breaker = Breaker(clock, slow_after=lambda: 1.0, doubts=True)
    fail(breaker, 2)
    breaker.start()
    await clock.advance(1.5)
    assert breaker.is_open


@pytest.mark.parametrize(
    ("raised", "is_bad"),
    [
        (IssuerUnavailable("503"), True),
        (UnusableAnswer("403"), False),
        (ClientRefused("401"), False),
        (TokenRejected(Refusal.INACTIVE, "no"), False),
        (RuntimeError("ours"), False),
    ],
)
def test_only_an_issuer_that_does_not_answer_opens_it(
    breaker: Breaker, raised: Exception, is_bad: bool
) -> None:
    for _ in range(3):
        with pytest.raises(type(raised)), breaker.seeing():
            raise raised
    assert breaker.is_open is is_bad
    with breaker.seeing():
        pass
    assert not breaker.is_open


def test_no_word_of_an_issuer_keeps_everybody_from_it_for_more_than_an_hour(
    breaker: Breaker,
) -> None:
    with pytest.raises(IssuerThrottled), breaker.seeing():
        raise IssuerThrottled("429", retry_after=1e9)
    assert (breaker.is_open, breaker.pause) == (True, 3600)


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


def test_a_short_hold_does_not_shorten_the_pause_of_an_open_breaker(breaker: Breaker) -> None:
    fail(breaker, 3)
    breaker.hold(0.25)
    assert breaker.pause == 1


async def test_it_tells_when_it_opens_and_closes_and_nothing_else(clock: FakeClock) -> None:
    told: list[bool] = []
    breaker = Breaker(clock, slow_after=lambda: 1.0, note=told.append)
    breaker.finish(breaker.start(), ok=True)
    assert told == []
    fail(breaker, 5)
    assert told == [True]
    breaker.hold(1)
    await clock.advance(1)
    for _ in range(2):
        breaker.finish(breaker.start(), ok=True)
    assert told == [True, False]
    for _ in range(3):
        breaker.start()
    await clock.advance(1.5)
    assert breaker.is_open
    assert told == [True, False, True]
