"""One timer, which rings at the earliest moment that was asked for."""

import math

import pytest

from sessiond.kdb.alarm import Alarm
from tests.fakes import FakeClock

pytestmark = pytest.mark.anyio


async def test_it_rings_at_the_earliest_moment_and_once(clock: FakeClock) -> None:
    rung = list[float]()
    alarm = Alarm(clock, lambda: rung.append(clock.monotonic()))
    now = clock.monotonic()
    for seconds in (5.0, 9.0, 2.0, 3.0, math.inf):
        alarm.by(now + seconds)
    await clock.advance(20)
    assert rung == [now + 2]
    alarm.by(now + 25)
    await clock.advance(20)
    assert rung == [now + 2, now + 25]


async def test_stopped_it_rings_no_more(clock: FakeClock) -> None:
    rung = list[float]()
    alarm = Alarm(clock, lambda: rung.append(1))
    alarm.by(clock.monotonic() + 1)
    alarm.stop()
    alarm.stop()
    await clock.advance(5)
    assert rung == []
