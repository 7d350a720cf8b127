"""A wall clock that is set is believed when the issuers' clocks agree with it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
import pytest

from sessiond.clock import SystemClock
from sessiond.timekeeper import ASK_EVERY, PATIENCE, Timekeeper, Witness
from tests.fakes import FakeClock, Settings

pytestmark = pytest.mark.anyio

HOUR = 3600.0


class SettableFakeClock(FakeClock):
    """A clock whose wall time was set by `error` seconds, and that carries on without it."""

    error = 0.0

    def ahead(self) -> float:
        return self.error

    def take_over(self) -> None:
        self.step_wall(timedelta(seconds=self.error))
        self.error = 0.0


@pytest.fixture
def clock() -> SettableFakeClock:
    return SettableFakeClock()


def witness(ahead: float | None, asked: list[float] | None = None) -> Witness:
    """Return an issuer whose clock is so much ahead of ours."""

    async def answer() -> float | None:
        if asked is not None:
            asked.append(0.0)
        return ahead

    return answer


def named(witnesses: Sequence[Witness]) -> dict[str, Witness]:
    return {f"issuer{number}": each for number, each in enumerate(witnesses)}


@asynccontextmanager
async def kept(clock: SettableFakeClock, witnesses: Sequence[Witness]) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Timekeeper(clock, lambda: named(witnesses)).run)
        yield
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("step", [HOUR, -HOUR])
async def test_a_step_that_the_issuer_does_not_confirm_changes_nothing(
    clock: SettableFakeClock, step: float
) -> None:
    asked: list[float] = []
    before = clock.now()
    async with kept(clock, [witness(0.0, asked)]):
        clock.error = step
        await clock.advance(10.0)
        assert clock.now() - before == timedelta(seconds=10)
        assert len(asked) == 1
        await clock.advance(ASK_EVERY)
        assert len(asked) == 2
        clock.error = 0.0  # set right again
        await clock.advance(ASK_EVERY + 2)
        assert len(asked) == 2


@pytest.mark.parametrize("step", [HOUR, -HOUR])
async def test_a_step_that_the_issuer_confirms_is_taken_over_within_a_second(
    clock: SettableFakeClock, step: float
) -> None:
    before = clock.now()
    async with kept(clock, [witness(step - 0.7)]):  # Date has no fractions
        clock.error = step
        await clock.advance(1.0)
        assert clock.now() - before == timedelta(seconds=step + 1)


async def test_most_issuers_decide(clock: SettableFakeClock) -> None:
    async with kept(clock, [witness(HOUR), witness(0.0), witness(0.0), witness(None)]):
        clock.error = HOUR
        await clock.advance(5.0)
        assert clock.error == HOUR


async def test_when_nobody_can_be_asked_the_wall_clock_is_believed_in_the_end(
    clock: SettableFakeClock,
) -> None:
    async with kept(clock, [witness(None)]):
        clock.error = HOUR
        await clock.advance(PATIENCE)
        assert clock.error == HOUR
        await clock.advance(2.0)
        assert clock.error == 0.0


async def test_a_witness_that_fails_has_not_answered_and_the_others_are_asked(
    clock: SettableFakeClock,
) -> None:
    async def broken() -> float | None:
        raise RuntimeError("nobody expected it")

    async with kept(clock, [broken, witness(HOUR)]):
        clock.error = HOUR
        await clock.advance(2.0)
        assert clock.error == 0.0


async def test_small_corrections_are_taken_over_without_asking(clock: SettableFakeClock) -> None:
    asked: list[float] = []
    async with kept(clock, [witness(0.0, asked)]):
        clock.error = 0.4
        await clock.advance(1.0)
        assert (clock.error, asked) == (0.0, [])


def test_the_machines_clock_carries_on_from_where_it_was_taken_over() -> None:
    clock = SystemClock()
    first = clock.now()
    assert abs(clock.ahead()) < 60
    assert clock.now() >= first
    clock.take_over()
    assert clock.now().tzinfo is not None


async def test_the_issuers_of_now_are_asked(clock: SettableFakeClock) -> None:
    before, after = list[float](), list[float]()
    witnesses = Settings(named([witness(0.0, before)]))
    keeper = Timekeeper(clock, witnesses)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keeper.run)
        witnesses.now = named([witness(HOUR, after)])
        clock.error = HOUR
        await clock.advance(10.0)
        tasks.cancel_scope.cancel()
    assert (before, clock.error) == ([], 0.0)
    assert after
