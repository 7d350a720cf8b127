import pytest

from tests.unit.issuers.fake import FakeIssuer, HandClock


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def issuer(clock: HandClock) -> FakeIssuer:
    return FakeIssuer(clock)
