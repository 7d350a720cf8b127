"""When a kept verdict ends.

The verifier is the real one for JWTs, at an issuer in memory, and it is counted how often it was
asked.
"""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from sessiond.core.claims import ClaimRules
from sessiond.core.revocation import Revocation, Scope
from sessiond.core.secret import Secret
from sessiond.core.verdict import Verdict
from sessiond.issuers.jwt import JwtVerifier
from sessiond.issuers.keys import Keys
from sessiond.jwt.access import TokenRules
from tests.fakes import idle
from tests.unit.gate.fakes import at_work, gate_issuer
from tests.unit.issuers.fake import HandClock, IssuerStub
from tests.unit.jwt.forge import ISSUER, OTHER_RSA, RSA, T, jwk, token

pytestmark = pytest.mark.anyio

ALICE = "alice@example.com"
TOKEN = token({"exp": T + 60}).reveal()
ACCEPTED = ALICE
KEPT_FOR = 3600.0  # seconds: longer than anything here


class CountingVerifier(JwtVerifier):
    verified = 0

    def verify_now(
        self, token: Secret, *, now: datetime, generation: int, expires_in: float | None = None
    ) -> Verdict | None:
        self.verified += 1
        return super().verify_now(token, now=now, generation=generation, expires_in=expires_in)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def issuer(clock: HandClock) -> IssuerStub:
    issuer = IssuerStub(clock)
    issuer.publishes()
    issuer.says("/keys", {"keys": [jwk(RSA, kid="rsa")]})
    return issuer


@pytest.fixture
def keys(issuer: IssuerStub, clock: HandClock) -> Keys:
    http = issuer.http()
    return Keys(http=http, discovery=issuer.discovery(http), clock=clock, name="corp")


@pytest.fixture
def verifier(keys: Keys) -> CountingVerifier:
    return verifier_for(keys, audience="api://kdb")


def verifier_for(keys: Keys, *, audience: str) -> CountingVerifier:
    return CountingVerifier(
        keys=keys,
        tokens=TokenRules(
            issuers=frozenset({ISSUER}),
            audience=frozenset({audience}),
            algorithms=frozenset({"RS256"}),
            types=frozenset({"at+jwt"}),
        ),
        claims=ClaimRules(
            issuer="corp",
            user_claim="preferred_username",
            subject_claim="sub",
            lease=timedelta(hours=1),
        ),
    )


async def test_a_kept_verdict_stands_while_nothing_ends_it(
    verifier: CountingVerifier, clock: HandClock
) -> None:
    async with at_work(gate_issuer(verifier, clock, cache_for=KEPT_FOR), clock=clock) as gate:
        for _ in range(3):
            assert await gate.said(ALICE, TOKEN) == ACCEPTED
            clock.pass_(10)
    assert verifier.verified == 1


async def test_a_kept_verdict_ends_with_its_token(
    verifier: CountingVerifier, clock: HandClock
) -> None:
    async with at_work(gate_issuer(verifier, clock, cache_for=KEPT_FOR), clock=clock) as gate:
        assert await gate.said(ALICE, TOKEN) == ACCEPTED
        clock.pass_(59.999)
        assert await gate.said(ALICE, TOKEN) == ACCEPTED
        assert verifier.verified == 1
        clock.pass_(0.001)
        assert await gate.said(ALICE, TOKEN) == "expired"
    assert verifier.verified == 2


async def test_a_kept_verdict_ends_with_the_withdrawal_of_its_key(
    verifier: CountingVerifier, keys: Keys, issuer: IssuerStub, clock: HandClock
) -> None:
    async with at_work(gate_issuer(verifier, clock, cache_for=KEPT_FOR), clock=clock) as gate:
        assert await gate.said(ALICE, TOKEN) == ACCEPTED
        issuer.says("/keys", {"keys": [jwk(RSA, kid="rsa"), jwk(OTHER_RSA, kid="new")]})
        await keys.fetch()
        assert await gate.said(ALICE, TOKEN) == ACCEPTED
        assert verifier.verified == 1
        issuer.says("/keys", {"keys": [jwk(OTHER_RSA, kid="new")]})
        await keys.fetch()
        assert await gate.said(ALICE, TOKEN) == "badsignature"
    assert verifier.verified == 2


async def test_a_kept_verdict_ends_when_its_kid_is_given_to_another_key(
    verifier: CountingVerifier, keys: Keys, issuer: IssuerStub, clock: HandClock
) -> None:
    async with at_work(gate_issuer(verifier, clock, cache_for=KEPT_FOR), clock=clock) as gate:
        assert await gate.said(ALICE, TOKEN) == ACCEPTED
        issuer.says("/keys", {"keys": [jwk(OTHER_RSA, kid="rsa")]})
        await keys.fetch()
        assert await gate.said(ALICE, TOKEN) == "badsignature"


async def test_a_kept_verdict_ends_with_a_revocation(
    verifier: CountingVerifier, clock: HandClock
) -> None:
    revocation = Revocation(
        id=UUID(int=1), scope=Scope.USER, value=ALICE, at=clock.now(), reason="left"
    )
    async with at_work(gate_issuer(verifier, clock, cache_for=KEPT_FOR), clock=clock) as gate:
        assert await gate.said(ALICE, TOKEN) == ACCEPTED
        await gate.commits(revocation)
        await idle()
        assert await gate.said(ALICE, TOKEN) == ACCEPTED  # by the gate; the table refuses it
    assert verifier.verified == 2


async def test_a_kept_verdict_ends_with_a_reload(
    verifier: CountingVerifier, keys: Keys, clock: HandClock
) -> None:
    async with at_work(gate_issuer(verifier, clock, cache_for=KEPT_FOR), clock=clock) as gate:
        assert await gate.said(ALICE, TOKEN) == ACCEPTED
    stricter = verifier_for(keys, audience="api://other")
    async with at_work(gate_issuer(stricter, clock, cache_for=KEPT_FOR), clock=clock) as gate:
        assert await gate.said(ALICE, TOKEN) == "wrongaudience"
    assert (verifier.verified, stricter.verified) == (1, 1)
