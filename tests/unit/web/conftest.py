from collections.abc import AsyncIterator

import pytest

from tests.fakes import FakeClock
from tests.unit.web.browsing import Surfing, surfing


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def world(clock: FakeClock) -> AsyncIterator[Surfing]:
    async with surfing(clock) as at_work:
        yield at_work
