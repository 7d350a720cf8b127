"""Time passes when a test says so; what works outside the event loop is waited for."""

import threading

import anyio
import anyio.to_thread
import pytest

from sessiond.testing import FakeClock, idle

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_sleepers_wake_each_at_its_own_moment() -> None:
    clock, woken = FakeClock(), list[tuple[str, float]]()
    begun = clock.monotonic()

    async def sleep(name: str, *naps: float) -> None:
        for nap in naps:
            await clock.sleep(nap)
            woken.append((name, clock.monotonic() - begun))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sleep, "often", 1, 1, 0, 1)
        tasks.start_soon(sleep, "long", 2.5)
        await clock.advance(2.5)
        assert clock.sleepers == 1
        tasks.cancel_scope.cancel()
    assert woken == [("often", 1), ("often", 2), ("often", 2), ("long", 2.5)]
    assert clock.sleepers == 0


async def test_work_in_a_thread_holds_the_clock() -> None:
    clock, go, done = FakeClock(), threading.Event(), list[float]()

    async def work() -> None:
        with clock.holding():
            await anyio.to_thread.run_sync(go.wait, 0.05)
            done.append(clock.monotonic())

    begun = clock.monotonic()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        await clock.advance(10)
    assert done == [begun]


async def test_who_hangs_is_passed_by_once_and_for_all() -> None:
    clock, hangs = FakeClock(patience=0), anyio.Event()

    async def hang() -> None:
        with clock.holding():
            await hangs.wait()

    begun = clock.monotonic()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hang)
        await clock.advance(10)
        assert clock.monotonic() - begun == 10
        hangs.set()
        await idle()
    await clock.settle()
