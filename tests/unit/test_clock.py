"""The machine's clock, and the one that tests move by hand."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from sessiond.clock import Clock, SystemClock
from tests.fakes import HOUR, START, FakeClock, idle

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


NEAR = 60.0  # seconds that a busy machine may take


async def test_wall_time_is_the_machine_s_in_utc() -> None:
    now = SystemClock().now()
    assert now.tzinfo is UTC
    assert abs((datetime.now(UTC) - now).total_seconds()) < NEAR


async def test_a_wall_clock_that_was_set_counts_only_when_it_is_taken_over() -> None:
    clock = SystemClock()
    clock._began -= HOUR  # as if the machine's clock had been set an hour forth since
    assert abs(clock.ahead() - HOUR.total_seconds()) < NEAR
    clock.take_over()
    assert abs(clock.ahead()) < NEAR


async def test_sleeping_takes_as_long_of_monotonic_time() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0.01)
    assert clock.monotonic() - before >= 0.01


async def woken(clock: Clock, seconds: float, seen: list[tuple[float, float]]) -> None:
    start = clock.monotonic()
    await clock.sleep(seconds)
    seen.append((seconds, clock.monotonic() - start))


async def test_a_fake_clock_wakes_sleepers_in_order_each_at_its_moment() -> None:
    clock, seen = FakeClock(), list[tuple[float, float]]()
    async with anyio.create_task_group() as tasks:
        for seconds in (3.0, 1.0, 2.0, 9.0):
            tasks.start_soon(woken, clock, seconds, seen)
        await clock.advance(5)
        assert seen == [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]
        assert clock.sleepers == 1
        await clock.advance(timedelta(seconds=4))
    assert seen[-1] == (9.0, 9.0)


async def test_who_sleeps_anew_within_the_span_is_woken_again() -> None:
    clock, beats = FakeClock(), list[timedelta]()

    async def beat() -> None:
        while True:
            await clock.sleep(10)
            beats.append(clock.now() - START)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beat)
        await clock.advance(35)
        tasks.cancel_scope.cancel()
    assert beats == [timedelta(seconds=seconds) for seconds in (10, 20, 30)]


async def test_the_fake_wall_clock_steps_apart_from_monotonic_time() -> None:
    clock = FakeClock()
    before = clock.monotonic()
    clock.step_wall(HOUR)
    assert (clock.now(), clock.monotonic()) == (START + HOUR, before)
    await clock.advance(60)
    assert (clock.now(), clock.monotonic()) == (START + HOUR + timedelta(minutes=1), before + 60)


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock, seen = FakeClock(), list[tuple[float, float]]()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(woken, clock, 5.0, seen)
        await idle()
        assert clock.sleepers == 1
        tasks.cancel_scope.cancel()
    assert clock.sleepers == 0
    await clock.advance(10)
    assert seen == []


@pytest.mark.parametrize("seconds", [0.0, -0.1])
@pytest.mark.parametrize("make", [SystemClock, FakeClock])
async def test_sleeping_until_what_is_over_returns_at_once(
    make: Callable[[], Clock], seconds: float
) -> None:
    with anyio.fail_after(NEAR):
        await make().sleep(seconds)
