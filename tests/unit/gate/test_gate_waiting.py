"""How many logins may wait, whose turn it is, and that one that fails stops nobody twice."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import TaskGroup

from sessiond.core.errors import (
    ClientRefused,
    IssuerThrottled,
    IssuerUnavailable,
    Refusal,
    TokenRejected,
    UnusableAnswer,
)
from sessiond.core.session import ProcessKey, SessionId
from tests.fakes import FakeClock, idle, process_key, session_id, verdict
from tests.unit.gate.fakes import GateAtWork, ScriptedVerifier, at_work, gate_issuer, jwt, opaque

pytestmark = pytest.mark.anyio

DOWN = IssuerUnavailable("no answer")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def verifier() -> ScriptedVerifier:
    return ScriptedVerifier()


class Logins:
    """Logins beside each other; `said` has what became of each, by token."""

    def __init__(self, gate: GateAtWork, tasks: TaskGroup) -> None:
        self._gate = gate
        self._tasks = tasks
        self._scopes: dict[str, anyio.CancelScope] = {}
        self.said: dict[str, str] = {}

    async def begin(self, token: str, owner: ProcessKey, renews: SessionId | None = None) -> None:
        """Log in with a token, or renew, and go on when that waits or is over."""
        self._tasks.start_soon(self._run, token, owner, renews)
        await idle()

    async def give_up(self, token: str) -> None:
        self._scopes[token].cancel()
        await idle()

    async def _run(self, token: str, owner: ProcessKey, renews: SessionId | None) -> None:
        with anyio.CancelScope() as self._scopes[token]:
            password = token if token.startswith("eyJ") else opaque(token)
            self.said[token] = await self._gate.said("alice", password, owner, renews)


@asynccontextmanager
async def logins(gate: GateAtWork) -> AsyncIterator[Logins]:
    async with anyio.create_task_group() as tasks:
        yield Logins(gate, tasks)


async def test_logins_of_one_process_beyond_the_bound_are_throttled_at_once(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    landing = verifier.hold()
    one, other = process_key(1), process_key(2)
    async with at_work(gate_issuer(verifier, clock), clock=clock, waiting=2) as gate:
        async with logins(gate) as users:
            for token in ("a", "b", "c"):
                await users.begin(token, one)
            assert users.said == {"c": "throttled"}
            await users.begin("d", other)
            assert users.said == {"c": "throttled"}
            landing.set()
        assert users.said == {"a": "alice", "b": "alice", "c": "throttled", "d": "alice"}
    assert verifier.asked == ["a", "b", "d"]


async def test_renewals_take_no_login_s_place_and_there_is_one_a_session(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    landing, q = verifier.hold(), process_key()
    async with at_work(gate_issuer(verifier, clock), clock=clock, waiting=1) as gate:
        async with logins(gate) as users:
            for number in range(1, 4):
                await users.begin(f"renewal{number}", q, session_id(number))
                await users.begin(f"surplus{number}", q, session_id(number))
            await users.begin("login", q)
            await users.begin("surplus", q)
            assert set(users.said) == {"surplus", "surplus1", "surplus2", "surplus3"}
            assert set(users.said.values()) == {"throttled"}
            landing.set()
        assert {users.said[f"renewal{number}"] for number in range(1, 4)} == {"alice"}
        assert users.said["login"] == "alice"
        assert gate.gate._waiting == {}


async def test_renewals_of_a_process_wait_for_their_turn_apart_from_its_logins(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    landing, q = verifier.hold(), process_key()
    async with (
        at_work(gate_issuer(verifier, clock, places=1), clock=clock) as gate,
        logins(gate) as users,
    ):
        for number in range(1, 6):
            await users.begin(f"renewal{number}", q, session_id(number))
        await users.begin("login", q)
        landing.set()
    assert verifier.asked.index("login") == 2  # behind the one that was asked, and one more


async def test_whoever_joins_a_question_waits_too(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    landing = verifier.hold()
    async with (
        at_work(gate_issuer(verifier, clock), clock=clock, waiting=1) as gate,
        logins(gate) as users,
    ):
        await users.begin("a", process_key(1))
        assert await gate.said("alice", opaque("a"), process_key(1)) == "throttled"
        landing.set()


@pytest.mark.parametrize("end", ["answered", "given up", "refused"])
async def test_a_login_that_is_over_makes_room_for_the_next(
    clock: FakeClock, verifier: ScriptedVerifier, end: str
) -> None:
    async with at_work(gate_issuer(verifier, clock), clock=clock, waiting=1) as gate:
        for token in ("a", "b", "c"):
            landing = verifier.hold()
            verifier.says = DOWN if end == "refused" else verdict()
            async with logins(gate) as users:
                await users.begin(token, process_key())
                assert await gate.said("alice", opaque("x")) == "throttled"
                if end == "given up":
                    await users.give_up(token)
                landing.set()
        assert gate.gate._waiting == {}


async def test_the_first_fetch_of_keys_is_not_counted(clock: FakeClock) -> None:
    verifier = ScriptedVerifier(is_online=False, needs=True)
    landing = verifier.hold()
    tokens = [jwt(number=number) for number in range(5)]
    async with at_work(gate_issuer(verifier, clock), clock=clock, waiting=1) as gate:
        async with logins(gate) as users:
            for token in tokens:
                await users.begin(token, process_key())
            assert users.said == {}
            landing.set()
        assert users.said == dict.fromkeys(tokens, "alice")


async def test_a_verdict_that_is_kept_is_given_however_many_wait(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    async with at_work(gate_issuer(verifier, clock), clock=clock, waiting=1) as gate:
        assert await gate.said("alice", opaque("kept")) == "alice"
        landing = verifier.hold()
        async with logins(gate) as users:
            await users.begin("a", process_key())
            assert await gate.said("alice", opaque("b")) == "throttled"
            assert await gate.said("alice", opaque("kept")) == "alice"
            landing.set()


async def test_a_process_that_floods_does_not_starve_another(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    flood, quiet = process_key(1), process_key(2)
    landing = verifier.hold()
    async with (
        at_work(gate_issuer(verifier, clock, places=1), clock=clock, waiting=100) as gate,
        logins(gate) as users,
    ):
        for number in range(6):
            await users.begin(f"flood{number}", flood)
        await users.begin("quiet0", quiet)
        await users.begin("quiet1", quiet)
        landing.set()
    assert verifier.asked == [
        *("flood0", "flood1", "quiet0", "flood2", "quiet1"),
        *("flood3", "flood4", "flood5"),
    ]


async def test_the_issuer_is_asked_so_many_questions_at_a_time(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    landing = verifier.hold()
    async with at_work(gate_issuer(verifier, clock, places=2), clock=clock, waiting=9) as gate:
        async with logins(gate) as users:
            for token in ("a", "b", "c"):
                await users.begin(token, process_key())
            assert verifier.asked == ["a", "b"]
            landing.set()
        assert verifier.asked == ["a", "b", "c"]


async def bring_down(gate: GateAtWork, verifier: ScriptedVerifier) -> None:
    """Let three logins find the issuer down, as it will be for trial calls too."""
    before = verifier.says
    verifier.says = verifier.probe_says = DOWN
    for number in range(3):
        assert await gate.said("alice", opaque(f"down{number}")) == "unavailable"
    verifier.says = before
    await idle()


async def test_after_three_failures_and_a_trial_nobody_waits_and_nobody_asks(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        await bring_down(gate, verifier)
        verifier.hold()
        assert await gate.said("alice", opaque("next")) == "unavailable"
    assert verifier.asked == ["down0", "down1", "down2"]
    assert verifier.probes == 1


async def test_tokens_that_the_issuer_trips_over_keep_nobody_from_it(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        for number in range(12):
            verifier.of[f"odd{number}"] = DOWN
            assert await gate.said("mallory", opaque(f"odd{number}")) == "unavailable"
            await idle()
            assert await gate.said("alice", opaque(f"good{number}")) == "alice"
        for number in range(3, 15):  # nor where nobody else logs in between
            verifier.of[f"odder{number}"] = DOWN
            assert await gate.said("mallory", opaque(f"odder{number}")) == "unavailable"
            await idle()
        assert await gate.said("alice", opaque("next")) == "alice"
    assert verifier.probes == 4  # one for three in a row


@pytest.mark.parametrize("odd", [UnusableAnswer("403"), ClientRefused("401"), TypeError("odd")])
async def test_an_issuer_that_answers_keeps_the_breaker_closed_whatever_it_answers(
    clock: FakeClock, verifier: ScriptedVerifier, odd: Exception
) -> None:
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        verifier.says = odd
        for number in range(9):
            assert await gate.said("alice", opaque(f"odd{number}")) == "unavailable"
        await idle()
        verifier.says = verdict()
        assert await gate.said("alice", opaque("next")) == "alice"
    assert verifier.probes == 0


@pytest.mark.parametrize(
    "says",
    [
        None,
        UnusableAnswer("404"),
        ClientRefused("401"),
        TokenRejected(Refusal.INACTIVE, "made up"),
        RuntimeError("nobody expected it"),
    ],
)
async def test_a_trial_call_that_is_answered_closes_the_breaker(
    clock: FakeClock, verifier: ScriptedVerifier, says: Exception | None
) -> None:
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        await bring_down(gate, verifier)
        verifier.probe_says = says
        await clock.advance(1)
        assert verifier.probes == 2
        assert await gate.said("alice", opaque("next")) == "alice"


async def test_an_issuer_that_answers_now_and_then_is_asked_by_all(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        for number in range(12):
            verifier.says = DOWN if number % 3 else verdict()
            said = await gate.said("alice", opaque(f"t{number}"))
            assert said == ("unavailable" if number % 3 else "alice")
    assert (len(verifier.asked), verifier.probes) == (12, 0)


async def test_three_calls_that_still_last_are_enough_for_nobody_to_wait(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    landing = verifier.hold()
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate, logins(gate) as users:
        for token in ("a", "b", "c"):
            await users.begin(token, process_key(1))
        await clock.advance(1.001)
        for token in ("d", "e"):
            assert await gate.said("alice", opaque(token), process_key(2)) == "unavailable"
        await idle()
        assert clock.sleepers == 1  # the trial call's pause
        landing.set()
        await idle()
        assert users.said == dict.fromkeys(("a", "b", "c"), "alice")
        verifier.held = None
        assert await gate.said("alice", opaque("g")) == "unavailable"  # slow answers close nothing
        await clock.advance(1.0)
        assert await gate.said("alice", opaque("g")) == "alice"
    assert verifier.asked == ["a", "b", "c", "g"]


async def test_three_slow_answers_are_given_and_then_nobody_waits(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        for token in ("a", "b", "c"):
            landing = verifier.hold()
            async with logins(gate) as users:
                await users.begin(token, process_key())
                await clock.advance(1.5)
                landing.set()
            assert users.said == {token: "alice"}
        assert await gate.said("alice", opaque("d")) == "unavailable"
    assert verifier.asked == ["a", "b", "c"]


async def test_trial_calls_that_no_login_waits_for_find_out_when_it_answers(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        await bring_down(gate, verifier)
        probes = []
        for _ in range(7):
            await clock.advance(1)
            probes.append(verifier.probes)
        assert probes == [2, 2, 3, 3, 3, 3, 4]  # at once, and after 1, 3 and 7 seconds
        verifier.probe_says = None
        await clock.advance(7)
        assert await gate.said("alice", opaque("next")) == "unavailable"
        await clock.advance(1)
        assert verifier.probes == 5
        assert await gate.said("alice", opaque("next")) == "alice"
        await clock.advance(3600)
        assert verifier.probes == 5
    assert clock.sleepers == 0


async def test_an_issuer_that_fails_again_is_tried_out_again(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        await bring_down(gate, verifier)
        verifier.probe_says = None
        await clock.advance(1)
        await bring_down(gate, verifier)
        assert await gate.said("alice", opaque("next")) == "unavailable"
        await clock.advance(1)
        assert verifier.probes == 4


async def test_however_many_calls_fail_at_once_trial_calls_are_single(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    landing = verifier.hold()
    verifier.says = verifier.probe_says = DOWN
    async with at_work(gate_issuer(verifier, clock), clock=clock, waiting=99) as gate:
        async with logins(gate) as users:
            for number in range(20):
                await users.begin(f"t{number}", process_key())
            landing.set()
        assert set(users.said.values()) == {"unavailable"}
        await idle()
        assert (clock.sleepers, verifier.probes) == (1, 1)
        await clock.advance(1)
        assert verifier.probes == 2


async def test_whoever_waited_for_a_place_when_the_breaker_opened_does_not_ask(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    landing = verifier.hold()
    verifier.says = DOWN
    async with at_work(gate_issuer(verifier, clock, places=3), clock=clock, waiting=9) as gate:
        async with logins(gate) as users:
            for token in ("a", "b", "c", "d"):
                await users.begin(token, process_key())
            await clock.advance(1.5)
            landing.set()
        assert users.said == dict.fromkeys(("a", "b", "c", "d"), "unavailable")
    assert verifier.asked == ["a", "b", "c"]


async def test_an_issuer_that_throttles_is_left_alone_for_as_long_as_it_says(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    verifier.says = IssuerThrottled("429", retry_after=120)
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        assert await gate.said("alice", opaque("first")) == "unavailable"
        verifier.says = verdict()
        await clock.advance(119)
        assert await gate.said("alice", opaque("second")) == "unavailable"
        assert (verifier.asked, verifier.probes) == (["first"], 0)
        await clock.advance(1)
        assert verifier.probes == 1
        assert await gate.said("alice", opaque("second")) == "alice"


async def test_a_call_under_way_that_is_told_to_wait_longer_puts_trials_off(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    verifier.of["first"] = IssuerThrottled("429", retry_after=10)
    verifier.of["second"] = IssuerThrottled("429", retry_after=60)
    landing = verifier.hold()
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        async with logins(gate) as users:
            await users.begin("second", process_key())
            verifier.held = None
            await users.begin("first", process_key())
            await clock.advance(5)
            landing.set()
        await clock.advance(59)
        assert verifier.probes == 0
        await clock.advance(1)
        assert verifier.probes == 1


async def test_a_trial_that_is_throttled_puts_the_next_off(
    clock: FakeClock, verifier: ScriptedVerifier
) -> None:
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        await bring_down(gate, verifier)
        verifier.probe_says = IssuerThrottled("429", retry_after=300)
        await clock.advance(1)
        assert verifier.probes == 2
        verifier.probe_says = None
        await clock.advance(299)
        assert verifier.probes == 2
        await clock.advance(1)
        assert verifier.probes == 3
        assert await gate.said("alice", opaque("next")) == "alice"


async def test_an_open_breaker_stops_no_token_whose_key_is_at_hand_and_no_kept_verdict(
    clock: FakeClock,
) -> None:
    verifier = ScriptedVerifier(is_online=False, needs=True)
    async with at_work(gate_issuer(verifier, clock), clock=clock) as gate:
        assert await gate.said("alice", jwt(number=1)) == "alice"
        await bring_down(gate, verifier)
        assert await gate.said("alice", jwt(number=1)) == "alice"
        assert await gate.said("alice", jwt(number=2)) == "unavailable"
        verifier.needs = False
        assert await gate.said("alice", jwt(number=2)) == "alice"


async def test_another_issuer_is_not_stopped(clock: FakeClock, verifier: ScriptedVerifier) -> None:
    well = ScriptedVerifier(says=verdict())
    gate_issuers = [
        gate_issuer(verifier, clock, users=("x",)),
        gate_issuer(
            well, clock, name="well", stated=frozenset({"https://well/"}), users=("alice",)
        ),
    ]
    verifier.says = verifier.probe_says = DOWN
    async with at_work(*gate_issuers, clock=clock) as gate:
        for number in range(4):
            await gate.said("x", opaque(f"t{number}"))
            await idle()
        assert len(verifier.asked) == 3
        assert await gate.said("alice", opaque()) == "alice"
