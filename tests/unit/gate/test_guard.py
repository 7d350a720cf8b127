"""Calls behind a breaker, and the trial calls that close it."""

from collections.abc import AsyncIterator

import anyio
import pytest
from anyio.abc import TaskGroup

from sessiond.containment import Containment
from sessiond.core.errors import IssuerThrottled, IssuerUnavailable, Refusal, TokenRejected
from sessiond.gate.breaker import Breaker
from sessiond.gate.guard import Guard
from tests.fakes import FakeClock, idle

pytestmark = pytest.mark.anyio
DOWN = IssuerUnavailable("down")


class Stranger:
    """Somebody who is asked and tried out, and the guard before him."""

    def __init__(self, clock: FakeClock, *, doubts: bool = False) -> None:
        self.says: Exception | None = DOWN
        self.probe_says: Exception | None = DOWN
        self.calls = self.probes = 0
        self.held: anyio.Event | None = None
        self.containment = Containment()
        self.breaker = Breaker(clock, slow_after=lambda: 5.0, doubts=doubts)
        self.guard = Guard(
            self.breaker,
            name="the stranger",
            whose="stranger",
            probe=self._probe,
            clock=clock,
            containment=self.containment,
        )

    async def said(self) -> str:
        try:
            return await self.guard.call(self._ask)
        except IssuerUnavailable as unavailable:
            return str(unavailable)

    async def fail(self) -> None:
        for _ in range(3):
            assert await self.said() == "down"

    async def _ask(self) -> str:
        self.calls += 1
        if self.says is not None:
            raise self.says
        return "hello"

    async def _probe(self) -> None:
        self.probes += 1
        if self.held is not None:
            await self.held.wait()
        if self.probe_says is not None:
            raise self.probe_says


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def tasks() -> AsyncIterator[TaskGroup]:
    async with anyio.create_task_group() as tasks:
        yield tasks
        tasks.cancel_scope.cancel()


@pytest.fixture
def stranger(clock: FakeClock, tasks: TaskGroup) -> Stranger:
    stranger = Stranger(clock)
    stranger.guard.begin(tasks)
    return stranger


async def test_while_the_breaker_is_open_nobody_asks(stranger: Stranger) -> None:
    await stranger.fail()
    said = await stranger.said()
    assert (
        said == "the breaker of the stranger is open, wanted an answer to a trial call: see its "
        "trouble in sessionctl status, and wait, since it closes by itself"
    )
    assert stranger.calls == 3
    with pytest.raises(IssuerUnavailable, match="is open"):
        stranger.guard.check()


@pytest.mark.parametrize("answer", [None, TokenRejected(Refusal.INACTIVE, "who is that?")])
async def test_a_trial_call_that_is_answered_closes_it(
    stranger: Stranger, clock: FakeClock, answer: Exception | None
) -> None:
    await stranger.fail()
    stranger.says, stranger.probe_says = None, answer
    await clock.advance(1)
    assert await stranger.said() == "hello"
    await clock.advance(3600)
    assert (stranger.probes, clock.sleepers) == (1, 0)


async def test_trial_calls_are_made_one_at_a_time_with_longer_and_longer_pauses(
    stranger: Stranger, clock: FakeClock
) -> None:
    await stranger.fail()
    probes = []
    for _ in range(7):
        await clock.advance(1)
        assert "is open" in await stranger.said()
        probes.append(stranger.probes)
    assert probes == [1, 1, 2, 2, 2, 2, 3]
    assert clock.sleepers == 1
    stranger.held = anyio.Event()
    await clock.advance(8)
    assert "is open" in await stranger.said()
    await idle()
    assert (stranger.probes, clock.sleepers) == (4, 0)  # that one is still under way


async def test_a_doubt_is_settled_at_once(clock: FakeClock, tasks: TaskGroup) -> None:
    stranger = Stranger(clock, doubts=True)
    stranger.guard.begin(tasks)
    stranger.probe_says = None
    await stranger.fail()
    await idle()
    assert (stranger.probes, stranger.breaker.needs_trial) == (1, False)


async def test_who_asks_to_be_left_alone_is(stranger: Stranger, clock: FakeClock) -> None:
    stranger.says, stranger.probe_says = IssuerThrottled("429", retry_after=10), None
    await stranger.said()
    await clock.advance(5)
    stranger.breaker.hold(60)  # a call that was under way was told so
    await clock.advance(59)
    assert stranger.probes == 0
    await clock.advance(1)
    assert (stranger.probes, stranger.breaker.is_open) == (1, False)


async def test_whatever_a_trial_call_raises_ends_there_and_is_counted(
    stranger: Stranger, clock: FakeClock
) -> None:
    await stranger.fail()
    stranger.probe_says = RuntimeError("nobody expected it")
    await clock.advance(1)
    assert not stranger.breaker.is_open  # a fault of ours says nothing of him
    assert stranger.containment.failures == {("trial call", "stranger"): 1}


@pytest.mark.parametrize("is_under_way", [True, False])
async def test_one_that_is_retired_is_tried_out_no_more(
    stranger: Stranger, clock: FakeClock, is_under_way: bool
) -> None:
    await stranger.fail()
    if is_under_way:
        stranger.held = anyio.Event()
        await clock.advance(1)
    stranger.guard.retire()
    await clock.advance(60)
    assert "is open" in await stranger.said()
    await clock.advance(60)
    assert (stranger.probes, clock.sleepers) == (int(is_under_way), 0)


async def test_one_that_opens_again_is_tried_out_again(
    stranger: Stranger, clock: FakeClock
) -> None:
    for number in (1, 2):
        stranger.says, stranger.probe_says = DOWN, None
        await stranger.fail()
        await clock.advance(1)
        assert (stranger.probes, stranger.breaker.is_open) == (number, False)


async def test_before_it_has_begun_nobody_is_tried_out(clock: FakeClock) -> None:
    stranger = Stranger(clock)
    await stranger.fail()
    await clock.advance(60)
    assert stranger.probes == 0


async def test_a_call_that_is_given_up_says_nothing(stranger: Stranger, clock: FakeClock) -> None:
    for _ in range(4):
        with anyio.move_on_after(0):
            await stranger.guard.call(anyio.sleep_forever)
    assert not stranger.breaker.needs_trial
