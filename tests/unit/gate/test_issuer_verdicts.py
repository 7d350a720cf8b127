"""What a verdict is kept by, and whose configuration it carries."""

from dataclasses import replace

import pytest

from sessiond.core.secret import Secret
from sessiond.gate.issuer_verdicts import TokenKey
from tests.fakes import FakeClock
from tests.unit.gate.fakes import ScriptedVerifier, at_work, gate_issuer, jwt

pytestmark = pytest.mark.anyio


def key(access: str = "access", user: str = "alice") -> TokenKey:
    return TokenKey.of(Secret(access), user=user)


@pytest.mark.parametrize("other", [key(access="another"), key(user="bob")])
def test_another_token_or_user_is_another_verdict(other: TokenKey) -> None:
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
