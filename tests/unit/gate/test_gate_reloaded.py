"""A gate whose doors are replaced: who is on the way in, and what is remembered."""

from dataclasses import replace

import anyio
import pytest

from sessiond.core.errors import IssuerUnavailable
from tests.fakes import FakeClock, idle, process_key
from tests.unit.gate.fakes import ScriptedVerifier, at_work, gate_issuer, jwt, opaque

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def test_a_login_under_way_is_judged_by_the_issuer_it_came_to(clock: FakeClock) -> None:
    old, new = ScriptedVerifier(), ScriptedVerifier()
    before, after = gate_issuer(old, clock), replace(gate_issuer(new, clock), generation=2)
    held = old.hold()
    said: list[str] = []
    async with at_work(before, clock=clock) as work, anyio.create_task_group() as tasks:

        async def log_in() -> None:
            said.append(await work.said())

        tasks.start_soon(log_in)
        await idle()
        work.change(after)
        assert await work.said() == "alice"  # asks anew, and does not join the other
        assert (len(old.asked), len(new.asked)) == (1, 1)
        held.set()
        await idle()
        assert said == ["alice"]
        await work.said()
        assert len(new.asked) == 1  # its verdict is used again, the old issuer's is not


async def test_an_issuer_that_is_left_alone_keeps_its_verdicts(clock: FakeClock) -> None:
    verifier = ScriptedVerifier()
    corp = gate_issuer(verifier, clock)
    async with at_work(corp, clock=clock) as work:
        await work.said()
        work.change(replace(corp, cache_for=60.0))
        await work.said()
        assert len(verifier.asked) == 1


async def test_a_token_is_routed_anew_once_there_are_other_routes(clock: FakeClock) -> None:
    verifier = ScriptedVerifier()
    corp = gate_issuer(verifier, clock)
    other = gate_issuer(ScriptedVerifier(), clock, name="other")
    held = verifier.hold()
    async with at_work(corp, clock=clock) as work, anyio.create_task_group() as tasks:
        tasks.start_soon(work.said, "alice", opaque("waiting"))
        await idle()
        verifier.held = None
        assert await work.said(password=opaque("kept")) == "alice"
        work.change(corp, other)  # either could answer for the name
        held.set()
        await idle()
        for name in ("kept", "waiting"):
            assert await work.said(password=opaque(name)) == "wrongissuer"
        assert await work.said(password=jwt(number=1)) == "wrongissuer"


async def test_how_many_may_wait_follows(clock: FakeClock) -> None:
    verifier = ScriptedVerifier()
    corp = gate_issuer(verifier, clock)
    verifier.hold()
    async with at_work(corp, clock=clock, waiting=1) as work, anyio.create_task_group() as tasks:
        tasks.start_soon(work.said, "alice", opaque("one"), process_key())
        await idle()
        assert await work.said(password=opaque("two")) == "throttled"
        work.change(corp, waiting=2)
        tasks.start_soon(work.said, "alice", opaque("two"), process_key())
        await idle()
        assert len(verifier.asked) == 2
        tasks.cancel_scope.cancel()


async def test_an_issuer_that_is_replaced_is_tried_out_no_more(clock: FakeClock) -> None:
    old = ScriptedVerifier(says=IssuerUnavailable("down"), probe_says=IssuerUnavailable("down"))
    new = ScriptedVerifier()
    async with at_work(gate_issuer(old, clock), clock=clock) as work:
        for number in range(3):
            assert await work.said(password=opaque(f"{number}")) == "unavailable"
        await clock.advance(1.0)
        assert old.probes == 2
        work.change(replace(gate_issuer(new, clock), generation=2))
        await clock.advance(60.0)
        assert old.probes == 2
        assert await work.said() == "alice"


async def test_a_verdict_is_used_no_longer_than_is_configured_now(clock: FakeClock) -> None:
    verifier = ScriptedVerifier()
    corp = gate_issuer(verifier, clock, cache_for=300.0)
    async with at_work(corp, clock=clock) as work:
        await work.said()
        work.change(replace(corp, cache_for=0.0))
        await work.said()
        await work.said()
        assert len(verifier.asked) == 3


async def test_a_verdict_under_way_is_kept_as_is_configured_when_it_comes(
    clock: FakeClock,
) -> None:
    verifier = ScriptedVerifier()
    corp = gate_issuer(verifier, clock, cache_for=300.0)
    held = verifier.hold()
    async with at_work(corp, clock=clock) as work, anyio.create_task_group() as tasks:
        tasks.start_soon(work.said)
        await idle()
        work.change(replace(corp, cache_for=0.0))
        held.set()
        await idle()
        await work.said()
        assert len(verifier.asked) == 2
