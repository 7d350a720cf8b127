"""A login that needs nobody is a plain call; one that needs an issuer joins its token's one task.

The calls are made where no task is: from callbacks of the loop, as a socket's are.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from sessiond.core import compact
from sessiond.core.errors import IssuerUnavailable, Refusal, TokenRejected
from sessiond.core.jsontext import read_object
from sessiond.gate import VerifiedLogin, Waiting
from sessiond.gate.waiting import Outcome
from sessiond.issuers.keys import Keys
from tests.fakes import FakeClock, idle, process_key, verdict
from tests.unit.gate.fakes import (
    GateAtWork,
    PlainVerifier,
    ScriptedVerifier,
    at_work,
    gate_issuer,
    jwt,
    opaque,
)
from tests.unit.gate.test_verdict_ends import verifier_for
from tests.unit.issuers.fake import HandClock, IssuerStub
from tests.unit.jwt.forge import RSA, jwk, token

pytestmark = pytest.mark.anyio
DOWN = IssuerUnavailable("no answer")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # whose tasks and futures are counted


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class Counted:
    """Counts what the loop is asked for."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.made: list[str] = []
        loop: Any = asyncio.get_running_loop()
        for name in ("create_task", "create_future", "call_soon", "call_later", "call_at"):
            patch.setattr(loop, name, self._counting(name, getattr(loop, name)), raising=False)

    def _counting(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*args: Any, **keywords: Any) -> Any:
            self.made.append(name)
            return original(*args, **keywords)

        return counting


def decide(
    gate: GateAtWork, password: str = opaque(), *, user: str = "alice", pid: int = 100
) -> VerifiedLogin | Waiting:
    return gate.gate.decide_now(user=user, password=password, owner=process_key(pid))


def decided_at_once(gate: GateAtWork, password: str, *, user: str) -> str:
    try:
        outcome = decide(gate, password, user=user)
    except TokenRejected as rejected:
        return said(rejected)
    return "it waits" if isinstance(outcome, Waiting) else said(outcome)


def said(outcome: Outcome) -> str:
    match outcome:
        case VerifiedLogin():
            return outcome.verdict.principal.name
        case TokenRejected():
            return outcome.reason.value
        case IssuerUnavailable():
            return Refusal.UNAVAILABLE.value


async def in_callback(call: Callable[[], None]) -> None:
    """Call it where there is no task, and go on when that is over."""
    over, went_well = asyncio.get_running_loop().create_future(), list[bool]()

    def plain() -> None:
        assert asyncio.current_task() is None
        try:
            call()
            went_well.append(True)
        finally:
            over.set_result(None)

    asyncio.get_running_loop().call_soon(plain)
    await over
    assert went_well, "what was raised is in the log of asyncio"


@pytest.mark.parametrize("case", ["verified", "kept", "refused", "kept refusal", "routed", "named"])
async def test_what_needs_nobody_is_decided_without_task_future_or_callback(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    verifier = ScriptedVerifier(is_online=False, needs=False)
    user, password, expected = "alice", jwt(), "alice"
    if "refus" in case:
        verifier.says, expected = TokenRejected(Refusal.BADSIGNATURE, "forged"), "badsignature"
    elif case == "routed":
        password, expected = jwt("https://elsewhere/"), "wrongissuer"
    elif case == "named":
        user, expected = "bob", "usermismatch"
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        if "kept" in case:
            await gate.said(user, password)

        def decided() -> None:
            with monkeypatch.context() as patch:
                counted = Counted(patch)
                assert decided_at_once(gate, password, user=user) == expected
                assert counted.made == []

        await in_callback(decided)
    assert len(verifier.asked) == (case != "routed")


async def test_a_token_is_read_once_and_its_header_not_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, read = HandClock(), list[bytes]()

    def counted(text: bytes, **bounds: int) -> dict[str, object] | None:
        read.append(text)
        return read_object(text, **bounds)

    issuer = IssuerStub(clock)
    issuer.publishes()
    issuer.says("/keys", {"keys": [jwk(RSA, kid="rsa")]})
    http = issuer.http()
    keys = Keys(http=http, discovery=issuer.discovery(http), clock=clock, name="corp")
    await keys.fetch()
    verifier = verifier_for(keys, audience="api://kdb")
    tokens = [token({"jti": f"{number}"}).reveal() for number in range(2)]
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:

        def decided() -> None:
            for password in tokens:
                with monkeypatch.context() as patch:
                    loop = Counted(patch)
                    outcome = decide(gate, password, user="alice@example.com")
                    assert isinstance(outcome, VerifiedLogin)
                    assert loop.made == []

        monkeypatch.setattr(compact, "read_object", counted)
        await in_callback(decided)
        assert [b'"alg"' in text for text in read] == [True, False, False]
        read.clear()
        await in_callback(decided)
        assert read == []  # kept


async def test_what_needs_the_issuer_joins_one_task_for_all(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier, told = ScriptedVerifier(), list[tuple[int, str]]()
    landing = verifier.hold()
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:

        def hear(pid: int, outcome: Outcome) -> None:
            told.append((pid, said(outcome)))

        def decided() -> None:
            with monkeypatch.context() as patch:
                counted = Counted(patch)
                for pid in range(20):
                    waiting = decide(gate, pid=pid)
                    assert isinstance(waiting, Waiting)
                    waiting.then(partial(hear, pid))
                assert counted.made.count("create_task") <= 1
                assert "create_future" not in counted.made

        await in_callback(decided)
        await idle()
        assert (told, verifier.asked) == ([], ["opaque"])
        landing.set()
        await idle()
    assert told == [(pid, "alice") for pid in range(20)]


async def test_one_that_leaves_and_one_that_raises_disturb_no_other(clock: FakeClock) -> None:
    verifier, told = ScriptedVerifier(), list[str]()
    landing = verifier.hold()
    async with at_work(gate_issuer(verifier, clock), clock=clock, waiting=1) as gate:

        def raising(_: Outcome) -> None:
            raise RuntimeError("nobody expected it")

        def decided() -> None:
            first, second, third = (decide(gate, pid=pid) for pid in range(3))
            assert isinstance(first, Waiting)
            assert isinstance(second, Waiting)
            assert isinstance(third, Waiting)
            first.then(lambda _: told.append("left"))
            second.then(raising)
            third.then(lambda outcome: told.append(said(outcome)))
            with pytest.raises(TokenRejected, match="wait for an issuer"):
                decide(gate, opaque("another"), pid=0)
            first.leave()
            fourth = decide(gate, opaque("another"), pid=0)
            assert isinstance(fourth, Waiting)
            fourth.then(lambda outcome: told.append(said(outcome)))

        await in_callback(decided)
        await idle()
        landing.set()
        await idle()
        assert gate.gate._waiting == {}
    assert told == ["alice", "alice"]
    assert (verifier.asked, verifier.cancelled) == (["opaque", "another"], 0)


async def test_who_was_let_in_by_one_call_is_judged_each_for_himself(clock: FakeClock) -> None:
    verifier, told = ScriptedVerifier(), list[str]()
    landing = verifier.hold()
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        for user in ("alice", "bob", "ALICE"):
            waiting = decide(gate, user=user)
            assert isinstance(waiting, Waiting)
            waiting.then(lambda outcome: told.append(said(outcome)))
        await idle()
        landing.set()
        await idle()
    assert sorted(told) == ["alice", "alice", "usermismatch"]
    assert len(verifier.asked) == 2  # a name is part of the question


async def test_while_the_breaker_is_open_a_callback_is_told_so_and_a_trial_call_is_made(
    clock: FakeClock,
) -> None:
    verifier = ScriptedVerifier(says=DOWN, probe_says=DOWN)
    corp = gate_issuer(verifier, clock)
    async with at_work(corp, clock=clock) as gate:
        corp.breaker.hold(60)

        def decided() -> None:
            with pytest.raises(IssuerUnavailable, match="is open"):
                decide(gate)

        for _ in range(2):
            await in_callback(decided)
        await idle()
        assert clock.sleepers == 1
        assert gate.gate._waiting == {}
    assert verifier.asked == []


async def test_a_plugin_that_need_not_call_is_asked_in_a_task_without_place_or_breaker(
    clock: FakeClock,
) -> None:
    scripted = ScriptedVerifier(is_online=False, needs=False)
    corp = gate_issuer(PlainVerifier(scripted), clock, places=0)
    async with at_work(corp, clock=clock, waiting=0) as gate:
        corp.breaker.hold(60)
        assert isinstance(decide(gate, jwt()), Waiting)
        await idle()
        assert isinstance(decide(gate, jwt()), VerifiedLogin)  # kept
        assert corp.limiter.waiting() == 0
    assert len(scripted.asked) == 1


async def test_when_the_gate_stops_whoever_waits_is_told(clock: FakeClock) -> None:
    verifier, told = ScriptedVerifier(), list[str]()
    verifier.hold()
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        waiting = decide(gate)
        assert isinstance(waiting, Waiting)
        waiting.then(lambda outcome: told.append(said(outcome)))
        await idle()
    assert told == ["unavailable"]


async def test_a_verdict_that_is_late_for_the_token_lets_nobody_in(clock: FakeClock) -> None:
    verifier, told = ScriptedVerifier(says=verdict(length=timedelta(seconds=10))), list[str]()
    landing = verifier.hold()
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        waiting = decide(gate)
        assert isinstance(waiting, Waiting)
        waiting.then(lambda outcome: told.append(said(outcome)))
        await clock.advance(10)
        landing.set()
        await idle()
    assert told == ["expired"]
