"""A login can say what its time went to, however it ends."""

import anyio
import pytest

from sessiond.core.errors import IssuerUnavailable, TokenRejected
from sessiond.gate import LoginTimings
from tests.fakes import FakeClock, idle, process_key
from tests.unit.gate.fakes import GateAtWork, ScriptedVerifier, at_work, gate_issuer, opaque

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def admit(gate: GateAtWork, timings: LoginTimings, name: str = "one") -> None:
    await gate.gate.admit(user="alice", password=opaque(name), owner=process_key(), timings=timings)


async def test_the_wait_for_a_turn_and_the_call_are_told_apart(clock: FakeClock) -> None:
    verifier, first, second, joining = (
        ScriptedVerifier(),
        LoginTimings(),
        LoginTimings(),
        LoginTimings(),
    )
    async with at_work(gate_issuer(verifier, clock, places=1), clock=clock) as gate:
        landing = verifier.hold()
        async with anyio.create_task_group() as logins:
            logins.start_soon(admit, gate, first, "one")
            await idle()
            logins.start_soon(admit, gate, second, "two")
            await clock.advance(3)
            verifier.hold().set()
            landing.set()
            await idle()
            verifier.hold()
            logins.start_soon(admit, gate, joining, "three")
            await clock.advance(2)
            logins.start_soon(admit, gate, late := LoginTimings(), "three")
            await clock.advance(1)
            assert verifier.held is not None
            verifier.held.set()
    assert first == LoginTimings(issuer="corp", queued=0, called=3)
    assert second == LoginTimings(issuer="corp", queued=3, called=0)
    assert joining == late == LoginTimings(issuer="corp", queued=0, called=3)  # one call, for both


async def test_who_waits_no_longer_knows_what_it_took_so_far(clock: FakeClock) -> None:
    verifier, calling, queued = ScriptedVerifier(), LoginTimings(), LoginTimings()
    async with at_work(gate_issuer(verifier, clock, places=1), clock=clock) as gate:
        landing = verifier.hold()
        async with anyio.create_task_group() as logins:
            logins.start_soon(admit, gate, calling, "one")
            await idle()
            logins.start_soon(admit, gate, queued, "two")
            await clock.advance(2)
            logins.cancel_scope.cancel()
        landing.set()
    assert calling == LoginTimings(issuer="corp", queued=0, called=2)
    assert queued == LoginTimings(issuer="corp", queued=2, called=None)


async def test_a_verdict_that_is_kept_took_no_call(clock: FakeClock) -> None:
    timings = LoginTimings()
    async with at_work(gate_issuer(ScriptedVerifier(), clock), clock=clock) as gate:
        await admit(gate, LoginTimings())
        await admit(gate, timings)
    assert timings == LoginTimings(issuer="corp")


async def test_a_refusal_knows_its_issuer_once_there_is_one(clock: FakeClock) -> None:
    plain, down = LoginTimings(), LoginTimings()
    verifier = ScriptedVerifier(says=IssuerUnavailable("down"))
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        with pytest.raises(TokenRejected):
            await gate.gate.admit(
                user="alice", password="hunter2", owner=process_key(), timings=plain
            )
        with pytest.raises(IssuerUnavailable):
            await admit(gate, down)
    assert plain == LoginTimings()
    assert down == LoginTimings(issuer="corp", queued=0, called=0)
