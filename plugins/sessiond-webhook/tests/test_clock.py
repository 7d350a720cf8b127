"""The machine's clocks."""

import os
import tempfile

import pytest
from sessiond_webhook.clock import SystemClock

pytestmark = pytest.mark.anyio


async def test_it_tells_the_machines_time_and_sleep_lets_it_pass() -> None:
    clock = SystemClock()
    began, then = clock.monotonic(), clock.now()
    with tempfile.TemporaryFile() as file:
        assert abs(os.fstat(file.fileno()).st_mtime - then) < 3600
    await clock.sleep(0.01)
    assert clock.monotonic() - began >= 0.01


async def test_draws_differ_and_are_below_one() -> None:
    draws = {SystemClock().draw() for _ in range(20)}
    assert len(draws) == 20
    assert all(0 <= draw < 1 for draw in draws)
