"""Who is admitted, who is asked, and how often."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import anyio
import pytest

from sessiond.core.errors import IssuerUnavailable, Refusal, TokenRejected
from sessiond.core.revocation import Revocation, Scope
from sessiond.gate import Gate, VerifiedLogin
from tests.fakes import START, FakeClock, idle, principal, process_key, verdict
from tests.fakes import grant as some_grant
from tests.unit.gate.fakes import ScriptedVerifier, at_work, gate_issuer, gate_settings, jwt, opaque

pytestmark = pytest.mark.anyio

INACTIVE = TokenRejected(Refusal.INACTIVE, "the issuer says so")
DOWN = IssuerUnavailable("no answer")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def verifier() -> ScriptedVerifier:
    return ScriptedVerifier()


async def test_an_admission_has_the_verdict_the_tokens_and_their_client(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    pair = "access-token-of-alice;refresh-token-of-alice!"
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        verified_login = await gate.admit("alice", pair)
    assert verified_login.verdict == verdict()
    assert verified_login.client == "qstudio"
    assert verified_login.presented.access.reveal() == "access-token-of-alice"
    assert verified_login.presented.refresh is not None
    assert verified_login.presented.refresh.reveal() == "refresh-token-of-alice!"
    assert verifier.asked == ["access-token-of-alice"]


@pytest.mark.parametrize(
    ("user", "password", "reason"),
    [
        ("alice", "a plain password", "nottoken"),
        ("alice", "bearer:" + "x" * 40_000, "toolarge"),
        ("alice", "bearer:white space", "malformed"),
        ("", opaque(), "usermismatch"),
        ("al\u0131ce", opaque(), "usermismatch"),
        ("a\nb", opaque(), "usermismatch"),
        ("x" * 257, opaque(), "usermismatch"),
        ("alice", jwt("https://elsewhere.example.com/"), "wrongissuer"),
        ("alice", jwt(None), "wrongissuer"),
    ],
)
async def test_what_cannot_be_verified_is_refused_and_no_issuer_hears_of_it(
    clock: FakeClock, verifier: ScriptedVerifier, user: str, password: str, reason: str
) -> None:
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        assert await gate.said(user, password) == reason
    assert verifier.asked == []


async def test_each_token_goes_to_its_own_issuer(clock: FakeClock) -> None:
    corp = ScriptedVerifier(says=verdict(principal("a@corp", issuer="corp")))
    other = ScriptedVerifier(says=verdict(principal("b@other", issuer="other")))
    gate_issuers = [
        gate_issuer(
            corp, clock, stated=frozenset({"https://corp/", "https://old/"}), users=("*@corp",)
        ),
        gate_issuer(
            other, clock, name="other", stated=frozenset({"https://other/"}), users=("*@other",)
        ),
    ]
    by_former_name, by_user = jwt("https://old/"), opaque("opaque-of-b")
    async with at_work(*gate_issuers, clock=clock) as gate:
        assert await gate.said("a@corp", by_former_name) == "a@corp"
        assert await gate.said("B@other", by_user) == "b@other"
        assert await gate.said("c@nowhere", opaque()) == "wrongissuer"
    assert corp.asked == [by_former_name]
    assert other.asked == ["opaque-of-b"]


@pytest.mark.parametrize(("typed", "said"), [("ALICE", "alice"), ("alicf", "usermismatch")])
async def test_the_typed_name_must_be_the_verified_one_but_for_case(
    clock: FakeClock, verifier: ScriptedVerifier, typed: str, said: str
) -> None:
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        assert await gate.said(typed) == said


async def test_a_verified_name_that_is_no_name_admits_nobody(clock: FakeClock) -> None:
    verifier = ScriptedVerifier(says=verdict(principal("\u0130")))
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        assert await gate.said("i") == "usermismatch"


async def test_an_issuer_answers_only_for_its_own_users_also_when_its_jwt_is_good(
    clock: FakeClock,
) -> None:
    verifier = ScriptedVerifier(is_online=False, says=verdict(principal("bob@partner")))
    async with at_work(gate_issuer(verifier, clock, users=("*@corp",)), clock=clock) as gate:
        assert await gate.said("bob@partner", jwt()) == "wrongissuer"


async def test_many_logins_with_one_token_are_one_question(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    admissions: list[VerifiedLogin] = []

    async def admit(pid: int) -> None:
        admissions.append(await gate.admit(owner=process_key(pid)))

    landing = verifier.hold()
    async with at_work(gate_issuer(verifier, clock, cache_for=0), clock=clock) as gate:
        async with anyio.create_task_group() as logins:
            for pid in range(200):
                logins.start_soon(admit, pid)
            await idle()
            assert admissions == []
            landing.set()
        assert len(admissions) == 200
    assert verifier.asked == ["opaque"]


async def test_one_token_for_two_names_is_two_questions(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        assert await gate.said("alice") == "alice"
        assert await gate.said("bob") == "usermismatch"
        assert await gate.said("ALICE") == "alice"
    assert verifier.asked == ["opaque", "opaque"]


async def test_a_login_that_is_given_up_leaves_the_question_open_for_the_second_handshake(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    landing = verifier.hold()
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        with anyio.CancelScope() as first:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(gate.admit)
                await idle()
                first.cancel()
        async with anyio.create_task_group() as tasks:
            second: list[str] = []

            async def admit() -> None:
                second.append(await gate.said())

            tasks.start_soon(admit)
            await idle()
            landing.set()
        assert second == ["alice"]
        assert await gate.said() == "alice"
    assert verifier.asked == ["opaque"]
    assert verifier.cancelled == 0


async def test_a_verdict_that_nobody_waited_for_is_kept(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    landing = verifier.hold()
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gate.admit)
            await idle()
            tasks.cancel_scope.cancel()
        landing.set()
        await idle()
        verifier.says = INACTIVE
        assert await gate.said() == "alice"
    assert verifier.asked == ["opaque"]


async def test_a_verdict_is_used_again_until_its_time_is_over(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    async with at_work(gate_issuer(verifier, clock, cache_for=30), clock=clock) as gate:
        await gate.admit()
        await clock.advance(29)
        await gate.admit()
        assert len(verifier.asked) == 1
        await clock.advance(1)
        await gate.admit()
        assert len(verifier.asked) == 2


@pytest.mark.parametrize("is_online", [True, False])
async def test_without_a_cache_every_login_is_verified(clock: FakeClock, is_online: bool) -> None:
    verifier = ScriptedVerifier(is_online=is_online, needs=False)
    async with at_work(gate_issuer(verifier, clock, cache_for=0), clock=clock) as gate:
        for _ in range(3):
            await gate.admit("alice", jwt())
        verifier.says = INACTIVE
        assert await gate.said("alice", jwt()) == "inactive"
        verifier.says = verdict()
        assert await gate.said("alice", jwt()) == "alice"
    assert len(verifier.asked) == 5


async def test_a_kept_verdict_ends_with_its_token(clock: FakeClock) -> None:
    verifier = ScriptedVerifier(says=verdict(length=timedelta(seconds=10)))
    async with at_work(gate_issuer(verifier, clock, cache_for=300), clock=clock) as gate:
        await clock.advance(9)
        assert await gate.said() == "alice"
        await clock.advance(1)
        verifier.says = TokenRejected(Refusal.EXPIRED, "it is over")
        assert await gate.said() == "expired"
    assert len(verifier.asked) == 2


async def test_a_token_that_runs_out_while_it_is_asked_about_admits_nobody(
    clock: FakeClock,
) -> None:
    verifier = ScriptedVerifier(says=verdict(length=timedelta(seconds=10)))
    landing = verifier.hold()
    said: list[str] = []
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:

        async def admit() -> None:
            said.append(await gate.said())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(admit)
            await clock.advance(10)
            landing.set()
    assert said == ["expired"]


async def test_a_kept_verdict_ends_with_the_key_that_signed_its_token(clock: FakeClock) -> None:
    said = replace(verdict(), key_id="2026-03")
    verifier = ScriptedVerifier(is_online=False, needs=False, says=said)
    async with at_work(gate_issuer(verifier, clock, cache_for=300), clock=clock) as gate:
        await gate.admit("alice", jwt())
        verifier.withdrawn.add("2026-03")
        verifier.says = TokenRejected(Refusal.BADSIGNATURE, "no such key")
        assert await gate.said("alice", jwt()) == "badsignature"
        verifier.withdrawn.clear()
        assert await gate.said("alice", jwt()) == "badsignature"


async def test_a_revocation_empties_the_cache_and_nothing_else_does(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    revocation = Revocation(
        id=UUID(int=1), scope=Scope.USER, value="somebody", at=START, reason="left"
    )
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        await gate.admit()
        await gate.commits(some_grant())
        await idle()
        await gate.admit()
        assert len(verifier.asked) == 1
        await gate.commits(revocation)
        await idle()
        await gate.admit()
        assert len(verifier.asked) == 2


async def test_a_refusal_is_kept_for_the_second_handshake_and_not_much_longer(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    verifier.says = INACTIVE
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        assert await gate.said() == "inactive"
        verifier.says = verdict()
        await clock.advance(1.9)
        assert await gate.said() == "inactive"
        await clock.advance(0.1)
        assert await gate.said() == "alice"


async def test_a_forged_token_that_comes_again_and_again_is_verified_once(
    clock: FakeClock,
) -> None:
    signed = ScriptedVerifier(is_online=False, needs=False)
    signed.says = TokenRejected(Refusal.BADSIGNATURE, "forged")
    async with at_work(gate_issuer(signed, clock), clock=clock) as gate:
        assert [await gate.said() for _ in range(5)] == ["badsignature"] * 5
        assert len(signed.asked) == 1


async def test_each_who_waited_gets_an_error_of_his_own(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    verifier.says = INACTIVE
    errors: list[TokenRejected] = []

    async def admit() -> None:
        with pytest.raises(TokenRejected) as caught:
            await gate.admit()
        errors.append(caught.value)

    async with (
        at_work(gate_issuer(verifier, clock), clock=clock) as gate,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(admit)
        tasks.start_soon(admit)
    assert len({id(error) for error in [*errors, INACTIVE]}) == 3
    assert {str(error) for error in errors} == {str(INACTIVE)}


async def test_that_an_issuer_did_not_answer_is_not_kept(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    verifier.says = DOWN
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        assert await gate.said() == "unavailable"
        verifier.says = verdict()
        assert await gate.said() == "alice"


async def test_a_signed_token_whose_key_is_at_hand_is_verified_without_waiting(
    clock: FakeClock,
) -> None:
    verifier = ScriptedVerifier(is_online=False, needs=False)
    gate = Gate(gate_settings(gate_issuer(verifier, clock)), clock=clock)  # nobody runs it
    verified_login = await gate.admit(user="alice", password=jwt(), owner=process_key())
    assert verified_login.verdict.principal.name == "alice"


async def test_a_gate_that_does_not_run_yet_asks_nobody(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    gate = Gate(gate_settings(gate_issuer(verifier, clock)), clock=clock)
    with pytest.raises(IssuerUnavailable, match="is starting"):
        await gate.admit(user="alice", password=opaque(), owner=process_key())
    assert verifier.asked == []


async def test_when_the_gate_stops_whoever_waits_is_told_unavailable(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    verifier.hold()
    said: list[str] = []

    async def admit() -> None:
        said.append(await gate.said())

    async with anyio.create_task_group() as tasks:
        async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
            tasks.start_soon(admit)
            await idle()
        await idle()
        assert said == ["unavailable"]
    assert verifier.cancelled == 1
