"""What a refreshed token proves at its issuer."""

import anyio
import pytest

from sessiond.core.errors import TokenRejected
from sessiond.core.secret import Secret
from sessiond.extensions.verifiers import NoRefresh
from sessiond.gate import FairLimiter
from sessiond.refresher import RefreshIssuer
from tests.fakes import START
from tests.unit.gate.fakes import ScriptedVerifier

pytestmark = pytest.mark.anyio


def corp(*, admits: bool = True) -> RefreshIssuer:
    return RefreshIssuer(
        iss="https://login.example.com/",
        sources={"qstudio": NoRefresh()},
        verifier=ScriptedVerifier(),
        admits=lambda user: admits,
        limiter=anyio.CapacityLimiter(1),
        unproved=FairLimiter(1),
        generation=3,
    )


async def test_a_verdict_carries_the_generation_that_it_was_made_by() -> None:
    assert (await corp().verify(Secret("token"), now=START)).generation == 3


async def test_a_user_who_may_not_come_from_there_is_refused() -> None:
    with pytest.raises(TokenRejected, match="wrongissuer"):
        await corp(admits=False).verify(Secret("token"), now=START)
