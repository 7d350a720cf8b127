"""Asking a stranger once for all who have one question."""

from collections.abc import AsyncIterator
from typing import Literal

import anyio
import pytest
from anyio.abc import TaskGroup
from hypothesis import given, settings
from hypothesis import strategies as st

from sessiond.containment import Containment
from sessiond.core.errors import IssuerUnavailable, Refusal, TokenRejected
from sessiond.gate import AskOnce, Breaker
from sessiond.gate import ask_once as module
from sessiond.gate.flight import IS_STOPPING
from tests.fakes import FakeClock, idle

pytestmark = pytest.mark.anyio
DOWN = IssuerUnavailable("down")
LOCKED = TokenRejected(Refusal.INACTIVE, "locked")


class Stranger:
    """Somebody who is asked once, and what he says."""

    def __init__(self, clock: FakeClock, *, kept: float = 10.0, refused: float = 2.0) -> None:
        self.says: str | Exception = "answer"
        self.asked: list[str] = []
        self.held: anyio.Event | None = None
        self.containment = Containment()
        self.breaker = Breaker(clock, slow_after=lambda: 1e9)
        self._kept = kept
        self._refused = refused
        self._clock = clock
        self.once = AskOnce[str, str](
            "the stranger",
            task="question",
            whose="stranger",
            breaker=self.breaker,
            probe=self._probe,
            keep_until=self._keep_until,
            clock=clock,
            containment=self.containment,
        )

    async def said(self, key: str = "question", *, needs_call: bool = True) -> str:
        try:
            kept = self.once.find(key)
            if kept is not None:
                return kept
            flight = self.once.join(key, lambda _: self._ask(key), needs_call=needs_call)
            return await flight.answer()
        except (TokenRejected, IssuerUnavailable) as fault:
            return str(fault)

    async def _ask(self, key: str) -> str:
        return await self.once.call(lambda: self._answer(key))

    async def _answer(self, key: str) -> str:
        self.asked.append(key)
        if self.held is not None:
            await self.held.wait()
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    async def _probe(self) -> None:
        raise DOWN

    def _keep_until(self, outcome: str | TokenRejected) -> float:
        lasts = self._refused if isinstance(outcome, TokenRejected) else self._kept
        return self._clock.monotonic() + lasts


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
    stranger.once.begin(tasks)
    return stranger


async def test_all_who_have_one_question_share_one_call(stranger: Stranger) -> None:
    stranger.held, found = anyio.Event(), list[str]()

    async def ask(key: str) -> None:
        found.append(await stranger.said(key))

    async with anyio.create_task_group() as askers:
        for key in ("a", "a", "b", "a"):
            askers.start_soon(ask, key)
        await idle()
        assert sorted(stranger.asked) == ["a", "b"]
        stranger.held.set()
    assert found == ["answer"] * 4


@pytest.mark.parametrize("says", ["answer", LOCKED])
async def test_what_was_being_asked_as_all_was_forgotten_is_not_kept(
    stranger: Stranger, says: str | Exception
) -> None:
    """It may have been answered by what was taken back since."""
    stranger.held, stranger.says = anyio.Event(), says
    async with anyio.create_task_group() as askers:
        askers.start_soon(stranger.said)
        await idle()
        stranger.once.clear()
        stranger.held.set()
    assert not stranger.once.has_kept("question")
    await stranger.said()
    assert stranger.once.has_kept("question")


async def test_whoever_leaves_disturbs_nobody(stranger: Stranger) -> None:
    stranger.held, found, first = anyio.Event(), list[str](), anyio.CancelScope()

    async def leave() -> None:
        with first:
            await stranger.said()

    async def ask() -> None:
        found.append(await stranger.said())

    async with anyio.create_task_group() as askers:
        askers.start_soon(leave)
        await idle()
        askers.start_soon(ask)
        await idle()
        first.cancel()
        await idle()
        stranger.held.set()
    assert (found, stranger.asked) == (["answer"], ["question"])


async def test_an_answer_that_nobody_waited_for_is_kept(stranger: Stranger) -> None:
    stranger.held = anyio.Event()
    with anyio.move_on_after(0):
        await stranger.said()
    await idle()
    stranger.held.set()
    await stranger.once.over()
    assert (stranger.once.find("question"), stranger.asked) == ("answer", ["question"])


async def test_each_outcome_is_kept_for_its_own_time_and_a_failure_not_at_all(
    stranger: Stranger, clock: FakeClock
) -> None:
    stranger.says = DOWN
    assert await stranger.said() == "down"
    stranger.says = LOCKED
    assert await stranger.said() == str(LOCKED)
    stranger.says = "answer"
    assert await stranger.said() == str(LOCKED)
    await clock.advance(2)
    assert await stranger.said() == "answer"
    stranger.says = "another"
    await clock.advance(9.9)
    assert await stranger.said() == "answer"
    await clock.advance(0.1)
    assert await stranger.said() == "another"


async def test_what_is_to_be_kept_until_now_is_not(clock: FakeClock, tasks: TaskGroup) -> None:
    stranger = Stranger(clock, kept=0.0, refused=0.0)
    stranger.once.begin(tasks)
    for says in ("answer", LOCKED):
        stranger.says = says
        await stranger.said()
        assert stranger.once.find("question") is None


@given(
    keys=st.lists(st.sampled_from("abcdefgh"), max_size=30),
    most=st.integers(1, 4),
    kind=st.sampled_from(["answers", "refusals"]),
)
@settings(deadline=None)
async def test_no_more_is_kept_than_may_be_and_refusals_push_out_no_answer(
    keys: list[str], most: int, kind: Literal["answers", "refusals"]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_ANSWERS", most)
        patch.setattr(module, "MAX_REFUSALS", most)
        clock = FakeClock()
        stranger = Stranger(clock)
    async with anyio.create_task_group() as tasks:
        stranger.once.begin(tasks)
        await stranger.said("first")
        stranger.says = LOCKED if kind == "refusals" else "answer"
        for key in keys:
            await stranger.said(key)
        stranger.asked.clear()
        known = len(stranger.once._answers._kept), len(stranger.once._refusals._kept)
        assert max(known) <= most
        if kind == "refusals":
            assert stranger.once.find("first") == "answer"


async def test_while_the_breaker_is_open_only_what_needs_no_call_is_begun(
    stranger: Stranger, clock: FakeClock
) -> None:
    assert await stranger.said("kept") == "answer"
    stranger.held = anyio.Event()
    async with anyio.create_task_group() as askers:
        askers.start_soon(stranger.said, "under way")
        await idle()
        stranger.breaker.hold(60)
        assert "is open" in await stranger.said()
        assert await stranger.said("kept") == "answer"
        join = stranger.once.join("under way", lambda _: stranger._ask("under way"))
        stranger.held.set()
        assert await join.answer() == "answer"
    assert "is open" in await stranger.said("needless", needs_call=False)  # begun, and not let by
    assert stranger.asked == ["kept", "under way"]


async def test_nothing_is_asked_before_it_has_begun(clock: FakeClock) -> None:
    stranger = Stranger(clock)
    assert await stranger.said() == "sessiond is starting, wanted it open: try again in a moment"
    assert stranger.asked == []


def test_what_needs_no_waiting_is_answered_without_a_task_and_kept(clock: FakeClock) -> None:
    stranger = Stranger(clock)

    def locked() -> str:
        raise LOCKED

    assert stranger.once.at_once("question", lambda: "answer") == "answer"
    assert stranger.once.find("question") == "answer"
    with pytest.raises(TokenRejected, match="locked"):
        stranger.once.at_once("another", locked)
    with pytest.raises(TokenRejected, match="locked"):
        stranger.once.find("another")


def test_what_has_to_be_waited_for_is_neither_answered_at_once_nor_kept(clock: FakeClock) -> None:
    stranger = Stranger(clock)
    assert stranger.once.at_once("question", lambda: None) is None
    assert stranger.once.find("question") is None


def test_what_nobody_expected_at_once_is_no_verdict_either(clock: FakeClock) -> None:
    stranger = Stranger(clock)

    def odd() -> str:
        raise RuntimeError("nobody expected it")

    with pytest.raises(IssuerUnavailable, match="nobody expected"):
        stranger.once.at_once("question", odd)
    assert stranger.containment.failures == {("question", "stranger"): 1}
    assert stranger.once.find("question") is None


async def test_what_nobody_expected_is_no_verdict_for_that_question_alone(
    stranger: Stranger,
) -> None:
    stranger.says = RuntimeError("nobody expected it")
    assert "nobody expected" in await stranger.said()
    assert stranger.containment.failures == {("question", "stranger"): 1}
    stranger.says = "answer"
    assert await stranger.said() == "answer"


async def test_one_answer_can_be_forgotten_or_all(stranger: Stranger) -> None:
    stranger.says = LOCKED
    await stranger.said("refused")
    stranger.says = "answer"
    for key in ("a", "b"):
        await stranger.said(key)
    stranger.once.drop("a")
    assert (stranger.once.find("a"), stranger.once.find("b")) == (None, "answer")
    stranger.once.clear()
    assert (stranger.once.find("b"), stranger.once.find("refused")) == (None, None)


async def test_when_its_tasks_end_whoever_waits_is_told(clock: FakeClock) -> None:
    stranger, found = Stranger(clock), list[str]()
    stranger.held = anyio.Event()

    async def ask() -> None:
        found.append(await stranger.said())

    async with anyio.create_task_group() as askers, anyio.create_task_group() as tasks:
        stranger.once.begin(tasks)
        askers.start_soon(ask)
        await idle()
        tasks.cancel_scope.cancel()
    assert found == [IS_STOPPING]
    await stranger.once.over()


async def test_once_its_tasks_have_ended_nobody_is_asked_and_nobody_waits(clock: FakeClock) -> None:
    stranger = Stranger(clock)
    async with anyio.create_task_group() as tasks:
        stranger.once.begin(tasks)
    with anyio.fail_after(1):
        assert [await stranger.said() for _ in range(2)] == [IS_STOPPING] * 2
        await stranger.once.over()
    assert stranger.asked == []


async def test_one_that_is_retired_ends_what_is_under_way_and_tries_nobody_out(
    stranger: Stranger, clock: FakeClock
) -> None:
    stranger.held, found = anyio.Event(), list[str]()

    async def ask() -> None:
        found.append(await stranger.said())

    async with anyio.create_task_group() as askers:
        askers.start_soon(ask)
        await idle()
        stranger.once.retire()
        stranger.breaker.hold(5)
        assert "is open" in await stranger.said("another")
        stranger.held.set()
    assert (found, clock.sleepers) == (["answer"], 0)
