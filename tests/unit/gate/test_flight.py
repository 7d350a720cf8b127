"""One call for all who wait for it."""

import anyio
import pytest

from sessiond.containment import Containment
from sessiond.core.errors import (
    ClientRefused,
    IssuerThrottled,
    IssuerUnavailable,
    Refusal,
    TokenRejected,
    UnusableAnswer,
)
from sessiond.gate import LoginTimings
from sessiond.gate.flight import Fault, Flight, fresh
from tests.fakes import FakeClock, idle

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def flight(clock: FakeClock) -> Flight[str]:
    return Flight(clock)


async def test_all_who_wait_get_the_answer_and_whoever_comes_late(flight: Flight[str]) -> None:
    answers: list[str] = []

    async def wait() -> None:
        answers.append(await flight.answer())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        tasks.start_soon(wait)
        await idle()
        assert answers == []
        flight.land("answer")
    assert [*answers, await flight.answer()] == ["answer"] * 3


def test_all_who_joined_are_told_once_in_the_order_of_joining(flight: Flight[str]) -> None:
    told = list[tuple[int, str | Fault]]()
    listeners = [lambda said, number=number: told.append((number, said)) for number in range(3)]
    for heard in listeners:
        flight.join(heard)
    flight.land("answer")
    flight.join(listeners[0])
    assert told == [(number, "answer") for number in (0, 1, 2, 0)]


def test_whoever_left_is_told_nothing_even_while_the_others_are_told(flight: Flight[str]) -> None:
    told = list[str | Fault]()
    flight.join(lambda _: flight.leave(told.append))
    flight.join(told.append)
    other = list[str | Fault]()
    flight.join(other.append)
    flight.land("answer")
    assert (told, other) == ([], ["answer"])


def test_one_that_raises_keeps_no_other_from_hearing(clock: FakeClock) -> None:
    containment, told = Containment(), list[str | Fault]()
    flight = Flight[str](clock, contained=containment.around("login", "corp"))

    def raising(_: str | Fault) -> None:
        raise RuntimeError("nobody expected it")

    flight.join(raising)
    flight.join(told.append)
    flight.land("answer")
    assert told == ["answer"]
    assert containment.failures == {("login", "corp"): 1}


def test_what_joins_while_they_are_told_is_told_at_once(flight: Flight[str]) -> None:
    told = list[str | Fault]()
    flight.join(lambda _: flight.join(told.append))
    flight.land("answer")
    assert told == ["answer"]


@pytest.mark.parametrize("is_timed", [True, False])
async def test_it_says_what_its_time_went_to_where_a_stranger_is_waited_for(
    clock: FakeClock, is_timed: bool
) -> None:
    flight, timings = Flight[str](clock, is_timed=is_timed), LoginTimings()
    await clock.advance(2)
    flight.note(timings)
    assert timings == LoginTimings(queued=2 if is_timed else None)
    flight.ask()
    await clock.advance(3)
    flight.land("answer")
    await clock.advance(1)
    flight.note(timings)
    assert timings == (LoginTimings(queued=2, called=3) if is_timed else LoginTimings())


async def test_each_gets_a_fault_of_his_own(flight: Flight[str]) -> None:
    fault, caught = TokenRejected(Refusal.INACTIVE, "locked"), list[TokenRejected]()
    flight.land(fault)
    for _ in range(2):
        with pytest.raises(TokenRejected) as raised:
            await flight.answer()
        caught.append(raised.value)
    assert {str(each) for each in caught} == {str(fault)}
    assert len({id(each) for each in [fault, *caught]}) == 3


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (TokenRejected(Refusal.EXPIRED, "over"), TokenRejected),
        (IssuerThrottled("busy", retry_after=7), IssuerThrottled),
        (IssuerUnavailable("down"), IssuerUnavailable),
        (UnusableAnswer("403"), IssuerUnavailable),  # whoever waits can only do without
        (ClientRefused("401"), IssuerUnavailable),
    ],
)
def test_a_copy_says_the_same_and_holds_no_frame(fault: Fault, kind: type[Fault]) -> None:
    try:
        raise fault from ValueError("whose frames hold a token")
    except type(fault) as raised:
        copy = fresh(raised)
    assert (type(copy), str(copy)) == (kind, str(fault))
    assert (copy.__traceback__, copy.__cause__, copy.__context__) == (None, None, None)
    for field in ("reason", "detail", "retry_after"):
        if hasattr(copy, field):
            assert getattr(copy, field) == getattr(fault, field)


async def test_one_that_is_not_asked_to_the_end_is_no_verdict(flight: Flight[str]) -> None:
    flight.land(None)
    await flight.over()
    with pytest.raises(IssuerUnavailable, match="stopping"):
        await flight.answer()


async def test_it_knows_when_it_began_had_its_turn_and_landed(clock: FakeClock) -> None:
    await clock.advance(1)
    flight = Flight[str](clock)
    assert (flight.asked_at, flight.landed_at) == (None, None)
    began = clock.monotonic()
    await clock.advance(2)
    flight.ask()
    await clock.advance(3)
    flight.land("answer")
    assert (flight.launched_at, flight.asked_at, flight.landed_at) == (began, began + 2, began + 5)
