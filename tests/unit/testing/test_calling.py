"""Calls to plugins, many at once and cut short."""

import anyio
import pytest

from sessiond.testing.calling import AT_ONCE, STEPS, cancelled_at_each_step, many_at_once

pytestmark = pytest.mark.anyio


async def test_calls_are_under_way_at_once_and_all_answers_come_back() -> None:
    at_once, most = 0, 0

    async def call() -> int:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await anyio.lowlevel.checkpoint()
        at_once -= 1
        return most

    assert len(await many_at_once(call)) == AT_ONCE
    assert most == AT_ONCE


async def test_the_first_error_comes_out_as_it_is() -> None:
    async def fail() -> None:
        raise LookupError("nobody")

    with pytest.raises(LookupError, match="nobody"):
        await many_at_once(fail)


async def test_a_call_is_cut_a_little_later_each_time() -> None:
    reached: list[int] = []

    async def call() -> None:
        for step in range(STEPS + 5):
            reached.append(step)
            await anyio.lowlevel.checkpoint()

    await cancelled_at_each_step(call)
    assert reached.count(0) >= STEPS - 1
    assert 0 < max(reached) < STEPS + 4
