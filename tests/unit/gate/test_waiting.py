"""A login that waits: it is told once, and its place is free when it is over, however it ends."""

from dataclasses import replace
from datetime import timedelta

import anyio
import pytest

from sessiond.core.errors import IssuerUnavailable, Refusal, TokenRejected
from sessiond.core.password import read_password
from sessiond.core.verdict import Verdict
from sessiond.gate import LoginTimings, VerifiedLogin, Waiting
from sessiond.gate.flight import Flight
from sessiond.gate.waiting import Outcome
from tests.fakes import FakeClock, idle, verdict
from tests.unit.gate.fakes import opaque

pytestmark = pytest.mark.anyio

OVER = TokenRejected(Refusal.EXPIRED, "it ran out")


class Login:
    """A login that waits, and what it is told."""

    def __init__(self, clock: FakeClock) -> None:
        self.flight = Flight[Verdict](clock)
        self.timings = LoginTimings()
        self.places = 1
        self.told: list[Outcome] = []
        self.refuses: TokenRejected | None = None
        self.waiting = Waiting(
            self.flight, judge=self._judge, timings=self.timings, give_up_place=self._give_up_place
        )

    def hear(self, outcome: Outcome) -> None:
        assert self.places == 0, "its place is free before it is told"
        self.told.append(outcome)

    def _judge(self, said: Verdict) -> VerifiedLogin:
        if self.refuses is not None:
            raise self.refuses
        return VerifiedLogin(said, read_password(opaque()), "qstudio")

    def _give_up_place(self) -> None:
        self.places -= 1


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def login(clock: FakeClock) -> Login:
    return Login(clock)


async def test_it_is_told_once_at_landing(login: Login, clock: FakeClock) -> None:
    login.waiting.then(login.hear)
    await clock.advance(3)
    assert login.told == []
    login.flight.land(verdict())
    login.waiting.leave()
    [said] = login.told
    assert isinstance(said, VerifiedLogin)
    assert said.verdict == verdict()
    assert login.timings == LoginTimings(queued=3)
    assert login.places == 0


def test_one_that_asks_after_the_landing_is_told_at_once(login: Login) -> None:
    login.flight.land(verdict())
    assert login.told == []
    login.waiting.then(login.hear)
    assert len(login.told) == 1


@pytest.mark.parametrize("fault", [OVER, IssuerUnavailable("down")])
def test_a_fault_comes_as_a_copy_of_its_own(
    login: Login, fault: TokenRejected | IssuerUnavailable
) -> None:
    login.waiting.then(login.hear)
    login.flight.land(fault)
    [said] = login.told
    assert said is not fault
    assert (type(said), str(said)) == (type(fault), str(fault))


def test_what_the_verdict_comes_to_for_this_login_is_judged_at_landing(login: Login) -> None:
    login.refuses = OVER
    login.waiting.then(login.hear)
    login.flight.land(verdict())
    [said] = login.told
    assert isinstance(said, TokenRejected)
    assert (said.reason, said.__traceback__) == (Refusal.EXPIRED, None)


async def test_one_that_leaves_is_told_nothing_and_makes_room_at_once(
    login: Login, clock: FakeClock
) -> None:
    login.waiting.then(login.hear)
    await clock.advance(2)
    for _ in range(2):
        login.waiting.leave()
    assert (login.places, login.timings) == (0, LoginTimings(queued=2))
    await clock.advance(1)
    login.flight.land(replace(verdict(length=timedelta(hours=1))))
    assert (login.told, login.timings) == ([], LoginTimings(queued=2))


async def test_one_that_is_cancelled_while_it_waits_leaves(login: Login) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(login.waiting.answer)
        await idle()
        tasks.cancel_scope.cancel()
    assert login.places == 0
    login.flight.land(verdict())
    assert login.places == 0


async def test_who_awaits_it_gets_the_login_or_a_fault_of_his_own(clock: FakeClock) -> None:
    well, refused = Login(clock), Login(clock)
    well.flight.land(verdict())
    refused.flight.land(OVER)
    assert (await well.waiting.answer()).verdict == verdict()
    with pytest.raises(TokenRejected, match="ran out") as caught:
        await refused.waiting.answer()
    assert caught.value is not OVER
