"""Tokens that come without a typed name: a header's, and what an issuer gave to sessiond itself."""

from datetime import datetime, timedelta

import anyio
import pytest

from sessiond.core.errors import Refusal, TokenRejected
from sessiond.core.password import read_bearer
from sessiond.core.secret import Secret
from sessiond.core.verdict import Verdict
from sessiond.gate import GateIssuer, Issued, VerifiedLogin, Waiting
from tests.fakes import START, FakeClock, idle, principal, process_key, verdict
from tests.unit.gate.fakes import (
    GateAtWork,
    PlainVerifier,
    ScriptedVerifier,
    at_work,
    gate_issuer,
    jwt,
)

pytestmark = pytest.mark.anyio

BY_CODE = Issued(issuer="partner", client="kdb-web", expires_in=60.0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def two(clock: FakeClock, corp: ScriptedVerifier, partner: ScriptedVerifier) -> list[GateIssuer]:
    return [
        gate_issuer(corp, clock, stated=frozenset({"https://corp/"}), users=("*@corp",)),
        gate_issuer(
            partner,
            clock,
            name="partner",
            stated=frozenset({"https://partner/"}),
            users=("*@partner",),
        ),
    ]


async def admit(gate: GateAtWork, token: str, issued: Issued | None = None) -> VerifiedLogin:
    presented = gate.gate.read_bearer(token)
    return await gate.gate.admit(user=None, password=presented, owner=process_key(), issued=issued)


async def said(gate: GateAtWork, token: str, issued: Issued | None = None) -> str:
    try:
        return (await admit(gate, token, issued)).verdict.principal.name
    except TokenRejected as rejected:
        return rejected.reason.value


async def test_the_name_is_the_tokens_whose_issuer_must_answer_for_it(clock: FakeClock) -> None:
    corp = ScriptedVerifier(says=verdict(principal("a@corp")))
    partner = ScriptedVerifier(says=verdict(principal("a@corp", issuer="partner")))
    async with at_work(*two(clock, corp, partner), clock=clock) as gate:
        assert await said(gate, jwt("https://corp/")) == "a@corp"
        assert await said(gate, jwt("https://partner/")) == "wrongissuer"
        assert await said(gate, jwt("https://elsewhere/")) == "wrongissuer"


async def test_an_opaque_one_is_taken_where_there_is_one_issuer_and_nowhere_else(
    clock: FakeClock,
) -> None:
    corp, partner = ScriptedVerifier(), ScriptedVerifier()
    both = two(clock, corp, partner)
    only = gate_issuer(corp, clock, users=("*@nobody", "alice"))
    async with at_work(only, clock=clock) as gate:
        assert await said(gate, "opaque") == "alice"
        gate.change(*both)
        with pytest.raises(TokenRejected, match="there are 2 issuers, wanted one") as rejected:
            await admit(gate, "opaque")
    assert rejected.value.reason is Refusal.WRONGISSUER
    assert partner.asked == []


async def test_what_an_issuer_gave_us_is_asked_about_there_alone(clock: FakeClock) -> None:
    corp = ScriptedVerifier()
    partner = ScriptedVerifier(says=verdict(principal("b@partner", issuer="partner")))
    async with at_work(*two(clock, corp, partner), clock=clock) as gate:
        verified_login = await admit(gate, "opaque", BY_CODE)
        assert verified_login.verdict.principal.name == "b@partner"
        assert verified_login.client == "kdb-web"
        # Neither goes another's token by what it states, nor is what is kept a bearer's verdict.
        assert await said(gate, jwt("https://corp/"), BY_CODE) == "b@partner"
        assert await said(gate, "opaque") == "wrongissuer"
        gate.change(two(clock, corp, partner)[0])
        assert await said(gate, "opaque", BY_CODE) == "wrongissuer"
    assert corp.asked == []
    assert partner.asked == ["opaque", jwt("https://corp/")]


async def test_a_verdict_that_is_kept_of_a_typed_name_is_none_of_a_token_without(
    clock: FakeClock,
) -> None:
    verifier = ScriptedVerifier()
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        for _ in range(2):
            assert await gate.said("alice", "bearer:opaque") == "alice"
            assert await gate.said("bob", "bearer:opaque") == "usermismatch"
            assert await said(gate, "opaque") == "alice"
    assert verifier.asked == ["opaque"] * 3


async def test_many_requests_with_one_bearer_are_one_question(clock: FakeClock) -> None:
    verifier = ScriptedVerifier()
    landing = verifier.hold()
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        decided = [
            gate.gate.decide_now(user=None, password=read_bearer("opaque"), owner=process_key(pid))
            for pid in range(50)
        ]
        assert all(isinstance(each, Waiting) for each in decided)
        await idle()
        landing.set()
        for each in decided:
            assert isinstance(each, Waiting)
            assert (await each.answer()).verdict == verdict()
    assert len(verifier.asked) == 1


@pytest.mark.parametrize("is_ready", [True, False])
@pytest.mark.parametrize(("issued", "stated"), [(BY_CODE, 60.0), (None, None)])
async def test_how_long_it_lasts_is_as_the_token_endpoint_said(
    clock: FakeClock, is_ready: bool, issued: Issued | None, stated: float | None
) -> None:
    heard: list[float | None] = []

    class Hearing(ScriptedVerifier):
        async def verify(
            self, token: Secret, *, now: datetime, expires_in: float | None = None
        ) -> Verdict:
            heard.append(expires_in)
            return await super().verify(token, now=now, expires_in=expires_in)

        def verify_now(
            self,
            token: Secret,
            *,
            now: datetime,
            generation: int,
            expires_in: float | None = None,
        ) -> Verdict | None:
            heard.append(expires_in)
            return super().verify_now(token, now=now, generation=generation, expires_in=expires_in)

    scripted = Hearing(is_online=False, needs=False)
    verifier = scripted if is_ready else PlainVerifier(scripted)
    async with at_work(gate_issuer(verifier, clock, name="partner"), clock=clock) as gate:
        await admit(gate, jwt(), issued)
    assert heard == [stated]


async def test_one_that_runs_out_while_it_is_waited_for_lets_nobody_in(clock: FakeClock) -> None:
    verifier = ScriptedVerifier(says=verdict(length=timedelta(seconds=5)))
    landing, outcome = verifier.hold(), list[str]()
    async with (
        at_work(gate_issuer(verifier, clock), clock=clock) as gate,
        anyio.create_task_group() as tasks,
    ):

        async def come() -> None:
            outcome.append(await said(gate, "opaque"))

        tasks.start_soon(come)
        await idle()
        await clock.advance(timedelta(seconds=5))
        landing.set()
    assert (outcome, clock.now() - START) == (["expired"], timedelta(seconds=5))
