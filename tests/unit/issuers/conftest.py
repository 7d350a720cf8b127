import pytest

from tests.unit.issuers.fake import HandClock, IssuerStub


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def issuer(clock: HandClock) -> IssuerStub:
    return IssuerStub(clock)
