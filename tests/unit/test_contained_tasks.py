"""Whatever is raised, wherever a stranger is waited for: that alone fails, and the next works."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from functools import partial

import anyio
import httpx
import pytest

from sessiond.api import Granted, Principal, Verifier
from sessiond.containment import Containment
from sessiond.extensions.roles import AskedRoles, RoleTerms
from sessiond.timekeeper import Timekeeper
from tests.fakes import HOUR, FakeClock, idle
from tests.unit.extensions.roles.fakes import asked
from tests.unit.gate.fakes import GateAtWork, ScriptedVerifier, at_work, gate_issuer, opaque
from tests.unit.issuers import test_introspection, test_jwt, test_userinfo
from tests.unit.issuers.fake import Answering, HandClock, IssuerStub
from tests.unit.jwt.forge import NOW, token
from tests.unit.refresher import test_refresher_recheck
from tests.unit.refresher.refreshing import at_work as refreshing
from tests.unit.test_timekeeper import SettableFakeClock
from tests.unit.tripwire import UNEXPECTED, TrippedVerifier, Tripwire, wires

pytestmark = pytest.mark.anyio
NAME = "alice@example.com"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class TrippedBody(httpx.AsyncByteStream):
    """A body that comes a piece at a time, so that there is more than one place to wait at."""

    def __init__(self, content: bytes, wire: Tripwire) -> None:
        self._content = content
        self._wire = wire

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self._content), 200):
            await self._wire.wait()
            yield self._content[at : at + 200]

    async def aclose(self) -> None:
        await self._wire.wait()


def tripped(answer: Answering, wire: Tripwire) -> Answering:
    """Return the same answer, in pieces, each of them waited for."""

    async def slow(request: httpx.Request) -> httpx.Response:
        await wire.wait()
        said = answer(request)
        assert isinstance(said, httpx.Response)
        return httpx.Response(said.status_code, stream=TrippedBody(said.content, wire))

    return slow


def introspecting(issuer: IssuerStub) -> Verifier:
    issuer.says("/introspect", test_introspection.ACTIVE)
    return test_introspection.verifier_of(issuer)


def asking_userinfo(issuer: IssuerStub) -> Verifier:
    issuer.says("/userinfo", test_userinfo.ALICE)
    return test_userinfo.verifier_of(issuer)


Make = Callable[[IssuerStub], Verifier]
WAYS = pytest.mark.parametrize("make", [introspecting, asking_userinfo, test_jwt.verifier_of])


def made(make: Make, wire: Tripwire) -> Verifier:
    """Return a verifier that knows nothing of its issuer yet."""
    issuer = IssuerStub(HandClock())
    verifier = make(issuer)
    for path, answer in tuple(issuer._answers.items()):
        issuer.on(path, tripped(answer, wire))
    return TrippedVerifier(verifier, wire)


async def said(gate: GateAtWork) -> str:
    return await gate.said(NAME, f"bearer:{token().reveal()}")


@WAYS
@UNEXPECTED
async def test_a_login_is_answered_and_the_next_one_is_let_in(make: Make, error: Exception) -> None:
    for wire in wires(error):
        clock, containment = FakeClock(NOW), Containment()
        corp = gate_issuer(made(make, wire), clock)
        async with at_work(corp, clock=clock, containment=containment) as gate:
            first = await said(gate)
            assert first == ("unavailable" if wire.is_tripped else NAME)
            assert await said(gate) == NAME
            assert not corp.breaker.needs_trial


@WAYS
@UNEXPECTED
async def test_a_trial_call_ends_nothing_and_keeps_nobody_out(make: Make, error: Exception) -> None:
    for wire in wires(error):
        clock = FakeClock(NOW)
        corp = gate_issuer(made(make, wire), clock)
        async with at_work(corp, clock=clock) as gate:
            corp.breaker.hold(1)
            assert await said(gate) == "unavailable"
            await clock.advance(3)  # two trial calls
            wire.cut()
            assert await said(gate) == NAME


@UNEXPECTED
async def test_what_tends_an_issuer_is_begun_again(error: Exception) -> None:
    for wire in wires(error):
        clock, containment, done = FakeClock(NOW), Containment(), list[bool]()
        verifier = made(test_jwt.verifier_of, wire)

        async def work(verifier: Verifier = verifier, done: list[bool] = done) -> None:
            await verifier.probe()
            done.append(True)

        keep_up = partial(containment.keep_up, task="issuer", whose="corp", clock=clock)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keep_up, work)
            await clock.advance(1)
        assert done == [True]


@UNEXPECTED
async def test_a_refresh_is_tried_again_and_the_session_goes_on(error: Exception) -> None:
    for wire in wires(error):
        clock = FakeClock()
        async with refreshing(clock, wire=wire) as work:
            await work.log_in()
            await work.minutes(7)
            wire.cut()
            await work.minutes(3.5)  # the first lease is over
            assert len(await work.live()) == 1
            failures = work.refresher._containment.failures
            assert failures == ({("refresh", "corp"): 1} if wire.is_tripped else {})


@UNEXPECTED
async def test_a_token_that_is_given_back_ends_nothing_by_failing(error: Exception) -> None:
    for wire in wires(error):
        clock = FakeClock()
        async with refreshing(clock, wire=wire) as work:
            await work.log_in()
            await work.revoke()
            await idle()
            failures = work.refresher._containment.failures
            assert failures == ({("token given back", "corp"): 1} if wire.is_tripped else {})
            wire.cut()
            await clock.advance(1)
            await work.log_in(2, access="other", refresh="another")
            await work.minutes(10.5)
            assert len(await work.live()) == 1


@UNEXPECTED
async def test_an_issuer_asked_again_about_a_token_is_asked_once_more(error: Exception) -> None:
    for wire in wires(error):
        clock = FakeClock()
        async with refreshing(clock, recheck=60.0, wire=wire) as work:
            await test_refresher_recheck.log_in(work)
            await work.minutes(1.5)
            wire.cut()
            await work.minutes(2)
            assert len(await work.live()) == 1
            assert len(work.verifier.asked) >= 3


@UNEXPECTED
async def test_a_witness_that_fails_is_asked_again(error: Exception) -> None:
    for wire in wires(error):
        clock, containment = SettableFakeClock(), Containment()

        async def witness(wire: Tripwire = wire) -> float | None:
            await wire.wait()
            return HOUR.total_seconds()

        keeper = Timekeeper(clock, lambda: {"corp": witness}, containment)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keeper.run)
            clock.error = HOUR.total_seconds()
            await clock.advance(5)
            assert clock.error == 0.0
            tasks.cancel_scope.cancel()


class TrippedRoles:
    """A RoleSource that waits."""

    def __init__(self, wire: Tripwire) -> None:
        self.wire = wire

    async def roles(self, principal: Principal, *, now: datetime) -> Granted:
        await self.wire.wait()
        return Granted(roles=["reader"])


@UNEXPECTED
async def test_a_role_source_that_fails_leaves_that_login_alone_without_a_verdict(
    error: Exception,
) -> None:
    for wire in wires(error):
        clock = FakeClock()
        async with anyio.create_task_group() as tasks:
            source = asked(TrippedRoles(wire), clock, tasks)
            terms = RoleTerms(sources=(source,), default_roles=())
            corp = gate_issuer(ScriptedVerifier(), clock, roles=AskedRoles(terms, clock))
            async with at_work(corp, clock=clock) as gate:
                first = await gate.said("alice", opaque("first"))
                assert first == ("unavailable" if wire.is_tripped else "alice")
                assert await gate.said("alice", opaque("next")) == "alice"
