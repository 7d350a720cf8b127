"""What a verdict is kept by, and whose configuration it carries."""

from dataclasses import replace

import pytest

from sessiond.core.password import Presented
from sessiond.core.secret import Secret
from sessiond.gate import Issued, PresentedLogin
from sessiond.gate.issuer_verdicts import TokenKey
from tests.fakes import FakeClock
from tests.unit.gate.fakes import ScriptedVerifier, at_work, gate_issuer, jwt

pytestmark = pytest.mark.anyio


CORP, PARTNER = Issued(issuer="corp", client="web"), Issued(issuer="partner", client="web")


def key(
    access: str = "access", user: str | None = "alice", issued: Issued | None = None
) -> TokenKey:
    return TokenKey.of(PresentedLogin(user, Presented(Secret(access), None), issued))


@pytest.mark.parametrize(
    "other",
    [
        key(access="another"),
        key(user="bob"),
        key(user=None),
        key(user=None, issued=CORP),
        key(user=None, issued=PARTNER),
    ],
)
def test_another_token_user_or_giver_is_another_verdict(other: TokenKey) -> None:
    assert key() != other
    assert key() == key(user="ALICE")


def test_the_token_itself_is_not_kept() -> None:
    assert "secret-token" not in repr(key("secret-token"))
    assert b"secret-token" not in key("secret-token").token


@pytest.mark.parametrize("is_online", [True, False])
async def test_a_verdict_carries_the_generation_that_it_was_made_by(is_online: bool) -> None:
    clock, verifier = FakeClock(), ScriptedVerifier(is_online=is_online, needs=False)
    corp = replace(gate_issuer(verifier, clock), generation=3)
    async with at_work(corp, clock=clock) as gate:
        made, kept = await gate.admit(password=jwt()), await gate.admit(password=jwt())
    assert (made.verdict.generation, kept.verdict.generation) == (3, 3)
    assert len(verifier.asked) == 1
