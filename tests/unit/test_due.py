from collections.abc import Callable
from datetime import timedelta
from typing import Any

import anyio
import pytest

from sessiond.due import TICK, DueQueue
from tests.fakes import HOUR, START, FakeClock, idle

pytestmark = pytest.mark.anyio

SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def queue(clock: FakeClock) -> DueQueue[str]:
    return DueQueue(clock)


def watching(
    queue: DueQueue[str], clock: FakeClock, seen: list[tuple[timedelta, list[str]]]
) -> Callable[[], Any]:
    """Return a task that notes what is taken, and when."""

    async def watch() -> None:
        while True:
            taken = await queue.take(2)
            seen.append((clock.now() - START, taken))

    return watch


async def test_keys_are_taken_when_they_are_due_the_earliest_first(
    queue: DueQueue[str], clock: FakeClock
) -> None:
    seen: list[tuple[timedelta, list[str]]] = []
    queue.add(START + 3 * SECOND, "third")
    queue.add(START + SECOND, "first")
    queue.add(START + SECOND, "second")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watching(queue, clock, seen))
        await clock.advance(10)
        tasks.cancel_scope.cancel()
    assert seen == [(SECOND, ["first", "second"]), (3 * SECOND, ["third"])]


async def test_what_is_over_already_is_taken_at_once_in_lots(queue: DueQueue[str]) -> None:
    for key in "abc":
        queue.add(START - HOUR, key)
    assert await queue.take(2) == ["a", "b"]
    assert await queue.take(2) == ["c"]


async def test_a_key_may_be_there_twice(queue: DueQueue[str]) -> None:
    queue.add(START, "again")
    queue.add(START, "again")
    assert await queue.take(9) == ["again", "again"]


async def test_what_is_added_to_a_waiting_queue_is_taken_within_a_tick(
    queue: DueQueue[str], clock: FakeClock
) -> None:
    seen: list[tuple[timedelta, list[str]]] = []
    queue.add(START + HOUR, "late")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watching(queue, clock, seen))
        await clock.advance(TICK / 2)
        queue.add_in(0.1, "soon")
        await clock.advance(TICK)
        tasks.cancel_scope.cancel()
    assert seen == [(timedelta(seconds=TICK), ["soon"])]


async def test_a_wall_clock_that_steps_forth_is_noticed_within_a_tick(
    queue: DueQueue[str], clock: FakeClock
) -> None:
    seen: list[tuple[timedelta, list[str]]] = []
    queue.add(START + HOUR, "key")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watching(queue, clock, seen))
        await idle()
        clock.step_wall(HOUR)
        await clock.advance(TICK)
        tasks.cancel_scope.cancel()
    assert [keys for _, keys in seen] == [["key"]]


async def test_a_wall_clock_that_steps_back_makes_keys_wait(
    queue: DueQueue[str], clock: FakeClock
) -> None:
    seen: list[tuple[timedelta, list[str]]] = []
    queue.add(START + SECOND, "key")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watching(queue, clock, seen))
        await idle()
        clock.step_wall(-5 * SECOND)
        await clock.advance(5)
        assert seen == []
        await clock.advance(1)
        tasks.cancel_scope.cancel()
    assert seen == [(SECOND, ["key"])]


async def test_keys_that_come_at_once_are_looked_at_like_others(
    queue: DueQueue[str], clock: FakeClock
) -> None:
    queue.add(START + 2 * SECOND, "b")
    queue.add_all([(START + HOUR, "c"), (START, "a"), (START + 2 * SECOND, "b2")])
    queue.add(START + 2 * SECOND, "b3")
    assert await queue.take(9) == ["a"]
    await clock.advance(2 * SECOND)
    assert await queue.take(9) == ["b", "b2", "b3"]
